//! Making the broker ready: clusters, tenant, namespaces with their policies, topics, schemas. Every step looks first, so
//! running it again changes nothing.

use std::{collections::BTreeSet, time::Duration};

use kernel::{Failure, Result, code};
use serde_json::{Value, json};

use super::{admin::Admin, message, trust::Trust};
use crate::{BusConfig, Peer, PulsarConfig, SetupStep};

/// How long to wait before another try, at least and at most: shorter than a person's patience with a broker that is away.
const PAUSES: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(300), Duration::from_millis(900)];

/// Brings the broker to what the configuration says. Regions that are set up at once make the same tenant and namespaces:
/// to all but one of them the broker answers 409, or 500 where two wrote its metadata at the same moment. Whoever is refused
/// looks again and goes on from there.
pub(crate) async fn setup(config: &BusConfig) -> Result<Vec<SetupStep>> {
    let mut config = config.clone();
    config.engine = crate::BusEngine::Pulsar;
    config.validate()?;
    let admin = Admin::new(&config.pulsar, &Trust::new(&config.pulsar)?)?;
    for pause in PAUSES {
        match make(&admin, &config.pulsar).await {
            Err(failure) if failure.is(code::UNAVAILABLE) => {
                tracing::debug!(%failure, "the broker is looked at again");
                tokio::time::sleep(pause.mul_f64(rand::random_range(0.5..1.0))).await;
            }
            done => return done,
        }
    }
    make(&admin, &config.pulsar).await
}

async fn make(admin: &Admin, config: &PulsarConfig) -> Result<Vec<SetupStep>> {
    let mut work = Work { admin, config, steps: Vec::new() };
    work.clusters().await?;
    work.tenant().await?;
    work.namespace(&config.namespace).await?;
    work.namespace(&config.global_namespace).await?;
    let domains: BTreeSet<&String> = config.topics.keys().chain(&config.global).collect();
    for domain in domains {
        work.topic(domain).await?;
        work.schema(domain).await?;
    }
    Ok(work.steps)
}

/// Creates what a domain's topic needs and is not there. What is there stays as it is; where it would lose, double or
/// disorder events, the failure says what to do.
pub(crate) async fn prepare(admin: &Admin, config: &PulsarConfig, domain: &str) -> Result<()> {
    let mut work = Work { admin, config, steps: Vec::new() };
    let namespace = config.namespace_of(domain);
    if admin.get(&format!("namespaces/{namespace}")).await?.is_none() {
        work.tenant().await?;
        let name = namespace.rsplit('/').next().unwrap_or_default();
        work.namespace(name).await?;
    }
    if admin.get(&format!("namespaces/{namespace}/deduplication")).await? != Some(Value::Bool(true)) {
        return Err(unfit(format!("deduplication is off in the broker's namespace {namespace}")));
    }
    let (found, wanted) = (work.partitions(domain).await?, config.partitions_of(domain));
    match found {
        0 => work.topic(domain).await,
        found if found == wanted => Ok(()),
        found => {
            let topic = config.topic_of(domain);
            Err(unfit(format!("the topic {topic} has {found} partitions, the configuration says {wanted}")))
        }
    }
}

fn unfit(what: String) -> Failure {
    Failure::new(code::UNAVAILABLE).detail(format!("{what}: run `meridian bus setup`"))
}

struct Work<'a> {
    admin: &'a Admin,
    config: &'a PulsarConfig,
    steps: Vec<SetupStep>,
}

