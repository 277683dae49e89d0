//! Questions that must see what was written before a moment.

use std::{cell::Cell, future::Future, pin::Pin};

use kernel::Timestamp;

/// Every entry is young enough.
const EVER: Timestamp = Timestamp::from_micros(i64::MIN);

tokio::task_local! {
    static SINCE: Timestamp;
    /// Of the load that is under way: when the oldest of what it took from caches was loaded.
    static OLDEST: Cell<Timestamp>;
}

/// Runs `work`, in which no cache gives an entry whose load began before `moment`: it sees every write from before, wherever
/// it was made. What `work` hands to other tasks is not held to it. A moment that is still to come makes every entry a miss.
pub async fn since<F: Future>(moment: Timestamp, work: F) -> F::Output {
    SINCE.scope(moment, work).await
}

/// The moment that the current work is held to.
pub(crate) fn wanted() -> Timestamp {
    SINCE.try_with(|moment| *moment).unwrap_or(EVER)
}

/// Runs a load that begins at `now`: what it loads, and since when that is known to be true. A load that takes from other
/// caches is as old as the oldest entry it took.
///
/// The load is boxed: loads hold loads, and all of it would lie on the stack of a worker.
pub(crate) async fn dated<F: Future>(now: Timestamp, load: Pin<Box<F>>) -> (F::Output, Timestamp) {
    let load = async {
        let loaded = load.await;
        (loaded, OLDEST.with(Cell::get))
    };
    OLDEST.scope(Cell::new(now), load).await
}

/// Notes that the load that is under way, if there is one, took an entry of this moment.
pub(crate) fn took(since: Timestamp) {
    let _ = OLDEST.try_with(|oldest| oldest.set(oldest.get().min(since)));
}
