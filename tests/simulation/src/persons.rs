//! What persons do: begin, abort, take regions out and let them back, pause, pin.

use std::collections::BTreeMap;

use coordinator::Journal;
use futures::executor::block_on;
use kernel::{Region, Shard};
use placement::{Kind, OperationId, Spec, State, Vitals};

use crate::{cast::Cast, seed::Seed};

/// One thing, by chance; told for the trace.
pub(crate) fn act(cast: &Cast, seed: &mut Seed) -> String {
    match seed.below(12) {
        0..5 => begin(cast, seed),
        5 | 6 => abort(cast),
        7..10 => change_region(cast, seed),
        10 => change_policy(cast, seed),
        _ => burn(cast, seed),
    }
}

fn some_region(cast: &Cast, seed: &mut Seed) -> Region {
    let names: Vec<Region> = cast.places.iter().map(|place| place.name.clone()).collect();
    seed.pick(&names).clone()
}

fn begin(cast: &Cast, seed: &mut Seed) -> String {
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
    format!("asks for {kind:?}: {answer:?}")
}

fn abort(cast: &Cast) -> String {
    let running = cast.journal.store().running().map_or(OperationId(0), |running| running.id);
    let answer = block_on(cast.journal.abort(running, "a person wants it"));
    format!("aborts {running}: {answer:?}")
}

fn change_region(cast: &Cast, seed: &mut Seed) -> String {
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
    let version = cast.journal.store().world().desired.regions.get(&region).map_or(0, |row| row.version);
    let answer = block_on(cast.journal.set_state(&region, version, to));
    format!("sets {region} {to:?}: {answer:?}")
}

fn change_policy(cast: &Cast, seed: &mut Seed) -> String {
    let world = cast.journal.store().world().clone();
    let mut policy = world.desired.policy;
    policy.paused = seed.one_in(3);
    policy.pins.clear();
    if let Some(shard) = world.observed.shards.keys().next().filter(|_| seed.one_in(2)) {
        policy.pins.insert(*shard, some_region(cast, seed));
    }
    let answer = block_on(cast.journal.put_policy(world.observed.version, &policy));
    format!("pauses {}, pins {:?}: {answer:?}", policy.paused, policy.pins)
}

fn burn(cast: &Cast, seed: &mut Seed) -> String {
    let region = some_region(cast, seed);
    let vitals = Vitals { burning: seed.one_in(2), ..Vitals::default() };
    drop(block_on(cast.journal.say(&region, vitals)));
    format!("sees {region} burning: {}", vitals.burning)
}

/// The end of a run: nothing is paused or pinned; regions stay as they are. What was said of them stays, too, and is not
/// said again: it grows old, and nobody waits for it for ever.
pub(crate) fn calm(cast: &Cast) {
    let world = cast.journal.store().world().clone();
    let mut policy = world.desired.policy;
    policy.paused = false;
    policy.pins.clear();
    drop(block_on(cast.journal.put_policy(world.observed.version, &policy)));
}
