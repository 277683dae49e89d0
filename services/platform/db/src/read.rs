//! The readers' door.

use std::{future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult,
    RuntimeErr, Statement, TransactionTrait, sqlx,
};

use crate::error::is_lost;

/// Reads what is committed: pass it where sea-orm wants a connection.
///
/// On SQLite its connections refuse to write. On TiDB every statement has a deadline, and one that found its connection
/// broken (the server restarted) runs once more on another.
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
    pub async fn snapshot(&self) -> Result<DatabaseTransaction, DbErr> {
        match self.deadline {
            None => self.pool.begin().await,
            Some(deadline) => within(deadline, self.pool.begin()).await,
        }
    }

    async fn twice<T, F, R>(&self, deadline: Duration, statement: Statement, run: R) -> Result<T, DbErr>
    where
        F: Future<Output = Result<T, DbErr>> + Send,
        R: Fn(Statement) -> F + Sync,
    {
        match within(deadline, run(statement.clone())).await {
            Err(error) if is_lost(&error) => within(deadline, run(statement)).await,
            other => other,
        }
    }
}

/// The outcome of a statement, or a failure that looks like a lost connection.
pub(crate) async fn within<T>(
    deadline: Duration,
    statement: impl Future<Output = Result<T, DbErr>> + Send,
) -> Result<T, DbErr> {
    tokio::time::timeout(deadline, statement).await.unwrap_or_else(|_| {
        let late = std::io::Error::new(std::io::ErrorKind::TimedOut, "the database did not answer in time");
        Err(DbErr::Conn(RuntimeErr::SqlxError(Arc::new(sqlx::Error::Io(late)))))
    })
}

#[async_trait]
impl ConnectionTrait for Reader {
    fn get_database_backend(&self) -> DbBackend {
        self.pool.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        match self.deadline {
            None => self.pool.execute_raw(statement).await,
            Some(deadline) => within(deadline, self.pool.execute_raw(statement)).await,
        }
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        match self.deadline {
            None => self.pool.execute_unprepared(sql).await,
            Some(deadline) => within(deadline, self.pool.execute_unprepared(sql)).await,
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        match self.deadline {
            None => self.pool.query_one_raw(statement).await,
            Some(deadline) => self.twice(deadline, statement, |it| self.pool.query_one_raw(it)).await,
        }
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        match self.deadline {
            None => self.pool.query_all_raw(statement).await,
            Some(deadline) => self.twice(deadline, statement, |it| self.pool.query_all_raw(it)).await,
        }
    }
}
