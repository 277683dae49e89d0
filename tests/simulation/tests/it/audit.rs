//! Each predicate of the audit can fail.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use coordinator::{Applied, Store};
use kernel::{Region, Shard, Timestamp};
use placement::{
    By as Asked, Change, Degraded, Desired, Effect, Instance, Jurisdiction, Kind, Leg, OperationId, Outcome,
    Phase, Placing, RegionRow, RegionSpec, Role, Spec, State,
};
use simulation::audit::{By, rest, step};

const SHARD: Shard = Shard::new(0);
const NOW: Timestamp = Timestamp::from_micros(1_000_000);
const TTL: Duration = Duration::from_secs(5);

fn region(name: &str) -> Region {
    Region::new(name)
}

/// Shard 0 of `eu` law in `eu`; `us` keeps no data of it; a rebalance runs.
fn store() -> Store {
    let spec = |law: &str| RegionSpec {
        endpoint: String::new(),
        role: Role::Full,
        capacity: 4,
        weight: 1,
        jurisdictions: BTreeSet::from([Jurisdiction::new(law)]),
        failover_ready: true,
        degraded: Degraded::default(),
    };
    let mut desired = Desired::default();
    for (name, law) in [("eu", "eu"), ("eu-north", "eu"), ("us", "us")] {
        desired.regions.insert(region(name), RegionRow::new(spec(law)));
    }
    let mut store = Store::default();
    let homes = BTreeMap::from([(SHARD, (region("eu"), Jurisdiction::new("eu")))]);
    assert_eq!(store.found(&desired, &homes), Applied::Yes);
    assert_eq!(store.begin(&Spec::asked("ada", Kind::Rebalance), NOW), Ok(Some(OperationId(1))));
    store
}

fn effect(store: &Store, change: Change) -> Effect {
    let running = store.running().unwrap();
    Effect { operation: running.id, version: running.version, change }
}

fn to(store: &Store, home: &str, placing: Placing) -> Effect {
    let rows = BTreeMap::from([(SHARD, (region(home), placing))]);
    effect(store, Change::Map { expect: store.world().observed.version, rows })
}

fn set(store: &Store, to: State) -> Effect {
    let expect = store.world().observed.version;
    effect(store, Change::Region { region: region("eu"), expect, to, held_by: None })
}

fn broken(before: &Store, after: &Store, by: By<'_>) -> u8 {
    step(before, after, by, NOW).unwrap_err().invariant
}

#[test]
fn a_shard_sent_outside_its_jurisdiction_is_noticed() {
    let before = store();
    let mut after = before.clone();
    let effect = to(&before, "us", Placing::Settled);
    assert_eq!(after.apply(&effect), Ok(Applied::Yes));
    assert_eq!(broken(&before, &after, By::Coordinator(Some(&effect))), 12);
}

#[test]
fn a_shard_sent_to_a_region_that_is_out_is_noticed() {
    let mut before = store();
    assert_eq!(before.set_state(&region("eu-north"), 0, State::Fenced), Ok(Applied::Yes));
    let mut after = before.clone();
    let effect = to(&before, "eu-north", Placing::Settled);
    assert_eq!(after.apply(&effect), Ok(Applied::Yes));
    assert_eq!(broken(&before, &after, By::Coordinator(Some(&effect))), 11);
}

#[test]
fn a_region_let_back_by_the_coordinator_is_noticed() {
    let mut before = store();
    assert_eq!(before.set_state(&region("eu"), 0, State::Fenced), Ok(Applied::Yes));
    let mut after = before.clone();
    let effect = set(&before, State::Cordoned);
    assert_eq!(after.apply(&effect), Ok(Applied::Yes));
    assert_eq!(broken(&before, &after, By::Coordinator(Some(&effect))), 11);
    assert_eq!(step(&before, &after, By::Person, NOW), Ok(()), "a person may");
}

