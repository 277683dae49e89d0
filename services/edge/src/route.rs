//! Where a shard's request is best served, by the map. Pure.

use std::collections::VecDeque;

use kernel::{Region, Shard};
use placement::{RegionRow, World};
use serde::Serialize;

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// It is served here.
    Here,
    /// To another region.
    There {
        to: Place,
        /// Whether it may be served here in its stead: this region keeps data of the shard's jurisdiction.
        or_here: bool,
        /// Where it may not: who else is asked in its stead, one after the other.
        or_there: VecDeque<Place>,
    },
    /// No region that serves keeps data of the shard's jurisdiction.
    Nowhere,
}

/// A region and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Place {
    pub(crate) region: Region,
    /// The base URL of its entrance, without a slash at the end.
    pub(crate) endpoint: String,
}

impl Place {
    fn of(region: &Region, row: &RegionRow) -> Option<Self> {
        let endpoint = row.spec.endpoint.trim_end_matches('/');
        let reachable = row.serves() && !endpoint.is_empty();
        reachable.then(|| Self { region: region.clone(), endpoint: endpoint.to_owned() })
    }
}

/// Where a request of `shard` that came in at `me` goes. What the map does not know is served here: home is a preference.
pub(crate) fn route(world: &World, me: &Region, shard: Shard) -> Route {
    let Some(row) = world.observed.shards.get(&shard) else { return Route::Here };
    if row.home == *me {
        return Route::Here;
    }
    let home = world.desired.regions.get(&row.home).and_then(|region| Place::of(&row.home, region));
    if world.lawful(row, me) {
        return match home {
            Some(to) => Route::There { to, or_here: true, or_there: VecDeque::new() },
            None => Route::Here,
        };
    }
    // Another one that may, rather than none.
    let rest = others(world, me, Some(shard)).into_iter().filter(|place| place.region != row.home);
    let mut places: VecDeque<Place> = home.into_iter().chain(rest).collect();
    match places.pop_front() {
        Some(to) => Route::There { to, or_here: false, or_there: places },
        None => Route::Nowhere,
    }
}

/// Whether `me` may serve a request of `shard` that another region passed on: it is its home, or keeps data of its jurisdiction.
pub(crate) fn is_lawful(world: &World, me: &Region, shard: Shard) -> bool {
    let row = world.observed.shards.get(&shard);
    row.is_none_or(|row| row.home == *me || world.lawful(row, me))
}

/// The other regions that serve and can be reached: for a shard only those of its jurisdiction, its home first.
pub(crate) fn others(world: &World, me: &Region, shard: Option<Shard>) -> Vec<Place> {
    let row = shard.and_then(|shard| world.observed.shards.get(&shard));
    let mut places: Vec<Place> = world
        .desired
        .regions
        .iter()
        .filter(|(region, _)| *region != me && row.is_none_or(|row| world.lawful(row, region)))
        .filter_map(|(region, known)| Place::of(region, known))
        .collect();
    places.sort_by_key(|place| row.is_some_and(|row| row.home != place.region));
    places
}

#[cfg(test)]
mod tests {
    use placement::State;
    use platform_regions::is_out;

    use super::*;
    use crate::testing::{region, world};

    fn place(name: &str) -> Place {
        Place { region: region(name), endpoint: format!("http://{name}.test") }
    }

    fn there(name: &str) -> Route {
        Route::There { to: place(name), or_here: true, or_there: VecDeque::new() }
    }

    fn only_there(name: &str, or_there: &[&str]) -> Route {
        let or_there = or_there.iter().map(|name| place(name)).collect();
        Route::There { to: place(name), or_here: false, or_there }
    }

    #[test]
    fn home_is_asked_unless_it_is_out_or_nowhere_to_be_found() {
        let mut world = world(&["a", "b", "c"]);
        assert_eq!(route(&world, &region("a"), Shard::new(0)), Route::Here);
        assert_eq!(route(&world, &region("a"), Shard::new(1)), there("b"));
        assert_eq!(route(&world, &region("a"), Shard::new(99)), Route::Here, "not in the map");
        let b = world.desired.regions.get_mut(&region("b")).unwrap();
        b.state = State::Cordoned;
        assert_eq!(route(&world, &region("a"), Shard::new(1)), there("b"));
        for state in [State::Drained, State::Fenced] {
            world.desired.regions.get_mut(&region("b")).unwrap().state = state;
            assert_eq!(route(&world, &region("a"), Shard::new(1)), Route::Here);
            assert!(is_out(&world, &region("b")));
        }
        let b = world.desired.regions.get_mut(&region("b")).unwrap();
        (b.state, b.spec.endpoint) = (State::Active, String::new());
        assert_eq!(route(&world, &region("a"), Shard::new(1)), Route::Here);
        assert!(!is_out(&world, &region("z")), "a region that nobody knows yet");
    }

    #[test]
    fn a_shard_stays_where_its_law_is() {
        let mut world = world(&["a", "b", "c"]);
        world.desired.regions.get_mut(&region("a")).unwrap().spec.jurisdictions.clear();
        assert_eq!(route(&world, &region("a"), Shard::new(1)), only_there("b", &["c"]));
        world.desired.regions.get_mut(&region("b")).unwrap().state = State::Fenced;
        assert_eq!(route(&world, &region("a"), Shard::new(1)), only_there("c", &[]));
        world.desired.regions.get_mut(&region("c")).unwrap().spec.jurisdictions.clear();
        assert_eq!(route(&world, &region("a"), Shard::new(1)), Route::Nowhere);
    }

    #[test]
    fn the_home_of_a_shopper_comes_first() {
        let world = world(&["a", "b", "c"]);
        let names = |shard| {
            let places = others(&world, &region("a"), shard);
            places.iter().map(|place| place.region.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names(None), ["b", "c"]);
        assert_eq!(names(Some(Shard::new(2))), ["c", "b"]);
    }
}
