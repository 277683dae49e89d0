//! Section `search` of the configuration.

use std::time::Duration;

use kernel::{Failure, Result};
use serde::{Deserialize, Serialize};

/// Section `search`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchConfig {
    /// The shortest time between two commits of the index while products change. With the time a batch takes this is how
    /// far results lag behind: about a second.
    #[serde(with = "humantime_serde")]
    pub refresh: Duration,
    /// Changes that are applied in one commit, 1 to 5,000.
    pub batch: u32,
    /// How long results may be taken from the cache; a change of the index ends their life before.
    #[serde(with = "humantime_serde")]
    pub result_ttl: Duration,
    /// Result pages that are kept, about 10 KB each.
    pub result_capacity: u64,
    /// How often counted words are written to the database.
    #[serde(with = "humantime_serde")]
    pub flush_words: Duration,
    /// How far back hot words look.
    #[serde(with = "humantime_serde")]
    pub hot_window: Duration,
    /// Searches a word needs in that time to be hot.
    pub hot_minimum: u32,
    /// How often the index is compared with the database and repaired.
    #[serde(with = "humantime_serde")]
    pub check_every: Duration,
    /// Memory for changes before they are written, in bytes.
    pub writer_heap: usize,
    /// The same while a new index is built beside the other.
    pub rebuild_heap: usize,
    /// Searches that run at once; 0 takes one a processor.
    pub concurrent: usize,
    /// Searches that may wait for a place; beyond, callers get `server.unavailable`.
    pub waiting: usize,
}

impl Default for SearchConfig {
    fn default() -> Self {
        Self {
            refresh: Duration::from_millis(500),
            batch: 2_000,
            result_ttl: Duration::from_secs(2),
            result_capacity: 2_000,
            flush_words: Duration::from_secs(10),
            hot_window: Duration::from_secs(24 * 3600),
            hot_minimum: 2,
            check_every: Duration::from_secs(24 * 3600),
            writer_heap: 64 << 20,
            rebuild_heap: 128 << 20,
            concurrent: 0,
            waiting: 512,
        }
    }
}

impl SearchConfig {
    /// `request.invalid` naming the setting that is out of range.
    pub fn validate(&self) -> Result<()> {
        let wrong = |field: &str, text: &str| Err(Failure::invalid(format!("search.{field}"), text));
        if !(1..=5_000).contains(&self.batch) {
            return wrong("batch", "must lie between 1 and 5000");
        }
        for (field, heap) in [("writer_heap", self.writer_heap), ("rebuild_heap", self.rebuild_heap)] {
            if !(16 << 20..=2 << 30).contains(&heap) {
                return wrong(field, "must lie between 16777216 and 2147483648");
            }
        }
        for (field, time) in
            [("refresh", self.refresh), ("flush_words", self.flush_words), ("check_every", self.check_every)]
        {
            if time.is_zero() {
                return wrong(field, "must be longer than nothing");
            }
        }
        if self.hot_window < Duration::from_secs(3600) {
            return wrong("hot_window", "must be an hour or more");
        }
        Ok(())
    }

    /// The index's part.
    pub fn index(&self) -> platform_index::Settings {
        let settings = platform_index::Settings {
            writer_heap_bytes: self.writer_heap,
            rebuild_heap_bytes: self.rebuild_heap,
            waiting: self.waiting,
            ..platform_index::Settings::default()
        };
        match self.concurrent {
            0 => settings,
            searches => platform_index::Settings { searches, ..settings },
        }
    }
}
