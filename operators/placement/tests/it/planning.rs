//! Plans: balanced, minimal, explained, refused by name.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Region, Shard};
use placement::{Ask, Impossible, Plan, Reason, Role, Sighting, State, Unfit, Verdict, World, plan};
use proptest::prelude::*;

use crate::worlds::{at, down, region, settle, three, world};

fn after(plan: &Plan) -> BTreeMap<&str, usize> {
    plan.counts.iter().map(|(region, (_, after))| (region.as_str(), *after)).collect()
}

fn carried_out(world: &World, plan: &Plan) -> World {
    let mut world = world.clone();
    for step in &plan.moves {
        world.observed.shards.get_mut(&step.shard).unwrap().home = step.to.clone();
    }
    world
}

#[test]
fn balance_follows_the_weights_and_moves_no_more_than_it_must() {
    let mut world = world(&[("ap", 64, 1, "any"), ("eu", 64, 2, "any"), ("us", 64, 5, "any")]);
    settle(&mut world, "eu", "any", 64);
    let plan = plan(&world, &Ask::Rebalance).unwrap();
    assert_eq!(after(&plan), BTreeMap::from([("ap", 8), ("eu", 16), ("us", 40)]));
    assert_eq!(plan.moves.len(), 48);
    assert!(plan.moves.iter().all(|step| step.reason == Reason::Balance { shards: 64, share: 16 }));
}

#[test]
fn what_is_balanced_stays() {
    assert_eq!(plan(&three(), &Ask::Rebalance).unwrap().moves, []);
}

#[test]
fn a_cordoned_region_keeps_its_shards_and_gets_none() {
    let mut world = three();
    settle(&mut world, "eu", "any", 6);
    world.desired.regions.get_mut(&region("eu")).unwrap().state = State::Cordoned;
    assert_eq!(plan(&world, &Ask::Rebalance).unwrap().moves, []);
    settle(&mut world, "us", "any", 6);
    let plan = plan(&world, &Ask::Rebalance).unwrap();
    assert_eq!(after(&plan), BTreeMap::from([("ap", 7), ("eu", 10), ("us", 7)]));
}

#[test]
fn a_drained_region_is_left_and_the_reason_says_so() {
    let mut world = three();
    world.desired.regions.get_mut(&region("eu")).unwrap().state = State::Drained;
    let plan = plan(&world, &Ask::Rebalance).unwrap();
    assert_eq!(after(&plan), BTreeMap::from([("ap", 6), ("eu", 0), ("us", 6)]));
    assert!(plan.moves.iter().all(|step| step.reason == Reason::RegionOut(State::Drained)));
}

#[test]
fn pins_win_over_balance() {
    let mut world = three();
    world.desired.policy.pins = (0..12).map(|n| (Shard::new(n), region("us"))).collect();
    let plan = plan(&world, &Ask::Rebalance).unwrap();
    assert_eq!(after(&plan)["us"], 12);
    assert!(plan.moves.iter().all(|step| step.reason == Reason::Pinned));
}

#[test]
fn a_shard_gives_way_to_one_that_has_to_live_there() {
    // The shard of eu law sits in us and may live in eu only, which is full of shards that may live anywhere.
    let mut world = world(&[("eu", 2, 1, "any eu"), ("us", 2, 1, "any")]);
    settle(&mut world, "eu", "any", 2);
    settle(&mut world, "us", "eu", 1);
    let plan = plan(&world, &Ask::Rebalance).unwrap();
    let moves: Vec<_> = plan.moves.iter().map(|step| (step.shard.number(), step.reason.name())).collect();
    assert_eq!(moves, [(1, "makes-room"), (2, "jurisdiction")]);
}

#[test]
fn leaving_a_region_stays_inside_the_law_unless_a_region_is_named() {
    let mut world = world(&[("eu", 8, 1, "eu"), ("eu-north", 3, 1, "eu"), ("us", 8, 1, "us")]);
    settle(&mut world, "eu", "eu", 4);
    let leave = |outside: &[&str]| Ask::Leave {
        region: region("eu"),
        outside: outside.iter().copied().map(Region::new).collect::<BTreeSet<_>>(),
    };
    let Impossible::FitsNowhere { shard, why, .. } = plan(&world, &leave(&[])).unwrap_err() else { panic!() };
    assert_eq!(shard, Shard::new(3));
    assert_eq!(
        why,
        BTreeMap::from([
            (region("eu"), Unfit::Left),
            (region("eu-north"), Unfit::Full),
            (region("us"), Unfit::Jurisdiction),
        ])
    );
    // As few as possible go outside.
    let plan = plan(&world, &leave(&["us"])).unwrap();
    assert_eq!(after(&plan), BTreeMap::from([("eu", 0), ("eu-north", 3), ("us", 1)]));
}

