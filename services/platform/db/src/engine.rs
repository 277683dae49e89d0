//! Which database is behind the doors.

use std::{path::Path, sync::Arc};

use kernel::{Clock, Failure, Ids, Result, code};
use sea_orm::DatabaseConnection;

use crate::{
    DbConfig, EngineName, Reader,
    sqlite::{Queue, Sqlite},
    tidb::Tidb,
    work::Signals,
};

/// Chosen once, when the database is opened.
pub(crate) enum Engine {
    Sqlite(Embedded),
    Tidb(Tidb),
}

/// SQLite with its queue of writes.
pub(crate) struct Embedded {
    pub(crate) sqlite: Sqlite,
    pub(crate) queue: Queue,
}

impl Engine {
    pub(crate) async fn open(
        config: &DbConfig,
        ids: Ids,
        clock: Arc<dyn Clock>,
        signals: Signals,
    ) -> Result<Self> {
        Ok(match config.engine {
            EngineName::Sqlite => {
                let sqlite = Sqlite::open(config).await?;
                let queue = Queue::start(sqlite.clone(), config, ids, clock, signals);
                Self::Sqlite(Embedded { sqlite, queue })
            }
            // Boxed: the futures of its connections are large, and everybody who opens a database would contain them.
            EngineName::Tidb => Self::Tidb(Box::pin(Tidb::open(config, ids, clock, signals)).await?),
        })
    }

    pub(crate) fn reader(&self) -> Reader {
        match self {
            Self::Sqlite(embedded) => Reader::unbounded(embedded.sqlite.readers().clone()),
            Self::Tidb(tidb) => tidb.reader(),
        }
    }

    pub(crate) async fn schema<F, E>(&self, change: F) -> Result<()>
    where
        F: for<'a> FnOnce(&'a DatabaseConnection) -> futures::future::BoxFuture<'a, Result<(), E>>,
        E: std::error::Error + Send + Sync + 'static,
    {
        match self {
            Self::Sqlite(embedded) => {
                let _turn = embedded.sqlite.turn().await?;
                change(embedded.sqlite.writer()).await.map_err(Failure::internal)
            }
            Self::Tidb(tidb) => {
                let session = Box::pin(tidb.schema_session()).await?;
                let outcome = change(&session).await.map_err(Failure::internal);
                // The lock goes with its session.
                session.close().await.map_err(Failure::internal)?;
                outcome
            }
        }
    }

    /// Sets the gauges of connections and of waiting writes.
    pub(crate) fn measure(&self) {
        let waiting = match self {
            Self::Sqlite(embedded) => {
                embedded.sqlite.measure();
                embedded.queue.waiting()
            }
            Self::Tidb(tidb) => {
                tidb.measure();
                tidb.waiting()
            }
        };
        metrics::gauge!("db_queue_depth").set(f64::from(u32::try_from(waiting).unwrap_or(u32::MAX)));
    }

    /// Notes the number of shards in a new database; `request.invalid` where it was made with another one.
    pub(crate) async fn check_shards(&self, shards: u16) -> Result<()> {
        let made_with = match self {
            Self::Sqlite(embedded) => embedded.sqlite.made_with(shards).await?,
            Self::Tidb(tidb) => tidb.made_with(shards).await?,
        };
        if made_with == i64::from(shards) {
            Ok(())
        } else {
            Err(Failure::invalid(
                "database.shards",
                format!("this database was made with {made_with} shards"),
            ))
        }
    }

    pub(crate) async fn backup(&self, to: &Path) -> Result<()> {
        match self {
            Self::Sqlite(embedded) => embedded.sqlite.backup(to).await,
            Self::Tidb(_) => Err(Failure::new(code::INVALID).detail(
                "the database is TiDB: back it up with BR (`tiup br backup full --pd … --storage …`), which copies a cluster \
                 at one moment without stopping it",
            )),
        }
    }
}
