//! Section `bus.pulsar` of the configuration.

use std::{collections::BTreeMap, time::Duration};

use kernel::{Failure, Result};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// Section `bus.pulsar`: the broker of the engine `pulsar`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PulsarConfig {
    /// Where brokers are found: `pulsar://host:port`, or `pulsar+ssl://host:port` for encrypted connections.
    pub url: String,
    /// The admin REST API: `http://host:port`, or `https://host:port`, as it must be where `url` is encrypted.
    pub admin_url: String,
    /// PEM file of authorities that encrypted connections trust, beside the public ones.
    pub tls_roots: String,
    /// Token for both, where the broker asks for one.
    #[serde(serialize_with = "kernel::masked")]
    pub token: SecretString,
    /// Tenant of our namespaces.
    pub tenant: String,
    /// Namespace of topics that stay in their cluster.
    pub namespace: String,
    /// Namespace of topics that are copied to every cluster.
    pub global_namespace: String,
    /// Domains whose topics lie in the global namespace.
    pub global: Vec<String>,
    /// Name of the cluster this process talks to.
    pub cluster: String,
    /// Other clusters by name: where global topics are copied to.
    pub clusters: BTreeMap<String, Peer>,
    /// Partitions of each domain's topic; a domain that is not listed gets one. Drain before changing one: a shard's events
    /// move to another partition.
    pub topics: BTreeMap<String, u32>,
    /// Events in one message batch at most.
    pub batch: usize,
    /// Events that may be published and not yet acknowledged by the broker; more wait in the log.
    pub in_flight: usize,
    /// Events a subscription takes in advance, a partition.
    pub queue: u32,
    /// How long the broker keeps consumed events: a new subscription starts there.
    #[serde(with = "humantime_serde")]
    pub retention: Duration,
    /// Longest time for an answer of the broker.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Longest pause before the broker is tried again.
    #[serde(with = "humantime_serde")]
    pub reconnect: Duration,
}

/// Another cluster, as our brokers reach it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// Its brokers: `pulsar://host:port`, or `pulsar+ssl://host:port` for encrypted connections.
    pub url: String,
    /// Its admin REST API: `http://host:port`, or `https://host:port`, as it must be where `url` is encrypted.
    pub admin_url: String,
    /// PEM file of the authorities that our brokers trust there: its full path on the brokers' machines, not on this one. What
    /// the broker has noted of the cluster, or the public ones, when empty.
    #[serde(default)]
    pub tls_roots: String,
}

impl Peer {
    /// Whether our brokers encrypt their connections to it.
    pub(crate) fn is_encrypted(&self) -> bool {
        self.url.starts_with("pulsar+ssl:")
    }

    fn is_valid(&self) -> bool {
        if self.is_encrypted() {
            return is_url(&self.url, &["pulsar+ssl"])
                && is_url(&self.admin_url, &["https"])
                && (self.tls_roots.is_empty() || self.tls_roots.starts_with('/'));
        }
        is_url(&self.url, &["pulsar"])
            && is_url(&self.admin_url, &["http", "https"])
            && self.tls_roots.is_empty()
    }
}

impl Default for PulsarConfig {
    fn default() -> Self {
        let domains =
            ["account", "cart", "catalog", "import", "inventory", "order", "payment", "pricing", "search"];
        Self {
            url: "pulsar://127.0.0.1:6650".to_owned(),
            admin_url: "http://127.0.0.1:8080".to_owned(),
            tls_roots: String::new(),
            token: SecretString::default(),
            tenant: "meridian".to_owned(),
            namespace: "regional".to_owned(),
            global_namespace: "global".to_owned(),
            global: vec!["catalog".to_owned(), "pricing".to_owned()],
            cluster: "standalone".to_owned(),
            clusters: BTreeMap::new(),
            topics: domains.into_iter().map(|domain| (domain.to_owned(), 4)).collect(),
            batch: 500,
            in_flight: 2_000,
            queue: 1_000,
            retention: Duration::from_secs(7 * 24 * 60 * 60),
            timeout: Duration::from_secs(10),
            reconnect: Duration::from_secs(5),
        }
    }
}

