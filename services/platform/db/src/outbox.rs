//! Tells the sequencer of this process what waits for it.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use kernel::Shard;
use tokio::sync::Notify;

/// What this process has written to the outbox since its sequencer last looked. Other processes' events are not among it.
#[derive(Debug, Default)]
pub struct Outbox {
    written: Notify,
    waits: Mutex<Waits>,
}

#[derive(Debug, Default)]
struct Waits {
    on: BTreeSet<Shard>,
    anywhere: bool,
}

impl Outbox {
    /// Says that events of these shards were committed.
    pub fn wrote(&self, shards: impl IntoIterator<Item = Shard>) {
        let some = {
            let mut waits = self.waits();
            let before = waits.on.len();
            waits.on.extend(shards);
            waits.on.len() > before
        };
        if some {
            self.written.notify_one();
        }
    }

    /// Says that events may have been committed, of whichever shards.
    pub fn wrote_somewhere(&self) {
        self.waits().anywhere = true;
        self.written.notify_one();
    }

    /// Waits until something was committed.
    pub async fn written(&self) {
        self.written.notified().await;
    }

    /// The shards of which something was committed since the last call; None where it may be any.
    pub fn take(&self) -> Option<BTreeSet<Shard>> {
        let waits = std::mem::take(&mut *self.waits());
        (!waits.anywhere).then_some(waits.on)
    }

    fn waits(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn tells_what_was_written_since_the_last_look() {
        let outbox = Outbox::default();
        assert!(outbox.written().now_or_never().is_none());
        outbox.wrote([Shard::new(3), Shard::new(1)]);
        outbox.wrote([Shard::new(3)]);
        assert!(outbox.written().now_or_never().is_some());
        assert_eq!(outbox.take(), Some(BTreeSet::from([Shard::new(1), Shard::new(3)])));
        assert_eq!(outbox.take(), Some(BTreeSet::new()));
        outbox.wrote([Shard::new(2)]);
        outbox.wrote_somewhere();
        assert!(outbox.written().now_or_never().is_some());
        assert_eq!(outbox.take(), None);
        outbox.wrote([]);
        assert!(outbox.written().now_or_never().is_none(), "nothing was written");
    }
}
