//! One transaction on TiDB: locks what it reads, bounds every statement, remembers what made it fail.

use std::{sync::Mutex, time::Duration};

use kernel::{Failure, Result, Timestamp};
use platform_trace::BETWEEN_STATEMENTS;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, ExecResult, QueryResult,
    RuntimeErr, Statement, Value,
    sqlx::{self, AssertSqlSafe, Executor},
};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    DbResult, Error,
    read::{begin, within},
};

/// Keys locked by one statement.
const GUARDS: usize = 512;

/// Why a transaction should run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// A unique key was there: another transaction may have just inserted it, and then it is there to be read now.
    Duplicate,
    /// TiDB asks for it.
    Conflict(u16),
    /// The connection broke, or the answer did not come in time.
    Lost,
}

impl Again {
    /// What to do about `error`; None when running again would not help.
    pub(crate) fn after(error: &Error) -> Option<Self> {
        match error {
            Error::Duplicate { .. } => Some(Self::Duplicate),
            Error::Conflict { code } => Some(Self::Conflict(*code)),
            Error::Busy => Some(Self::Conflict(0)),
            Error::Lost(_) => Some(Self::Lost),
            Error::Other(_) => None,
        }
    }

    /// Its name in metrics.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Duplicate => "1062".to_owned(),
            Self::Conflict(code) => code.to_string(),
            Self::Lost => "lost".to_owned(),
        }
    }
}

/// A transaction.
pub(crate) struct Session {
    transaction: DatabaseTransaction,
    deadline: Duration,
    locks: bool,
    /// The worst that a statement met. TiDB has undone the whole transaction after a deadlock: whatever the closure makes
    /// of the error, nothing may be committed then.
    met: Mutex<Option<Again>>,
}

impl Session {
    pub(crate) async fn begin(
        pool: &DatabaseConnection,
        deadline: Duration,
        acquire: Duration,
        locks: bool,
    ) -> Result<Self, DbErr> {
        let transaction = begin(pool, deadline + acquire).await?;
        Ok(Self { transaction, deadline, locks, met: Mutex::default() })
    }

    /// What a statement met that asks for the transaction to run again.
    pub(crate) fn met(&self) -> Option<Again> {
        self.met.lock().ok().and_then(|met| *met)
    }

    fn note<T>(&self, outcome: Result<T, DbErr>) -> Result<T, DbErr> {
        if let Err(error) = &outcome
            && let Some(again) = Again::after(&Error::from(error.clone()))
            && let Ok(mut met) = self.met.lock()
            && (met.is_none() || again != Again::Duplicate)
        {
            *met = Some(again);
        }
        outcome
    }

    pub(crate) async fn execute(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.note(within(self.deadline, self.transaction.execute_raw(statement)).await)
    }

    pub(crate) async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let began = Instant::now();
        let outcome = self.note(within(self.deadline, self.transaction.execute_unprepared(sql)).await);
        platform_trace::statement("mysql", sql, began.elapsed(), outcome.is_err());
        outcome
    }

    pub(crate) async fn query_one(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.note(within(self.deadline, self.transaction.query_one_raw(statement)).await)
    }

    pub(crate) async fn query_all(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.note(within(self.deadline, self.transaction.query_all_raw(statement)).await)
    }

    /// The statement with a lock on the rows it reads, where this transaction locks.
    pub(crate) fn locking(&self, statement: Statement) -> Statement {
        if self.locks { locking(statement) } else { statement }
    }

    /// When the transaction began, by the clock of the cluster (PD's), which all processes share.
    pub(crate) async fn now(&self) -> Result<Timestamp> {
        began_at(self).await
    }

    /// Locks keys, which are sorted, until the commit. They are looked up by primary key in a table without partitions,
    /// which locks keys without a row, too.
    pub(crate) async fn guard(&self, keys: &[Uuid]) -> Result<()> {
        for some in keys.chunks(GUARDS) {
            let marks = vec!["?"; some.len()].join(",");
            let sql = format!("SELECT id FROM guard WHERE id IN ({marks}) FOR UPDATE");
            let values = some.iter().map(|key| Value::from(*key));
            self.query_all(Statement::from_sql_and_values(DbBackend::MySql, sql, values)).await.db()?;
        }
        Ok(())
    }

    pub(crate) async fn commit(self) -> Result<(), DbErr> {
        within(self.deadline, self.transaction.commit()).await
    }

    /// Undoes it, so that its locks are free at once. Where that fails the connection is closed by its pool or by the
    /// server, which undoes it, too.
    pub(crate) async fn roll_back(self) {
        if self.met() != Some(Again::Lost) {
            let _ = within(self.deadline, self.transaction.rollback()).await;
        }
    }
}

