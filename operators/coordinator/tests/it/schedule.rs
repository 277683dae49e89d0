//! Drills that begin by themselves, in virtual time: 1970 begins on a Thursday.

use std::time::Duration;

use coordinator::{Applied, Coordinator, Deed, Intent, Journal, MemoryJournal};
use futures::executor::block_on;
use kernel::Clock;
use placement::{Day, Drills, Kind, OperationId, Policy, State};

use crate::field::Field;

const HOUR: Duration = Duration::from_secs(3_600);

/// A field in which drills begin on Fridays from midnight to one.
fn field() -> Field {
    let field = Field::new();
    let drills = Drills { day: Day::Friday, hour: 0, regions: Vec::new() };
    field.put(&Policy { drills: Some(drills), ..Policy::default() });
    field
}

/// Regions live and coordinators coordinate for two minutes.
fn two_minutes(field: &Field, coordinators: &[&Coordinator<MemoryJournal>]) {
    for _ in 0..600 {
        field.say_well();
        for coordinator in coordinators {
            for _ in 0..8 {
                block_on(coordinator.tick()).unwrap();
            }
        }
        field.live();
    }
}

/// The regions that were drilled, in order; every drill was done.
fn drilled(field: &Field) -> Vec<String> {
    let store = field.journal.store();
    assert!(store.running().is_none(), "{:?}", store.running());
    let kinds = store.ended().values().map(|one| {
        let Kind::Drill { region } = &one.spec.kind else { panic!("{one:?}") };
        assert_eq!(one.phase.name(), "ended");
        region.to_string()
    });
    kinds.collect()
}

#[test]
fn one_begins_a_week_however_many_coordinators_there_are() {
    let field = field();
    let (first, second) = (field.coordinator("a"), field.coordinator("b"));
    two_minutes(&field, &[&first, &second]);
    assert_eq!(drilled(&field), Vec::<String>::new(), "it is Thursday");
    field.clock.advance(HOUR * 24 - Duration::from_secs(60));
    two_minutes(&field, &[&first, &second]);
    let once = drilled(&field);
    assert_eq!(once.len(), 1, "{once:?}");
    assert_eq!(field.counts(), [4, 4, 4]);
    assert_eq!(field.state(&once[0]), State::Active);
    // Another one comes after a restart, within the same hour.
    two_minutes(&field, &[&field.coordinator("c")]);
    assert_eq!(drilled(&field), once);
    field.clock.advance(HOUR * 24 * 7 - Duration::from_secs(240));
    two_minutes(&field, &[&first, &second]);
    let twice = drilled(&field);
    assert!(twice.len() == 2 && twice[0] != twice[1], "{twice:?}");
}

#[test]
fn two_that_decide_at_once_begin_one() {
    let field = field();
    field.clock.advance(HOUR * 24);
    field.live();
    field.say_well();
    field.live();
    let (first, second) = (field.coordinator("a"), field.coordinator("b"));
    let decided = [block_on(first.look()).unwrap(), block_on(second.look()).unwrap()];
    assert!(matches!(&decided[0], Intent::Begin(_)), "{decided:?}");
    assert_eq!(decided[0], decided[1]);
    assert_eq!(block_on(first.act(&decided[0])), Ok(Deed::Began(OperationId(1))));
    assert_eq!(block_on(second.act(&decided[1])), Ok(Deed::Began(OperationId(1))), "the same one");
    assert_eq!(block_on(field.journal.abort(OperationId(1), "enough")), Ok(Applied::Yes));
    while field.journal.store().running().is_some() {
        block_on(first.tick()).unwrap();
    }
    assert_eq!(block_on(second.act(&decided[1])), Ok(Deed::Began(OperationId(1))), "and not again");
    assert!(field.journal.store().running().is_none());
    field.say_well();
    assert_eq!(block_on(first.look()), Ok(Intent::Idle), "this week has had its drill");
}

#[test]
fn none_begins_during_another_operation() {
    let field = field();
    field.put(&Policy { paused: true, ..field.journal.store().world().desired.policy.clone() });
    let id = field.ask(Kind::Rebalance);
    field.clock.advance(HOUR * 24);
    let coordinator = field.coordinator("a");
    two_minutes(&field, &[&coordinator]);
    assert!(!field.operation(id).ended(), "it stands still");
    field.clock.advance(HOUR);
    field.put(&Policy { paused: false, ..field.journal.store().world().desired.policy.clone() });
    two_minutes(&field, &[&coordinator]);
    assert!(field.operation(id).ended() && field.clock.now().seconds() > 25 * 3_600);
    assert_eq!(field.journal.store().ended().len(), 1, "its hour is over");
}
