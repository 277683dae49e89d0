//! The database behind few doors: [`Db::read`], [`Db::write`], [`Db::append`] and their `_once` forms.
//!
//! The embedded adapter is SQLite in WAL mode: many readers, one writer at a time across processes. What waits for the
//! writer inside a process runs as a group in one transaction, a savepoint each, so a commit (and its fsync) is shared.
//! The other one is TiDB: many writers. A closure has a pessimistic transaction of its own and locks what it reads ([`Tx`]),
//! appends share optimistic ones. Which of them it is, [`DbConfig::engine`] says; the doors are the same.
//!
//! - A write publishes its events into `outbox` in its own transaction; the [sequencer](Db::sequence_once) gives them
//!   positions in `event_log`, without gaps, by compare-and-set on `shard_cursor`.
//! - A request that must have one effect inserts its [`Once`] row in the effect's own transaction; rows that are old are
//!   [forgotten](Db::forget_requests).
//! - Consumers note `(subscription, shard, pos)` in `inbox` in their effect's transaction: [`Tx::first_time`].
//! - Leases save work; nothing is safe because of them.

mod batch;
mod config;
mod engine;
mod error;
mod forget;
mod lease;
mod literal;
mod marks;
mod observe;
mod once;
mod outbox;
mod read;
mod rows;
mod sequencer;
mod sqlite;
mod stamps;
#[cfg(feature = "testing")]
pub mod testing;
mod tidb;
mod turn;
mod tx;
mod work;
mod write;

