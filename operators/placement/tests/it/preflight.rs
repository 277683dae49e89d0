//! What an operation refuses or waits for before it changes anything.

use std::{collections::BTreeSet, time::Duration};

use kernel::Shard;
use placement::{
    By, Change, Digest, Kind, Operation, OperationId, Outcome, Phase, Servers, Spec, State, Step, Vitals,
    Wait, World, step,
};

use crate::worlds::{down, region, says, settle, three};

const BURNING: Vitals = Vitals { burning: true, relay_lag: Duration::ZERO };
const BEHIND: Vitals = Vitals { burning: false, relay_lag: Duration::from_secs(60) };

fn failover(confirm: Option<&str>) -> Kind {
    Kind::Failover { region: region("eu"), outside: BTreeSet::new(), confirm: confirm.map(str::to_owned) }
}

fn first_step(world: &World, spec: Spec) -> Step {
    step(&Operation::begin(OperationId(1), spec, world.observed.now), world)
}

fn journalled(step: Step) -> Phase {
    let Step::Act(effect) = step else { panic!("{step:?}") };
    let Change::Journal(next) = effect.change else { panic!("{effect:?}") };
    assert_eq!(next.version, effect.version + 1);
    next.phase
}

fn refused(step: Step) -> String {
    let phase = journalled(step);
    let Phase::Ended(Outcome::Refused { why }) = phase else { panic!("{phase:?}") };
    why
}

#[test]
fn a_failover_wants_the_name_or_readiness_and_the_others_agreement() {
    let mut world = three();
    assert_eq!(
        refused(first_step(&world, Spec::asked("ada", failover(Some("us"))))),
        "confirmed for us, not for eu"
    );
    world.desired.regions.get_mut(&region("eu")).unwrap().spec.failover_ready = false;
    let why = refused(first_step(&world, Spec::asked("ada", failover(None))));
    assert!(why.contains("a person has to confirm"), "{why}");
    let waits = first_step(&world, Spec::asked("ada", failover(Some("eu"))));
    assert!(matches!(&waits, Step::Wait { why: Wait::Agreement(..), until: Some(_) }), "{waits:?}");
    down(&mut world, "eu", "us", 900, 1_000);
    down(&mut world, "eu", "ap", 900, 1_000);
    assert_eq!(journalled(first_step(&world, Spec::asked("ada", failover(Some("eu"))))), Phase::Taking);
}

#[test]
fn a_failover_that_waits_holds_up_no_other_one() {
    let mut world = three();
    // One that began by itself begins again once the others agree again.
    let itself = Spec { by: By::Itself, ..Spec::asked("nobody", failover(None)) };
    let why = refused(first_step(&world, itself));
    assert!(why.starts_with("0 other regions see eu down"), "{why}");
    let asked = || Spec::asked("ada", failover(Some("eu")));
    assert!(matches!(first_step(&world, asked()), Step::Wait { why: Wait::Agreement(..), .. }));
    for observer in ["eu", "us"] {
        down(&mut world, "ap", observer, 900, 1_000);
    }
    assert_eq!(refused(first_step(&world, asked())), "ap is down: its failover comes first");
}

#[test]
fn planned_operations_wait_for_better_times_and_then_give_up() {
    let mut world = three();
    settle(&mut world, "eu", "any", 3);
    let operation = Operation::begin(OperationId(1), Spec::asked("ada", Kind::Rebalance), world.observed.now);
    world.desired.policy.paused = true;
    assert_eq!(step(&operation, &world), Step::Wait { until: None, why: Wait::Paused });
    world.desired.policy.paused = false;
    says(&mut world, "us", BURNING);
    let burning = step(&operation, &world);
    assert!(matches!(&burning, Step::Wait { why: Wait::Burning(_), until: Some(_) }), "{burning:?}");
    world.observed.now = world.observed.now.plus(world.desired.policy.movement.patience);
    says(&mut world, "us", BURNING);
    assert_eq!(refused(step(&operation, &world)), "us burns its error budget");
    says(&mut world, "us", BEHIND);
    assert_eq!(refused(step(&operation, &world)), "the relay of us is behind");
    world.observed.vitals.clear();
    down(&mut world, "us", "eu", 1_059, 1_060);
    assert_eq!(refused(step(&operation, &world)), "us, which is to get shards, is seen down");
    world.observed.sightings.clear();
    assert_eq!(journalled(step(&operation, &world)), Phase::Taking);
}

