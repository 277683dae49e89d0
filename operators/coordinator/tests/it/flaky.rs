//! A journal that answers or does not.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use coordinator::{Journal, JournalError, MemoryJournal, testing::Hooked};
use kernel::SystemClock;

/// A journal in memory that answers while `answers` says so.
pub(crate) fn flaky(answers: Arc<AtomicBool>) -> Arc<dyn Journal> {
    let there = move |_: &str| {
        if answers.load(Ordering::SeqCst) {
            Ok(())
        } else {
            Err(JournalError::Unreachable("on purpose".into()))
        }
    };
    Arc::new(Hooked::new(Arc::new(MemoryJournal::new(Arc::new(SystemClock))), there))
}