#[test]
fn who_is_seen_down_gets_what_has_to_go_at_once_only_where_nobody_else_has_room() {
    let mut world = three();
    let leave = |region: &str| Ask::Leave { region: Region::new(region), outside: BTreeSet::new() };
    let planned = |world: &World, ask: &Ask| {
        let plan = plan(world, ask).unwrap();
        ["ap", "eu", "us"].map(|name| after(&plan)[name])
    };
    assert_eq!(planned(&world, &leave("eu")), [6, 0, 6]);
    // eu is cut off from both, and is not asked while it is left.
    for subject in ["ap", "us"] {
        down(&mut world, subject, "eu", 900, 1_000);
    }
    assert_eq!(planned(&world, &leave("eu")), [6, 0, 6]);
    down(&mut world, "ap", "us", 999, 1_000);
    assert_eq!(planned(&world, &leave("eu")), [4, 0, 8]);
    world.desired.regions.get_mut(&region("us")).unwrap().spec.capacity = 6;
    assert_eq!(planned(&world, &leave("eu")), [6, 0, 6], "there is no room elsewhere");
    // What is old counts for nothing, nor does what a region says that is out.
    world.desired.regions.get_mut(&region("us")).unwrap().spec.capacity = 32;
    world.observed.now = at(1_004);
    assert_eq!(planned(&world, &leave("eu")), [6, 0, 6]);
    world.observed.now = at(1_000);
    let up = Sighting { verdict: Verdict::Up, since: at(900), seen_at: at(1_000) };
    world.observed.sightings.insert((region("ap"), region("eu")), up);
    world.desired.regions.get_mut(&region("us")).unwrap().state = State::Fenced;
    assert_eq!(planned(&world, &Ask::Evacuate { outside: BTreeSet::new() }), [6, 6, 0], "us has no voice");
}

#[test]
fn refusals_say_which_shard_and_why() {
    let mut world = world(&[("eu", 2, 1, "eu"), ("us", 9, 1, "us")]);
    settle(&mut world, "eu", "eu", 3);
    let error = plan(&world, &Ask::Rebalance).unwrap_err().to_string();
    assert_eq!(
        error,
        "shard 2 of jurisdiction eu fits nowhere: eu is full, us keeps no data of that jurisdiction"
    );
    world.desired.policy.pins.insert(Shard::new(0), region("us"));
    let error = plan(&world, &Ask::Rebalance).unwrap_err().to_string();
    assert_eq!(
        error,
        "shard 0 of jurisdiction eu fits nowhere: eu is not us, where the shard is pinned, \
         us keeps no data of that jurisdiction"
    );
}

#[test]
fn a_move_moves_what_was_asked_and_nothing_else() {
    let mut world = three();
    settle(&mut world, "eu", "any", 8);
    let ask = |shard, to| Ask::Move(BTreeMap::from([(Shard::new(shard), region(to))]));
    let plan_of = plan(&world, &ask(0, "us")).unwrap();
    assert_eq!(plan_of.moves.len(), 1);
    assert_eq!((plan_of.moves[0].shard, &plan_of.moves[0].reason), (Shard::new(0), &Reason::Asked));
    let error = plan(&world, &ask(999, "us")).unwrap_err();
    assert_eq!(error, Impossible::NoSuchShard { shard: Shard::new(999) });
    let error = plan(&world, &ask(0, "mars")).unwrap_err().to_string();
    assert!(error.contains("is not mars, where the shard was asked to go"), "{error}");
    world.desired.regions.get_mut(&region("us")).unwrap().spec.role = Role::Witness;
    let error = plan(&world, &ask(0, "us")).unwrap_err().to_string();
    assert!(error.contains("us is a witness"), "{error}");
}

#[test]
fn the_digest_changes_with_the_map_and_with_the_moves() {
    let mut world = three();
    settle(&mut world, "eu", "any", 3);
    let first = plan(&world, &Ask::Rebalance).unwrap();
    assert_eq!(first.digest(), plan(&world.clone(), &Ask::Rebalance).unwrap().digest());
    let mut renamed = first.clone();
    renamed.moves[0].reason = Reason::Asked;
    assert_ne!(first.digest(), renamed.digest());
    world.observed.version = world.observed.version.next();
    assert_ne!(first.digest(), plan(&world, &Ask::Rebalance).unwrap().digest());
}

