//! The journal in memory passes the port's suite.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use coordinator::{
    MemoryJournal,
    testing::{Bench, all},
};
use futures::executor::block_on;
use kernel::{FakeClock, Timestamp};

struct InMemory(Arc<FakeClock>);

#[async_trait]
impl Bench for InMemory {
    type Journal = MemoryJournal;

    async fn empty(&self) -> MemoryJournal {
        MemoryJournal::new(self.0.clone())
    }

    async fn pass(&self, time: Duration) {
        self.0.advance(time);
    }
}

#[test]
fn the_journal_in_memory_is_a_journal() {
    block_on(all(&InMemory(Arc::new(FakeClock::new(Timestamp::from_micros(0))))));
}
