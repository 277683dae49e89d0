//! What workers do about leases.

use kernel::{Epoch, Shard};
use placement::{Instance, Lease, State, Wish, World, wish};

use crate::worlds::{at, region, settle, world};

#[test]
fn the_home_takes_what_is_free_and_others_give_back() {
    let (mine, other) = (Instance::new(region("eu"), "a"), Instance::new(region("us"), "b"));
    let held = |holder: &Instance| Lease { holder: holder.clone(), epoch: Epoch(7), expires_at: at(10) };
    assert_eq!(wish(&mine, true, None, at(0)), Wish::Take);
    assert_eq!(wish(&mine, false, None, at(0)), Wish::Nothing);
    assert_eq!(wish(&mine, true, Some(&held(&mine)), at(9)), Wish::Renew(Epoch(7)));
    assert_eq!(wish(&mine, false, Some(&held(&mine)), at(9)), Wish::Release(Epoch(7)));
    assert_eq!(wish(&mine, true, Some(&held(&other)), at(9)), Wish::Nothing);
    assert_eq!(wish(&mine, true, Some(&held(&other)), at(10)), Wish::Take, "it has run out");
    assert_eq!(wish(&mine, true, Some(&held(&mine)), at(10)), Wish::Take, "mine has run out: a new epoch");
}

#[test]
fn others_that_keep_its_data_stand_in_for_a_home_that_is_out() {
    let mut world = world(&[("ap", 8, 1, "any eu"), ("eu", 8, 1, "eu"), ("us", 8, 1, "any")]);
    settle(&mut world, "eu", "eu", 1);
    let works = |world: &World| {
        let row = &world.observed.shards[&Shard::new(0)];
        ["ap", "eu", "us"].map(|name| world.works(row, &region(name), world.observed.now))
    };
    let mut set = |name: &str, to: State| {
        world.desired.regions.get_mut(&region(name)).unwrap().state = to;
        works(&world)
    };
    assert_eq!(set("eu", State::Cordoned), [false, true, false]);
    assert_eq!(set("eu", State::Drained), [true, false, false]);
    assert_eq!(set("eu", State::Fenced), [true, false, false]);
    assert_eq!(set("ap", State::Cordoned), [true, false, false], "who gets no shards may work all the same");
    assert_eq!(set("ap", State::Fenced), [false, false, false]);
}
