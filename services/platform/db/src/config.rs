//! Section `database` of the configuration.

use std::{path::PathBuf, time::Duration};

use kernel::{Failure, MAX_SHARDS, Result};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

const DAY: Duration = Duration::from_secs(86_400);

/// Which database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineName {
    /// SQLite, in the data folder.
    #[default]
    Sqlite,
    /// TiDB, over the network: section `database.tidb`.
    Tidb,
}

/// How the connections to TiDB are encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// Not at all: for a server on this machine, or inside a mesh that encrypts.
    #[default]
    Off,
    /// Encrypted; the server's certificate is not checked.
    Required,
    /// Encrypted, and the certificate must be of the host, signed by `ca`.
    Verified,
}

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

/// Section `database.tidb`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TidbConfig {
    /// Host of the SQL port.
    pub host: String,
    /// The SQL port.
    pub port: u16,
    /// Who logs in.
    pub user: String,
    /// Their password.
    #[serde(serialize_with = "kernel::masked")]
    pub password: SecretString,
    /// Name of the database; made where it is absent and the user may make it.
    pub database: String,
    /// How connections are encrypted.
    pub tls: Tls,
    /// The certificate authority's PEM file, for `tls = "verified"`; empty for the system's.
    pub ca: PathBuf,
    /// Writing connections: half for transactions that lock what they read, half for those that only insert.
    pub connections: u32,
    /// Longest wait for a free connection.
    #[serde(with = "humantime_serde")]
    pub acquire: Duration,
    /// Longest time for one statement.
    #[serde(with = "humantime_serde")]
    pub statement: Duration,
    /// How long a write is tried again, over conflicts and lost connections, before its caller hears
    /// `server.unavailable`.
    #[serde(with = "humantime_serde")]
    pub deadline: Duration,
    /// Whether reads go to the closest replica: slower where there is only one region.
    pub closest_reads: bool,
}

impl Default for TidbConfig {
    fn default() -> Self {
        Self {
            host: "127.0.0.1".to_owned(),
            port: 4_000,
            user: "root".to_owned(),
            password: SecretString::default(),
            database: "meridian".to_owned(),
            tls: Tls::Off,
            ca: PathBuf::new(),
            connections: 32,
            acquire: Duration::from_secs(5),
            statement: Duration::from_secs(5),
            deadline: Duration::from_secs(15),
            closest_reads: false,
        }
    }
}

impl TidbConfig {
    fn validate(&self) -> Result<()> {
        let wrong = |field: &str, text: &str| Err(Failure::invalid(format!("database.tidb.{field}"), text));
        let named = |name: &str| {
            !name.is_empty()
                && name.len() <= 50
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        if self.host.is_empty() {
            return wrong("host", "must not be empty");
        }
        if !named(&self.database) {
            return wrong("database", "must be 1 to 50 letters, digits or underscores");
        }
        if !self.ca.as_os_str().is_empty() && self.tls != Tls::Verified {
            return wrong(
                "ca",
                "is only looked at with tls = \"verified\": without, no certificate is checked",
            );
        }
        if !(4..=1_024).contains(&self.connections) {
            return wrong("connections", "must lie between 4 and 1024");
        }
        for (field, duration) in
            [("acquire", self.acquire), ("statement", self.statement), ("deadline", self.deadline)]
        {
            if !(Duration::from_millis(100)..=Duration::from_secs(300)).contains(&duration) {
                return wrong(field, "must lie between 100ms and 5m");
            }
        }
        Ok(())
    }
}

/// Section `database`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DbConfig {
    /// Folder of the database; set from `--data`.
    #[serde(skip)]
    pub data: PathBuf,
    /// Which database.
    pub engine: EngineName,
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
    /// How long the answer to a request is kept under its `Idempotency-Key`: who sends it again gets the same.
    #[serde(with = "humantime_serde")]
    pub keep_answers: Duration,
    /// Where TiDB is.
    pub tidb: TidbConfig,
}

impl Default for DbConfig {
    fn default() -> Self {
        Self {
            data: PathBuf::from("data"),
            engine: EngineName::Sqlite,
            shards: 16,
            synchronous: Synchronous::Full,
            readers: 8,
            group: 64,
            queue: 8_192,
            keep_answers: 30 * DAY,
            tidb: TidbConfig::default(),
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
        if !(DAY..=3_650 * DAY).contains(&self.keep_answers) {
            return wrong("keep_answers", "must lie between 1day and 3650days");
        }
        self.tidb.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_that_nobody_would_ask_is_refused() {
        let with = |tls| {
            let tidb = TidbConfig { tls, ca: PathBuf::from("ca.pem"), ..TidbConfig::default() };
            DbConfig { tidb, ..DbConfig::default() }.validate()
        };
        for tls in [Tls::Off, Tls::Required] {
            let failure = with(tls).unwrap_err();
            assert_eq!(failure.fields()[0].pointer, "database.tidb.ca", "{tls:?}");
        }
        with(Tls::Verified).unwrap();
        DbConfig::default().validate().unwrap();
    }
}
