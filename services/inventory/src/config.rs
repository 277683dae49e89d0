//! Section `inventory` of the configuration.

use std::time::Duration;

use kernel::{Failure, Result};
use serde::{Deserialize, Serialize};

/// Section `inventory`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InventoryConfig {
    /// The name under which a shop without regions keeps its stock. With regions (`region.name`) each sells its own part first
    /// and borrows the others' after that.
    pub region: String,
    /// How long a hold lives when its caller does not say.
    #[serde(with = "humantime_serde")]
    pub hold: Duration,
    /// The longest life a caller may ask for.
    #[serde(with = "humantime_serde")]
    pub longest_hold: Duration,
    /// Buckets that incoming units of a SKU are spread over in a warehouse, 1 to 256. One is right for SQLite, where the
    /// gatherer leaves a bucket without contention; more let several processes sell a hot SKU side by side on TiDB.
    pub buckets_per_hot_sku: i32,
    /// Requests that may wait for the gatherer; beyond, callers get `server.unavailable` and when to try again.
    pub queue: usize,
    /// The most requests in one transaction.
    pub group: usize,
    /// For how long buyers are turned away at once after "out of stock" was said, unless stock comes back; `0s` sends all of
    /// them to the database. Only with a Redis, by which processes tell each other.
    #[serde(with = "humantime_serde")]
    pub admission: Duration,
    /// How often holds are looked for whose time has run out.
    #[serde(with = "humantime_serde")]
    pub expire_every: Duration,
    /// How often a region looks for stock that is far from where it is bought, or lies in a region that is out, and divides it
    /// over the regions again. Only with regions; meanwhile they borrow.
    #[serde(with = "humantime_serde")]
    pub rebalance_every: Duration,
    /// SKUs it looks at in one run, at most.
    pub rebalance_most: u64,
}

impl Default for InventoryConfig {
    fn default() -> Self {
        Self {
            region: "local".to_owned(),
            hold: Duration::from_secs(15 * 60),
            longest_hold: Duration::from_secs(7 * 24 * 3600),
            buckets_per_hot_sku: 1,
            queue: 4_096,
            group: 256,
            admission: Duration::from_secs(1),
            expire_every: Duration::from_secs(10),
            rebalance_every: Duration::from_secs(10),
            rebalance_most: 2_000,
        }
    }
}

impl InventoryConfig {
    /// `request.invalid` naming the setting that is out of range.
    pub fn validate(&self) -> Result<()> {
        let wrong = |field: &str, text: &str| Err(Failure::invalid(format!("inventory.{field}"), text));
        if self.region.is_empty() || self.region.len() > 40 {
            return wrong("region", "must have 1 to 40 characters");
        }
        if self.hold.is_zero() || self.hold > self.longest_hold {
            return wrong("hold", "must be longer than nothing and at most longest_hold");
        }
        if !(1..=256).contains(&self.buckets_per_hot_sku) {
            return wrong("buckets_per_hot_sku", "must lie between 1 and 256");
        }
        if !(1..=1_000_000).contains(&self.queue) {
            return wrong("queue", "must lie between 1 and 1000000");
        }
        if !(1..=1_024).contains(&self.group) {
            return wrong("group", "must lie between 1 and 1024");
        }
        if self.admission > Duration::from_secs(60) {
            return wrong("admission", "must be at most a minute");
        }
        if self.expire_every.is_zero() {
            return wrong("expire_every", "must be longer than nothing");
        }
        if self.rebalance_every.is_zero() {
            return wrong("rebalance_every", "must be longer than nothing");
        }
        if !(1..=100_000).contains(&self.rebalance_most) {
            return wrong("rebalance_most", "must lie between 1 and 100000");
        }
        Ok(())
    }
}
