//! When a region counts as down.

use placement::{Agreement, Kind, State, agreement, duty};

use crate::worlds::{at, down, region, three};

#[test]
fn two_others_for_five_seconds_and_no_less() {
    let mut world = three();
    let is_down = |world: &placement::World| matches!(agreement(world, &region("eu")), Agreement::Down(_));
    down(&mut world, "eu", "us", 900, 1_000);
    assert!(!is_down(&world), "one other is not enough");
    down(&mut world, "eu", "eu", 900, 1_000);
    assert!(!is_down(&world), "its own opinion does not count");
    down(&mut world, "eu", "ap", 996, 1_000);
    assert!(!is_down(&world), "four seconds are not enough");
    down(&mut world, "eu", "ap", 995, 1_000);
    assert!(is_down(&world));
    world.observed.now = at(1_004);
    assert!(!is_down(&world), "sightings of four seconds ago are stale");
    world.observed.now = at(1_000);
    world.desired.regions.get_mut(&region("ap")).unwrap().state = State::Fenced;
    assert!(!is_down(&world), "a fenced region has no voice");
}

#[test]
fn a_failover_begins_by_itself_only_where_it_may() {
    let mut world = three();
    down(&mut world, "eu", "us", 900, 1_000);
    down(&mut world, "eu", "ap", 900, 1_000);
    let kind = duty(&world).map(|spec| spec.kind.name());
    assert_eq!(kind, Some("failover"));
    world.desired.policy.paused = true;
    assert_eq!(duty(&world), None, "paused");
    world.desired.policy.paused = false;
    world.desired.regions.get_mut(&region("eu")).unwrap().spec.failover_ready = false;
    assert_eq!(duty(&world), None, "not ready");
}

#[test]
fn shards_whose_home_is_out_get_another() {
    let mut world = three();
    assert_eq!(duty(&world), None);
    world.desired.regions.get_mut(&region("eu")).unwrap().state = State::Fenced;
    assert!(matches!(duty(&world).unwrap().kind, Kind::Evacuate { .. }));
    for row in world.desired.regions.values_mut() {
        row.spec.capacity = 5;
    }
    assert_eq!(duty(&world), None, "no room: a person has to see to it");
}
