//! Section `import` of the configuration.

use std::time::Duration;

use kernel::{Failure, Result};
use serde::{Deserialize, Serialize};

/// Section `import`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImportConfig {
    /// How often to look for imports to work on.
    #[serde(with = "humantime_serde")]
    pub every: Duration,
    /// Products or categories taken in together, 1 to 500.
    pub batch: usize,
    /// Batches under way at the same time, 1 to 8.
    pub concurrency: usize,
    /// The largest file that can be uploaded, in bytes. Files read by the command line have no limit.
    pub max_bytes: usize,
    /// Rows with errors that are kept of an import; further ones are only counted.
    pub max_errors: u64,
    /// How often an import goes on after it broke off, before it is given up.
    pub attempts: i32,
}

impl Default for ImportConfig {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(1),
            batch: 256,
            concurrency: 2,
            max_bytes: 64 << 20,
            max_errors: 10_000,
            attempts: 20,
        }
    }
}

impl ImportConfig {
    /// Checks ranges; the failure names the key.
    pub fn validate(&self) -> Result<()> {
        let wrong = |key: &str, text: &str| Err(Failure::invalid(format!("import.{key}"), text));
        if !(1..=500).contains(&self.batch) {
            return wrong("batch", "must lie between 1 and 500");
        }
        if !(1..=8).contains(&self.concurrency) {
            return wrong("concurrency", "must lie between 1 and 8");
        }
        if !(1..=1_000_000).contains(&self.max_errors) {
            return wrong("max_errors", "must lie between 1 and 1000000");
        }
        if !(1..=1_000).contains(&self.attempts) {
            return wrong("attempts", "must lie between 1 and 1000");
        }
        Ok(())
    }
}
