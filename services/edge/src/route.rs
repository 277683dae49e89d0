//! Where a shard's request is best served, by the map. Pure.

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
    let or_here = world.lawful(row, me);
    let home = world.desired.regions.get(&row.home).and_then(|region| Place::of(&row.home, region));
    match home {
        Some(to) => Route::There { to, or_here },
        None if or_here => Route::Here,
        // Another one that may, rather than none.
        None => others(world, me, Some(shard))
            .into_iter()
            .next()
            .map_or(Route::Nowhere, |to| Route::There { to, or_here }),
    }
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

/// Whether `me` is out: a person or a failover took it out, or it is a witness. A region that the map does not know yet is
/// not out.
pub(crate) fn is_out(world: &World, me: &Region) -> bool {
    world.desired.regions.get(me).is_some_and(|row| !row.serves())
}

#[cfg(test)]
mod tests {
    use placement::State;

    use super::*;
    use crate::testing::{region, world};

    fn there(name: &str, or_here: bool) -> Route {
        let to = Place { region: region(name), endpoint: format!("http://{name}.test") };
        Route::There { to, or_here }
    }

    #[test]
    fn home_is_asked_unless_it_is_out_or_nowhere_to_be_found() {
        let mut world = world(&["a", "b", "c"]);
        assert_eq!(route(&world, &region("a"), Shard::new(0)), Route::Here);
        assert_eq!(route(&world, &region("a"), Shard::new(1)), there("b", true));
        assert_eq!(route(&world, &region("a"), Shard::new(99)), Route::Here, "not in the map");
        let b = world.desired.regions.get_mut(&region("b")).unwrap();
        b.state = State::Cordoned;
        assert_eq!(route(&world, &region("a"), Shard::new(1)), there("b", true));
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
        assert_eq!(route(&world, &region("a"), Shard::new(1)), there("b", false));
        world.desired.regions.get_mut(&region("b")).unwrap().state = State::Fenced;
        assert_eq!(route(&world, &region("a"), Shard::new(1)), there("c", false));
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
