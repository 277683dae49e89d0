//! Operations from begin to end.

use std::{collections::BTreeMap, time::Duration};

use coordinator::{Applied, Deed, Journal};
use futures::executor::block_on;
use kernel::{Clock, Shard};
use placement::{Kind, Outcome, Policy, RegionSpec, State};

use crate::field::{Field, done, field_for, kinds, region};

#[test]
fn a_move_brings_the_shards_there_and_their_leases() {
    let field = Field::new();
    let id = field.ask(kinds().remove(0));
    assert_eq!(field.run(id), done());
    assert_eq!(field.counts(), [2, 2, 8]);
    let store = field.journal.store();
    for shard in (0..5).map(Shard::new) {
        assert_eq!(store.world().observed.leases[&shard].holder.region, region("us"));
    }
    let phases: Vec<String> = field.operation(id).timeline.into_iter().map(|entry| entry.phase).collect();
    let wanted = ["preflight", "taking", "moving", "handing-over", "verifying", "closing", "ended"];
    assert_eq!(phases, wanted);
}

#[test]
fn a_switchover_empties_its_region_and_the_way_back_is_a_persons() {
    let field = Field::new();
    let id = field.ask(kinds().remove(1));
    assert_eq!(field.run(id), done());
    assert_eq!((field.counts(), field.state("eu")), ([6, 0, 6], State::Drained));
    let back = field.operation(id).way_back();
    let refused = field.run(field.ask(Kind::Move { shards: back.clone() }));
    assert!(matches!(&refused, Outcome::Refused { why } if why.contains("eu is Drained")), "{refused:?}");
    field.set("eu", State::Cordoned);
    field.set("eu", State::Active);
    assert_eq!(field.run(field.ask(Kind::Move { shards: back })), done());
    assert_eq!(field.counts(), [4, 4, 4]);
}

#[test]
fn a_failover_begins_by_itself_and_the_region_stays_fenced() {
    let mut field = Field::new();
    field.dead.insert(region("eu"));
    let killed = field.clock.now();
    let coordinator = field.coordinator("only");
    let resumed = |field: &Field| {
        let store = field.journal.store();
        let leases = &store.world().observed.leases;
        field.counts() == [6, 0, 6] && leases.values().all(|lease| lease.holder.region != region("eu"))
    };
    field.until(|| block_on(coordinator.tick()).unwrap(), resumed);
    let took = field.clock.now().since(killed);
    assert!(took <= Duration::from_secs(6), "background work resumed after {took:?}");
    field.until(
        || block_on(coordinator.tick()).unwrap(),
        |field| field.journal.store().ended().values().any(|one| one.spec.kind.name() == "failover"),
    );
    field.dead.clear();
    for _ in 0..200 {
        assert_eq!(block_on(coordinator.tick()), Ok(Deed::Nothing));
        field.live();
    }
    assert_eq!((field.counts(), field.state("eu")), ([6, 0, 6], State::Fenced), "no way back by itself");
}

#[test]
fn a_drill_ends_as_it_began() {
    let field = Field::new();
    let id = field.ask(kinds().remove(3));
    assert_eq!(field.run(id), done());
    assert_eq!((field.counts(), field.state("eu")), ([4, 4, 4], State::Active));
    let operation = field.operation(id);
    assert_eq!(operation.timeline.iter().filter(|entry| entry.phase == "moving").count(), 2);
}

#[test]
fn a_drill_does_not_let_back_what_a_person_took_over() {
    let field = Field::new();
    let id = field.ask(kinds().remove(3));
    let coordinator = field.coordinator("only");
    field.until(|| block_on(coordinator.tick()).unwrap(), |field| field.counts()[1] == 0);
    // Fenced by the drill, and now by a person as well.
    field.set("eu", State::Fenced);
    field.until(|| block_on(coordinator.tick()).unwrap(), |field| field.operation(id).ended());
    assert_eq!((field.counts()[1], field.state("eu")), (0, State::Fenced));
    field.assert_settled();
}

#[test]
fn a_region_fenced_by_a_person_is_evacuated() {
    let field = Field::new();
    field.set("eu", State::Fenced);
    let coordinator = field.coordinator("only");
    field.until(|| block_on(coordinator.tick()).unwrap(), |field| field.counts() == [6, 0, 6]);
    assert_eq!(field.state("eu"), State::Fenced);
}

