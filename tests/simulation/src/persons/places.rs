//! What persons say about what regions are, by the rules of `meridian region add`, `set` and `law`.

use std::collections::BTreeSet;

use coordinator::{Applied, Journal, Store};
use futures::executor::block_on;
use kernel::{Region, Shard};
use placement::{Degraded, Jurisdiction, RegionSpec, Role};

use super::{Act, some_region};
use crate::{cast::Cast, seed::Seed};

/// A region that was not there; or one that was, which changes nothing.
pub(super) fn add(cast: &mut Cast, seed: &mut Seed) -> Act {
    let new = cast.next_name().filter(|_| !seed.one_in(8));
    let region = new.unwrap_or_else(|| some_region(cast, seed));
    let room = u16::try_from(cast.shards().len()).unwrap_or(u16::MAX);
    let witness = seed.one_in(4);
    let any = Jurisdiction::new(Jurisdiction::ANY);
    let eu = seed.one_in(2).then(|| Jurisdiction::new("eu"));
    let spec = RegionSpec {
        endpoint: String::new(),
        role: if witness { Role::Witness } else { Role::Full },
        capacity: if witness { 0 } else { room },
        weight: if witness { 0 } else { seed.between(0, 3) },
        jurisdictions: eu.into_iter().chain([any]).collect(),
        failover_ready: false,
        degraded: Degraded::default(),
    };
    let answer = block_on(cast.journal.put_region(&region, None, &spec));
    if answer == Ok(Applied::Yes) {
        cast.join(&region, seed);
    }
    Act::of("add a region", &answer, format!("adds {region} {:?}", spec.role))
}

/// A region's weight, capacity, failover or role.
pub(super) fn set(cast: &Cast, seed: &mut Seed) -> Act {
    let region = some_region(cast, seed);
    let store = cast.journal.store();
    let Some(row) = store.world().desired.regions.get(&region) else {
        return Act { done: None, told: format!("finds no {region}") };
    };
    let mut spec = row.spec.clone();
    let room = u16::try_from(cast.shards().len()).unwrap_or(u16::MAX).max(1);
    let name = match (seed.below(4), spec.role) {
        (0, Role::Full) => {
            spec.weight = seed.between(0, 3);
            "set a weight"
        }
        (1, Role::Full) => {
            spec.capacity = seed.between(1, room);
            "set a capacity"
        }
        (2, Role::Full) => {
            spec.failover_ready = !spec.failover_ready;
            "set a failover"
        }
        (_, Role::Full) if needed(&store, &region) => {
            return Act { done: None, told: format!("cannot make {region} a witness") };
        }
        (_, Role::Full) => {
            spec.role = Role::Witness;
            (spec.capacity, spec.weight, spec.failover_ready) = (0, 0, false);
            "make a witness"
        }
        (_, Role::Witness) => {
            spec.role = Role::Full;
            (spec.capacity, spec.weight) = (room, 1);
            "make a witness a home"
        }
    };
    // Now and then somebody was faster.
    let version = if seed.one_in(8) { row.version + 1 } else { row.version };
    let answer = block_on(cast.journal.put_region(&region, Some(version), &spec));
    let RegionSpec { role, weight, capacity, failover_ready, .. } = &spec;
    let told =
        format!("sets {region} {role:?}, weight {weight}, capacity {capacity}, failover {failover_ready}");
    Act::of(name, &answer, told)
}

/// Whether a region cannot be made a witness: shards live there, are pinned to it, or may be on their way.
fn needed(store: &Store, region: &Region) -> bool {
    let world = store.world();
    let lives = world.observed.shards.values().any(|row| row.home == *region);
    let pinned = world.desired.policy.pins.values().any(|home| home == region);
    store.running().is_some() || lives || pinned
}

/// Under whose law some shards are. The journal refuses it where a home of theirs does not keep it.
pub(super) fn law(cast: &Cast, seed: &mut Seed) -> Act {
    let law = Jurisdiction::new(*seed.pick(&[Jurisdiction::ANY, "eu"]));
    let shards: BTreeSet<Shard> = cast.shards().into_iter().filter(|_| seed.one_in(4)).collect();
    if shards.is_empty() {
        return Act { done: None, told: format!("puts no shard under {law}") };
    }
    let mut version = cast.journal.store().world().observed.version;
    // Now and then somebody was faster.
    version.0 -= u64::from(seed.one_in(8));
    let answer = block_on(cast.journal.put_law(version, &shards, &law));
    Act::of("law", &answer, format!("puts {shards:?} under {law}"))
}
