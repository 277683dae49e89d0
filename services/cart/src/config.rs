//! Section `cart` of the configuration.

use std::time::Duration;

use kernel::{Failure, Result};
use serde::{Deserialize, Serialize};

/// Section `cart`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CartConfig {
    /// How long a guest's cart is kept after it last changed. Members' carts stay.
    #[serde(with = "humantime_serde")]
    pub guest_kept: Duration,
    /// How often old carts are looked for.
    #[serde(with = "humantime_serde")]
    pub prune_every: Duration,
    /// Carts deleted in one transaction, at most.
    pub prune_batch: u32,
}

impl Default for CartConfig {
    fn default() -> Self {
        Self {
            guest_kept: Duration::from_secs(90 * 24 * 60 * 60),
            prune_every: Duration::from_secs(60 * 60),
            prune_batch: 200,
        }
    }
}

impl CartConfig {
    /// Refuses values that cannot work; the failure names the field.
    pub(crate) fn validate(&self) -> Result<()> {
        let wrong = |field: &str, text: &str| Err(Failure::invalid(format!("cart.{field}"), text));
        if self.guest_kept < Duration::from_secs(60) {
            return wrong("guest_kept", "must be at least 1m");
        }
        if self.prune_every.is_zero() {
            return wrong("prune_every", "must be longer than nothing");
        }
        if !(1..=1_000).contains(&self.prune_batch) {
            return wrong("prune_batch", "must lie between 1 and 1000");
        }
        Ok(())
    }
}
