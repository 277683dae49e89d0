//! Operations and their steps.

use kernel::{Shard, Timestamp};
use placement::{
    Audit, Change, Day, Drills, Effect, Found, Kind, Leg, MapVersion, Move, Operation, OperationId, Outcome,
    Phase, Policy, Reason, Spec, State, drill_keys,
};

use super::{
    map::{begun, send},
    region,
};
use crate::{Applied, Journal, JournalError};

fn journalled(id: OperationId, version: u64, next: Operation) -> Effect {
    Effect { operation: id, version, change: Change::Journal(Box::new(next)) }
}

async fn running(journal: &impl Journal) -> Operation {
    journal.read().await.unwrap().operation.unwrap()
}

async fn end(journal: &impl Journal, id: OperationId) -> Operation {
    let mut next = running(journal).await;
    let before = next.version;
    next.version += 1;
    next.phase = Phase::Ended(Outcome::Refused { why: "tried".into() });
    assert_eq!(journal.apply(&journalled(id, before, next.clone())).await, Ok(Applied::Yes));
    next
}

pub(super) async fn run_one_at_a_time(journal: &impl Journal) {
    let first = begun(journal).await;
    assert_eq!(journal.begin(&Spec::asked("bob", Kind::Rebalance)).await, Ok(None));
    let ended = end(journal, first).await;
    assert_eq!(journal.read().await.unwrap().operation, None);
    assert_eq!(journal.operation(first).await, Ok(Some(ended)));
    let second = begun(journal).await;
    assert!(second > first, "a number is never given twice");
    for unknown in [second.0 + 1, u64::MAX] {
        assert_eq!(journal.operation(OperationId(unknown)).await, Ok(None));
    }
}

pub(super) async fn are_kept_whole(journal: &impl Journal) {
    let id = begun(journal).await;
    let mut next = running(journal).await;
    assert_eq!((next.phase.clone(), next.version, next.timeline.len()), (Phase::Preflight, 0, 1));
    next.version = 1;
    next.phase = Phase::Moving;
    next.leg = Leg::Back;
    next.flipped = 7;
    next.moves = vec![Move {
        shard: Shard::new(1),
        from: region("eu"),
        to: region("us"),
        reason: Reason::OverCapacity { shards: 3, capacity: 2 },
    }];
    next.late.insert(Shard::new(2));
    next.failed = Some("enough".into());
    next.timeline.push(next.timeline[0].clone());
    assert_eq!(journal.apply(&journalled(id, 0, next.clone())).await, Ok(Applied::Yes));
    assert_eq!(running(journal).await, next);
    assert_eq!(journal.operation(id).await, Ok(Some(next)));
}

pub(super) async fn change_nothing_under_an_old_version(journal: &impl Journal) {
    let id = begun(journal).await;
    let mut next = running(journal).await;
    next.version = 1;
    assert_eq!(journal.apply(&journalled(id, 0, next.clone())).await, Ok(Applied::Yes));
    let fence =
        Change::Region { region: region("eu"), expect: MapVersion(1), to: State::Fenced, held_by: None };
    let late = [
        send(id, 0, MapVersion(1)),
        Effect { operation: id, version: 0, change: fence },
        journalled(id, 0, next),
    ];
    for effect in &late {
        assert_eq!(journal.apply(effect).await, Ok(Applied::Stale), "{effect:?}");
    }
    end(journal, id).await;
    assert_eq!(journal.apply(&send(id, 2, MapVersion(1))).await, Ok(Applied::Stale), "it has ended");
    let other = begun(journal).await;
    assert_eq!(journal.apply(&send(id, 0, MapVersion(1))).await, Ok(Applied::Stale), "another one runs");
    assert_eq!(journal.apply(&send(other, 0, MapVersion(1))).await, Ok(Applied::Yes));
}

pub(super) async fn are_aborted_once(journal: &impl Journal) {
    let id = begun(journal).await;
    assert_eq!(journal.abort(OperationId(id.0 + 1), "another").await, Ok(Applied::Stale));
    assert_eq!(journal.abort(id, "enough").await, Ok(Applied::Yes));
    assert_eq!(journal.abort(id, "enough").await, Ok(Applied::Stale));
    let heard = running(journal).await;
    assert_eq!((heard.abort.as_deref(), heard.version), (Some("enough"), 1));
    let late = journal.apply(&send(id, 0, MapVersion(1))).await;
    assert_eq!(late, Ok(Applied::Stale), "decided before the abort");
    end(journal, id).await;
    assert_eq!(journal.abort(id, "again").await, Ok(Applied::Stale));
}

