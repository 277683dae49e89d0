//! Whether this process hears of what other processes change.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// The epochs in which this process hears of every change. What was loaded in the epoch that still lasts was told about
/// if it changed; what was loaded before has its own, short life only.
#[derive(Debug)]
pub(crate) struct Link {
    base: Instant,
    /// 0 while it does not hear.
    epoch: AtomicU64,
    last: AtomicU64,
    /// Until when the epoch lasts without a further sign of life, in ms since `base`. A process that was stopped for a
    /// while must not believe what it kept before it looked again.
    until: AtomicU64,
}

impl Link {
    pub(crate) fn new() -> Self {
        Self {
            base: Instant::now(),
            epoch: AtomicU64::new(0),
            last: AtomicU64::new(0),
            until: AtomicU64::new(0),
        }
    }

    /// The epoch that lasts; 0 for none.
    pub(crate) fn epoch(&self) -> u64 {
        match self.epoch.load(Ordering::SeqCst) {
            0 => 0,
            epoch if self.lasts() => epoch,
            _ => 0,
        }
    }

    /// Whether the last sign of life is young enough.
    pub(crate) fn lasts(&self) -> bool {
        self.millis(Instant::now()) < self.until.load(Ordering::SeqCst)
    }

    /// A new epoch begins, which lasts until `until` at least.
    pub(crate) fn begin(&self, until: Instant) {
        self.until.store(self.millis(until), Ordering::SeqCst);
        self.epoch.store(self.last.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
    }

    /// The epoch lasts until `until` at least. Only while it [lasts](Self::lasts).
    pub(crate) fn extend(&self, until: Instant) {
        self.until.store(self.millis(until), Ordering::SeqCst);
    }

    /// The epoch is over.
    pub(crate) fn end(&self) {
        self.epoch.store(0, Ordering::SeqCst);
    }

    fn millis(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.base).as_millis()).unwrap_or(u64::MAX)
    }
}

/// Half of the lease: a process stops believing well before others stop believing it.
pub(crate) fn believed_for(lease: Duration) -> Duration {
    lease / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_ends_by_itself_and_never_comes_back() {
        let link = Link::new();
        assert_eq!(link.epoch(), 0);
        link.begin(Instant::now() + Duration::from_secs(60));
        assert_eq!(link.epoch(), 1);
        link.extend(Instant::now());
        assert_eq!(link.epoch(), 0, "no sign of life");
        link.end();
        link.begin(Instant::now() + Duration::from_secs(60));
        assert_eq!(link.epoch(), 2);
    }
}
