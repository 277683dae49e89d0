//! The section `http`.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use kernel::{Failure, Result};
use serde::{Deserialize, Serialize};

/// The server can run no more workers.
const MOST_WORKERS: usize = 512;
/// Nothing here takes longer in earnest.
const LONGEST: Duration = Duration::from_hours(24);

/// How the server listens and what it bears. Every value has a default that suits one machine.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpServerConfig {
    /// Where to listen; port 0 takes a free one. Default `127.0.0.1:8080`.
    pub listen: SocketAddr,
    /// Worker threads; 0 takes one a core. Default 0.
    pub workers: usize,
    /// Largest JSON or form body, in bytes. Default 1 MiB.
    pub body_limit: usize,
    /// Largest upload that is neither JSON nor a form (imports, images), and largest body between our own processes,
    /// in bytes. Default 64 MiB.
    pub upload_limit: usize,
    /// How long an idle connection is kept. Default `75s`.
    #[serde(with = "humantime_serde")]
    pub keep_alive: Duration,
    /// How long a client may take to send the head of a request. Default `10s`.
    #[serde(with = "humantime_serde")]
    pub head_timeout: Duration,
    /// After this long a request is answered with 504, and nobody waits for its work any more. Default `10s`.
    #[serde(with = "humantime_serde")]
    pub deadline: Duration,
    /// The same for uploads. Default `5m`.
    #[serde(with = "humantime_serde")]
    pub upload_deadline: Duration,
    /// Connections a worker keeps open; more wait in the backlog. Default 10,000.
    pub max_connections: usize,
    /// Connections the system queues before it refuses. Default 2,048.
    pub backlog: u32,
    /// Requests in flight in this process; more get 503 with `Retry-After`. Default 4,096.
    pub max_in_flight: usize,
    /// Whether answers are compressed for clients that ask. Default true.
    pub compress: bool,
    /// Proxies whose `X-Forwarded-For` is believed. Default none.
    pub trusted_proxies: Vec<IpAddr>,
    /// Whose `traceparent` is continued, and with it the choice whether a request is recorded. Default `trusted`.
    pub follow_traces: FollowTraces,
    /// Host names, without a port, by which staff reach the shop, such as `shop.example`. `localhost`, addresses and the
    /// name in `storefront.public_url` always are. Default none.
    pub staff_hosts: Vec<String>,
    /// How long `/readyz` says `draining` before the server stops accepting. Default `0s`; in a cluster a little more
    /// than the readiness period.
    #[serde(with = "humantime_serde")]
    pub drain_delay: Duration,
    /// How long requests under way may take to end at shutdown. Default `15s`.
    #[serde(with = "humantime_serde")]
    pub shutdown_timeout: Duration,
    /// Limits a caller.
    pub rate_limit: RateLimitConfig,
}

impl Default for HttpServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080),
            workers: 0,
            body_limit: 1 << 20,
            upload_limit: 64 << 20,
            keep_alive: Duration::from_secs(75),
            head_timeout: Duration::from_secs(10),
            deadline: Duration::from_secs(10),
            upload_deadline: Duration::from_mins(5),
            max_connections: 10_000,
            backlog: 2_048,
            max_in_flight: 4_096,
            compress: true,
            trusted_proxies: Vec::new(),
            follow_traces: FollowTraces::Trusted,
            staff_hosts: Vec::new(),
            drain_delay: Duration::ZERO,
            shutdown_timeout: Duration::from_secs(15),
            rate_limit: RateLimitConfig::default(),
        }
    }
}

impl HttpServerConfig {
    /// Refuses what cannot work, naming the field.
    pub fn validate(&self) -> Result<()> {
        let wrong = |field: &str, text: &str| Err(Failure::invalid(format!("http.{field}"), text));
        for (field, value) in [
            ("body_limit", self.body_limit),
            ("upload_limit", self.upload_limit),
            ("max_connections", self.max_connections),
            ("backlog", usize::from(self.backlog > 0)),
            ("max_in_flight", self.max_in_flight),
        ] {
            if value == 0 {
                return wrong(field, "must be more than 0");
            }
        }
        if self.workers > MOST_WORKERS {
            return wrong("workers", "must be 512 at most");
        }
        for (field, value) in [("deadline", self.deadline), ("upload_deadline", self.upload_deadline)] {
            if value.is_zero() {
                return wrong(field, "must be longer than nothing");
            }
        }
        for (field, value) in [
            ("keep_alive", self.keep_alive),
            ("head_timeout", self.head_timeout),
            ("deadline", self.deadline),
            ("upload_deadline", self.upload_deadline),
            ("drain_delay", self.drain_delay),
            ("shutdown_timeout", self.shutdown_timeout),
        ] {
            if value > LONGEST {
                return wrong(field, "must be a day at most");
            }
        }
        // A client's address is compared as what it is, not as IPv6 may write it.
        let never = |ip: &&IpAddr| ip.is_unspecified() || ip.to_canonical() != **ip;
        if let Some(proxy) = self.trusted_proxies.iter().find(never) {
            let text = format!("{proxy} is no address a proxy is seen under; IPv4 is written as 10.0.0.1");
            return wrong("trusted_proxies", &text);
        }
        if let Some(host) = self.staff_hosts.iter().find(|host| !is_name(host)) {
            let text =
                format!("`{host}` is no host name such as shop.example, without scheme, port and path");
            return wrong("staff_hosts", &text);
        }
        Ok(())
    }
}

