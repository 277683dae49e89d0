//! An operation cut at any step is resumed, or aborts to a settled map.

use coordinator::Deed;
use futures::executor::block_on;
use placement::{Kind, OperationId, Outcome, State};

use coordinator::Journal;

use crate::field::{Field, done, field_for, kinds};

#[test]
fn every_step_by_another_coordinator_comes_to_the_same_end() {
    for kind in kinds() {
        let straight = field_for(&kind);
        let id = straight.ask(kind.clone());
        assert_eq!(straight.run(id), done(), "{kind:?}");
        let cut = field_for(&kind);
        let id = cut.ask(kind.clone());
        let mut count = 0;
        let tick = || {
            count += 1;
            block_on(cut.coordinator(&count.to_string()).tick()).unwrap()
        };
        cut.until(tick, |field| field.operation(id).ended());
        assert_eq!(cut.outcome(id), done(), "{kind:?}");
        assert_eq!(cut.counts(), straight.counts(), "{kind:?}");
        cut.assert_settled();
    }
}

/// Runs `kind` for `changes` changes, asks it to end, and lets whatever has to happen happen. False: it ended before.
fn aborted_after(kind: &Kind, changes: usize) -> Option<Field> {
    let field = field_for(kind);
    let id = field.ask(kind.clone());
    let coordinator = field.coordinator("only");
    let made = std::cell::Cell::new(0);
    let tick = || {
        let deed = block_on(coordinator.tick()).unwrap();
        made.set(made.get() + usize::from(deed == Deed::Changed));
        deed
    };
    field.until(tick, |field| made.get() == changes || field.operation(id).ended());
    if field.operation(id).ended() {
        return None;
    }
    assert_eq!(block_on(field.journal.abort(id, "enough")), Ok(coordinator::Applied::Yes));
    let quiet = |field: &Field| {
        let store = field.journal.store();
        store.running().is_none() && store.world().stranded().next().is_none()
    };
    field.until(tick, quiet);
    Some(field)
}

#[test]
fn an_abort_after_any_change_leaves_a_settled_map() {
    let (mut cuts, mut carried_out) = (0, 0);
    for kind in kinds() {
        for changes in 0.. {
            let Some(field) = aborted_after(&kind, changes) else { break };
            cuts += 1;
            field.assert_settled();
            let at_rest = (field.counts(), field.state("eu"));
            match kind {
                Kind::Failover { .. } => {
                    // Before the fence the coordinator begins one by itself; after it, it evacuates.
                    assert!(matches!(at_rest.1, State::Fenced | State::Active), "{changes}: {at_rest:?}");
                }
                // Its own cordon is lifted again.
                Kind::Switchover { .. } => {
                    assert!(matches!(at_rest.1, State::Active | State::Drained), "{changes}: {at_rest:?}");
                }
                Kind::Move { .. } => assert_eq!(at_rest.1, State::Active, "{changes}: {at_rest:?}"),
                // Out: it comes back by itself. On the way back: it stays as it is, for a person. At its end: it is over.
                Kind::Drill { .. } => {
                    assert_ne!(at_rest.1, State::Drained, "{changes}: {at_rest:?}");
                    carried_out += usize::from(field.outcome(OperationId(1)) == done());
                }
                _ => {}
            }
        }
    }
    assert_eq!(carried_out, 2, "a drill that is asked to end while it closes is carried out, and no other");
    // A change the less would mean that a phase is not cut any more.
    assert!(cuts >= 40, "{cuts} cuts");
}

#[test]
fn an_abort_before_the_end_of_a_move_brings_every_shard_back() {
    let kind = kinds().remove(0);
    let mut brought_back = 0;
    for changes in 0.. {
        let Some(field) = aborted_after(&kind, changes) else { break };
        let outcome = field.journal.store().ended().values().next().map(|one| one.phase.clone());
        if matches!(outcome, Some(placement::Phase::Ended(Outcome::Aborted { .. } | Outcome::Refused { .. })))
        {
            assert_eq!(field.counts(), [4, 4, 4], "aborted after {changes} changes");
            brought_back += 1;
        }
    }
    assert!(brought_back >= 6, "{brought_back}");
}