impl Work<'_> {
    fn note(&mut self, kind: &'static str, name: impl Into<String>, state: impl Into<String>) {
        self.steps.push(SetupStep { kind, name: name.into(), state: state.into() });
    }

    fn every_cluster(&self) -> BTreeSet<&str> {
        self.config.clusters.keys().map(String::as_str).chain([self.config.cluster.as_str()]).collect()
    }

    async fn clusters(&mut self) -> Result<()> {
        let own = self.config.cluster.clone();
        if self.admin.get(&format!("clusters/{own}")).await?.is_none() {
            return Err(Failure::invalid("bus.pulsar.cluster", format!("the broker is in no cluster {own}")));
        }
        self.note("cluster", own.clone(), "present");
        for (name, peer) in self.config.clusters.iter().filter(|(name, _)| **name != own) {
            let path = format!("clusters/{name}");
            let state = match self.admin.get(&path).await? {
                None => {
                    self.admin.put(&path, &registered(peer, &Value::Null)).await?;
                    "created"
                }
                Some(mut found) => {
                    // What is not known of it may be told as null.
                    if let Some(fields) = found.as_object_mut() {
                        fields.retain(|_, value| !value.is_null());
                    }
                    let wanted = registered(peer, &found);
                    if found == wanted {
                        "present"
                    } else {
                        self.admin.post(&path, &wanted).await?;
                        "changed its addresses"
                    }
                }
            };
            self.note("cluster", name, state);
        }
        Ok(())
    }

    /// The tenant, allowed in all our clusters; what others allowed it besides stays.
    async fn tenant(&mut self) -> Result<()> {
        let path = format!("tenants/{}", self.config.tenant);
        let ours = self.every_cluster();
        let state = match self.admin.get(&path).await? {
            None => {
                self.admin.put(&path, &json!({ "adminRoles": [], "allowedClusters": ours })).await?;
                "created"
            }
            Some(mut found) => {
                let allowed = texts(&found["allowedClusters"]);
                if ours.iter().all(|cluster| allowed.contains(*cluster)) {
                    "present"
                } else {
                    let all: BTreeSet<&str> =
                        ours.into_iter().chain(allowed.iter().map(String::as_str)).collect();
                    found["allowedClusters"] = json!(all);
                    self.admin.post(&path, &found).await?;
                    "changed its clusters"
                }
            }
        };
        self.note("tenant", self.config.tenant.clone(), state);
        Ok(())
    }

    async fn namespace(&mut self, name: &str) -> Result<()> {
        let path = format!("namespaces/{}/{name}", self.config.tenant);
        let global = name == self.config.global_namespace;
        let clusters = if global { json!(self.every_cluster()) } else { json!([self.config.cluster]) };
        let state = match self.admin.get(&path).await? {
            Some(_) => "present",
            None if self.admin.put(&path, &json!({ "replication_clusters": clusters })).await? => "created",
            None => "present",
        };
        self.note("namespace", format!("{}/{name}", self.config.tenant), state);
        let minutes = self.config.retention.as_secs() / 60;
        let retention = json!({ "retentionTimeInMinutes": minutes, "retentionSizeInMB": -1 });
        self.policy(&path, "deduplication", Value::Bool(true)).await?;
        self.policy(&path, "retention", retention).await?;
        self.policy(&path, "replication", clusters).await?;
        self.policy(&path, "schemaCompatibilityStrategy", json!("FULL")).await
    }

    async fn policy(&mut self, namespace: &str, policy: &'static str, wanted: Value) -> Result<()> {
        let path = format!("{namespace}/{policy}");
        let found = self.admin.get(&path).await?.unwrap_or(Value::Null);
        let same = if wanted.is_array() { texts(&found) == texts(&wanted) } else { found == wanted };
        let state = if same {
            "present".to_owned()
        } else {
            if policy == "schemaCompatibilityStrategy" {
                self.admin.put(&path, &wanted).await?;
            } else {
                self.admin.post(&path, &wanted).await?;
            }
            format!("set to {wanted}")
        };
        let name = namespace.trim_start_matches("namespaces/").to_owned();
        self.note(policy, name, state);
        Ok(())
    }

    /// How many partitions a domain's topic has; 0 when it does not exist.
    async fn partitions(&self, domain: &str) -> Result<u32> {
        let path = format!("persistent/{}/partitions", self.config.topic_of(domain));
        let found = self.admin.get(&path).await?;
        let partitions = found.as_ref().and_then(|found| found["partitions"].as_u64()).unwrap_or(0);
        u32::try_from(partitions).map_err(Failure::internal)
    }

    async fn topic(&mut self, domain: &str) -> Result<()> {
        let topic = self.config.topic_of(domain);
        let path = format!("persistent/{topic}/partitions");
        let wanted = self.config.partitions_of(domain);
        let state = match self.partitions(domain).await? {
            0 => {
                self.admin.put(&path, &json!(wanted)).await?;
                format!("created with {wanted} partitions")
            }
            found if found == wanted => format!("present with {found} partitions"),
            found if found < wanted => {
                self.admin.post(&path, &json!(wanted)).await?;
                format!("grown from {found} to {wanted} partitions")
            }
            found => {
                return Err(Failure::invalid(
                    format!("bus.pulsar.topics.{domain}"),
                    format!("the topic has {found} partitions and cannot shrink to {wanted}"),
                ));
            }
        };
        self.note("topic", topic, state);
        Ok(())
    }

    async fn schema(&mut self, domain: &str) -> Result<()> {
        let topic = self.config.topic_of(domain);
        let path = format!("schemas/{topic}/schema");
        let wanted = message::schema(domain);
        let state = match self.admin.get(&path).await? {
            Some(found) if is_current(&found, domain) => "present",
            found => {
                let body = json!({ "type": "JSON", "schema": wanted, "properties": {} });
                self.admin.post(&path, &body).await?;
                if found.is_some() { "new version" } else { "created" }
            }
        };
        self.note("schema", topic, state);
        Ok(())
    }
}

