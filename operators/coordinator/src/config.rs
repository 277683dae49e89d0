//! Section `region` of the configuration.

use std::time::Duration;

use kernel::{Failure, Region, Result};
use placement::Movement;
use serde::{Deserialize, Serialize};

/// A name is part of folders, keys of leases and names of subscriptions.
const LONGEST_NAME: usize = 32;
/// So long does the work of a region rest that died, at most.
const LONGEST_LEASE: Duration = Duration::from_mins(1);

/// Section `region`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegionConfig {
    /// The region this process belongs to; empty: a shop without regions.
    pub name: String,
    /// Base URL at which shoppers and the other regions reach this region; empty: as it is in the map.
    pub endpoint: String,
    /// How often the map is read from the database.
    #[serde(with = "humantime_serde")]
    pub poll: Duration,
    /// Life of a work lease: how long a shard's background work rests when its region dies, at most. At most `1m`.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
    /// How often the other regions are looked at; with `observe_timeout` at most `3s`.
    #[serde(with = "humantime_serde")]
    pub observe: Duration,
    /// How long another region may take to answer before it counts as down.
    #[serde(with = "humantime_serde")]
    pub observe_timeout: Duration,
    /// How old another region's map may grow before it counts as down: it does not reach the database.
    #[serde(with = "humantime_serde")]
    pub observe_stale: Duration,
    /// The share of requests that a region is to answer without a 5xx; operations that were planned wait while its error
    /// budget burns.
    pub objective: f64,
}

impl Default for RegionConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            endpoint: String::new(),
            poll: Duration::from_millis(250),
            lease: Duration::from_secs(4),
            observe: Duration::from_millis(500),
            observe_timeout: Duration::from_millis(500),
            observe_stale: Duration::from_secs(2),
            objective: 0.999,
        }
    }
}

impl RegionConfig {
    /// The region of this process; none in a shop without regions.
    pub fn region(&self) -> Option<Region> {
        (!self.name.is_empty()).then(|| Region::new(&self.name))
    }

    /// Refuses values that cannot work; the failure names the field.
    pub fn validate(&self) -> Result<()> {
        let wrong = |field: &str, text: &str| Err(Failure::invalid(format!("region.{field}"), text));
        if !self.name.is_empty() && !is_name(&self.name) {
            return wrong("name", "is made of at most 32 of a-z, 0-9 and -, and begins with a letter");
        }
        let web = self.endpoint.starts_with("http://") || self.endpoint.starts_with("https://");
        if !self.endpoint.is_empty() && (!web || self.endpoint.ends_with('/')) {
            return wrong(
                "endpoint",
                "is a base URL such as https://eu.shop.example, without a / at its end",
            );
        }
        for (field, value) in
            [("poll", self.poll), ("observe", self.observe), ("observe_timeout", self.observe_timeout)]
        {
            if value.is_zero() {
                return wrong(field, "must be longer than nothing");
            }
        }
        if self.observe_stale < self.poll.saturating_mul(4) {
            return wrong("observe_stale", "must be at least four times as long as region.poll");
        }
        let look = self.observe.saturating_add(self.observe_timeout);
        if look > Movement::default().fresh_for {
            return wrong(
                "observe",
                "with region.observe_timeout it must be at most 3s: what was seen counts no longer than that",
            );
        }
        if self.lease > LONGEST_LEASE {
            return wrong("lease", "must be at most 1m: so long does the work of a region rest that died");
        }
        if !(0.0..1.0).contains(&self.objective) {
            return wrong("objective", "is a share below 1, such as 0.999");
        }
        if self.lease < self.poll.saturating_mul(4) {
            return wrong(
                "lease",
                "must be at least four times as long as region.poll: it is renewed in between",
            );
        }
        Ok(())
    }
}

fn is_name(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    name.len() <= LONGEST_NAME
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut RegionConfig)) -> bool {
        let mut config = RegionConfig { name: "eu-west".to_owned(), ..RegionConfig::default() };
        assert!(config.validate().is_ok());
        change(&mut config);
        config.validate().is_err()
    }

    #[test]
    fn what_cannot_work_is_refused() {
        assert!(RegionConfig::default().validate().is_ok() && RegionConfig::default().region().is_none());
        assert!(refused(|config| config.name = "EU West".to_owned()));
        assert!(refused(|config| config.name = "../eu".to_owned()));
        assert!(refused(|config| config.name = "e".repeat(33)));
        assert!(refused(|config| config.endpoint = "shop.example".to_owned()));
        assert!(refused(|config| config.endpoint = "http://shop.example/".to_owned()));
        assert!(!refused(|config| config.endpoint = "http://127.0.0.1:8080".to_owned()));
        assert!(refused(|config| config.poll = Duration::ZERO));
        assert!(refused(|config| config.lease = config.poll * 3));
        assert!(refused(|config| config.lease = LONGEST_LEASE + Duration::from_millis(1)));
        assert!(refused(|config| config.observe = Duration::from_millis(2_501)));
        assert!(refused(|config| config.observe_timeout = Duration::MAX));
        assert!(!refused(|config| config.observe = Duration::from_millis(2_500)));
        assert!(refused(|config| config.observe_stale = config.poll * 3));
        assert!(refused(|config| config.objective = 1.0) && refused(|config| config.objective = f64::NAN));
    }
}