use std::{
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use kernel::{Clock, Ids, Result, Shard, Timestamp};
use sea_orm::{ConnectionTrait, DatabaseConnection};

pub use config::{DbConfig, EngineName, Synchronous, TidbConfig, Tls};
pub use error::{DbResult, Error, is_duplicate};
pub use marks::{Mark, Marks, mark};
pub use once::Once;
pub use outbox::Outbox;
pub use read::{Reader, Snapshot};
pub use rows::Rows;
pub use stamps::{Stamp, Stamps};
pub use turn::Turn;
pub use tx::{Tx, Unlocked};

use crate::{engine::Engine, sqlite::Sqlite, turn::Turns, work::Signals};

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Db(Arc<Inner>);

struct Inner {
    engine: Engine,
    reader: Reader,
    shards: u16,
    ids: Ids,
    clock: Arc<dyn Clock>,
    outbox: Arc<Outbox>,
    stamps: Stamps,
    preferred: OnceLock<Preferred>,
    turns: Turns,
    keep_answers: Duration,
}

/// Says which shards a new owner's should be one of; any where there are none.
type Preferred = Box<dyn Fn() -> Vec<Shard> + Send + Sync>;

impl Db {
    /// Opens the database that `config` names, creating an empty one where there is none, and starts its writer on the
    /// current runtime. Run the migrations before anything else: [`Db::schema`].
    pub async fn open(config: &DbConfig, clock: Arc<dyn Clock>) -> Result<Self> {
        config.validate()?;
        let ids = Ids::new(Arc::clone(&clock));
        let outbox = Arc::<Outbox>::default();
        let stamps = Stamps::new();
        let signals = Signals { outbox: Arc::clone(&outbox), stamps: stamps.clone() };
        let engine = Engine::open(config, ids.clone(), Arc::clone(&clock), signals).await?;
        Ok(Self(Arc::new(Inner {
            reader: engine.reader(),
            engine,
            shards: config.shards,
            ids,
            clock,
            outbox,
            stamps,
            preferred: OnceLock::new(),
            turns: Turns::default(),
            keep_answers: config.keep_answers,
        })))
    }

    /// Whether the database that `config` names is there; nothing is made. [`Db::open`] makes what is not.
    pub async fn exists(config: &DbConfig) -> Result<bool> {
        config.validate()?;
        match config.engine {
            EngineName::Sqlite => Ok(config.data.join(sqlite::FILE).exists()),
            // Boxed: the future of its connection is large.
            EngineName::Tidb => Box::pin(tidb::exists(&config.tidb)).await,
        }
    }

    /// The readers' pool. Sees only what is committed.
    pub fn read(&self) -> &Reader {
        &self.0.reader
    }

    /// Runs `change` while no other process writes (SQLite) or migrates (TiDB): for changes of the schema and nothing else.
    pub async fn schema<F, E>(&self, change: F) -> Result<()>
    where
        F: for<'a> FnOnce(&'a DatabaseConnection) -> futures::future::BoxFuture<'a, Result<(), E>>,
        E: std::error::Error + Send + Sync + 'static,
    {
        self.0.engine.schema(change).await
    }

    /// Remembers the number of shards on first use and refuses to open a database that was made with another: ids
    /// carry their shard, so it is fixed for the life of a database. Call after the migrations.
    pub async fn check_shards(&self) -> Result<()> {
        self.0.engine.check_shards(self.0.shards).await
    }

    /// Copies the database, as of now and without stopping writers, to a file that must not exist. Refused on TiDB, whose
    /// backups BR makes.
    pub async fn backup(&self, to: &Path) -> Result<()> {
        self.0.engine.backup(to).await
    }

    /// Checks the structure of a SQLite file; the failure says what is wrong.
    pub async fn verify(file: &Path) -> Result<()> {
        Sqlite::verify(file).await
    }

    /// How many shards there are.
    pub fn shards(&self) -> u16 {
        self.0.shards
    }

    /// All shards in order.
    pub fn every_shard(&self) -> impl Iterator<Item = Shard> + use<> {
        (0..self.0.shards).map(Shard::new)
    }

    /// From now on new owners get one of the shards that `preferred` names when they come, while it names any. Said once,
    /// when a process is composed.
    pub fn prefer_shards(&self, preferred: impl Fn() -> Vec<Shard> + Send + Sync + 'static) {
        // A second word changes nothing: who composes says it once.
        let _ = self.0.preferred.set(Box::new(preferred));
    }

    /// A shard for a new owner.
    pub fn random_shard(&self) -> Shard {
        if let Some(preferred) = self.0.preferred.get() {
            let mut shards = preferred();
            if !shards.is_empty() {
                return shards.swap_remove(rand::random_range(0..shards.len()));
            }
        }
        Shard::new(rand::random_range(0..self.0.shards))
    }

    /// One of these shards for a new owner; any, as [`Db::random_shard`] chooses, where there are none.
    pub fn random_of(&self, shards: &[Shard]) -> Shard {
        if shards.is_empty() { self.random_shard() } else { shards[rand::random_range(0..shards.len())] }
    }

    /// The shard that `text` always falls on: for owners known by a name, such as an e-mail.
    pub fn shard_of(&self, text: &str) -> Shard {
        use sha2::{Digest, Sha256};
        let digest = Sha256::digest(text.as_bytes());
        Shard::new(u16::from_be_bytes([digest[0], digest[1]]) % self.0.shards)
    }

    /// Mints ids.
    pub fn ids(&self) -> &Ids {
        &self.0.ids
    }

    /// The clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.clock
    }

    /// The current moment.
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// When `snapshot` ([`Reader::snapshot`]) was taken, by the clock that every process shares where there is one: the
    /// database's (TiDB). On SQLite the moment of the call.
    pub async fn taken_at(&self, snapshot: &impl ConnectionTrait) -> Result<Timestamp> {
        match &self.0.engine {
            Engine::Sqlite(_) => Ok(self.now()),
            Engine::Tidb(_) => tidb::began_at(snapshot).await,
        }
    }

    /// Says what commits of this process touched.
    pub fn stamps(&self) -> &Stamps {
        &self.0.stamps
    }

    /// Sets the gauges of connections and of waiting writes.
    pub fn measure(&self) {
        self.0.engine.measure();
    }

    /// What this process has written for its sequencer. A write whose rows hold events, rather than publishing them
    /// ([`Tx::publish`]), says so here itself once it is committed.
    pub fn outbox(&self) -> &Outbox {
        &self.0.outbox
    }
}
