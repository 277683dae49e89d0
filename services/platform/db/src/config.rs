//! Section `database` of the configuration.

use std::path::PathBuf;

use kernel::{Failure, MAX_SHARDS, Result};
use serde::{Deserialize, Serialize};

/// When SQLite waits for the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Synchronous {
    /// At every commit: survives a power cut. Commits are shared by a group, so this is the default.
    #[default]
    Full,
    /// At checkpoints: survives a crash of the process, but a power cut may take the last commits.
    Normal,
}

/// Section `database`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DbConfig {
    /// Folder of the database; set from `--data`.
    #[serde(skip)]
    pub data: PathBuf,
    /// Number of shards, 1 to 1,024; fixed for the life of a database.
    pub shards: u16,
    /// When SQLite waits for the disk.
    pub synchronous: Synchronous,
    /// Reading connections.
    pub readers: u32,
    /// Most writes and appends in one transaction.
    pub group: usize,
    /// Writes that may wait; beyond, callers get `server.unavailable`.
    pub queue: usize,
}

impl Default for DbConfig {
    fn default() -> Self {
        Self {
            data: PathBuf::from("data"),
            shards: 16,
            synchronous: Synchronous::Full,
            readers: 8,
            group: 64,
            queue: 8_192,
        }
    }
}

impl DbConfig {
    /// The default under this folder.
    pub fn at(data: impl Into<PathBuf>) -> Self {
        Self { data: data.into(), ..Self::default() }
    }

    pub(crate) fn validate(&self) -> Result<()> {
        let wrong = |field: &str, text: &str| Err(Failure::invalid(format!("database.{field}"), text));
        if !(1..=MAX_SHARDS).contains(&self.shards) {
            return wrong("shards", "must lie between 1 and 1024");
        }
        if !(1..=256).contains(&self.readers) {
            return wrong("readers", "must lie between 1 and 256");
        }
        if !(1..=1_024).contains(&self.group) {
            return wrong("group", "must lie between 1 and 1024");
        }
        if !(1..=1_000_000).contains(&self.queue) {
            return wrong("queue", "must lie between 1 and 1000000");
        }
        Ok(())
    }
}
