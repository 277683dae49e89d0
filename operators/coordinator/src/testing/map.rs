//! The map and the regions.

use std::collections::BTreeMap;

use futures::future::join_all;
use kernel::Shard;
use placement::{Change, Effect, Kind, MapVersion, OperationId, Placing, Spec, State};

use super::{desired, homes, region};
use crate::{Applied, Journal, JournalError};

/// An effect that sends shard 0 to `us`, decided on this version of the map.
pub(super) fn send(operation: OperationId, version: u64, expect: MapVersion) -> Effect {
    let rows = BTreeMap::from([(Shard::new(0), (region("us"), Placing::Settled))]);
    Effect { operation, version, change: Change::Map { expect, rows } }
}

pub(super) async fn begun(journal: &impl Journal) -> OperationId {
    journal.begin(&Spec::asked("ada", Kind::Rebalance)).await.unwrap().unwrap()
}

pub(super) async fn is_founded_once(journal: &impl Journal) {
    let before = journal.read().await.unwrap().world;
    assert_eq!(before.observed.version, MapVersion(1));
    assert_eq!(before.observed.shards.len(), 3);
    assert_eq!(before.desired, desired());
    assert_eq!(journal.found(&desired(), &homes()).await.unwrap(), Applied::Stale);
    assert_eq!(journal.read().await.unwrap().world.observed.version, MapVersion(1));
}

pub(super) async fn changes_by_compare_and_set(journal: &impl Journal) {
    let id = begun(journal).await;
    for wrong in [MapVersion(0), MapVersion(2)] {
        assert_eq!(journal.apply(&send(id, 0, wrong)).await.unwrap(), Applied::Stale);
    }
    let untouched = journal.read().await.unwrap().world.observed;
    assert_eq!((untouched.version, &untouched.shards[&Shard::new(0)].home), (MapVersion(1), &region("eu")));
    assert_eq!(journal.apply(&send(id, 0, MapVersion(1))).await.unwrap(), Applied::Yes);
    let changed = journal.read().await.unwrap().world.observed;
    assert_eq!(changed.version, MapVersion(2));
    let row = &changed.shards[&Shard::new(0)];
    assert_eq!((&row.home, row.version), (&region("us"), MapVersion(2)));
    assert_eq!(changed.shards[&Shard::new(1)], untouched.shards[&Shard::new(1)]);
    let moving = Placing::Moving { target: region("eu") };
    let rows = BTreeMap::from([(Shard::new(0), (region("us"), moving.clone()))]);
    let change = Change::Map { expect: MapVersion(2), rows };
    assert_eq!(journal.apply(&Effect { operation: id, version: 0, change }).await.unwrap(), Applied::Yes);
    assert_eq!(journal.read().await.unwrap().world.observed.shards[&Shard::new(0)].placing, moving);
}

pub(super) async fn one_of_many_writers_wins(journal: &impl Journal) {
    let id = begun(journal).await;
    let effect = send(id, 0, MapVersion(1));
    let answers = join_all((0..8).map(|_| journal.apply(&effect))).await;
    let won = answers.into_iter().filter(|answer| *answer == Ok(Applied::Yes)).count();
    assert_eq!(won, 1);
    assert_eq!(journal.read().await.unwrap().world.observed.version, MapVersion(2));
}

pub(super) async fn unknown_shards_and_regions_are_refused(journal: &impl Journal) {
    let id = begun(journal).await;
    let rows = BTreeMap::from([
        (Shard::new(0), (region("us"), Placing::Settled)),
        (Shard::new(9), (region("us"), Placing::Settled)),
    ]);
    let map = Change::Map { expect: MapVersion(1), rows };
    let state =
        Change::Region { region: region("mars"), expect: MapVersion(1), to: State::Fenced, held_by: None };
    for change in [map, state] {
        let answer = journal.apply(&Effect { operation: id, version: 0, change }).await;
        assert!(matches!(answer, Err(JournalError::Forbidden(_))), "{answer:?}");
    }
    let world = journal.read().await.unwrap().world;
    assert_eq!(world.observed.version, MapVersion(1));
    assert_eq!(world.observed.shards[&Shard::new(0)].home, region("eu"), "whole or not at all");
}
