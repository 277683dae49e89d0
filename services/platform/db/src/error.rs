//! What a database says, sorted by what we do about it.

use kernel::{Failure, code};
use sea_orm::{DbErr, RuntimeErr, SqlErr};

/// A database error, as the cause of a [`Failure`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A unique key exists already; `constraint` names table and columns (`orders.shard, orders.id`).
    #[error("duplicate key: {constraint}")]
    Duplicate {
        /// Table and columns.
        constraint: String,
    },
    /// Another connection is in the way: the closure is run again.
    #[error("the database is busy")]
    Busy,
    /// Anything else.
    #[error(transparent)]
    Other(DbErr),
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        if let Some(SqlErr::UniqueConstraintViolation(message)) = error.sql_err() {
            let constraint = message.rsplit("constraint failed: ").next().unwrap_or(&message).to_owned();
            return Self::Duplicate { constraint };
        }
        if is_busy(&error) { Self::Busy } else { Self::Other(error) }
    }
}

/// SQLITE_BUSY (5) and SQLITE_LOCKED (6) with their extended codes, whose low byte is the primary one.
fn is_busy(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(cause))
    | DbErr::Query(RuntimeErr::SqlxError(cause))
    | DbErr::Conn(RuntimeErr::SqlxError(cause))) = error
    else {
        return false;
    };
    let sea_orm::sqlx::Error::Database(cause) = cause.as_ref() else { return false };
    cause.code().and_then(|code| code.parse::<i32>().ok()).is_some_and(|code| matches!(code & 0xff, 5 | 6))
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Duplicate { .. } => Self::new(code::CONFLICT).because(error),
            Error::Busy => Self::new(code::UNAVAILABLE).retry_after(1).because(error),
            Error::Other(_) => Self::new(code::INTERNAL).because(error),
        }
    }
}

/// Turns a database result into ours: `entity.all(db.read()).await.db()?`.
pub trait DbResult<T> {
    /// The value, or a [`Failure`] whose cause is an [`Error`].
    fn db(self) -> kernel::Result<T>;
}

impl<T> DbResult<T> for Result<T, DbErr> {
    fn db(self) -> kernel::Result<T> {
        self.map_err(|error| Error::from(error).into())
    }
}

fn cause(failure: &Failure) -> Option<&Error> {
    failure.cause().and_then(|cause| cause.downcast_ref())
}

/// Whether `failure` is a duplicate key of `table`.
pub fn is_duplicate(failure: &Failure, table: &str) -> bool {
    matches!(cause(failure), Some(Error::Duplicate { constraint })
        if constraint.strip_prefix(table).is_some_and(|rest| rest.starts_with('.')))
}

/// Whether the whole closure should run again.
pub(crate) fn is_retryable(failure: &Failure) -> bool {
    matches!(cause(failure), Some(Error::Busy))
}
