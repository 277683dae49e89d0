//! Questions that must see what was written before a moment.

use std::future::Future;

use kernel::Timestamp;

/// Every entry is young enough.
const EVER: Timestamp = Timestamp::from_micros(i64::MIN);

tokio::task_local! {
    static SINCE: Timestamp;
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
