//! What persons do: begin, abort, take regions out and let them back; what they say about regions, laws and movement is in
//! the modules below.

mod places;
mod policy;

use std::collections::BTreeMap;

use coordinator::{Applied, Journal, Result};
use futures::executor::block_on;
use kernel::{Region, Shard};
use placement::{Kind, OperationId, Spec, State, Vitals};

pub(crate) use self::policy::calm;
use crate::{cast::Cast, seed::Seed};

/// What a person did.
pub(crate) struct Act {
    /// What it was, for the summary; none where nothing came of it.
    pub(crate) done: Option<&'static str>,
    /// The same at length, for the trace.
    pub(crate) told: String,
}

impl Act {
    fn of(name: &'static str, answer: &Result<Applied>, told: String) -> Self {
        let done = (*answer == Ok(Applied::Yes)).then_some(name);
        Self { done, told: format!("{told}: {answer:?}") }
    }
}

/// One thing, by chance.
pub(crate) fn act(cast: &mut Cast, seed: &mut Seed) -> Act {
    match seed.below(24) {
        0..8 => begin(cast, seed),
        8..11 => abort(cast),
        11..15 => change_state(cast, seed),
        15 | 16 => policy::change(cast, seed),
        17 | 18 => burn(cast, seed),
        19 | 20 => places::set(cast, seed),
        21 | 22 => places::law(cast, seed),
        _ if seed.one_in(2) => places::add(cast, seed),
        _ => policy::schedule(cast, seed),
    }
}

fn some_region(cast: &Cast, seed: &mut Seed) -> Region {
    let names: Vec<Region> = cast.places.iter().map(|place| place.name.clone()).collect();
    seed.pick(&names).clone()
}

fn begin(cast: &Cast, seed: &mut Seed) -> Act {
    let region = some_region(cast, seed);
    let outside = if seed.one_in(4) { [some_region(cast, seed)].into() } else { [].into() };
    let kind = match seed.below(6) {
        0 => {
            let mut shards: BTreeMap<Shard, Region> = BTreeMap::new();
            for shard in cast.shards() {
                if seed.one_in(2) {
                    shards.insert(shard, some_region(cast, seed));
                }
            }
            Kind::Move { shards }
        }
        1 => Kind::Rebalance,
        2 => Kind::Switchover { region, outside },
        3 => Kind::Failover { confirm: seed.one_in(2).then(|| region.to_string()), region, outside },
        4 => Kind::Evacuate { outside },
        _ => Kind::Drill { region },
    };
    let answer = block_on(cast.journal.begin(&Spec::asked("ada", kind.clone())));
    let done = matches!(answer, Ok(Some(_))).then_some("begin");
    Act { done, told: format!("asks for {kind:?}: {answer:?}") }
}

fn abort(cast: &Cast) -> Act {
    let running = cast.journal.store().running().map_or(OperationId(0), |running| running.id);
    let answer = block_on(cast.journal.abort(running, "a person wants it"));
    Act::of("abort", &answer, format!("aborts {running}"))
}

fn change_state(cast: &Cast, seed: &mut Seed) -> Act {
    let region = some_region(cast, seed);
    // Let back more often than taken out: else soon nobody is left.
    let to = *seed.pick(&[
        State::Active,
        State::Active,
        State::Cordoned,
        State::Cordoned,
        State::Drained,
        State::Fenced,
    ]);
    set_state(cast, &region, to)
}

/// A person takes a region out, or lets it back.
pub(crate) fn set_state(cast: &Cast, region: &Region, to: State) -> Act {
    let version = cast.journal.store().world().desired.regions.get(region).map_or(0, |row| row.version);
    let answer = block_on(cast.journal.set_state(region, version, to));
    Act::of("state of a region", &answer, format!("sets {region} {to:?}"))
}

/// The regions that are out or cordoned.
pub(crate) fn not_active(cast: &Cast) -> Vec<Region> {
    let store = cast.journal.store();
    let regions = store.world().desired.regions.iter();
    regions.filter(|(_, row)| row.state != State::Active).map(|(region, _)| region.clone()).collect()
}

/// A person sees that a region's error budget burns, or does not any more; so does the region, where it says how it is.
fn burn(cast: &mut Cast, seed: &mut Seed) -> Act {
    let region = some_region(cast, seed);
    let vitals = Vitals { burning: seed.one_in(2), ..Vitals::default() };
    for place in cast.places.iter_mut().filter(|place| place.name == region) {
        place.burning = vitals.burning;
    }
    drop(block_on(cast.journal.say(&region, vitals)));
    Act { done: Some("burn"), told: format!("sees {region} burning: {}", vitals.burning) }
}
