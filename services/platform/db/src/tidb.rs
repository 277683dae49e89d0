//! The adapter for TiDB: pools, session settings, the schema's session.
//!
//! Three pools: *locking* (pessimistic transactions, for [`Db::write`](crate::Db::write)), *inserting* (optimistic ones,
//! for [`Db::append`](crate::Db::append) and the sequencer: nothing they decide by was only read) and *reading*.
//!
//! Every connection ends a transaction that stood idle for a second and waits at most a second for a lock: a process that
//! is paused inside a transaction keeps others waiting that long, and not for the minute that TiDB would by itself.
//!
//! What differs from SQLite and can be noticed: text compares without trailing spaces (`utf8mb4_bin` pads); readers are
//! not refused when they write; a write that met a conflict runs again, which takes milliseconds; backup is BR's.

mod append;
mod schema;
mod sequence;
mod session;
mod transact;

use std::{sync::Arc, time::Duration};

use contracts::Event;
use kernel::{Clock, Ids, Result, Shard};
use sea_orm::{
    DatabaseConnection, DbErr, SqlxMySqlConnector,
    sqlx::{
        ConnectOptions as _, Connection as _, Executor,
        mysql::{MySqlConnectOptions, MySqlPoolOptions, MySqlSslMode},
    },
};
use secrecy::ExposeSecret;
use tokio::sync::{Semaphore, oneshot};
use tracing::Span;

pub(crate) use self::session::{Session, began_at};
use self::{append::Appender, sequence::Scan};
use crate::{
    DbConfig, DbResult, Reader, Rows, TidbConfig, Tls, observe,
    work::{Signals, Work},
    write::Settled,
};

/// Statements kept prepared on each connection.
const STATEMENTS: usize = 256;

/// What every session is set to. A transaction that stands idle is ended by the server, a lock is waited for a second, and
/// errors name no value: keys of bytes in them cannot be read as text, and e-mail addresses belong into no log.
const SETTINGS: &str = "SET SESSION tidb_idle_transaction_timeout = 1, innodb_lock_wait_timeout = 1, tidb_redact_log = 'ON', \
     transaction_isolation = 'REPEATABLE-READ', time_zone = '+00:00', \
     sql_mode = 'ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'";

/// TiDB behind the doors.
pub(crate) struct Tidb {
    core: Arc<Core>,
    /// Its end is the queue's: tasks have the core and not this.
    appender: Appender,
}

/// Whether the database that `config` names is there; nothing is made.
pub(crate) async fn exists(config: &TidbConfig) -> Result<bool> {
    schema::exists(config).await
}

/// What tasks share.
struct Core {
    config: TidbConfig,
    shards: u16,
    locking: DatabaseConnection,
    inserting: DatabaseConnection,
    reading: DatabaseConnection,
    /// Writes that may wait, in all and now.
    queue: usize,
    room: Arc<Semaphore>,
    scan: Scan,
    ids: Ids,
    clock: Arc<dyn Clock>,
    signals: Signals,
}

impl Tidb {
    pub(crate) async fn open(
        config: &DbConfig,
        ids: Ids,
        clock: Arc<dyn Clock>,
        signals: Signals,
    ) -> Result<Self> {
        let tidb = config.tidb.clone();
        schema::create_database(&tidb).await?;
        let writing = tidb.connections / 2;
        let locking = pool(&tidb, writing, "SET SESSION tidb_txn_mode = 'pessimistic'").await.db()?;
        let inserting = pool(&tidb, tidb.connections - writing, "SET SESSION tidb_txn_mode = 'optimistic'");
        let replica = if tidb.closest_reads { "closest-replicas" } else { "leader" };
        let readers = format!(
            "SET SESSION tidb_replica_read = '{replica}', max_execution_time = {}",
            tidb.statement.as_millis()
        );
        let core = Arc::new(Core {
            locking,
            inserting: inserting.await.db()?,
            reading: pool(&tidb, config.readers, &readers).await.db()?,
            queue: config.queue,
            room: Arc::new(Semaphore::new(config.queue)),
            scan: Scan::default(),
            config: tidb,
            shards: config.shards,
            ids,
            clock,
            signals,
        });
        let appender = Appender::start(&core, config);
        Ok(Self { core, appender })
    }

    pub(crate) fn reader(&self) -> Reader {
        Reader::bounded(self.core.reading.clone(), self.core.config.statement)
    }

    /// Runs a closure, and again where TiDB asks for it, in a task of its own: a caller that goes away cancels nothing.
    pub(crate) fn write(&self, work: Box<dyn Work>) -> Result<()> {
        transact::start(&self.core, work)
    }