/// Whether a schema is what this version gives a domain's topic.
pub(super) fn is_current(found: &Value, domain: &str) -> bool {
    found["type"] == "JSON" && found["data"].as_str() == Some(message::schema(domain).as_str())
}

/// What our brokers know of another cluster, from what they do: its addresses, and whether they encrypt what they send there.
/// The rest of what is there stays, such as how they log in.
fn registered(peer: &Peer, found: &Value) -> Value {
    let mut known = found.as_object().cloned().unwrap_or_default();
    let admin = if peer.admin_url.starts_with("https:") { "serviceUrlTls" } else { "serviceUrl" };
    known.insert(admin.to_owned(), json!(peer.admin_url));
    if peer.is_encrypted() {
        known.insert("brokerServiceUrlTls".to_owned(), json!(peer.url));
        known.insert("brokerClientTlsEnabled".to_owned(), json!(true));
        if !peer.tls_roots.is_empty() {
            known.insert("brokerClientTrustCertsFilePath".to_owned(), json!(peer.tls_roots));
        }
        // Nobody is to go there in the clear any more.
        known.remove("serviceUrl");
        known.remove("brokerServiceUrl");
    } else {
        known.insert("brokerServiceUrl".to_owned(), json!(peer.url));
    }
    Value::Object(known)
}

fn texts(list: &Value) -> BTreeSet<String> {
    let items = list.as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(encrypted: bool, roots: &str) -> Peer {
        let (url, admin_url) = if encrypted {
            ("pulsar+ssl://there:6651", "https://there:8443")
        } else {
            ("pulsar://there:6650", "http://there:8080")
        };
        Peer { url: url.to_owned(), admin_url: admin_url.to_owned(), tls_roots: roots.to_owned() }
    }

    #[test]
    fn brokers_are_told_to_encrypt_what_they_send_to_another_cluster() {
        let body = registered(&peer(true, "/certs/ca.pem"), &Value::Null);
        let wanted = json!({
            "serviceUrlTls": "https://there:8443",
            "brokerServiceUrlTls": "pulsar+ssl://there:6651",
            "brokerClientTlsEnabled": true,
            "brokerClientTrustCertsFilePath": "/certs/ca.pem",
        });
        assert_eq!(body, wanted);
        assert_eq!(registered(&peer(true, "/certs/ca.pem"), &body), body, "again, nothing changes");
        let public = registered(&peer(true, ""), &Value::Null);
        assert_eq!(public["brokerClientTrustCertsFilePath"], Value::Null);
        let plain = registered(&peer(false, ""), &Value::Null);
        assert_eq!(
            plain,
            json!({ "serviceUrl": "http://there:8080", "brokerServiceUrl": "pulsar://there:6650" })
        );
    }

    #[test]
    fn what_else_is_known_of_a_cluster_stays() {
        let found = json!({
            "serviceUrl": "http://there:8080",
            "brokerServiceUrl": "pulsar://there:6650",
            "authenticationPlugin": "AuthenticationToken",
            "brokerClientTlsEnabled": false,
        });
        assert_eq!(registered(&peer(false, ""), &found), found);
        let encrypted = registered(&peer(true, ""), &found);
        assert_eq!(encrypted["authenticationPlugin"], "AuthenticationToken");
        assert_eq!(encrypted["brokerClientTlsEnabled"], true);
        assert!(encrypted.get("serviceUrl").is_none() && encrypted.get("brokerServiceUrl").is_none());
        // Somebody had it encrypted by hand: that is not undone.
        let by_hand = registered(&peer(false, ""), &encrypted);
        assert_eq!(by_hand["brokerClientTlsEnabled"], true);
    }
}
