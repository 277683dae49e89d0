//! The section `client`.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Serialize};

/// Where other processes are, and how they are called.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClientConfig {
    /// Base URL by domain, such as `order = "http://127.0.0.1:8081"`. Default none: everything runs in one process.
    pub targets: BTreeMap<String, String>,
    /// Calls in flight to one domain; more wait, at most until their deadline. Default 512.
    pub max_in_flight: usize,
    /// How long a connection may take to be made. Default `1s`.
    #[serde(with = "humantime_serde")]
    pub connect_timeout: Duration,
    /// How long an idle connection is kept; less than the server's `http.keep_alive`. Default `60s`.
    #[serde(with = "humantime_serde")]
    pub idle_timeout: Duration,
    /// Failures in a row after which a domain is not called for a while. Default 10.
    pub breaker_failures: u32,
    /// How long it is not called; then one call probes it. Default `1s`.
    #[serde(with = "humantime_serde")]
    pub breaker_pause: Duration,
    /// Largest answer, in bytes. Default 128 MiB.
    pub answer_limit: usize,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            targets: BTreeMap::new(),
            max_in_flight: 512,
            connect_timeout: Duration::from_secs(1),
            idle_timeout: Duration::from_mins(1),
            breaker_failures: 10,
            breaker_pause: Duration::from_secs(1),
            answer_limit: 128 << 20,
        }
    }
}
