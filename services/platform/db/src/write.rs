//! The doors for writing, whatever the database.

use futures::future::BoxFuture;
use kernel::{Result, Shard};
use tokio::sync::oneshot;

use crate::{
    Db, Once, Rows, Tx,
    engine::Engine,
    sqlite::Append,
    work::{Closure, closed, outside_writes},
};

/// What a duplicate key means after a commit whose outcome is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settled {
    /// The caller looks the winner's answer up: it may be a twin's.
    ByKey,
    /// The ids were minted for this very append: whoever has them is this append.
    ByIds,
}

impl Db {
    /// Runs `work` in a transaction and returns what it returns, once committed. `shard` names the outbox its events go
    /// to. The closure may run again, so it has no effect but SQL; it runs to its end even when the caller goes away.
    ///
    /// What it reads through `tx` stays as it is until the commit: SQLite has one writer, on TiDB the rows are locked
    /// ([`Tx`] says what that does not cover).
    pub async fn write<I, T, F>(&self, shard: Shard, input: I, work: F) -> Result<T>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'a> Fn(&'a Tx, &'a I) -> BoxFuture<'a, Result<T>> + Send + Sync + 'static,
    {
        outside_writes()?;
        let (done, answer) = oneshot::channel();
        let span = platform_trace::step("db.write");
        let job = Box::new(Closure { shard, input, work, outcome: None, done, span });
        match &self.0.engine {
            Engine::Sqlite(sqlite) => sqlite.queue.write(job)?,
            Engine::Tidb(tidb) => tidb.write(job)?,
        }
        answer.await.map_err(|_| closed())?
    }

    /// Inserts `rows`: nothing is read, ids were minted before, for this call. Gathered with whatever else waits; a
    /// duplicate key fails only the rows it came with ([`crate::is_duplicate`]).
    pub async fn append(&self, shard: Shard, mut rows: Rows) -> Result<()> {
        if rows.are_events() {
            // The sequencer takes events away: where the answer to a COMMIT was lost nothing else tells that they were there.
            rows = Once::of_append(self.ids().uuid(shard), shard).add_to(rows, &(), self.now())?;
        }
        self.append_settled(shard, rows, Settled::ByIds).await
    }

    pub(crate) async fn append_settled(&self, shard: Shard, rows: Rows, settled: Settled) -> Result<()> {
        outside_writes()?;
        let (done, answer) = oneshot::channel();
        let span = platform_trace::step("db.append");
        match &self.0.engine {
            Engine::Sqlite(sqlite) => {
                sqlite.queue.append(Append { shard, rows, outcome: None, done, span })?
            }
            Engine::Tidb(tidb) => tidb.append(rows, settled, done, span)?,
        }
        answer.await.map_err(|_| closed())?
    }
}
