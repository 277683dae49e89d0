//! What a database says, sorted by what we do about it.

use kernel::{Failure, code};
use sea_orm::{DbErr, RuntimeErr, SqlErr, SqlxMySqlError, sqlx};

/// A database error, as the cause of a [`Failure`].
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// A unique key exists already; `constraint` begins with its table (`orders.shard, orders.id` from SQLite,
    /// `orders.PRIMARY` from TiDB).
    #[error("duplicate key: {constraint}")]
    Duplicate {
        /// Table and columns, or table and index.
        constraint: String,
    },
    /// Another connection is in the way: the closure is run again.
    #[error("the database is busy")]
    Busy,
    /// Another transaction was in the way, or the server could not finish this one, and nothing of it is there: it is run
    /// again.
    #[error("the transaction has to run again (code {code})")]
    Conflict {
        /// TiDB's code.
        code: u16,
    },
    /// The connection broke, none was free in time, or the answer did not come in time.
    #[error("the database cannot be reached: {0}")]
    Lost(DbErr),
    /// Anything else.
    #[error(transparent)]
    Other(DbErr),
}

/// Codes after which TiDB has undone the transaction, or the statement, and asks for it again: write conflict, commit
/// refused, try again, schema changed, deadlock, lock wait timeout, lock resolved late; then PD, TiKV and its regions not
/// answering in time (<https://docs.pingcap.com/tidb/stable/error-codes>).
const AGAIN: [u16; 12] = [9007, 8022, 8002, 8028, 1213, 1205, 9004, 9001, 9002, 9003, 9005, 8005];
/// Another transaction wrote a key after this one began.
const WRITE_CONFLICT: u16 = 9007;
/// Timeout of a wait for a lock.
const LOCK_WAIT: u16 = 1205;
/// What TiDB says where it has no code of its own for an error of its store; the message tells.
const UNKNOWN: u16 = 1105;
/// Codes of a server that goes away: it shuts down, or has killed this connection or this statement; that lets nobody more in;
/// and of a read that took longer than its session allows (`max_execution_time`, which only readers have).
const GOING: [u16; 6] = [1053, 1077, 1927, 1040, 1317, 3024];
/// What a statement says ([`UNKNOWN`]) that was ended while it waited for something of the server's: it hears of the end before
/// it hears of the reason.
const ENDED: [&str; 2] = ["context canceled", "context deadline exceeded"];

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        if let Some(SqlErr::UniqueConstraintViolation(message)) = error.sql_err() {
            return Self::Duplicate { constraint: constraint(&message) };
        }
        if is_busy(&error) {
            return Self::Busy;
        }
        match mysql_code(&error) {
            None if is_unreadable(&error) => Self::Conflict { code: WRITE_CONFLICT },
            Some(code) if AGAIN.contains(&code) => Self::Conflict { code },
            Some(UNKNOWN) if error.to_string().contains("lock wait timeout") => {
                Self::Conflict { code: LOCK_WAIT }
            }
            // Others wrote the same key each time this one was about to lock it.
            Some(UNKNOWN) if error.to_string().contains("pessimistic lock retry limit") => {
                Self::Conflict { code: WRITE_CONFLICT }
            }
            _ if is_lost(&error) => Self::Lost(error),
            _ => Self::Other(error),
        }
    }
}

/// From `UNIQUE constraint failed: orders.shard, orders.id` or `Duplicate entry '…' for key 'orders.PRIMARY'`; an entry
/// may hold any text, the key's name is last.
fn constraint(message: &str) -> String {
    let key = match message.rsplit_once(" for key '") {
        Some((_, key)) if message.starts_with("Duplicate entry") => key.trim_end_matches('\''),
        _ => message.rsplit("constraint failed: ").next().unwrap_or(message),
    };
    key.to_owned()
}

fn driver(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(cause))
        | DbErr::Query(RuntimeErr::SqlxError(cause))
        | DbErr::Conn(RuntimeErr::SqlxError(cause)) => Some(cause.as_ref()),
        _ => None,
    }
}

/// SQLITE_BUSY (5) and SQLITE_LOCKED (6) with their extended codes, whose low byte is the primary one.
fn is_busy(error: &DbErr) -> bool {
    let Some(sqlx::Error::Database(cause)) = driver(error) else { return false };
    cause.try_downcast_ref::<SqlxMySqlError>().is_none()
        && cause
            .code()
            .and_then(|code| code.parse::<i32>().ok())
            .is_some_and(|code| matches!(code & 0xff, 5 | 6))
}

pub(crate) fn mysql_code(error: &DbErr) -> Option<u16> {
    let Some(sqlx::Error::Database(cause)) = driver(error) else { return None };
    cause.try_downcast_ref::<SqlxMySqlError>().map(SqlxMySqlError::number)
}

/// Whether the server told a failure in what is no text, so that the driver knows no code. TiDB escapes the bytes of a key
/// in a message about a duplicate, and not in one about a write conflict.
fn is_unreadable(error: &DbErr) -> bool {
    matches!(driver(error), Some(sqlx::Error::Protocol(message)) if message.contains("invalid utf-8"))
}

/// Whether the connection is gone or was never there. After COMMIT was sent this leaves its outcome unknown.
pub(crate) fn is_lost(error: &DbErr) -> bool {
    if matches!(error, DbErr::ConnectionAcquire(_)) {
        return true;
    }
    match driver(error) {
        Some(
            sqlx::Error::Io(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed,
        ) => true,
        Some(cause) => mysql_code(error).is_some_and(|code| match code {
            UNKNOWN => ENDED.iter().any(|words| cause.to_string().contains(words)),
            _ => GOING.contains(&code),
        }),
        None => false,
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Duplicate { .. } => Self::new(code::CONFLICT).because(error),
            Error::Busy | Error::Conflict { .. } | Error::Lost(_) => {
                Self::new(code::UNAVAILABLE).retry_after(1).because(error)
            }
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

pub(crate) fn cause(failure: &Failure) -> Option<&Error> {
    failure.cause().and_then(|cause| cause.downcast_ref())
}

/// Whether `failure` is a duplicate key of `table`.
pub fn is_duplicate(failure: &Failure, table: &str) -> bool {
    matches!(cause(failure), Some(Error::Duplicate { constraint })
        if constraint.strip_prefix(table).is_some_and(|rest| rest.starts_with('.')))
}

/// Whether the whole closure should run again.
pub(crate) fn is_retryable(failure: &Failure) -> bool {
    matches!(cause(failure), Some(Error::Busy | Error::Conflict { .. } | Error::Lost(_)))
}

#[cfg(test)]
mod tests {
    use super::constraint;

    #[test]
    fn a_duplicate_names_its_table_first() {
        assert_eq!(
            constraint("UNIQUE constraint failed: orders.shard, orders.id"),
            "orders.shard, orders.id"
        );
        let odd = "Duplicate entry '3-a'b for key 'x.y' for key 'brand.brand_by_slug'";
        assert_eq!(constraint(odd), "brand.brand_by_slug");
        assert_eq!(constraint("Duplicate entry '3' for key 'orders.PRIMARY'"), "orders.PRIMARY");
    }
}