/// The imbalance and the moves of every legal assignment, tried one by one; the least of them.
fn by_force(world: &World, homes: &mut Vec<Region>, best: &mut Option<(u128, usize)>) {
    let desired = &world.desired;
    if homes.len() == world.observed.shards.len() {
        let mut imbalance = 0;
        for (name, row) in &desired.regions {
            let count = homes.iter().filter(|home| *home == name).count();
            if count > usize::from(row.spec.capacity) {
                return;
            }
            // 5040 is divided by every weight from 1 to 7.
            imbalance += (count * count) as u128 * (5_040 / u128::from(row.spec.weight));
        }
        let moved =
            homes.iter().zip(world.observed.shards.values()).filter(|(to, row)| **to != row.home).count();
        let cost = (imbalance, moved);
        *best = Some(best.map_or(cost, |best| best.min(cost)));
        return;
    }
    let (shard, row) = world.observed.shards.iter().nth(homes.len()).unwrap();
    for (name, region) in &desired.regions {
        let lawful = region.spec.jurisdictions.contains(&row.jurisdiction);
        let pinned = desired.policy.pins.get(shard).is_none_or(|to| to == name);
        if region.state == State::Active && lawful && pinned {
            homes.push(name.clone());
            by_force(world, homes, best);
            homes.pop();
        }
    }
}

fn some_world() -> impl Strategy<Value = World> {
    let a_region =
        (0_u16..6, 1_u16..8, prop::sample::select(vec!["eu", "us", "eu us"]), prop::bool::weighted(0.2));
    let a_shard =
        (0_usize..4, prop::sample::select(vec!["eu", "us"]), prop::option::weighted(0.1, 0_usize..3));
    (prop::collection::vec(a_region, 3), prop::collection::vec(a_shard, 0..7)).prop_map(
        |(regions, shards)| {
            let names = ["a", "b", "c", "gone"];
            let list: Vec<_> = regions
                .iter()
                .zip(names)
                .map(|((capacity, weight, laws, _), name)| (name, *capacity, *weight, *laws))
                .collect();
            let mut world = world(&list);
            for ((.., out), name) in regions.iter().zip(names) {
                if *out {
                    world.desired.regions.get_mut(&region(name)).unwrap().state = State::Fenced;
                }
            }
            for (at, (home, law, pin)) in shards.into_iter().enumerate() {
                settle(&mut world, names[home], law, 1);
                if let Some(pin) = pin {
                    world
                        .desired
                        .policy
                        .pins
                        .insert(Shard::new(u16::try_from(at).unwrap()), region(names[pin]));
                }
            }
            world
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_assignment_is_better_balanced_and_none_as_good_moves_less(world in some_world()) {
        let mut best = None;
        by_force(&world, &mut Vec::new(), &mut best);
        match (plan(&world, &Ask::Rebalance), best) {
            (Ok(plan), Some((imbalance, moves))) => {
                let found: u128 = plan
                    .counts
                    .iter()
                    .filter_map(|(name, (_, after))| Some((world.desired.regions.get(name)?, after)))
                    .map(|(row, after)| (after * after) as u128 * (5_040 / u128::from(row.spec.weight)))
                    .sum();
                prop_assert_eq!((found, plan.moves.len()), (imbalance, moves));
                let again = plan_again(&world, &plan);
                prop_assert!(again.is_empty(), "{again:?}");
            }
            (Err(_), None) => {}
            (plan, best) => prop_assert!(false, "planned {plan:?}, by force {best:?}"),
        }
    }
}

fn plan_again(world: &World, first: &Plan) -> Vec<placement::Move> {
    plan(&carried_out(world, first), &Ask::Rebalance).unwrap().moves
}

#[test]
fn a_thousand_shards_and_eight_regions_are_planned() {
    let names: Vec<String> = (0..8).map(|n| format!("r{n}")).collect();
    let list: Vec<_> =
        names.iter().zip(1..).map(|(name, weight)| (name.as_str(), 1_024, weight, "any")).collect();
    let mut world = world(&list);
    settle(&mut world, "r0", "any", 1_024);
    let plan = plan(&world, &Ask::Rebalance).unwrap();
    // 1024 shards over 36 parts: within one of the exact share.
    for (n, name) in names.iter().enumerate() {
        let exact = 1_024.0 * (n + 1) as f64 / 36.0;
        let share = plan.counts[&region(name)].1 as f64;
        assert!((share - exact).abs() < 1.0, "{name} has {share}, its share is {exact}");
    }
}
