//! What must be true of the map at every moment, as far as one moment shows it. The simulation holds every step to it, the
//! online audit the database. Numbers are those of the specification's invariants.

use std::fmt;

use kernel::{Epoch, Shard};
use placement::{Ask, Placing, World, duty, plan};

use crate::Scene;

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// Which.
    pub invariant: u8,
    /// What was seen.
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invariant {}: {}", self.invariant, self.what)
    }
}

/// At every moment: 3, no row is newer than the map; 4, a lease that was ever taken has an epoch; 10, nothing is about to
/// move while no operation runs.
pub fn standing(scene: &Scene) -> Vec<Broken> {
    let observed = &scene.world.observed;
    let mut broken = Vec::new();
    for (shard, row) in &observed.shards {
        if row.version > observed.version {
            let what =
                format!("shard {shard} changed in version {}, the map has {}", row.version, observed.version);
            broken.push(Broken { invariant: 3, what });
        }
        if scene.operation.is_none() && row.placing != Placing::Settled {
            broken.push(Broken {
                invariant: 10,
                what: format!("no operation runs and shard {shard} is about to move"),
            });
        }
    }
    let leases = observed.leases.iter().map(|(shard, lease)| (format!("shard {shard}"), lease));
    for (whose, lease) in leases.chain(scene.leader.iter().map(|lease| ("the leadership".to_owned(), lease)))
    {
        if lease.epoch == Epoch(0) {
            broken.push(Broken {
                invariant: 4,
                what: format!("{whose} is held by {} without an epoch", lease.holder),
            });
        }
    }
    broken
}

/// When nothing is under way: 11 and 12, every shard has a serving home of its jurisdiction. A shard that a leader is about
/// to give one counts as under way; one that no region has room for does not. Whatever is under way, a shard without a
/// serving home is worked on by somebody.
pub fn served(scene: &Scene) -> Vec<Broken> {
    let world = &scene.world;
    let led = scene.leader.as_ref().is_some_and(|lease| lease.held(world.observed.now));
    let under_way = scene.operation.is_some() || (led && duty(world).is_some());
    let why = if under_way {
        "nobody works on it".to_owned()
    } else {
        let nowhere = plan(world, &Ask::Evacuate { outside: [].into() }).err();
        nowhere.map_or_else(|| "nobody moves it".to_owned(), |impossible| impossible.to_string())
    };
    let mut broken: Vec<Broken> = world
        .stranded()
        .filter(|(shard, _)| !under_way || forsaken(world, *shard))
        .map(|(shard, row)| Broken {
            invariant: 12,
            what: format!("shard {shard} lives in {}, which does not serve; {why}", row.home),
        })
        .collect();
    if under_way {
        return broken;
    }
    let abroad = world
        .observed
        .shards
        .iter()
        .filter(|(_, row)| world.desired.serves(&row.home) && !world.lawful(row, &row.home));
    broken.extend(abroad.map(|(shard, row)| Broken {
        invariant: 12,
        what: format!("shard {shard} of {} lives in {}", row.jurisdiction, row.home),
    }));
    broken
}

/// Whether nobody has held a shard's lease for longer than who stands in needs to see that it is free.
fn forsaken(world: &World, shard: Shard) -> bool {
    let (observed, within) = (&world.observed, world.desired.policy.movement.fresh_for);
    let lease = observed.leases.get(&shard);
    lease.is_none_or(|lease| observed.now.since(lease.expires_at) > within)
}
