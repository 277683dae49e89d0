//! When the others agree that a region is down.

use kernel::Region;

use crate::{State, Verdict, World};

/// How many other regions must see a region down before it counts as down.
pub(crate) const ENOUGH: usize = 2;

/// What the others think of a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// At least two others have seen it down for long enough: these.
    Down(Vec<Region>),
    /// They do not agree; who sees it down now, for however long.
    No(Vec<Region>),
}

/// Whether at least two other regions have seen `region` down, without a break for `agree_for` and still lately. Regions
/// that are fenced or drained have no voice: a zombie's opinion is not asked. The storage's clock dates every sighting, so
/// no two clocks are compared; a wrong clock costs time, and a wrong verdict costs a failover, never data.
pub fn agreement(world: &World, region: &Region) -> Agreement {
    let movement = &world.desired.policy.movement;
    let down = seen_down(world, region);
    let long: Vec<Region> = down
        .iter()
        .filter(|observer| {
            world
                .observed
                .sightings
                .get(&(region.clone(), (*observer).clone()))
                .is_some_and(|sighting| sighting.seen_at.since(sighting.since) >= movement.agree_for)
        })
        .cloned()
        .collect();
    if long.len() >= ENOUGH { Agreement::Down(long) } else { Agreement::No(down) }
}

/// The other regions with a voice that see `region` down now.
pub fn seen_down(world: &World, region: &Region) -> Vec<Region> {
    let down = voices(world, region).filter(|(_, verdict)| *verdict == Verdict::Down);
    down.map(|(observer, _)| observer.clone()).collect()
}

/// Whether more of the others see `region` down now than see it up. `but` is not asked. No more than a hint: one of the others
/// that is cut off from all of them sees everybody down, and is outvoted.
pub(crate) fn mostly_down(world: &World, region: &Region, but: Option<&Region>) -> bool {
    let asked = voices(world, region).filter(|(observer, _)| Some(*observer) != but);
    let (down, up) = asked.fold((0_usize, 0_usize), |(down, up), (_, verdict)| match verdict {
        Verdict::Down => (down + 1, up),
        Verdict::Up => (down, up + 1),
    });
    down > up
}

/// What the other regions with a voice saw of `region` lately.
fn voices<'a>(world: &'a World, region: &'a Region) -> impl Iterator<Item = (&'a Region, Verdict)> {
    let fresh_for = world.desired.policy.movement.fresh_for;
    world
        .observed
        .sightings
        .iter()
        .filter(move |((subject, observer), sighting)| {
            subject == region
                && observer != region
                && world.observed.now.since(sighting.seen_at) <= fresh_for
                && world
                    .desired
                    .regions
                    .get(observer)
                    .is_some_and(|row| matches!(row.state, State::Active | State::Cordoned))
        })
        .map(|((_, observer), sighting)| (observer, sighting.verdict))
}