    /// Queues rows.
    pub(crate) fn append(
        &self,
        rows: Rows,
        settled: Settled,
        done: oneshot::Sender<Result<()>>,
        span: Span,
    ) -> Result<()> {
        self.appender.push(rows, settled, done, span)
    }

    /// Sets the gauges of the pools.
    pub(crate) fn measure(&self) {
        let core = &self.core;
        for (name, connection) in
            [("locking", &core.locking), ("inserting", &core.inserting), ("reading", &core.reading)]
        {
            let pool = connection.get_mysql_connection_pool();
            observe::pool(name, pool.size(), pool.num_idle());
        }
    }

    /// How many writes are under way or wait.
    pub(crate) fn waiting(&self) -> usize {
        self.core.queue - self.core.room.available_permits() + self.appender.waiting()
    }

    /// Up to `most` events of these shards from `outbox` to `event_log`; None where they were left to another sequencer.
    pub(crate) async fn sequence(
        &self,
        shards: Vec<Shard>,
        partial: bool,
        most: u32,
    ) -> Result<Option<Vec<Event>>> {
        sequence::sequence(&self.core, shards, partial, most).await
    }

    /// A connection for migrations, of which there is one at a time in the whole cluster.
    pub(crate) async fn schema_session(&self) -> Result<DatabaseConnection> {
        schema::session(&self.core.config, self.core.shards).await
    }

    /// The number of shards that the database was made with: this one, where none is noted.
    pub(crate) async fn made_with(&self, shards: u16) -> Result<i64> {
        schema::made_with(&self.core, shards).await
    }
}

impl Core {
    /// Begins a transaction that locks what it reads.
    async fn begin_locking(&self) -> Result<Session, DbErr> {
        Session::begin(&self.locking, self.config.statement, self.config.acquire, true).await
    }

    /// Begins a transaction that finds conflicts when it commits.
    async fn begin_inserting(&self) -> Result<Session, DbErr> {
        Session::begin(&self.inserting, self.config.statement, self.config.acquire, false).await
    }

    /// Tells this process what a commit changed.
    fn committed(&self, published: impl IntoIterator<Item = Shard>, touched: Vec<uuid::Uuid>) {
        for key in touched {
            self.signals.stamps.touch(key);
        }
        self.signals.outbox.wrote(published);
    }
}

pub(crate) fn connect_options(config: &TidbConfig) -> MySqlConnectOptions {
    let mut options = MySqlConnectOptions::new()
        .host(&config.host)
        .port(config.port)
        .username(&config.user)
        .collation("utf8mb4_bin")
        // Set with everything else, below.
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .timezone(None)
        .statement_cache_capacity(STATEMENTS)
        .ssl_mode(match config.tls {
            Tls::Off => MySqlSslMode::Disabled,
            Tls::Required => MySqlSslMode::Required,
            Tls::Verified => MySqlSslMode::VerifyIdentity,
        })
        .disable_statement_logging();
    if config.tls == Tls::Verified && !config.ca.as_os_str().is_empty() {
        options = options.ssl_ca(&config.ca);
    }
    match config.password.expose_secret() {
        "" => options,
        password => options.password(password),
    }
}

fn pool_options(config: &TidbConfig, connections: u32, settings: String) -> MySqlPoolOptions {
    MySqlPoolOptions::new()
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(config.acquire)
        // A broken connection shows at its first statement, and that is tried again.
        .test_before_acquire(false)
        .max_lifetime(Duration::from_secs(3_600))
        .idle_timeout(Duration::from_secs(600))
        // A rollback that waits to be sent: its transaction was given up in the middle of a statement. The driver counts
        // answers that are still to come, and the many of a statement that was being prepared it counts wrongly: such a
        // connection would wait for ever, and its place in the pool with it.
        .after_release(|connection, _| Box::pin(async move { Ok(!connection.should_flush()) }))
        .after_connect(move |connection, _| {
            let settings = settings.clone();
            Box::pin(async move {
                connection.execute(SETTINGS).await?;
                connection.execute(sea_orm::sqlx::AssertSqlSafe(settings)).await?;
                Ok(())
            })
        })
}

async fn pool(config: &TidbConfig, connections: u32, settings: &str) -> Result<DatabaseConnection, DbErr> {
    let pool = pool_options(config, connections, settings.to_owned())
        .connect_with(connect_options(config).database(&config.database))
        .await
        .map_err(|error| DbErr::Conn(sea_orm::RuntimeErr::SqlxError(error.into())))?;
    let mut connection = SqlxMySqlConnector::from_sqlx_mysql_pool(pool);
    observe::observe(&mut connection, "mysql");
    Ok(connection)
}
