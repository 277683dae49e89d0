//! A way to the journal that loses questions and answers.

use std::{
    borrow::Cow,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use coordinator::{
    JournalError, MemoryJournal, Result,
    testing::{Hooked, Hooks},
};
use placement::{By, Change, Effect, Kind, Spec};

/// What happens to the next calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// The question does not arrive.
    Cut,
    /// It arrives, and the answer does not.
    AnswerLost,
    /// It arrives twice; the second answer is heard.
    Twice,
}

const FAULTS: [Fault; 4] = [Fault::None, Fault::Cut, Fault::AnswerLost, Fault::Twice];

/// What is broken on purpose, to see that the audit notices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mutant {
    /// Nothing.
    #[default]
    None,
    /// Changes of the map and of regions are made on whatever version there is.
    MapWithoutCompareAndSet,
    /// Changes are made whatever the operation has become.
    OperationWithoutVersion,
    /// A drill by schedule begins without its week's key, so that nobody remembers it.
    DrillWithoutKey,
}

/// The way of one region, or of one coordinator.
pub(crate) type Link = Hooked<Faults>;

/// A way to the journal on which nothing is lost yet.
pub(crate) fn link(journal: &Arc<MemoryJournal>, mutant: Mutant) -> Arc<Link> {
    let faults = Faults { journal: journal.clone(), fault: AtomicU8::new(0), mutant };
    Arc::new(Hooked::new(journal.clone(), faults))
}

pub(crate) struct Faults {
    journal: Arc<MemoryJournal>,
    fault: AtomicU8,
    mutant: Mutant,
}

impl Faults {
    pub(crate) fn set(&self, fault: Fault) {
        let code = FAULTS.iter().position(|one| *one == fault).unwrap_or_default();
        self.fault.store(u8::try_from(code).unwrap_or_default(), Ordering::Relaxed);
    }

    fn is(&self, fault: Fault) -> bool {
        FAULTS[usize::from(self.fault.load(Ordering::Relaxed))] == fault
    }

    fn lost_in(&self, fault: Fault) -> Result<()> {
        if self.is(fault) { Err(JournalError::Unreachable("simulated".into())) } else { Ok(()) }
    }
}

impl Hooks for Faults {
    fn before(&self, _: &str) -> Result<()> {
        self.lost_in(Fault::Cut)
    }

    fn again(&self, _: &str) -> bool {
        self.is(Fault::Twice)
    }

    fn after(&self, _: &str) -> Result<()> {
        self.lost_in(Fault::AnswerLost)
    }

    fn spec<'a>(&self, asked: &'a Spec) -> Cow<'a, Spec> {
        let scheduled = asked.by == By::Itself && matches!(asked.kind, Kind::Drill { .. });
        if scheduled && self.mutant == Mutant::DrillWithoutKey {
            return Cow::Owned(Spec { request: None, ..asked.clone() });
        }
        Cow::Borrowed(asked)
    }

    /// The effect as the mutant would make it.
    fn effect<'a>(&self, decided: &'a Effect) -> Cow<'a, Effect> {
        if self.mutant == Mutant::None {
            return Cow::Borrowed(decided);
        }
        let store = self.journal.store();
        let mut effect = decided.clone();
        match (self.mutant, &mut effect.change) {
            (Mutant::MapWithoutCompareAndSet, Change::Map { expect, .. } | Change::Region { expect, .. }) => {
                *expect = store.world().observed.version;
            }
            (Mutant::OperationWithoutVersion, _) => {
                if let Some(running) = store.running() {
                    (effect.operation, effect.version) = (running.id, running.version);
                }
            }
            _ => {}
        }
        Cow::Owned(effect)
    }
}
