//! Section `search` of the configuration.

use std::time::Duration;

use kernel::{Failure, Result};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// What searches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Engine {
    /// tantivy, in this process: an index in the data folder.
    #[default]
    Tantivy,
    /// A Meilisearch server.
    Meilisearch,
}

/// Section `search.meilisearch`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MeilisearchConfig {
    /// Where the server is, such as `http://127.0.0.1:7700`.
    pub url: String,
    /// A key that may search, change and make indexes; empty for a server without a master key.
    #[serde(serialize_with = "kernel::masked")]
    pub key: SecretString,
    /// What the index is called there; several shops may share a server under several names.
    pub index: String,
    /// Longest time for an answer.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Longest time for a change to be taken in.
    #[serde(with = "humantime_serde")]
    pub task_timeout: Duration,
    /// Documents of one request, 1 to 10,000.
    pub batch: u32,
}

impl Default for MeilisearchConfig {
    fn default() -> Self {
        Self {
            url: String::new(),
            key: SecretString::default(),
            index: "products".to_owned(),
            timeout: Duration::from_secs(5),
            task_timeout: Duration::from_secs(120),
            batch: 1_000,
        }
    }
}

impl MeilisearchConfig {
    fn validate(&self) -> Result<()> {
        let wrong =
            |field: &str, text: &str| Err(Failure::invalid(format!("search.meilisearch.{field}"), text));
        if !(self.url.starts_with("http://") || self.url.starts_with("https://")) || self.url.contains('@') {
            return wrong("url", "must be an address such as http://127.0.0.1:7700, without a key in it");
        }
        let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if self.index.is_empty() || self.index.len() > 100 || !self.index.chars().all(letters) {
            return wrong("index", "must have 1 to 100 letters, digits, - and _");
        }
        for (field, time) in [("timeout", self.timeout), ("task_timeout", self.task_timeout)] {
            if time.is_zero() {
                return wrong(field, "must be longer than nothing");
            }
        }
        if !(1..=10_000).contains(&self.batch) {
            return wrong("batch", "must lie between 1 and 10000");
        }
        Ok(())
    }

    /// The index's part.
    pub(crate) fn index(&self) -> platform_index::MeilisearchSettings {
        platform_index::MeilisearchSettings {
            url: self.url.clone(),
            key: self.key.clone(),
            index: self.index.clone(),
            timeout: self.timeout,
            task_timeout: self.task_timeout,
            batch: usize::try_from(self.batch).unwrap_or(usize::MAX),
        }
    }
}

/// Section `search`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchConfig {
    /// What searches.
    pub engine: Engine,
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
    /// The server, where that searches.
    pub meilisearch: MeilisearchConfig,
}

impl Default for SearchConfig {
    fn default() -> Self {
        Self {
            engine: Engine::Tantivy,
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
            meilisearch: MeilisearchConfig::default(),
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
        if self.engine == Engine::Meilisearch {
            self.meilisearch.validate()?;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(meilisearch: MeilisearchConfig) -> String {
        let config = SearchConfig { engine: Engine::Meilisearch, meilisearch, ..SearchConfig::default() };
        config.validate().unwrap_err().fields()[0].pointer.clone()
    }

    #[test]
    fn a_server_needs_an_address_without_secrets() {
        let at = |url: &str| MeilisearchConfig { url: url.to_owned(), ..MeilisearchConfig::default() };
        for wrong in ["", "127.0.0.1:7700", "http://user:key@host"] {
            assert_eq!(refused(at(wrong)), "search.meilisearch.url", "{wrong}");
        }
        let named = MeilisearchConfig { index: "a/b".to_owned(), ..at("http://host") };
        assert_eq!(refused(named), "search.meilisearch.index");
        assert!(SearchConfig::default().validate().is_ok(), "tantivy needs none");
    }

    #[test]
    fn the_key_is_never_shown() {
        let config = MeilisearchConfig { key: "s3cret".into(), ..MeilisearchConfig::default() };
        let shown = format!("{config:?} {}", serde_json::to_string(&config).unwrap());
        assert!(!shown.contains("s3cret") && shown.contains("***"), "{shown}");
    }
}
