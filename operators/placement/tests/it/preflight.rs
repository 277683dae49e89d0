//! What an operation refuses or waits for before it changes anything.

use std::{collections::BTreeSet, time::Duration};

use kernel::Shard;
use placement::{
    Change, Digest, Kind, Operation, OperationId, Outcome, Phase, Spec, State, Step, Vitals, Wait, World,
    step,
};

use crate::worlds::{down, region, settle, three};

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
fn planned_operations_wait_for_better_times_and_then_give_up() {
    let mut world = three();
    settle(&mut world, "eu", "any", 3);
    let operation = Operation::begin(OperationId(1), Spec::asked("ada", Kind::Rebalance), world.observed.now);
    world.desired.policy.paused = true;
    assert_eq!(step(&operation, &world), Step::Wait { until: None, why: Wait::Paused });
    world.desired.policy.paused = false;
    world.observed.vitals.insert(region("us"), Vitals { burning: true, relay_lag: Duration::ZERO });
    let burning = step(&operation, &world);
    assert!(matches!(&burning, Step::Wait { why: Wait::Burning(_), until: Some(_) }), "{burning:?}");
    world.observed.now = world.observed.now.plus(world.desired.policy.movement.patience);
    assert_eq!(refused(step(&operation, &world)), "us burns its error budget");
    world.observed.vitals.insert(region("us"), Vitals { burning: false, relay_lag: Duration::from_secs(60) });
    assert_eq!(refused(step(&operation, &world)), "the relay of us is behind");
    world.observed.vitals.clear();
    down(&mut world, "us", "eu", 1_059, 1_060);
    assert_eq!(refused(step(&operation, &world)), "us, which is to get shards, is seen down");
    world.observed.sightings.clear();
    assert_eq!(journalled(step(&operation, &world)), Phase::Taking);
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
    operation.moves.retain(|moved| moved.to == region("ap"));
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
