//! Closures: run in a pessimistic transaction, again where TiDB asks for it.

use std::{sync::Arc, time::Duration};

use kernel::{Failure, Result};
use tokio::time::Instant;
use tracing::Instrument;

use super::{Core, session::Again};
use crate::{
    DbResult, Error, Tx,
    tx::Connection,
    work::{Work, overloaded},
};

/// First pause before another try; it doubles up to the longest.
const PAUSE: Duration = Duration::from_millis(4);
const LONGEST_PAUSE: Duration = Duration::from_millis(250);

/// Starts a closure in a task of its own.
pub(super) fn start(core: &Arc<Core>, mut work: Box<dyn Work>) -> Result<()> {
    let place = core.room.clone().try_acquire_owned().map_err(|_| overloaded())?;
    let core = Arc::clone(core);
    let span = platform_trace::serving("db.transaction", std::iter::once(work.span()));
    let task = async move {
        settle(&core, work.as_mut()).instrument(span).await;
        drop(place);
        work.finish();
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "ends by itself: tries end at a deadline, and so does each of them"
    )]
    tokio::spawn(task.in_current_span());
    Ok(())
}

/// How long something was tried, and how often.
pub(super) struct Effort {
    until: Instant,
    tries: u32,
    duplicates: u32,
}

impl Effort {
    pub(super) fn until(until: Instant) -> Self {
        Self { until, tries: 0, duplicates: 0 }
    }

    /// Waits before another try; false when there should be none.
    pub(super) async fn another(&mut self, again: Again) -> bool {
        metrics::counter!("db_retries_total", "code" => again.name()).increment(1);
        if again == Again::Duplicate {
            // The row is there now, to be read. More often than for a request that came again and a race beside it is no use.
            self.duplicates += 1;
            return self.duplicates <= 2;
        }
        let full = PAUSE.saturating_mul(1 << self.tries.min(6)).min(LONGEST_PAUSE);
        let pause = full.mul_f64(rand::random_range(0.5..1.0));
        self.tries += 1;
        if Instant::now() + pause > self.until {
            return false;
        }
        tokio::time::sleep(pause).await;
        true
    }
}

async fn settle(core: &Core, work: &mut dyn Work) {
    let mut effort = Effort::until(Instant::now() + core.config.deadline);
    while let Some(again) = attempt(core, work).await {
        if !effort.another(again).await {
            return;
        }
    }
}

/// Runs the closure once; its outcome is then with `work`. What it met, when it should run again.
async fn attempt(core: &Core, work: &mut dyn Work) -> Option<Again> {
    let session = match core.begin_locking().await.db() {
        Ok(session) => session,
        Err(failure) => {
            work.fail(failure);
            return Some(Again::Lost);
        }
    };
    let tx = Tx::new(Connection::Tidb(session), work.shard(), core.clock.now(), core.ids.clone());
    let mut done = work.run(&tx).await;
    let mut published = false;
    if done {
        match tx.flush_events().await {
            Ok(any) => published = any,
            Err(failure) => {
                work.fail(failure);
                done = false;
            }
        }
    }
    let touched = tx.take_touched();
    let session = tx.into_session()?;
    let met = session.met();
    let undone = matches!(met, Some(Again::Conflict(_) | Again::Lost));
    if undone || !done {
        session.roll_back().await;
        if done {
            // The closure took no notice of it.
            work.fail(Failure::internal("the database undid the transaction"));
        }
        return met;
    }
    match session.commit().await.map_err(Error::from) {
        Ok(()) => {
            core.committed(published.then(|| work.shard()), touched);
            None
        }
        // A lost connection leaves open whether it is committed. Running again settles it: what the closure wrote first it
        // finds (its settlement row, or the state it moved on).
        Err(error) => {
            let again = Again::after(&error);
            work.fail(error.into());
            again
        }
    }
}
