//! What an operation's journal says of itself.

use std::time::Duration;

use kernel::Timestamp;
use placement::{
    Change, Entry, Events, Kind, Operation, OperationId, Outcome, Phase, Spec, Step, report, step,
};

use crate::worlds::{at, down, region, says, three};

fn failover() -> Kind {
    Kind::Failover { region: region("eu"), outside: [].into(), confirm: None }
}

fn begun(kind: Kind, seconds: u64) -> Operation {
    Operation::begin(OperationId(1), Spec::asked("ada", kind), at(seconds))
}

/// The operation with these lines more, the last of which is its end.
fn with(mut operation: Operation, lines: &[(u64, &str, &str, Option<Events>)]) -> Operation {
    for (seconds, phase, detail, events) in lines {
        let (phase, detail) = ((*phase).to_owned(), (*detail).to_owned());
        operation.timeline.push(Entry { at: at(*seconds), phase, detail, events: *events });
    }
    operation.phase = Phase::Ended(Outcome::Done { late: operation.late.clone() });
    operation
}

fn events(unsequenced: u64, unconsumed: u64, sequenced: u64) -> Option<Events> {
    Some(Events { shards: 4, unsequenced, unconsumed, sequenced })
}

const ALL: &str = "every lease is in its new home";

#[test]
fn stages_are_dated_and_what_waited_is_counted() {
    let mut operation = with(
        begun(failover(), 100),
        &[
            (101, "taking", "4 shards", events(1, 1, 50)),
            (102, "moving", "eu is Fenced", events(5, 3, 60)),
            (103, "handing-over", "4 shards moved", events(9, 3, 60)),
            (106, "verifying", ALL, events(2, 8, 90)),
            (107, "closing", "", None),
            (108, "ended", "done", events(0, 1, 100)),
        ],
    );
    operation.last_sign = Some(at(95));
    let report = report(&operation).unwrap();
    let dates = [report.taken_at, report.moved_at, report.handed_over_at, report.ended_at];
    assert_eq!(dates, [102, 103, 106, 108].map(|seconds| Some(at(seconds))));
    assert_eq!(report.recovery(), Some(Duration::from_secs(11)), "from the last sign of life");
    let backlog = report.events.unwrap();
    assert_eq!((backlog.waited, backlog.sequenced, backlog.waits), (8, 40, 1));
    assert_eq!((backlog.consumed, backlog.replayed()), (42, 8), "57 were consumed then, 99 now");
    assert_eq!(backlog.counted_at, at(108));
}

#[test]
fn what_was_not_seen_is_not_said() {
    let operation = with(
        begun(failover(), 100),
        &[
            (101, "taking", "", None),
            (102, "moving", "", None),
            (103, "handing-over", "", None),
            (163, "verifying", "4 leases are late", None),
            (164, "ended", "", None),
        ],
    );
    let found = report(&operation).unwrap();
    assert_eq!((found.handed_over_at, found.recovery(), found.events), (None, None, None));
    assert_eq!((found.last_sign_of_life, found.audit), (None, None));
    assert_eq!(report(&begun(failover(), 100)), None, "nothing was taken");
    let lines = [(101, "taking", "", None), (102, "moving", "", None)];
    assert_eq!(report(&with(begun(Kind::Rebalance, 100), &lines)), None, "no region is left");
}

#[test]
fn a_drills_stages_are_those_of_its_way_out() {
    let lines = [
        (101, "taking", "", None),
        (102, "moving", "", events(1, 0, 10)),
        (103, "moving", "planned anew: ap takes no shards any more", events(1, 0, 10)),
        (104, "handing-over", "", None),
        (105, "verifying", ALL, None),
        (106, "taking", "back: every shard was served elsewhere", events(0, 0, 12)),
        (107, "moving", "", None),
        (108, "handing-over", "", None),
        (109, "verifying", ALL, None),
        (111, "ended", "", Some(Events { shards: 3, ..Events::default() })),
    ];
    let drill = Kind::Drill { region: region("eu") };
    let found = report(&with(begun(drill.clone(), 100), &lines)).unwrap();
    assert_eq!(
        [found.taken_at, found.moved_at, found.handed_over_at].map(Option::unwrap),
        [102, 104, 105].map(at)
    );
    assert_eq!((found.recovery(), found.ended_at), (Some(Duration::from_secs(5)), Some(at(111))));
    assert_eq!(found.events.unwrap().counted_at, at(106), "the last count was of other shards");
    let turned = [(101, "taking", "", None), (102, "taking", "back", None), (103, "verifying", ALL, None)];
    let found = report(&with(begun(drill, 100), &turned)).unwrap();
    assert_eq!((found.moved_at, found.handed_over_at), (None, None), "it turned round before");
}

#[test]
fn a_failover_remembers_when_its_region_spoke_last() {
    let mut calm = three();
    says(&mut calm, "eu", placement::Vitals::default());
    let last: Timestamp = calm.observed.now;
    let mut world = calm.clone();
    world.observed.now = world.observed.now.plus(Duration::from_secs(8));
    for observer in ["ap", "us"] {
        down(&mut world, "eu", observer, 1_001, 1_008);
    }
    let drill = Kind::Drill { region: region("eu") };
    for (kind, world, sign) in [(failover(), &world, Some(last)), (drill, &calm, None)] {
        let operation = Operation::begin(OperationId(1), Spec::asked("ada", kind), world.observed.now);
        let Step::Act(effect) = step(&operation, world) else { panic!("it waits") };
        let Change::Journal(next) = effect.change else { panic!("{effect:?}") };
        assert_eq!((next.phase, next.last_sign), (Phase::Taking, sign));
    }
}
