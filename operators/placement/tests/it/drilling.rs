//! Drills that meet what is no drill.

use std::collections::BTreeSet;

use kernel::Shard;
use placement::{
    Ask, Change, Jurisdiction, Kind, Leg, Operation, OperationId, Phase, Role, Spec, State, Step, Wait,
    World, plan, step,
};

use crate::worlds::{down, region, three};

/// A drill of eu that waits for leases in the new homes.
fn out() -> (Operation, World) {
    let mut world = three();
    let spec = Spec::asked("ada", Kind::Drill { region: region("eu") });
    let mut operation = Operation::begin(OperationId(1), spec, world.observed.now);
    let leave = Ask::Leave { region: region("eu"), outside: BTreeSet::new() };
    operation.moves = plan(&world, &leave).unwrap().moves;
    operation.phase = Phase::HandingOver;
    for moved in &operation.moves {
        world.observed.shards.get_mut(&moved.shard).unwrap().home = moved.to.clone();
    }
    hold(&mut world, State::Fenced, &operation);
    (operation, world)
}

fn hold(world: &mut World, state: State, operation: &Operation) {
    let eu = world.desired.regions.get_mut(&region("eu")).unwrap();
    (eu.state, eu.held_by) = (state, Some(operation.id));
}

fn journalled(operation: &Operation, world: &World) -> Operation {
    let Step::Act(effect) = step(operation, world) else { panic!("{:?}", step(operation, world)) };
    let Change::Journal(next) = effect.change else { panic!("{effect:?}") };
    *next
}

/// The same drill on its way back, about to let its region in.
fn back() -> (Operation, World) {
    let (mut operation, world) = out();
    operation.abort = Some("enough".to_owned());
    let back = journalled(&operation, &world);
    assert_eq!((&back.phase, back.leg, back.abort.as_ref()), (&Phase::Taking, Leg::Back, None));
    (back, world)
}

#[test]
fn a_drill_turns_round_when_another_region_dies() {
    let (operation, mut world) = out();
    assert!(matches!(step(&operation, &world), Step::Wait { why: Wait::Leases(4), .. }));
    down(&mut world, "ap", "us", 900, 1_000);
    assert!(matches!(step(&operation, &world), Step::Wait { .. }), "one saw it");
    // The region that is drilled has a voice again once it is let back: that it was taken keeps nobody dead.
    down(&mut world, "ap", "eu", 900, 1_000);
    let next = journalled(&operation, &world);
    assert_eq!((next.phase, next.leg), (Phase::Taking, Leg::Back));
    assert_eq!(next.failed.as_deref(), Some("ap is down: its failover comes first"));
}

#[test]
fn a_drill_goes_on_when_its_own_region_dies() {
    let (operation, mut world) = out();
    for observer in ["ap", "us"] {
        down(&mut world, "eu", observer, 900, 1_000);
    }
    assert!(matches!(step(&operation, &world), Step::Wait { why: Wait::Leases(4), .. }));
}

#[test]
fn shards_elsewhere_do_not_wait_for_the_drilled_region_to_be_back() {
    let (operation, mut world) = back();
    down(&mut world, "eu", "us", 900, 1_000);
    let waits = step(&operation, &world);
    assert!(matches!(waits, Step::Wait { why: Wait::TargetDown(_), .. }), "{waits:?}");
    for observer in ["eu", "us"] {
        down(&mut world, "ap", observer, 900, 1_000);
    }
    let next = journalled(&operation, &world);
    assert_eq!(next.phase, Phase::Aborting { why: "eu is seen down: it stays fenced".to_owned() });
}

#[test]
fn a_shard_that_may_not_go_back_any_more_keeps_nobody() {
    let (mut operation, mut world) = back();
    operation.phase = Phase::Moving;
    hold(&mut world, State::Cordoned, &operation);
    let stays: Shard = operation.moves[1].shard;
    world.observed.shards.get_mut(&stays).unwrap().jurisdiction = Jurisdiction::new("ap");
    let next = journalled(&operation, &world);
    assert_eq!((&next.phase, next.moves.len()), (&Phase::Moving, 3));
    assert!(next.moves.iter().all(|moved| moved.shard != stays));
    let Step::Act(effect) = step(&next, &world) else { panic!("it waits") };
    let Change::Map { rows, .. } = effect.change else { panic!("{effect:?}") };
    assert!(rows.len() == 3 && rows.values().all(|(home, _)| *home == region("eu")));
}

#[test]
fn a_drill_brings_nothing_back_to_what_is_a_witness_by_now() {
    let (mut operation, mut world) = back();
    operation.phase = Phase::Moving;
    hold(&mut world, State::Cordoned, &operation);
    world.desired.regions.get_mut(&region("eu")).unwrap().spec.role = Role::Witness;
    let next = journalled(&operation, &world);
    assert_eq!(next.phase, Phase::Aborting { why: "eu takes no shards any more".to_owned() });
}

#[test]
fn a_drill_called_off_in_the_moment_it_took_its_region_lets_it_back() {
    let (mut operation, mut world) = out();
    (operation.phase, operation.moves) = (Phase::Taking, Vec::new());
    operation.abort = Some("tired".to_owned());
    world.desired.regions.get_mut(&region("eu")).unwrap().held_by = None;
    // One coordinator calls it off, on what it has read.
    let aborting = journalled(&operation, &world);
    assert_eq!(aborting.phase, Phase::Aborting { why: "tired".to_owned() });
    // Another one had just taken the region.
    hold(&mut world, State::Fenced, &operation);
    let back = journalled(&aborting, &world);
    assert_eq!((&back.phase, back.leg, back.failed.as_deref()), (&Phase::Taking, Leg::Back, Some("tired")));
    let Step::Act(effect) = step(&back, &world) else { panic!("it waits") };
    assert!(matches!(effect.change, Change::Region { to: State::Cordoned, .. }), "{effect:?}");
}
