//! A running write.

use std::sync::Mutex;

use async_trait::async_trait;
use contracts::{Event, EventBody};
use kernel::{Failure, Ids, Result, Shard, Timestamp};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, Statement, Value,
};

use uuid::Uuid;

use crate::{Error, rows::event_row, tidb::Session};

/// A running write: pass it where sea-orm wants a connection. Call no contract while it runs.
///
/// **What it reads, it decides by.** SQLite has one writer, so nothing that a closure read changes before its commit. On
/// TiDB every `SELECT` through a `Tx` is sent as `SELECT … FOR UPDATE`: it returns the latest committed rows and locks
/// them until the commit. It locks rows and no gaps: what is *not there* may be there a moment later. So
/// - a row that two writes insert at once fails one of them with a duplicate key, and its closure runs again and finds it;
/// - a closure that depends on a *set* of rows staying as it is first writes a row that every change of the set writes
///   (the cart of its lines, the account of its addresses), or locks a key for it: [`Tx::guard`].
///
/// Reads that only inform go through [`Tx::unlocked`].
pub struct Tx {
    at: Connection,
    shard: Shard,
    now: Timestamp,
    ids: Ids,
    events: Mutex<Vec<Vec<Value>>>,
    touched: Mutex<Vec<Uuid>>,
}

/// What a write runs on.
pub(crate) enum Connection {
    /// The one writer.
    Sqlite(DatabaseConnection),
    /// A transaction of its own.
    Tidb(Session),
}

impl From<DatabaseConnection> for Connection {
    fn from(connection: DatabaseConnection) -> Self {
        Self::Sqlite(connection)
    }
}

/// A running write without locks, for reads that only inform.
pub struct Unlocked<'a>(&'a Tx);

impl Tx {
    pub(crate) fn new(at: Connection, shard: Shard, now: Timestamp, ids: Ids) -> Self {
        Self { at, shard, now, ids, events: Mutex::default(), touched: Mutex::default() }
    }

    /// When it began, by the clock of this process.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// When it began, by the clock that every process shares where there is one: the database's (TiDB).
    pub async fn database_now(&self) -> Result<Timestamp> {
        match &self.at {
            Connection::Sqlite(_) => Ok(self.now),
            Connection::Tidb(session) => session.now().await,
        }
    }

    /// The shard whose outbox its events go to.
    pub fn shard(&self) -> Shard {
        self.shard
    }

    /// Mints ids.
    pub fn ids(&self) -> &Ids {
        &self.ids
    }

    /// The same write for reads that only inform: they lock nothing, and what they return may be old at the commit.
    pub fn unlocked(&self) -> Unlocked<'_> {
        Unlocked(self)
    }

    /// Keeps every other write that guards one of these keys waiting until this one ends. For writes that decide on a set
    /// of rows which nothing else holds together; call it before the set is read. Free on SQLite, which has one writer.
    pub async fn guard(&self, keys: impl IntoIterator<Item = Uuid>) -> Result<()> {
        let Connection::Tidb(session) = &self.at else { return Ok(()) };
        let mut keys: Vec<Uuid> = keys.into_iter().collect();
        // In order, as everybody takes them: nobody waits in a circle.
        keys.sort_unstable();
        keys.dedup();
        session.guard(&keys).await
    }

    /// Publishes an event: it becomes visible to consumers when, and only when, this write commits.
    pub async fn publish<E: EventBody>(&self, event: &E) -> Result<()> {
        let row = event_row(self.ids.uuid(self.shard), self.shard, self.now, event)?;
        self.events.lock().map_err(|_| Failure::internal("a publish panicked"))?.push(row);
        Ok(())
    }

    /// Notes that `subscription` consumes `event`; false when it did before, and then nothing must be done.
    pub async fn first_time(&self, subscription: &str, event: &Event) -> Result<bool> {
        let statement = Statement::from_sql_and_values(
            self.get_database_backend(),
            "INSERT INTO inbox (subscription, shard, pos, at) VALUES (?, ?, ?, ?)",
            [
                subscription.into(),
                i32::from(event.shard.number()).into(),
                event.pos.into(),
                self.now.micros().into(),
            ],
        );
        match self.execute_raw(statement).await.map_err(Error::from) {
            Ok(_) => Ok(true),
            Err(Error::Duplicate { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Says that what is shown of `key` changes with this write: documents made from it are stale once it commits
    /// ([`crate::Stamps`]).
    pub fn touch(&self, key: Uuid) {
        if let Ok(mut touched) = self.touched.lock() {
            touched.push(key);
        }
    }

    pub(crate) fn take_touched(&self) -> Vec<Uuid> {
        self.touched.lock().map(|mut touched| std::mem::take(&mut *touched)).unwrap_or_default()
    }

    pub(crate) fn take_events(&self) -> Vec<Vec<Value>> {
        self.events.lock().map(|mut events| std::mem::take(&mut *events)).unwrap_or_default()
    }

    /// The transaction, to be ended. None on SQLite, whose writer ends its own.
    pub(crate) fn into_session(self) -> Option<Session> {
        match self.at {
            Connection::Sqlite(_) => None,
            Connection::Tidb(session) => Some(session),
        }
    }
}

#[async_trait]
impl ConnectionTrait for Tx {
    fn get_database_backend(&self) -> DbBackend {
        match &self.at {
            Connection::Sqlite(connection) => connection.get_database_backend(),
            Connection::Tidb(_) => DbBackend::MySql,
        }
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        match &self.at {
            Connection::Sqlite(connection) => connection.execute_raw(statement).await,
            Connection::Tidb(session) => session.execute(statement).await,
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        match &self.at {
            Connection::Sqlite(connection) => connection.execute_unprepared(sql).await,
            Connection::Tidb(session) => session.execute_unprepared(sql).await,
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match &self.at {
            Connection::Sqlite(connection) => connection.query_one_raw(statement).await,
            Connection::Tidb(session) => session.query_one(session.locking(statement)).await,
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match &self.at {
            Connection::Sqlite(connection) => connection.query_all_raw(statement).await,
            Connection::Tidb(session) => session.query_all(session.locking(statement)).await,
        }
    }
}

#[async_trait]
impl ConnectionTrait for Unlocked<'_> {
    fn get_database_backend(&self) -> DbBackend {
        self.0.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.0.execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.0.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match &self.0.at {
            Connection::Sqlite(connection) => connection.query_one_raw(statement).await,
            Connection::Tidb(session) => session.query_one(statement).await,
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match &self.0.at {
            Connection::Sqlite(connection) => connection.query_all_raw(statement).await,
            Connection::Tidb(session) => session.query_all(statement).await,
        }
    }
}

impl Tx {
    /// Inserts the events published so far; whether there were any.
    pub(crate) async fn flush_events(&self) -> Result<bool> {
        let mut rows = crate::Rows::new();
        for row in self.take_events() {
            rows = rows.outbox(row);
        }
        rows.mint_events(&self.ids);
        rows.insert(self).await?;
        Ok(rows.publishes)
    }
}
