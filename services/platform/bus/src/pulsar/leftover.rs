//! What the broker keeps and the code does not have.

use std::collections::BTreeMap;

use kernel::{Failure, Result, code};
use serde_json::Value;

use super::{admin::Admin, setup::is_current, topics::domain, trust::Trust};
use crate::{
    PulsarConfig, SetupStep,
    leftover::{Known, Leftover},
};

/// The scheme of topics that are stored.
const STORED: &str = "persistent://";

/// A topic of our namespaces.
struct Topic {
    namespace: String,
    /// `tenant/namespace/name`.
    name: String,
    /// The partitions that are there, or the topic itself where it has none; by the same kind of name.
    parts: Vec<String>,
}

impl Topic {
    /// The domain whose events would lie in it.
    fn domain(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or_default()
    }
}

/// A subscription of a part of a topic.
struct Held {
    name: String,
    part: String,
    waiting: u64,
    connected: usize,
}

struct Survey<'a> {
    admin: Admin,
    config: &'a PulsarConfig,
    known: &'a Known<'a>,
}

/// What the broker has in our namespaces and the code does not.
pub(crate) async fn leftovers(config: &PulsarConfig, known: &Known<'_>) -> Result<Vec<Leftover>> {
    let survey = Survey::new(config, known)?;
    let (mut topics, mut schemas) = (Vec::new(), Vec::new());
    let mut subscriptions: BTreeMap<(String, String), u64> = BTreeMap::new();
    for topic in survey.topics().await? {
        topics.extend(survey.unfit_topic(&topic).await?);
        schemas.extend(survey.unfit_schema(&topic).await?);
        for held in survey.abandoned(&topic).await? {
            *subscriptions.entry((held.name, topic.name.clone())).or_default() += held.waiting;
        }
    }
    let abandoned = subscriptions.into_iter().map(|((name, at), waiting)| Leftover {
        kind: "subscription",
        says: format!(
            "nobody takes its events, and the broker keeps them for ever. Forget it with `meridian bus forget {name}`"
        ),
        name,
        at,
        waiting: Some(waiting),
    });
    Ok(abandoned.chain(topics).chain(schemas).collect())
}

/// Removes a subscription from the topics whose events the code does not take by it.
pub(crate) async fn forget(
    config: &PulsarConfig,
    known: &Known<'_>,
    name: &str,
    dry_run: bool,
) -> Result<Vec<SetupStep>> {
    let survey = Survey::new(config, known)?;
    let mut found = Vec::new();
    for topic in survey.topics().await? {
        found.extend(survey.abandoned(&topic).await?.into_iter().filter(|held| held.name == name));
    }
    if let Some(held) = found.iter().find(|held| held.connected > 0) {
        let (part, connected) = (&held.part, held.connected);
        return Err(Failure::new(code::CONFLICT).detail(format!(
            "{connected} consumers of {name} are connected at {part}: stop the processes that take its events first"
        )));
    }
    let mut steps = Vec::with_capacity(found.len());
    for Held { part, waiting, .. } in found {
        let waited = format!("{waiting} message batches wait");
        let state = if dry_run {
            waited
        } else if survey.admin.delete(&path_of(&part, name)).await? {
            format!("{waited}, forgotten")
        } else {
            "gone already".to_owned()
        };
        steps.push(SetupStep { kind: "subscription", name: format!("{name} at {part}"), state });
    }
    Ok(steps)
}

impl<'a> Survey<'a> {
    fn new(config: &'a PulsarConfig, known: &'a Known<'a>) -> Result<Self> {
        Ok(Self { admin: Admin::new(config, &Trust::new(config)?)?, config, known })
    }

    /// The topics of our namespaces, but those that the broker has for itself.
    async fn topics(&self) -> Result<Vec<Topic>> {
        let mut topics = Vec::new();
        for namespace in [&self.config.namespace, &self.config.global_namespace] {
            let namespace = format!("{}/{namespace}", self.config.tenant);
            let whole = self.admin.get(&format!("persistent/{namespace}/partitioned")).await?;
            let parts = self.admin.get(&format!("persistent/{namespace}")).await?;
            for (name, parts) in gathered(&names(whole.as_ref()), names(parts.as_ref())) {
                topics.push(Topic { namespace: namespace.clone(), name, parts });
            }
        }
        Ok(topics.into_iter().filter(|topic| !topic.domain().starts_with("__")).collect())
    }

    /// Whether the code has the topic: events of its domain lie in it.
    fn is_ours(&self, topic: &Topic) -> bool {
        let (config, of) = (self.config, topic.domain());
        let configured = config.topics.contains_key(of) || config.global.iter().any(|global| global == of);
        let taken = || self.known.every_topic().any(|taken| domain(taken) == of);
        (configured || taken()) && config.topic_of(of) == topic.name
    }

