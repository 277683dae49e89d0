//! Operations and their steps.

use kernel::Shard;
use placement::{
    Change, Effect, Kind, Leg, MapVersion, Move, Operation, OperationId, Outcome, Phase, Reason, Spec, State,
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
