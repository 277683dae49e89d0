//! Section `order` of the configuration.

use std::time::Duration;

use kernel::{Failure, Result};
use serde::{Deserialize, Serialize};

/// Section `order`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OrderConfig {
    /// How long an order waits for its payment.
    #[serde(with = "humantime_serde")]
    pub expiry: Duration,
    /// How much longer than the order its stock is held: a payment made in the last moment is still served from it.
    #[serde(with = "humantime_serde")]
    pub hold_grace: Duration,
    /// How long after it expired an order comes back to life by a late payment, if its stock can still be had; later
    /// payments are refunded.
    #[serde(with = "humantime_serde")]
    pub revivable: Duration,
    /// How often orders that were not paid in time are looked for.
    #[serde(with = "humantime_serde")]
    pub expire_every: Duration,
    /// Orders that expire in one transaction, at most.
    pub expire_batch: u32,
}

impl Default for OrderConfig {
    fn default() -> Self {
        Self {
            expiry: Duration::from_secs(30 * 60),
            hold_grace: Duration::from_secs(5 * 60),
            revivable: Duration::from_secs(24 * 60 * 60),
            expire_every: Duration::from_secs(5),
            expire_batch: 100,
        }
    }
}

impl OrderConfig {
    /// Refuses values that cannot work; the failure names the field.
    pub(crate) fn validate(&self) -> Result<()> {
        let wrong = |field: &str, text: &str| Err(Failure::invalid(format!("order.{field}"), text));
        if self.expiry < Duration::from_secs(1) {
            return wrong("expiry", "must be at least 1s");
        }
        if self.hold_grace < Duration::from_secs(1) {
            return wrong("hold_grace", "must be at least 1s");
        }
        if self.expire_every.is_zero() {
            return wrong("expire_every", "must be longer than nothing");
        }
        if !(1..=1_000).contains(&self.expire_batch) {
            return wrong("expire_batch", "must lie between 1 and 1000");
        }
        Ok(())
    }
}