#[test]
fn planned_moves_keep_their_pace_and_stand_still_when_paused() {
    let field = Field::new();
    let mut policy = Policy::default();
    policy.movement.batch = 1;
    policy.movement.per_minute = 30;
    let put = |field: &Field, policy: &Policy| {
        let version = field.journal.store().world().observed.version;
        assert_eq!(block_on(field.journal.put_policy(version, policy)), Ok(coordinator::Applied::Yes));
    };
    put(&field, &policy);
    let coordinator = field.coordinator("only");
    let id = field.ask(Kind::Move { shards: (0..5).map(|n| (Shard::new(n), region("us"))).collect() });
    let began = field.clock.now();
    field.until(|| block_on(coordinator.tick()).unwrap(), |field| field.counts()[2] == 6);
    policy.paused = true;
    put(&field, &policy);
    for _ in 0..100 {
        block_on(coordinator.tick()).unwrap();
        field.live();
    }
    assert_eq!(field.counts()[2], 6, "paused");
    let paused = Duration::from_secs(20);
    policy.paused = false;
    put(&field, &policy);
    field.until(|| block_on(coordinator.tick()).unwrap(), |field| field.operation(id).ended());
    // Four shards of the five moved (one lives there), two seconds apart; the pause took the place of one of the gaps.
    let took = field.clock.now().since(began);
    assert!(took >= paused + Duration::from_secs(4), "{took:?}");
    assert_eq!(field.counts()[2], 8);
}

#[test]
fn a_move_whose_target_goes_out_is_taken_back() {
    let field = Field::new();
    let coordinator = field.coordinator("only");
    let id = field.ask(Kind::Move { shards: (0..12).map(|n| (Shard::new(n), region("us"))).collect() });
    field.until(|| block_on(coordinator.tick()).unwrap(), |field| field.counts()[2] > 4);
    field.set("us", State::Fenced);
    field.until(|| block_on(coordinator.tick()).unwrap(), |field| field.operation(id).ended());
    assert!(matches!(field.outcome(id), Outcome::Aborted { .. }));
    field.until(|| block_on(coordinator.tick()).unwrap(), |field| field.counts()[2] == 0);
    field.assert_settled();
}

/// A move whose target dies while it runs: why it was taken back, and after how long.
fn moved_to_the_dead(mut field: Field) -> (String, Duration) {
    let id = field.ask(kinds().remove(0));
    let coordinator = field.coordinator("only");
    field.until(
        || block_on(coordinator.tick()).unwrap(),
        |field| field.operation(id).phase.name() == "moving",
    );
    let died = field.clock.now();
    field.dead.insert(region("us"));
    field.until(|| block_on(coordinator.tick()).unwrap(), |field| field.operation(id).ended());
    let outcome = field.outcome(id);
    let Outcome::Aborted { why } = outcome else { panic!("{outcome:?}") };
    let homes: BTreeMap<Shard, _> =
        field.operation(id).moves.into_iter().map(|step| (step.shard, step.from)).collect();
    let store = field.journal.store();
    assert!(homes.iter().all(|(shard, home)| store.world().observed.shards[shard].home == *home));
    (why, field.clock.now().since(died))
}

#[test]
fn a_move_into_a_region_without_workers_is_taken_back() {
    let field = Field::new();
    let row = field.journal.store().world().desired.regions[&region("us")].clone();
    let spec = RegionSpec { failover_ready: false, ..row.spec };
    let put = block_on(field.journal.put_region(&region("us"), Some(row.version), &spec));
    assert_eq!(put, Ok(Applied::Yes));
    let (why, _) = moved_to_the_dead(field);
    assert!(why.contains("did not resume"), "{why}");
}

#[test]
fn a_move_into_a_region_that_can_be_failed_over_is_taken_back_as_soon_as_the_others_agree() {
    let field = Field::new();
    let movement = field.journal.store().world().desired.policy.movement;
    let (why, took) = moved_to_the_dead(field);
    assert_eq!(why, "us is down: its failover comes first");
    assert!(took < movement.patience / 2, "{took:?}");
}

#[test]
fn a_failover_goes_on_when_a_target_dies_too() {
    let kind = kinds().remove(2);
    let field = field_for(&kind);
    let id = field.ask(kind);
    let coordinator = field.coordinator("only");
    field.until(
        || block_on(coordinator.tick()).unwrap(),
        |field| field.operation(id).phase.name() == "moving",
    );
    field.set("ap", State::Fenced);
    field.until(|| block_on(coordinator.tick()).unwrap(), |field| field.operation(id).ended());
    field.until(|| block_on(coordinator.tick()).unwrap(), |field| field.counts() == [0, 0, 12]);
    field.assert_settled();
}