#[test]
fn an_operation_that_ends_in_the_middle_of_a_move_is_noticed() {
    let mut before = store();
    let announce = to(&before, "eu", Placing::Moving { target: region("eu-north") });
    assert_eq!(before.apply(&announce), Ok(Applied::Yes));
    let mut next = before.running().unwrap().clone();
    next.version += 1;
    next.phase = Phase::Ended(Outcome::Aborted { why: "tired".into() });
    let effect = effect(&before, Change::Journal(Box::new(next)));
    let mut after = before.clone();
    assert_eq!(after.apply(&effect), Ok(Applied::Yes));
    assert_eq!(broken(&before, &after, By::Coordinator(Some(&effect))), 10);
}

#[test]
fn a_change_decided_on_another_version_is_noticed() {
    let before = store();
    let mut after = before.clone();
    let made = to(&before, "eu-north", Placing::Settled);
    assert_eq!(after.apply(&made), Ok(Applied::Yes));
    let mut old = made.clone();
    let Change::Map { expect, .. } = &mut old.change else { panic!() };
    expect.0 -= 1;
    assert_eq!(broken(&before, &after, By::Coordinator(Some(&old))), 3);
    let old = Effect { version: 7, ..made };
    assert_eq!(broken(&before, &after, By::Coordinator(Some(&old))), 9);
}

#[test]
fn a_version_that_shrinks_is_noticed() {
    let before = store();
    let mut after = before.clone();
    let made = to(&before, "eu-north", Placing::Settled);
    assert_eq!(after.apply(&made), Ok(Applied::Yes));
    assert_eq!(broken(&after, &before, By::Person), 3);
}

#[test]
fn a_lease_taken_while_it_is_held_is_noticed() {
    let (mut before, mut after) = (store(), store());
    let worker = |name: &str| Instance::new(region("eu"), name);
    assert!(before.take(SHARD, &worker("a"), TTL, NOW).is_some());
    assert!(after.take(SHARD, &worker("b"), TTL, NOW).is_some());
    assert_eq!(broken(&before, &after, By::Worker), 4, "two holders of epoch 1");
    let mut stolen = before.clone();
    assert!(stolen.take(SHARD, &worker("b"), TTL, NOW.plus(TTL)).is_some());
    assert_eq!(broken(&before, &stolen, By::Worker), 4, "epoch 2 began while epoch 1 was held");
    assert_eq!(broken(&stolen, &before, By::Worker), 4, "an epoch that shrinks");
    assert_eq!(broken(&before, &store(), By::Worker), 4, "an epoch that is forgotten");
}

#[test]
fn a_shard_nobody_works_on_is_no_rest() {
    let mut store = store();
    let mut next = store.running().unwrap().clone();
    next.version += 1;
    next.phase = Phase::Ended(Outcome::Refused { why: "tried".into() });
    let end = effect(&store, Change::Journal(Box::new(next)));
    assert_eq!(store.apply(&end), Ok(Applied::Yes));
    assert_eq!(rest(&store, NOW).unwrap_err().invariant, 12, "nobody works on it");
    assert!(store.take(SHARD, &Instance::new(region("eu"), "a"), TTL, NOW).is_some());
    assert_eq!(rest(&store, NOW), Ok(()));
    assert_eq!(store.set_state(&region("eu"), 0, State::Fenced), Ok(Applied::Yes));
    assert_eq!(rest(&store, NOW).unwrap_err().invariant, 12, "its home is out and another one is there");
    assert_eq!(store.set_state(&region("eu-north"), 0, State::Cordoned), Ok(Applied::Yes));
    let later = NOW.plus(TTL);
    assert_eq!(rest(&store, later).unwrap_err().invariant, 12, "who cannot have it may still work on it");
    assert!(store.take(SHARD, &Instance::new(region("eu-north"), "a"), TTL, later).is_some());
    assert_eq!(rest(&store, later), Ok(()));
    assert_eq!(store.set_state(&region("eu-north"), 1, State::Fenced), Ok(Applied::Yes));
    assert_eq!(rest(&store, later.plus(TTL)), Ok(()), "nobody may");
}

/// The running operation ends.
fn end(store: &mut Store, outcome: Outcome) -> Effect {
    end_on(store, Leg::Out, outcome)
}

