//! The readers' door.

use std::{future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult,
    RuntimeErr, Statement, TransactionTrait, sqlx,
};
use tokio::time::Instant;

use crate::error::is_lost;

/// Before a read is tried again.
const PAUSE: Duration = Duration::from_millis(5);

/// Reads what is committed: pass it where sea-orm wants a connection.
///
/// On SQLite its connections refuse to write. On TiDB every statement has a deadline, and one that found its connection
/// broken (the server restarted) runs again on another.
pub struct Reader {
    pool: DatabaseConnection,
    deadline: Option<Duration>,
}

impl Reader {
    pub(crate) fn unbounded(pool: DatabaseConnection) -> Self {
        Self { pool, deadline: None }
    }

    pub(crate) fn bounded(pool: DatabaseConnection, deadline: Duration) -> Self {
        Self { pool, deadline: Some(deadline) }
    }

    /// A transaction in which every statement sees the same moment; to be rolled back.
    pub async fn snapshot(&self) -> Result<Snapshot, DbErr> {
        let transaction = match self.deadline {
            None => self.pool.begin().await?,
            Some(deadline) => begin(&self.pool, deadline).await?,
        };
        Ok(Snapshot { transaction, deadline: self.deadline })
    }

    /// Runs a statement that only reads, on another connection when its own is broken: after a restart of the server all
    /// that the pool kept are. Ends at the deadline.
    async fn insist<T, F, R>(&self, deadline: Duration, statement: Statement, run: R) -> Result<T, DbErr>
    where
        F: Future<Output = Result<T, DbErr>> + Send,
        R: Fn(Statement) -> F + Sync,
    {
        let until = Instant::now() + deadline;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match within(left, run(statement.clone())).await {
                Err(error) if is_lost(&error) && Instant::now() + PAUSE < until => {
                    metrics::counter!("db_retries_total", "code" => "read").increment(1);
                    tokio::time::sleep(PAUSE).await;
                }
                outcome => return outcome,
            }
        }
    }
}

/// A transaction in which every statement sees the same moment. On TiDB each has a deadline, as a [`Reader`]'s has; none runs
/// again: its moment went with its connection.
pub struct Snapshot {
    transaction: DatabaseTransaction,
    deadline: Option<Duration>,
}

impl Snapshot {
    /// Ends it.
    pub async fn rollback(self) -> Result<(), DbErr> {
        bounded(self.deadline, self.transaction.rollback()).await
    }
}

/// The outcome of a statement, within its deadline where it has one.
async fn bounded<T>(
    deadline: Option<Duration>,
    statement: impl Future<Output = Result<T, DbErr>> + Send,
) -> Result<T, DbErr> {
    match deadline {
        None => statement.await,
        Some(deadline) => within(deadline, statement).await,
    }
}

/// Begins a transaction within `deadline`. Who gives up, or goes away, leaves the beginning to itself, and it is undone when it
/// comes: were it dropped, its connection would go back to the pool inside a transaction that nobody knows of, and who reads
/// there next would see what was so when it began.
pub(crate) async fn begin(
    pool: &DatabaseConnection,
    deadline: Duration,
) -> Result<DatabaseTransaction, DbErr> {
    let pool = pool.clone();
    #[expect(
        clippy::disallowed_methods,
        reason = "ends by itself: when it has begun, or its connection breaks"
    )]
    let begun = tokio::spawn(async move { pool.begin().await });
    within(deadline, async { begun.await.unwrap_or_else(|_| Err(late())) }).await
}

/// The outcome of a statement, or a failure that looks like a lost connection.
pub(crate) async fn within<T>(
    deadline: Duration,
    statement: impl Future<Output = Result<T, DbErr>> + Send,
) -> Result<T, DbErr> {
    tokio::time::timeout(deadline, statement).await.unwrap_or_else(|_| Err(late()))
}

/// The failure of what did not come in time: it looks like a lost connection.
pub(crate) fn late() -> DbErr {
    let late = std::io::Error::new(std::io::ErrorKind::TimedOut, "the database did not answer in time");
    DbErr::Conn(RuntimeErr::SqlxError(Arc::new(sqlx::Error::Io(late))))
}

#[async_trait]
impl ConnectionTrait for Reader {
    fn get_database_backend(&self) -> DbBackend {
        self.pool.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        bounded(self.deadline, self.pool.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        bounded(self.deadline, self.pool.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match self.deadline {
            None => self.pool.query_one_raw(statement).await,
            Some(deadline) => self.insist(deadline, statement, |it| self.pool.query_one_raw(it)).await,
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match self.deadline {
            None => self.pool.query_all_raw(statement).await,
            Some(deadline) => self.insist(deadline, statement, |it| self.pool.query_all_raw(it)).await,
        }
    }
}

#[async_trait]
impl ConnectionTrait for Snapshot {
    fn get_database_backend(&self) -> DbBackend {
        self.transaction.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        bounded(self.deadline, self.transaction.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        bounded(self.deadline, self.transaction.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        bounded(self.deadline, self.transaction.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        bounded(self.deadline, self.transaction.query_all_raw(statement)).await
    }
}
