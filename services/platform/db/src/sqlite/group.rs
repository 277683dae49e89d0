//! The transaction of a group of jobs, any of which may fail by itself.

use kernel::Result;
use platform_trace::BETWEEN_STATEMENTS;
use sea_orm::{ConnectionTrait, DatabaseConnection};

use crate::DbResult;

/// A transaction with a savepoint for the job that runs. A text to SQLite costs two switches of threads whatever is in it:
/// begin and the first savepoint are one, so are keeping a job and the next savepoint, and the last job is kept by the commit.
pub(super) struct Group<'a> {
    writer: &'a DatabaseConnection,
    /// Whether a job has written since the savepoint.
    dirty: bool,
}

impl<'a> Group<'a> {
    pub(super) async fn begin(writer: &'a DatabaseConnection) -> Result<Self> {
        let group = Self { writer, dirty: false };
        group.execute(&["BEGIN IMMEDIATE", "SAVEPOINT job"]).await?;
        Ok(group)
    }

    /// Keeps what was done, for a job that begins now.
    pub(super) async fn next(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.dirty, true) {
            self.execute(&["RELEASE job", "SAVEPOINT job"]).await?;
        }
        Ok(())
    }

    /// Takes back what the job that began last did.
    pub(super) async fn undo(&mut self) -> Result<()> {
        self.execute(&["ROLLBACK TO job"]).await?;
        self.dirty = false;
        Ok(())
    }

    pub(super) async fn commit(&self) -> Result<()> {
        self.execute(&["COMMIT"]).await
    }

    /// Takes everything back.
    pub(super) async fn abandon(&self) {
        // Fails when the engine has rolled back by itself; then there is nothing to do.
        let _ = self.execute(&["ROLLBACK"]).await;
    }

    async fn execute(&self, statements: &[&str]) -> Result<()> {
        self.writer.execute_unprepared(&statements.join(BETWEEN_STATEMENTS)).await.db().map(drop)
    }
}