#[test]
fn planned_operations_look_at_what_the_database_can_move() {
    let mut world = three();
    settle(&mut world, "eu", "any", 3);
    let movable = |servers: &[(&str, Servers)], kind: Kind| {
        let mut world = world.clone();
        let servers = servers.iter().map(|(name, servers)| (region(name), *servers));
        world.observed.servers = servers.collect();
        let operation = Operation::begin(OperationId(1), Spec::asked("ada", kind), world.observed.now);
        let first = step(&operation, &world);
        world.observed.now = world.observed.now.plus(world.desired.policy.movement.patience);
        match first {
            Step::Wait { until: Some(_), .. } => refused(step(&operation, &world)),
            first => format!("{:?}", journalled(first)),
        }
    };
    let up = Servers { all: 3, up: 1, stuck: false };
    let (down, stuck) = (Servers { up: 0, ..up }, Servers { stuck: true, ..up });
    let to_us = || Kind::Move { shards: [(Shard::new(4), region("us"))].into() };
    for fine in [&[][..], &[("us", up), ("ap", down)], &[("eu", down)], &[("us", Servers::default())]] {
        assert_eq!(movable(fine, to_us()), "Taking", "{fine:?}");
    }
    let why = movable(&[("us", down)], to_us());
    assert!(why.starts_with("no server of the database is up in us"), "{why}");
    let why = movable(&[("us", stuck)], to_us());
    assert!(why.starts_with("the database finds no place for leaders in us"), "{why}");
    let drill = Kind::Drill { region: region("eu") };
    assert_eq!(movable(&[("us", down), ("ap", down)], drill), "Taking", "it leaves at once");
}

#[test]
fn the_last_words_of_a_region_hold_nothing_up() {
    for last in [BURNING, BEHIND] {
        let mut world = three();
        let moves = Kind::Move { shards: [(Shard::new(8), region("ap"))].into() };
        let operation = Operation::begin(OperationId(1), Spec::asked("ada", moves), world.observed.now);
        says(&mut world, "eu", last);
        let fresh_for = world.desired.policy.movement.fresh_for;
        world.observed.now = world.observed.now.plus(fresh_for);
        assert!(matches!(step(&operation, &world), Step::Wait { .. }), "it spoke lately");
        let mut later = world.clone();
        later.observed.now = later.observed.now.plus(Duration::from_micros(1));
        assert_eq!(journalled(step(&operation, &later)), Phase::Taking, "it has died since");
        for shard in 4..8 {
            world.observed.shards.get_mut(&Shard::new(shard)).unwrap().home = region("ap");
        }
        world.desired.regions.get_mut(&region("eu")).unwrap().state = State::Drained;
        assert_eq!(journalled(step(&operation, &world)), Phase::Taking, "it is out");
    }
}

#[test]
fn a_plan_that_has_changed_since_it_was_shown_is_refused() {
    let mut world = three();
    settle(&mut world, "eu", "any", 3);
    let shown = placement::plan(&world, &placement::Ask::Rebalance).unwrap().digest();
    let apply =
        |digest: &Digest| Spec { digest: Some(digest.clone()), ..Spec::asked("ada", Kind::Rebalance) };
    assert_eq!(journalled(first_step(&world, apply(&shown))), Phase::Taking);
    settle(&mut world, "eu", "any", 3);
    let why = refused(first_step(&world, apply(&shown)));
    assert!(why.ends_with("look at it again"), "{why}");
}

#[test]
fn a_planned_operation_makes_room_for_the_failover_of_a_region_that_died() {
    let mut world = three();
    let moves = Kind::Move { shards: [(Shard::new(8), region("eu"))].into() };
    let mut operation = Operation::begin(OperationId(1), Spec::asked("ada", moves), world.observed.now);
    down(&mut world, "eu", "us", 900, 1_000);
    assert!(matches!(step(&operation, &world), Step::Wait { why: Wait::TargetDown(_), .. }), "one saw it");
    down(&mut world, "eu", "ap", 900, 1_000);
    assert_eq!(refused(step(&operation, &world)), "eu is down: its failover comes first");
    for phase in [Phase::Taking, Phase::Moving, Phase::HandingOver, Phase::Verifying] {
        operation.phase = phase;
        let after = journalled(step(&operation, &world));
        assert!(matches!(&after, Phase::Aborting { why } if why.starts_with("eu is down")), "{after:?}");
    }
    // What nobody may take over by itself is no reason to end anything.
    world.desired.regions.get_mut(&region("eu")).unwrap().spec.failover_ready = false;
    operation.phase = Phase::Preflight;
    let waits = step(&operation, &world);
    assert!(matches!(waits, Step::Wait { why: Wait::TargetDown(_), .. }), "{waits:?}");
}

