//! Drills by schedule.

use std::{collections::BTreeSet, time::Duration};

use kernel::Timestamp;
use placement::{
    By, Day, Drills, Instance, Kind, Lease, Sighting, State, Verdict, Vitals, World, drill_keys, drilled,
    duty, unwell,
};

use crate::worlds::{down, region, says, three};

/// Saturday, 2026-11-28, 03:00 UTC.
const SATURDAY: i64 = 1_795_834_800;
const WEEK: i64 = 7 * 86_400;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn saturdays() -> Drills {
    Drills { day: Day::Saturday, hour: 3, regions: Vec::new() }
}

/// A world at this moment in which all is well and drills are scheduled.
fn well(seconds: i64) -> World {
    let mut world = three();
    world.observed.now = at(seconds);
    world.desired.policy.drills = Some(saturdays());
    for name in ["ap", "eu", "us"] {
        says(&mut world, name, Vitals::default());
        for other in ["ap", "eu", "us"].into_iter().filter(|other| *other != name) {
            let now = world.observed.now;
            let up = Sighting { verdict: Verdict::Up, since: now, seen_at: now };
            world.observed.sightings.insert((region(other), region(name)), up);
        }
    }
    for (shard, row) in &world.observed.shards {
        let holder = Instance::new(row.home.clone(), "one");
        let expires_at = world.observed.now.plus(Duration::from_secs(4));
        world.observed.leases.insert(*shard, Lease { holder, epoch: kernel::Epoch(1), expires_at });
    }
    world
}

/// The region whose drill begins by itself.
fn begins(world: &World) -> Option<String> {
    let spec = duty(world)?;
    let Kind::Drill { region } = &spec.kind else { panic!("{spec:?}") };
    assert_eq!((spec.by, spec.digest), (By::Itself, None));
    assert!(drilled(&spec.request.unwrap()).is_some());
    Some(region.to_string())
}

#[test]
fn one_begins_within_its_hour_only() {
    for (seconds, due) in [(-1, false), (0, true), (3_599, true), (3_600, false), (86_400, false)] {
        let seconds = SATURDAY + seconds;
        assert_eq!(saturdays().due(at(seconds)).is_some(), due, "{seconds}");
        assert_eq!(begins(&well(seconds)).is_some(), due, "{seconds}");
    }
    let monday = Drills { day: Day::Monday, hour: 0, regions: Vec::new() };
    assert!(monday.due(at(SATURDAY + 45 * 3_600)).is_some(), "45 hours after Saturday at three");
    let (week, next) = saturdays().next(at(SATURDAY + 3_600));
    assert_eq!((week, next), (saturdays().due(at(SATURDAY)).unwrap() + 1, at(SATURDAY + WEEK)));
    assert_eq!(saturdays().next(at(SATURDAY + 1_800)).1, at(SATURDAY), "the hour that runs");
}

#[test]
fn none_begins_where_nobody_asked_for_it() {
    let mut world = well(SATURDAY);
    world.desired.policy.drills = None;
    assert_eq!(duty(&world), None);
}

#[test]
fn regions_take_turns() {
    let all: BTreeSet<_> = (0..3).map(|week| begins(&well(SATURDAY + week * WEEK))).collect();
    assert_eq!(all, ["ap", "eu", "us"].map(|name| Some(name.to_owned())).into());
    assert_eq!(begins(&well(SATURDAY)), begins(&well(SATURDAY + 3 * WEEK)));
    let mut world = well(SATURDAY);
    world.desired.policy.drills = Some(Drills { regions: vec![region("us")], ..saturdays() });
    assert_eq!(begins(&world).as_deref(), Some("us"));
    world.desired.policy.drills = Some(Drills { regions: vec![region("mars")], ..saturdays() });
    assert_eq!(duty(&world), None);
}

#[test]
fn a_week_has_one() {
    let mut world = well(SATURDAY);
    let request = duty(&world).unwrap().request.unwrap();
    let (from, until) = drill_keys();
    assert!(request.as_str() > from && request.as_str() < until, "{request}");
    world.observed.last_drill = drilled(&request);
    assert_eq!(world.observed.last_drill, saturdays().due(at(SATURDAY)));
    assert_eq!(duty(&world), None, "it has begun");
    world.observed.last_drill = world.observed.last_drill.map(|week| week - 1);
    assert_eq!(duty(&world).unwrap().request, Some(request), "that was the week before");
}

#[test]
fn none_begins_while_anything_is_unwell() {
    let spoiled = |spoil: &dyn Fn(&mut World)| {
        let mut world = well(SATURDAY);
        let turn = region(&begins(&world).unwrap());
        spoil(&mut world);
        assert!(!matches!(duty(&world), Some(spec) if matches!(spec.kind, Kind::Drill { .. })));
        unwell(&world, &turn).unwrap()
    };
    let all = |world: &mut World, ready: bool| {
        for row in world.desired.regions.values_mut() {
            row.spec.failover_ready = ready;
        }
    };
    assert!(spoiled(&|world| all(world, false)).ends_with("is not failover-ready"));
    assert_eq!(spoiled(&|world| world.desired.policy.paused = true), "movement is paused");
    let cordon = |world: &mut World| {
        world.desired.regions.get_mut(&region("us")).unwrap().state = State::Cordoned;
    };
    assert_eq!(spoiled(&cordon), "us is cordoned");
    let burning = Vitals { burning: true, ..Vitals::default() };
    assert_eq!(spoiled(&|world| says(world, "eu", burning)), "eu burns its error budget");
    let behind = Vitals { relay_lag: Duration::from_secs(60), burning: false };
    assert_eq!(spoiled(&|world| says(world, "eu", behind)), "the relay of eu is behind");
    let silent = |world: &mut World| world.observed.vitals.retain(|name, _| *name != region("eu"));
    assert_eq!(spoiled(&silent), "eu has not said lately how it is");
    let seconds = u64::try_from(SATURDAY).unwrap();
    assert_eq!(spoiled(&|world| down(world, "us", "ap", seconds, seconds)), "us is seen down");
    let alone = |world: &mut World| world.observed.sightings.retain(|(of, by), _| of == by);
    assert!(spoiled(&alone).ends_with("it takes 2"));
    let lost = |world: &mut World| world.observed.leases.retain(|shard, _| shard.number() != 3);
    assert!(spoiled(&lost).starts_with("the work of shard 3 is not done"));
    let full = |world: &mut World| {
        for row in world.desired.regions.values_mut() {
            row.spec.capacity = 4;
        }
    };
    assert!(spoiled(&full).contains("fits nowhere"));
}