impl PulsarConfig {
    /// Refuses values that cannot work; the failure names the field.
    pub(super) fn validate(&self) -> Result<()> {
        let wrong = |field: &str, text: &str| Err(Failure::invalid(format!("bus.pulsar.{field}"), text));
        if !is_url(&self.url, &["pulsar", "pulsar+ssl"]) {
            return wrong("url", "must be pulsar://host:port or pulsar+ssl://host:port");
        }
        if !is_url(&self.admin_url, &["http", "https"]) {
            return wrong("admin_url", "must be http://host:port or https://host:port");
        }
        let (encrypted, by_https) =
            (self.url.starts_with("pulsar+ssl:"), self.admin_url.starts_with("https:"));
        if encrypted && !by_https {
            return wrong(
                "admin_url",
                "must be https://host:port where url is pulsar+ssl://…: it gets the same token",
            );
        }
        if !self.tls_roots.is_empty() && !by_https {
            return wrong("tls_roots", "nothing is encrypted: url and admin_url are pulsar://… and http://…");
        }
        for (field, name) in [
            ("tenant", &self.tenant),
            ("namespace", &self.namespace),
            ("global_namespace", &self.global_namespace),
            ("cluster", &self.cluster),
        ] {
            if !is_name(name) {
                return wrong(field, "must be letters, digits, - and _");
            }
        }
        if self.namespace == self.global_namespace {
            return wrong("global_namespace", "must not be the regional namespace");
        }
        if !self.topics.keys().chain(&self.global).all(|domain| is_name(domain)) {
            return wrong("topics", "a domain's name is letters, digits, - and _");
        }
        if !self.topics.values().all(|partitions| (1..=1_000).contains(partitions)) {
            return wrong("topics", "a topic has between 1 and 1000 partitions");
        }
        for (name, peer) in &self.clusters {
            if !is_name(name) || !peer.is_valid() {
                return wrong(
                    "clusters",
                    "name = { url = \"pulsar://…\", admin_url = \"http://…\" }, or { url = \"pulsar+ssl://…\", \
                     admin_url = \"https://…\", tls_roots = \"/a/path/of/the/brokers.pem\" }",
                );
            }
        }
        if !(1..=10_000).contains(&self.batch) {
            return wrong("batch", "must lie between 1 and 10000");
        }
        if self.in_flight < self.batch || self.in_flight > 100_000 {
            return wrong("in_flight", "must lie between batch and 100000");
        }
        if !(1..=100_000).contains(&self.queue) {
            return wrong("queue", "must lie between 1 and 100000");
        }
        for (field, value, least, most) in [
            // The broker counts in minutes, and knows no time of none.
            ("retention", self.retention, 60, 3_650 * 24 * 60 * 60),
            ("timeout", self.timeout, 0, 60 * 60),
            ("reconnect", self.reconnect, 0, 60 * 60),
        ] {
            let (least, most) = (Duration::from_secs(least), Duration::from_secs(most));
            if value.is_zero() || !(least..=most).contains(&value) {
                return wrong(
                    field,
                    &format!("must be longer than nothing and lie between {least:?} and {most:?}"),
                );
            }
        }
        Ok(())
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// Neither a path nor user information: a secret has no place in a URL.
fn is_url(url: &str, schemes: &[&str]) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    schemes.contains(&scheme)
        && !rest.is_empty()
        && !rest.trim_end_matches('/').contains(['/', '@', '?', '#', ' '])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(url: &str, admin_url: &str, tls_roots: &str) -> Result<()> {
        let [url, admin_url, tls_roots] = [url, admin_url, tls_roots].map(str::to_owned);
        let clusters = BTreeMap::from([("there".to_owned(), Peer { url, admin_url, tls_roots })]);
        PulsarConfig { clusters, ..PulsarConfig::default() }.validate()
    }

    #[test]
    fn times_are_those_that_a_broker_can_have() {
        let wrong = |config: PulsarConfig| config.validate().unwrap_err().fields()[0].pointer.clone();
        for seconds in [0, 59, u64::MAX] {
            let retention = Duration::from_secs(seconds);
            let config = PulsarConfig { retention, ..PulsarConfig::default() };
            assert_eq!(wrong(config), "bus.pulsar.retention", "{seconds}");
        }
        for time in [Duration::ZERO, Duration::MAX] {
            assert_eq!(
                wrong(PulsarConfig { timeout: time, ..PulsarConfig::default() }),
                "bus.pulsar.timeout"
            );
            assert_eq!(
                wrong(PulsarConfig { reconnect: time, ..PulsarConfig::default() }),
                "bus.pulsar.reconnect"
            );
        }
        assert!(PulsarConfig::default().validate().is_ok());
    }

    #[test]
    fn a_cluster_is_reached_in_the_clear_or_encrypted_not_half() {
        for (url, admin_url, roots) in [
            ("pulsar://there:6650", "http://there:8080", ""),
            ("pulsar+ssl://there:6651", "https://there:8443", ""),
            ("pulsar+ssl://there:6651", "https://there:8443", "/pulsar/certs/ca.pem"),
        ] {
            assert!(with(url, admin_url, roots).is_ok(), "{url} {admin_url} {roots}");
        }
        for (url, admin_url, roots) in [
            ("pulsar+ssl://there:6651", "http://there:8080", ""),
            ("pulsar+ssl://there:6651", "https://there:8443", "certs/ca.pem"),
            ("pulsar://there:6650", "http://there:8080", "/pulsar/certs/ca.pem"),
            ("pulsar+ssl://user:hush@there:6651", "https://there:8443", ""),
        ] {
            let failure = with(url, admin_url, roots).unwrap_err();
            assert_eq!(failure.fields()[0].pointer, "bus.pulsar.clusters", "{url} {admin_url} {roots}");
        }
    }
}
