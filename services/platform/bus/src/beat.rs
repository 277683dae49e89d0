//! Which shards a loop works on.

use std::sync::Arc;

use kernel::Shard;
use platform_regions::{Busy, Duty, Regions};
use tokio::sync::watch;

/// The shards whose events are this process' to work on: all, or those that its region does the background work of.
pub(crate) struct Beat(Option<Of>);

struct Of {
    regions: Regions,
    duty: watch::Receiver<Arc<Duty>>,
    now: Arc<Duty>,
}

impl Beat {
    /// All shards.
    pub(crate) const fn everywhere() -> Self {
        Self(None)
    }

    /// Those of this process' region; all in a shop without regions.
    pub(crate) fn of(regions: &Regions) -> Self {
        Self(regions.duty().map(|mut duty| {
            let now = Arc::clone(&duty.borrow_and_update());
            Of { regions: regions.clone(), duty, now }
        }))
    }

    /// Whether a shard is among them.
    pub(crate) fn has(&self, shard: Shard) -> bool {
        self.0.as_ref().is_none_or(|of| of.now.has(shard))
    }

    /// The shards, where they are not all.
    pub(crate) fn shards(&self) -> Option<&std::collections::BTreeSet<Shard>> {
        match &*self.0.as_ref()?.now {
            Duty::All => None,
            Duty::Of(shards) => Some(shards),
        }
    }

    /// Takes over what has changed; true when there is something new to work on.
    pub(crate) fn turn(&mut self) -> bool {
        let Some(of) = &mut self.0 else { return false };
        if !of.duty.has_changed().unwrap_or(false) {
            return false;
        }
        let now = Arc::clone(&of.duty.borrow_and_update());
        let before = std::mem::replace(&mut of.now, Arc::clone(&now));
        match &*now {
            Duty::All => *before != Duty::All,
            Duty::Of(shards) => shards.iter().any(|shard| !before.has(*shard)),
        }
    }

    /// Says that a batch of these shards is worked on, until what is returned is dropped.
    pub(crate) fn busy(&self, shards: impl IntoIterator<Item = Shard>) -> Option<Busy> {
        self.0.as_ref().and_then(|of| of.regions.busy(shards))
    }

    /// Waits for a change.
    pub(crate) async fn changed(&mut self) {
        match &mut self.0 {
            None => std::future::pending().await,
            // The sender lives in the map, which is held here.
            Some(of) => {
                let _ = of.duty.changed().await;
                of.duty.mark_changed();
            }
        }
    }
}