pub(super) async fn begin_once_under_a_key(journal: &impl Journal) {
    let spec = Spec::asked("ada", Kind::Rebalance).keyed("k-1");
    let first = journal.begin(&spec).await.unwrap().unwrap();
    assert_eq!(journal.begin(&spec).await, Ok(Some(first)), "while it runs");
    assert_eq!(journal.begin(&spec.clone().keyed("k-2")).await, Ok(None), "another key, and one runs");
    end(journal, first).await;
    assert_eq!(journal.begin(&spec).await, Ok(Some(first)), "after its end");
    assert_eq!(journal.read().await.unwrap().operation, None);
    let other = Spec::asked("bob", Kind::Rebalance).keyed("k-1");
    assert!(matches!(journal.begin(&other).await, Err(JournalError::Forbidden(_))), "for something else");
    assert!(journal.begin(&spec.keyed("k-2")).await.unwrap().is_some_and(|second| second > first));
}

pub(super) async fn are_listed(journal: &impl Journal) {
    assert_eq!(journal.operations(9).await, Ok(Vec::new()));
    let first = begun(journal).await;
    let ended = end(journal, first).await;
    begun(journal).await;
    let running = running(journal).await;
    assert_eq!(journal.operations(9).await, Ok(vec![running.clone(), ended]));
    assert_eq!(journal.operations(1).await, Ok(vec![running]));
}

pub(super) async fn are_noted_once_they_ended(journal: &impl Journal) {
    let id = begun(journal).await;
    let found = |wrong| Found { at: Timestamp::from_micros(7), looked_at: 9, wrong };
    let audit = |rule: &str, wrong| Audit { rules: [(rule.to_owned(), found(wrong))].into() };
    assert_eq!(journal.note(id, &audit("order.sums", 0)).await, Ok(Applied::Stale), "it runs");
    let ended = end(journal, id).await;
    assert_eq!(journal.note(id, &Audit::default()).await, Ok(Applied::Stale), "nothing is said");
    assert_eq!(journal.note(OperationId(id.0 + 1), &audit("order.sums", 0)).await, Ok(Applied::Stale));
    assert_eq!(journal.note(id, &audit("order.sums", 0)).await, Ok(Applied::Yes));
    assert_eq!(journal.note(id, &audit("order.sums", 1)).await, Ok(Applied::Stale), "the first word counts");
    assert_eq!(journal.note(id, &audit("stock.ledger", 2)).await, Ok(Applied::Yes), "another process's");
    let noted = journal.operation(id).await.unwrap().unwrap();
    let rules = [("order.sums".to_owned(), found(0)), ("stock.ledger".to_owned(), found(2))];
    assert_eq!(noted.audit, Some(Audit { rules: rules.into() }));
    assert_eq!((noted.timeline, noted.version), (ended.timeline, ended.version + 2));
    assert!(journal.events(&[Shard::new(0), Shard::new(1)].into()).await.is_ok());
}

pub(super) async fn of_the_schedule_are_remembered(journal: &impl Journal) {
    let last = async || journal.read().await.unwrap().world.observed.last_drill;
    let drills = Drills { day: Day::Saturday, hour: 3, regions: Vec::new() };
    let policy = Policy { drills: Some(drills), ..journal.read().await.unwrap().world.desired.policy };
    assert_eq!(journal.put_policy(MapVersion(1), &policy).await, Ok(Applied::Yes));
    assert_eq!(journal.read().await.unwrap().world.desired.policy, policy);
    let (first, _) = drill_keys();
    for week in [9, 10] {
        let spec = Spec::asked("ada", Kind::Rebalance).keyed(format!("{first}{week:08}"));
        let id = journal.begin(&spec).await.unwrap().unwrap();
        assert_eq!(last().await, Some(week), "while it runs");
        end(journal, id).await;
        assert_eq!(last().await, Some(week), "after its end");
    }
    let other = begun(journal).await;
    assert_eq!((last().await, other), (Some(10), OperationId(3)), "a person's is not the schedule's");
}
