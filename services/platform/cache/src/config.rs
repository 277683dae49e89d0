//! Section `redis` of the configuration.

use std::time::Duration;

use kernel::{Failure, Result};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

/// Whether there is a Redis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RedisEngine {
    /// Each process caches for itself.
    #[default]
    None,
    /// Processes share a second level, and tell each other what changed.
    Redis,
}

/// Section `redis`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedisConfig {
    /// Whether there is a Redis.
    pub engine: RedisEngine,
    /// Servers, `host:port` each: the one server, or some of a cluster's.
    pub nodes: Vec<String>,
    /// Whether they are a Redis Cluster.
    pub cluster: bool,
    /// User (Redis ACL); empty for the default user.
    pub username: String,
    /// Password; empty for none.
    #[serde(serialize_with = "kernel::masked")]
    pub password: SecretString,
    /// Whether connections are encrypted (TLS) and the servers' certificates checked.
    pub tls: bool,
    /// Who signed the servers' certificates: a PEM file; empty for those the system trusts.
    pub tls_roots: String,
    /// How long a connection may take to be made.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// How long a command may take; then the caller goes on without Redis.
    #[serde(with = "humantime_serde")]
    pub command_timeout: Duration,
    /// Connections a process makes to each server for commands; one more hears what other processes changed.
    pub connections: usize,
    /// What all keys begin with: installations that share a server differ here.
    pub prefix: String,
    /// A process that Redis has not heard from for so long may have changed something and told nobody: what was kept
    /// before is not believed any more. Also the bound on what a process believes that does not hear from Redis: half
    /// of it.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
    /// How long a process keeps a value while it hears of changes; without, its cache's own shorter time holds.
    #[serde(with = "humantime_serde")]
    pub l1_ttl: Duration,
    /// How long Redis keeps a value.
    #[serde(with = "humantime_serde")]
    pub l2_ttl: Duration,
    /// How long Redis keeps that there is none.
    #[serde(with = "humantime_serde")]
    pub l2_negative_ttl: Duration,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            engine: RedisEngine::None,
            nodes: vec!["127.0.0.1:6379".to_owned()],
            cluster: false,
            username: String::new(),
            password: SecretString::default(),
            tls: false,
            tls_roots: String::new(),
            connect_timeout: Duration::from_secs(1),
            command_timeout: Duration::from_millis(50),
            connections: 2,
            prefix: "meridian".to_owned(),
            lease: Duration::from_secs(5),
            l1_ttl: Duration::from_secs(5 * 60),
            l2_ttl: Duration::from_secs(4 * 3600),
            l2_negative_ttl: Duration::from_secs(60),
        }
    }
}

impl RedisConfig {
    /// Checks ranges; the failure names the key.
    pub fn validate(&self) -> Result<()> {
        let wrong = |field: &str, text: &str| Err(Failure::invalid(format!("redis.{field}"), text));
        if self.nodes.is_empty() || self.nodes.iter().any(|node| address(node).is_none()) {
            return wrong("nodes", "must be a list of host:port");
        }
        if !self.cluster && self.nodes.len() > 1 {
            return wrong("nodes", "must be one server where cluster is false");
        }
        for (field, value, least, most) in [
            ("connect_timeout", self.connect_timeout, Duration::from_millis(10), Duration::from_secs(60)),
            ("command_timeout", self.command_timeout, Duration::from_millis(1), Duration::from_secs(10)),
            ("lease", self.lease, Duration::from_millis(500), Duration::from_secs(60)),
            ("l1_ttl", self.l1_ttl, Duration::from_secs(1), Duration::from_secs(24 * 3600)),
            ("l2_ttl", self.l2_ttl, Duration::from_secs(1), Duration::from_secs(7 * 24 * 3600)),
            ("l2_negative_ttl", self.l2_negative_ttl, Duration::from_secs(1), self.l2_ttl),
        ] {
            if !(least..=most).contains(&value) {
                return wrong(field, &format!("must lie between {least:?} and {most:?}"));
            }
        }
        if !(1..=64).contains(&self.connections) {
            return wrong("connections", "must lie between 1 and 64");
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if self.prefix.is_empty() || self.prefix.len() > 40 || !self.prefix.chars().all(plain) {
            return wrong("prefix", "must be 1 to 40 letters, digits, - _ or .");
        }
        if !self.username.is_empty() && self.password.expose_secret().is_empty() {
            return wrong("password", "must be set where username is");
        }
        if !self.tls_roots.is_empty() && !self.tls {
            return wrong("tls", "must be true where tls_roots is set");
        }
        Ok(())
    }

    /// Hosts and ports of `nodes`.
    pub(crate) fn addresses(&self) -> Vec<(String, u16)> {
        self.nodes.iter().filter_map(|node| address(node)).collect()
    }
}

fn address(node: &str) -> Option<(String, u16)> {
    let (host, port) = node.rsplit_once(':')?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    (!host.is_empty())
        .then(|| port.parse().ok().filter(|port| *port > 0).map(|port| (host.to_owned(), port)))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_wrong() {
        RedisConfig::default().validate().unwrap();
        let wrong = |config: RedisConfig| config.validate().unwrap_err().fields()[0].pointer.clone();
        let nodes = |nodes: &[&str]| RedisConfig {
            nodes: nodes.iter().map(|&node| node.to_owned()).collect(),
            ..RedisConfig::default()
        };
        assert_eq!(wrong(nodes(&[])), "redis.nodes");
        assert_eq!(wrong(nodes(&["localhost"])), "redis.nodes");
        assert_eq!(wrong(nodes(&["a:1", "b:2"])), "redis.nodes");
        assert_eq!(wrong(RedisConfig { connections: 0, ..RedisConfig::default() }), "redis.connections");
        assert_eq!(wrong(RedisConfig { prefix: "a b".to_owned(), ..RedisConfig::default() }), "redis.prefix");
        let plain = RedisConfig { tls_roots: "roots.pem".to_owned(), ..RedisConfig::default() };
        assert_eq!(wrong(plain), "redis.tls");
        assert_eq!(nodes(&["[::1]:6379"]).addresses(), [("::1".to_owned(), 6379)]);
    }

    #[test]
    fn tells_nobody_the_password() {
        let config = RedisConfig { password: "hunter2".into(), ..RedisConfig::default() };
        assert!(!serde_json::to_string(&config).unwrap().contains("hunter2"));
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