/// Whether a `Host` without its port may be this.
fn is_name(host: &str) -> bool {
    let is_number = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let has_port = host.rsplit_once(':').is_some_and(|(_, port)| is_number(port));
    let is_odd = |c: char| matches!(c, '/' | '*' | '@') || c.is_whitespace();
    host.parse::<IpAddr>().is_ok() || !(host.is_empty() || has_port || host.contains(is_odd))
}

/// Whose traces are continued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FollowTraces {
    /// Everybody's: who sends a sampled `traceparent` has its request recorded.
    Anyone,
    /// Those of our own processes and regions, which sign what they send, of `trusted_proxies` (which must set `traceparent`
    /// themselves or take it off) and of clients on this machine. Anybody else's request begins a trace of its own, which
    /// is linked with theirs and sampled by our own rule.
    Trusted,
}

/// Token buckets: each holds a minute's worth and refills evenly. 0 lifts one limit.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimitConfig {
    /// Whether anything is limited; a load test turns it off. Default true.
    pub enabled: bool,
    /// Requests a minute of one user, over all of their sessions. Default 1,000.
    pub per_user: u32,
    /// Requests a minute with one access token or key. Default 1,000.
    pub per_key: u32,
    /// Requests a minute from one address (IPv6: one /64) without a valid token. Default 1,000.
    pub per_address: u32,
    /// Whether clients on this very machine are left alone: a developer, a load test. Behind a proxy on this machine,
    /// name it in `trusted_proxies`, so that its clients are told apart. Default true.
    pub exempt_loopback: bool,
    /// Buckets kept of each kind; beyond it callers share buckets. Default 65,536.
    pub max_keys: usize,
}

impl Default for RateLimitConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            per_user: 1_000,
            per_key: 1_000,
            per_address: 1_000,
            exempt_loopback: true,
            max_keys: 65_536,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Change<'a> = &'a dyn Fn(&mut HttpServerConfig);

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        let refused = |change: &dyn Fn(&mut HttpServerConfig)| {
            let mut config = HttpServerConfig::default();
            change(&mut config);
            config.validate().err().map(|failure| failure.fields()[0].pointer.clone())
        };
        assert_eq!(refused(&|_| {}), None);
        let days = Duration::from_hours(49);
        let changes: [(&str, Change<'_>); 14] = [
            ("body_limit", &|it| it.body_limit = 0),
            ("upload_limit", &|it| it.upload_limit = 0),
            ("max_connections", &|it| it.max_connections = 0),
            ("backlog", &|it| it.backlog = 0),
            ("max_in_flight", &|it| it.max_in_flight = 0),
            ("workers", &|it| it.workers = 513),
            ("deadline", &|it| it.deadline = Duration::ZERO),
            ("upload_deadline", &|it| it.upload_deadline = Duration::ZERO),
            ("keep_alive", &|it| it.keep_alive = days),
            ("head_timeout", &|it| it.head_timeout = days),
            ("deadline", &|it| it.deadline = days),
            ("upload_deadline", &|it| it.upload_deadline = days),
            ("drain_delay", &|it| it.drain_delay = days),
            ("shutdown_timeout", &|it| it.shutdown_timeout = days),
        ];
        for (field, change) in changes {
            assert_eq!(refused(change), Some(format!("http.{field}")));
        }
    }

    #[test]
    fn hosts_and_proxies_that_never_match_are_refused() {
        let with = |hosts: &[&str], proxies: &[&str]| {
            let config = HttpServerConfig {
                staff_hosts: hosts.iter().map(ToString::to_string).collect(),
                trusted_proxies: proxies.iter().map(|proxy| proxy.parse().unwrap()).collect(),
                ..HttpServerConfig::default()
            };
            config.validate().err().map(|failure| failure.fields()[0].pointer.clone())
        };
        assert_eq!(with(&["shop.example", "intern", "::1"], &["10.0.0.1", "::1"]), None);
        for host in ["shop.example:8443", "https://shop.example", "shop.example/", "*.example", "a b", ""] {
            assert_eq!(with(&["shop.example", host], &[]).as_deref(), Some("http.staff_hosts"), "{host}");
        }
        for proxy in ["0.0.0.0", "::", "::ffff:10.0.0.1"] {
            assert_eq!(with(&[], &[proxy]).as_deref(), Some("http.trusted_proxies"), "{proxy}");
        }
    }
}