    async fn unfit_topic(&self, topic: &Topic) -> Result<Option<Leftover>> {
        let says = if self.is_ours(topic) {
            let path = format!("persistent/{}/partitions", topic.name);
            let found =
                self.admin.get(&path).await?.and_then(|found| found["partitions"].as_u64()).unwrap_or(0);
            let wanted = self.config.partitions_of(topic.domain());
            if found == u64::from(wanted) {
                return Ok(None);
            }
            format!("it has {found} partitions, the configuration says {wanted}: see `meridian bus setup`")
        } else {
            "no events of this version lie in it: delete it with `pulsar-admin` once nobody needs what is there".to_owned()
        };
        let (name, at) = (topic.name.clone(), topic.namespace.clone());
        Ok(Some(Leftover { kind: "topic", name, at, says, waiting: None }))
    }

    async fn unfit_schema(&self, topic: &Topic) -> Result<Option<Leftover>> {
        let path = format!("schemas/{}/schema", topic.name);
        let Some(found) = self.admin.get(&path).await? else { return Ok(None) };
        let says = if !self.is_ours(topic) {
            "it goes with its topic"
        } else if is_current(&found, topic.domain()) {
            return Ok(None);
        } else {
            "it is another than this version's: run `meridian bus setup`"
        };
        let (name, at) = (topic.name.clone(), topic.namespace.clone());
        Ok(Some(Leftover { kind: "schema", name, at, says: says.to_owned(), waiting: None }))
    }

    /// The subscriptions of a topic by which the code takes no events of it. What ends with its connection is none.
    async fn abandoned(&self, topic: &Topic) -> Result<Vec<Held>> {
        let ours = self.is_ours(topic);
        let mut found = Vec::new();
        for part in &topic.parts {
            let path = format!("persistent/{part}/stats?getPreciseBacklog=true");
            let Some(stats) = self.admin.get(&path).await? else { continue };
            for (name, held) in stats["subscriptions"].as_object().into_iter().flatten() {
                let taken = ours && self.known.topics(name).any(|taken| domain(taken) == topic.domain());
                if taken || name.starts_with("__") || held["durable"] == false {
                    continue;
                }
                found.push(Held {
                    name: name.clone(),
                    part: part.clone(),
                    waiting: held["msgBacklog"].as_u64().unwrap_or(0),
                    connected: held["consumers"].as_array().map_or(0, Vec::len),
                });
            }
        }
        Ok(found)
    }
}

/// Names of topics, without their scheme.
fn names(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(|name| Some(name.as_str()?.trim_start_matches(STORED).to_owned())).collect()
}

/// Partitions by the topic they belong to; a topic without partitions is its only part.
fn gathered(whole: &[String], parts: Vec<String>) -> BTreeMap<String, Vec<String>> {
    let mut topics: BTreeMap<String, Vec<String>> =
        whole.iter().map(|name| (name.clone(), Vec::new())).collect();
    for part in parts {
        let of = part.rsplit_once("-partition-").map(|(of, _)| of).filter(|of| topics.contains_key(*of));
        topics.entry(of.unwrap_or(&part).to_owned()).or_default().push(part);
    }
    topics
}

/// A subscription in the admin API. The broker decodes names twice: once as every server does, and once again.
fn path_of(part: &str, subscription: &str) -> String {
    let mut name = String::with_capacity(subscription.len());
    for byte in subscription.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            name.push(char::from(byte));
        } else {
            name.push_str(&format!("%25{byte:02X}"));
        }
    }
    format!("persistent/{part}/subscription/{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partitions_belong_to_their_topic() {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let whole = own(&["t/n/order", "t/n/empty"]);
        let parts =
            own(&["t/n/order-partition-0", "t/n/order-partition-1", "t/n/odd-partition-7", "t/n/lone"]);
        let topics = gathered(&whole, parts);
        let counts: Vec<(&str, usize)> =
            topics.iter().map(|(name, parts)| (name.as_str(), parts.len())).collect();
        assert_eq!(counts, [("t/n/empty", 0), ("t/n/lone", 1), ("t/n/odd-partition-7", 1), ("t/n/order", 2)]);
    }

    #[test]
    fn any_name_stays_one_part_of_a_path() {
        assert_eq!(path_of("t/n/order", "order.settle"), "persistent/t/n/order/subscription/order.settle");
        assert_eq!(
            path_of("t/n/order", "a@eu/../b"),
            "persistent/t/n/order/subscription/a%2540eu%252F..%252Fb"
        );
    }
}