fn end_on(store: &mut Store, leg: Leg, outcome: Outcome) -> Effect {
    let mut next = store.running().unwrap().clone();
    next.version += 1;
    next.leg = leg;
    next.phase = Phase::Ended(outcome);
    let effect = effect(store, Change::Journal(Box::new(next)));
    assert_eq!(store.apply(&effect), Ok(Applied::Yes));
    effect
}

fn aborted() -> Outcome {
    Outcome::Aborted { why: "tired".into() }
}

#[test]
fn a_region_that_an_ended_switchover_keeps_is_noticed() {
    let mut store = store();
    end(&mut store, aborted());
    let kind = Kind::Switchover { region: region("eu"), outside: BTreeSet::new() };
    let id = store.begin(&Spec::asked("ada", kind), NOW).unwrap().unwrap();
    let expect = store.world().observed.version;
    let cordon = Change::Region { region: region("eu"), expect, to: State::Cordoned, held_by: Some(id) };
    let cordon = effect(&store, cordon);
    let before = store.clone();
    assert_eq!(store.apply(&cordon), Ok(Applied::Yes));
    assert_eq!(step(&before, &store, By::Coordinator(Some(&cordon)), NOW), Ok(()), "while it runs");
    let before = store.clone();
    let end = end(&mut store, aborted());
    assert_eq!(broken(&before, &store, By::Coordinator(Some(&end))), 10);
}

#[test]
fn a_region_that_a_drill_keeps_when_it_is_done_or_never_turned_round_is_noticed() {
    let done = Outcome::Done { late: BTreeSet::new() };
    for (leg, outcome, noticed) in
        [(Leg::Back, aborted(), false), (Leg::Out, aborted(), true), (Leg::Back, done, true)]
    {
        let mut store = store();
        end(&mut store, aborted());
        let drill = Spec::asked("ada", Kind::Drill { region: region("eu") });
        let id = store.begin(&drill, NOW).unwrap().unwrap();
        let expect = store.world().observed.version;
        let fence = Change::Region { region: region("eu"), expect, to: State::Fenced, held_by: Some(id) };
        let fence = effect(&store, fence);
        assert_eq!(store.apply(&fence), Ok(Applied::Yes));
        let before = store.clone();
        let end = end_on(&mut store, leg, outcome);
        let audited = step(&before, &store, By::Coordinator(Some(&end)), NOW);
        assert_eq!(audited.err().map(|broken| broken.invariant), noticed.then_some(10));
    }
}

#[test]
fn a_weeks_second_drill_is_noticed() {
    let drill = |request: Option<&str>| Spec {
        kind: Kind::Drill { region: region("eu") },
        by: Asked::Itself,
        digest: None,
        request: request.map(str::to_owned),
    };
    let begin = |store: &mut Store, spec: &Spec, at: Timestamp| {
        end(store, aborted());
        let before = store.clone();
        assert!(matches!(store.begin(spec, at), Ok(Some(_))));
        step(&before, store, By::Coordinator(None), at).err().map(|broken| broken.invariant)
    };
    let mut store = store();
    let key = "drill-by-schedule-00000009";
    assert_eq!(begin(&mut store, &drill(Some(key)), NOW), None);
    assert_eq!(begin(&mut store, &drill(Some("drill-by-schedule-00000010")), NOW), None, "the week after");
    assert_eq!(begin(&mut store.clone(), &drill(Some("drill-by-schedule-9")), NOW), Some(9));
    let persons = Spec { by: Asked::Person("ada".into()), ..drill(None) };
    assert_eq!(begin(&mut store, &persons, NOW), None, "a person may ask for as many as they like");
    assert_eq!(begin(&mut store, &drill(None), NOW), None, "without a key, the day counts: in 1970");
    let hours = |hours: u64| NOW.plus(Duration::from_secs(3_600 * hours));
    assert_eq!(begin(&mut store.clone(), &drill(None), hours(24)), Some(9), "Friday");
    assert_eq!(begin(&mut store.clone(), &drill(None), hours(4 * 24 - 1)), Some(9), "Sunday");
    assert_eq!(begin(&mut store, &drill(None), hours(4 * 24)), None, "Monday");
}