#[test]
fn a_planned_operation_makes_room_for_shards_whose_home_is_out() {
    let mut world = three();
    let mut operation =
        Operation::begin(OperationId(1), Spec::asked("ada", Kind::Rebalance), world.observed.now);
    says(&mut world, "us", BURNING);
    world.desired.regions.get_mut(&region("eu")).unwrap().state = State::Fenced;
    let why = "4 shards have a home that does not serve: their evacuation comes first";
    assert_eq!(refused(step(&operation, &world)), why);
    for phase in [Phase::Taking, Phase::Moving, Phase::HandingOver, Phase::Verifying] {
        operation.phase = phase;
        assert_eq!(journalled(step(&operation, &world)), Phase::Aborting { why: why.to_owned() });
    }
    // What can have no other home is no reason to end anything.
    for row in world.desired.regions.values_mut() {
        row.spec.capacity = 5;
    }
    operation.phase = Phase::Moving;
    assert_eq!(journalled(step(&operation, &world)), Phase::HandingOver);
}

#[test]
fn a_switchover_makes_room_for_a_failover_that_its_own_cordon_is_against() {
    let mut world = three();
    let spec = Spec::asked("ada", Kind::Switchover { region: region("us"), outside: BTreeSet::new() });
    let mut operation = Operation::begin(OperationId(1), spec, world.observed.now);
    operation.phase = Phase::Moving;
    for observer in ["ap", "us"] {
        down(&mut world, "eu", observer, 900, 1_000);
    }
    // Only us has room for the shards of eu.
    world.desired.regions.get_mut(&region("ap")).unwrap().spec.capacity = 4;
    let us = world.desired.regions.get_mut(&region("us")).unwrap();
    (us.state, us.held_by) = (State::Cordoned, Some(operation.id));
    let after = journalled(step(&operation, &world));
    assert!(matches!(&after, Phase::Aborting { why } if why.starts_with("eu is down")), "{after:?}");
    // A person's cordon stays, and with it there is no room.
    world.desired.regions.get_mut(&region("us")).unwrap().held_by = None;
    assert_eq!(journalled(step(&operation, &world)), Phase::HandingOver);
}

#[test]
fn an_operation_that_an_older_version_journalled_is_read() {
    let spec = Spec::asked("ada", Kind::Drill { region: region("eu") });
    let operation = Operation::begin(OperationId(1), spec, three().observed.now);
    let mut row = serde_json::to_value(&operation).unwrap();
    assert!(row.as_object_mut().unwrap().remove("failed").is_some());
    assert_eq!(serde_json::from_value::<Operation>(row).unwrap(), operation);
}

#[test]
fn a_failover_does_not_wait_for_background_work_in_a_second_region_that_died() {
    let mut world = three();
    let spec = Spec::asked("ada", failover(Some("eu")));
    let mut operation = Operation::begin(OperationId(1), spec, world.observed.now);
    operation.phase = Phase::HandingOver;
    operation.moves =
        placement::plan(&world, &placement::Ask::Leave { region: region("eu"), outside: BTreeSet::new() })
            .unwrap()
            .moves;
    for moved in &operation.moves {
        world.observed.shards.get_mut(&moved.shard).unwrap().home = moved.to.clone();
    }
    assert!(matches!(step(&operation, &world), Step::Wait { why: Wait::Leases(_), .. }));
    for observer in ["eu", "us"] {
        down(&mut world, "ap", observer, 900, 1_000);
    }
    assert_eq!(journalled(step(&operation, &world)), Phase::Verifying, "nor does the failover of that one");
    world.desired.regions.get_mut(&region("ap")).unwrap().spec.failover_ready = false;
    assert!(matches!(step(&operation, &world), Step::Wait { why: Wait::Leases(_), .. }), "us may be slow");
    operation.moves.retain(|moved| moved.to == region("ap"));
    assert_eq!(journalled(step(&operation, &world)), Phase::Verifying);
    // Nor in one that a person has taken out: what lives there is evacuated next.
    world.observed.sightings.clear();
    assert!(matches!(step(&operation, &world), Step::Wait { why: Wait::Leases(_), .. }));
    world.desired.regions.get_mut(&region("ap")).unwrap().state = State::Fenced;
    assert_eq!(journalled(step(&operation, &world)), Phase::Verifying);
}

#[test]
fn a_drill_takes_an_active_region_only() {
    let mut world = three();
    world.desired.regions.get_mut(&region("eu")).unwrap().state = State::Cordoned;
    let why = refused(first_step(&world, Spec::asked("ada", Kind::Drill { region: region("eu") })));
    assert_eq!(why, "eu is Cordoned: a drill takes an active region");
}

#[test]
fn a_region_comes_back_through_cordoned_only() {
    use State::{Active, Cordoned, Drained, Fenced};
    for out in [Drained, Fenced] {
        assert!(!out.may_become(Active));
        assert!(out.may_become(Cordoned));
    }
    assert!(Cordoned.may_become(Active));
}
