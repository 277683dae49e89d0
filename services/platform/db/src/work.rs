//! A closure to be run in a transaction, without its types; and who hears when it is done.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures::{FutureExt, future::BoxFuture};
use kernel::{Failure, Result, Shard, code};
use tokio::sync::oneshot;
use tracing::{Instrument, Span};

use crate::{Outbox, Stamps, Tx, error::is_retryable};

/// A closure that takes longer is rolled back: others wait for what it holds.
const LONGEST: Duration = Duration::from_secs(10);

tokio::task_local! {
    /// Set while a closure runs: a write from inside would wait for itself.
    static WRITING: ();
}

/// Refuses a write from inside a write.
pub(crate) fn outside_writes() -> Result<()> {
    if WRITING.try_with(|()| ()).is_ok() {
        return Err(Failure::internal("a write inside a write would wait for itself"));
    }
    Ok(())
}

pub(crate) fn closed() -> Failure {
    Failure::new(code::UNAVAILABLE).detail("the database is shutting down")
}

pub(crate) fn overloaded() -> Failure {
    Failure::new(code::UNAVAILABLE).detail("too many writes are waiting").retry_after(1)
}

/// Who hears of a commit.
pub(crate) struct Signals {
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) stamps: Stamps,
}

/// A closure with its input, and where its outcome goes.
pub(crate) struct Closure<I, T, F> {
    pub(crate) shard: Shard,
    pub(crate) input: I,
    pub(crate) work: F,
    pub(crate) outcome: Option<Result<T>>,
    pub(crate) done: oneshot::Sender<Result<T>>,
    /// Events that it publishes belong to the trace of who asked for it.
    pub(crate) span: Span,
}

/// A closure without its types.
#[async_trait]
pub(crate) trait Work: Send {
    fn shard(&self) -> Shard;
    /// Its place in a trace.
    fn span(&self) -> &Span;
    /// Runs the closure and keeps its outcome; true when it succeeded.
    async fn run(&mut self, tx: &Tx) -> bool;
    /// Keeps a failure that came after the closure.
    fn fail(&mut self, failure: Failure);
    /// Whether its failure is the database's wish to run it again.
    fn wants_retry(&self) -> bool;
    /// Tells the caller.
    fn finish(self: Box<Self>);
}

#[async_trait]
impl<I, T, F> Work for Closure<I, T, F>
where
    I: Send + Sync + 'static,
    T: Send + 'static,
    F: for<'a> Fn(&'a Tx, &'a I) -> BoxFuture<'a, Result<T>> + Send + Sync + 'static,
{
    fn shard(&self) -> Shard {
        self.shard
    }

    fn span(&self) -> &Span {
        &self.span
    }

    async fn run(&mut self, tx: &Tx) -> bool {
        let (work, input) = (&self.work, &self.input);
        let running = async move { work(tx, input).await }.instrument(self.span.clone());
        // Who runs it has others to run, and what it did to undo: a panic ends here.
        let running = tokio::time::timeout(LONGEST, AssertUnwindSafe(running).catch_unwind());
        let outcome = match WRITING.scope((), running).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Failure::internal("a write panicked")),
            Err(_) => Err(Failure::new(code::TIMEOUT)),
        };
        self.outcome.insert(outcome).is_ok()
    }

    fn fail(&mut self, failure: Failure) {
        self.outcome = Some(Err(failure));
    }

    fn wants_retry(&self) -> bool {
        matches!(&self.outcome, Some(Err(failure)) if is_retryable(failure))
    }

    fn finish(self: Box<Self>) {
        // A span ends where it was last entered: with the commit, not with the closure.
        self.span.in_scope(|| ());
        // A caller that went away does not want the answer; the effect stands.
        let _ = self.done.send(self.outcome.unwrap_or_else(|| Err(closed())));
    }
}
