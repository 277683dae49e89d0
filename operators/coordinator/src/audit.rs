//! What must be true of the map at every moment, as far as one moment shows it. The simulation holds every step to it, the
//! online audit the database. Numbers are those of the specification's invariants.

use std::fmt;

use kernel::{Epoch, Shard};
use placement::{Ask, Entry, Kind, Operation, Phase, Placing, World, duty, plan};

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

/// Between two looks at one map: 5, no region that was out all the time took or renewed a lease. The map's version says that
/// nobody was taken out or let back meanwhile. That a worker without a lease has no second effect is held elsewhere: rows do
/// not say under which epoch they were written, since nothing is safe because of leases.
pub fn renewed(before: &Scene, after: &Scene) -> Vec<Broken> {
    let (old, new) = (&before.world.observed, &after.world.observed);
    if old.version != new.version {
        return Vec::new();
    }
    let out = new.leases.iter().filter(|(_, lease)| !after.world.desired.serves(&lease.holder.region));
    let longer = out.filter(|(shard, lease)| {
        let last = old.leases.get(*shard);
        last.is_none_or(|last| lease.epoch > last.epoch || lease.expires_at > last.expires_at)
    });
    let broken = longer.map(|(shard, lease)| Broken {
        invariant: 5,
        what: format!("{}, which is out, took or renewed the lease of shard {shard}", lease.holder),
    });
    broken.collect()
}

/// Of the operations that began last: 9, all but the one that runs have ended, and each went through the protocol's steps in
/// their order, none twice.
pub fn journalled(scene: &Scene, operations: &[Operation]) -> Vec<Broken> {
    let running = scene.operation.as_ref().map(|running| running.id);
    let mut broken = Vec::new();
    for one in operations {
        if !one.ended() && running != Some(one.id) {
            let what = format!("{} {} has not ended, and does not run", one.spec.kind.name(), one.id);
            broken.push(Broken { invariant: 9, what });
        }
        if let Some(why) = off_the_path(one) {
            let what = format!("{} {}: {why}", one.spec.kind.name(), one.id);
            broken.push(Broken { invariant: 9, what });
        }
    }
    broken
}

/// Where a timeline is no path of the protocol.
fn off_the_path(operation: &Operation) -> Option<String> {
    let timeline = &operation.timeline;
    let last = timeline.last().map(|entry| entry.phase.as_str());
    if timeline.first().is_none_or(|first| first.phase != Phase::Preflight.name()) {
        return Some("it did not begin with preflight".to_owned());
    }
    if last != Some(operation.phase.name()) {
        return Some(format!("it is in {}, its journal ends with {last:?}", operation.phase.name()));
    }
    let wrong = timeline.windows(2).find(|pair| matches!(pair, [from, to] if !follows(from, to)));
    if let Some([from, to]) = wrong {
        return Some(format!("{} came after {}", to.phase, from.phase));
    }
    let taken = timeline.iter().filter(|entry| entry.phase == Phase::Taking.name()).count();
    let most = if matches!(operation.spec.kind, Kind::Drill { .. }) { 2 } else { 1 };
    (taken > most).then(|| format!("its region was taken {taken} times"))
}

/// Whether a step may come after another; a drill turns round to `taking` from wherever it is on its way out, even from
/// `aborting`, where its region was taken in the very moment it was called off.
fn follows(from: &Entry, to: &Entry) -> bool {
    matches!(
        (from.phase.as_str(), to.phase.as_str()),
        ("preflight", "taking" | "ended")
            | ("taking", "moving" | "taking" | "aborting" | "ended")
            | ("moving", "moving" | "handing-over" | "taking" | "aborting")
            | ("handing-over", "verifying" | "taking" | "aborting")
            | ("verifying", "closing" | "taking" | "aborting")
            | ("aborting", "taking")
            | ("closing" | "aborting", "ended")
    )
}
