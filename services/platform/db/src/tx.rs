//! A running write.

use std::sync::Mutex;

use async_trait::async_trait;
use contracts::{Event, EventBody};
use kernel::{Failure, Ids, Result, Shard, Timestamp};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, Statement, Value,
};

use uuid::Uuid;

use crate::{Error, rows::event_row};

/// A running write: pass it where sea-orm wants a connection. Call no contract while it runs.
pub struct Tx {
    connection: DatabaseConnection,
    shard: Shard,
    now: Timestamp,
    ids: Ids,
    events: Mutex<Vec<Vec<Value>>>,
    touched: Mutex<Vec<Uuid>>,
}

impl Tx {
    pub(crate) fn new(connection: DatabaseConnection, shard: Shard, now: Timestamp, ids: Ids) -> Self {
        Self { connection, shard, now, ids, events: Mutex::default(), touched: Mutex::default() }
    }

    /// When it began.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The shard whose outbox its events go to.
    pub fn shard(&self) -> Shard {
        self.shard
    }

    /// Mints ids.
    pub fn ids(&self) -> &Ids {
        &self.ids
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
            self.connection.get_database_backend(),
            "INSERT INTO inbox (subscription, shard, pos, at) VALUES (?, ?, ?, ?)",
            [
                subscription.into(),
                i32::from(event.shard.number()).into(),
                event.pos.into(),
                self.now.micros().into(),
            ],
        );
        match self.connection.execute_raw(statement).await.map_err(Error::from) {
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
}

#[async_trait]
impl ConnectionTrait for Tx {
    fn get_database_backend(&self) -> DbBackend {
        self.connection.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.connection.execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.connection.execute_unprepared(sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.connection.query_one_raw(statement).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.connection.query_all_raw(statement).await
    }
}