/// Runs the statements of a text in a transaction of their own, all of it one message to the server. `unknown` becomes true
/// when no answer came: it may be committed.
pub(crate) async fn at_once(
    pool: &DatabaseConnection,
    deadline: Duration,
    text: &str,
    unknown: &mut bool,
) -> Result<(), Error> {
    let failed = |error: sqlx::Error| DbErr::Exec(RuntimeErr::SqlxError(error.into()));
    let mut connection = pool.get_mysql_connection_pool().acquire().await.map_err(failed)?;
    let all = ["BEGIN", text, "COMMIT"].join(BETWEEN_STATEMENTS);
    let began = Instant::now();
    let sent = async { connection.execute(AssertSqlSafe(all)).await.map_err(failed) };
    let outcome = within(deadline, sent).await.map_err(Error::from);
    platform_trace::statement("mysql", text, began.elapsed(), outcome.is_err());
    let Err(error) = outcome else { return Ok(()) };
    if matches!(error, Error::Lost(_)) {
        *unknown = true;
        connection.close_on_drop();
    } else {
        // The server stopped at the statement that failed, and left the transaction open.
        let undone = async { connection.execute("ROLLBACK").await.map_err(failed) };
        if within(deadline, undone).await.is_err() {
            connection.close_on_drop();
        }
    }
    Err(error)
}

/// When a transaction began, by the clock of the cluster (PD's), which all processes share.
pub(crate) async fn began_at(transaction: &impl ConnectionTrait) -> Result<Timestamp> {
    // A timestamp of PD: milliseconds since 1970, then 18 bits of a counter.
    // A cached plan of a prepared statement would answer with its first answer for ever.
    let sql = "SELECT /*+ IGNORE_PLAN_CACHE() */ CAST((TIDB_CURRENT_TSO() >> 18) * 1000 AS SIGNED)";
    let row = transaction.query_one_raw(Statement::from_string(DbBackend::MySql, sql)).await.db()?;
    let row = row.ok_or_else(|| Failure::internal("the database has no time"))?;
    Ok(Timestamp::from_micros(row.try_get_by_index(0).db()?))
}

/// Adds `FOR UPDATE` to a SELECT of rows that has no lock yet.
fn locking(mut statement: Statement) -> Statement {
    let sql = statement.sql.trim_end();
    let starts = |word: &str| sql.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    let ends = |word: &str| {
        sql.len()
            .checked_sub(word.len())
            .and_then(|at| sql.get(at..))
            .is_some_and(|end| end.eq_ignore_ascii_case(word))
    };
    if starts("SELECT ") && sql.contains(" FROM ") && !ends(" FOR UPDATE") {
        statement.sql = format!("{sql} FOR UPDATE");
    }
    statement
}

#[async_trait::async_trait]
impl ConnectionTrait for Session {
    fn get_database_backend(&self) -> DbBackend {
        DbBackend::MySql
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.execute(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        Self::execute_unprepared(self, sql).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.query_one(self.locking(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.query_all(self.locking(statement)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reads_of_rows_are_locked_and_once() {
        let sent = |sql: &str| locking(Statement::from_string(DbBackend::MySql, sql)).sql;
        assert_eq!(
            sent("SELECT a FROM t WHERE b = ? LIMIT ? "),
            "SELECT a FROM t WHERE b = ? LIMIT ? FOR UPDATE"
        );
        for same in
            ["SELECT a FROM t FOR UPDATE", "SELECT 1", "INSERT INTO t VALUES (?)", "UPDATE t SET a = 1"]
        {
            assert_eq!(sent(same), same);
        }
    }
}
