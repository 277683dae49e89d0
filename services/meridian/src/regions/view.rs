//! What people and programs are shown of regions. Pure.

use contracts::region::{
    DrillsView, EntryView, OperationView, RegionView, RegionsView, ShardView, SightingView,
};
use coordinator::Scene;
use kernel::Region;
use placement::{
    By, Leg, Operation, Outcome, Phase, Policy, RegionRow, Role, Step, Verdict, World, step, unwell,
};

use super::report;

/// Everything, as `here` sees it.
pub(crate) fn regions(scene: &Scene, here: Option<&Region>) -> RegionsView {
    let Scene { world, operation, leader } = scene;
    let now = world.observed.now;
    RegionsView {
        version: world.observed.version.0,
        here: here.map(ToString::to_string),
        regions: world.desired.regions.iter().map(|(name, row)| region(world, name, row)).collect(),
        shards: world.observed.shards.keys().filter_map(|number| shard(world, *number)).collect(),
        paused: world.desired.policy.paused,
        leader: leader.as_ref().filter(|lease| lease.held(now)).map(|lease| lease.holder.to_string()),
        operation: operation.as_ref().map(|running| self::operation(running, Some(world))),
        drills: drills(world, &world.desired.policy),
    }
}

fn region(world: &World, name: &Region, row: &RegionRow) -> RegionView {
    let observed = &world.observed;
    let homes = observed.shards.values().filter(|shard| shard.home == *name).count();
    let held = |lease: &&placement::Lease| lease.holder.region == *name && lease.held(observed.now);
    let leases = observed.leases.values().filter(held).count();
    let vitals = world.vitals().find(|(region, _)| *region == name).map(|(_, vitals)| vitals);
    let fresh_for = world.desired.policy.movement.fresh_for;
    let seen = observed.sightings.iter().filter(|((subject, by), _)| subject == name && by != name);
    RegionView {
        region: name.to_string(),
        role: match row.spec.role {
            Role::Full => "full",
            Role::Witness => "witness",
        }
        .to_owned(),
        state: row.state.name().to_owned(),
        endpoint: row.spec.endpoint.clone(),
        homes: count(homes),
        leases: count(leases),
        capacity: row.spec.capacity,
        weight: row.spec.weight,
        failover_ready: row.spec.failover_ready,
        read_only: row.spec.degraded.read_only,
        static_only: row.spec.degraded.static_only,
        queue: row.spec.degraded.queue,
        relay_lag_ms: vitals.map(|said| u64::try_from(said.relay_lag.as_millis()).unwrap_or(u64::MAX)),
        burning: vitals.is_some_and(|said| said.burning),
        seen: seen
            .map(|((_, by), sighting)| SightingView {
                by: by.to_string(),
                up: sighting.verdict == Verdict::Up,
                fresh: observed.now.since(sighting.seen_at) <= fresh_for,
                since: sighting.since,
                seen_at: sighting.seen_at,
            })
            .collect(),
    }
}

fn shard(world: &World, number: kernel::Shard) -> Option<ShardView> {
    let row = world.observed.shards.get(&number)?;
    let lease = world.observed.leases.get(&number);
    let moving_to = match &row.placing {
        placement::Placing::Settled => None,
        placement::Placing::Moving { target } => Some(target.to_string()),
    };
    Some(ShardView {
        shard: number.number(),
        home: row.home.to_string(),
        moving_to,
        jurisdiction: row.jurisdiction.to_string(),
        holder: lease.filter(|lease| lease.held(world.observed.now)).map(|lease| lease.holder.to_string()),
        epoch: lease.map_or(0, |lease| lease.epoch.0),
    })
}

/// An operation with its report; `world` says what it waits for.
pub(crate) fn operation(operation: &Operation, world: Option<&World>) -> OperationView {
    let (outcome, why) = match &operation.phase {
        Phase::Ended(Outcome::Done { late }) if late.is_empty() => (Some("done"), None),
        Phase::Ended(Outcome::Done { late }) => {
            (Some("done"), Some(format!("the background work of {} shards resumed late", late.len())))
        }
        Phase::Ended(Outcome::Refused { why }) => (Some("refused"), Some(why.clone())),
        Phase::Ended(Outcome::Aborted { why }) => (Some("aborted"), Some(why.clone())),
        Phase::Aborting { why } => (None, Some(why.clone())),
        _ => (None, None),
    };
    let waits_for = world.and_then(|world| match step(operation, world) {
        Step::Wait { why, .. } => Some(why.to_string()),
        Step::Act(_) | Step::Ended => None,
    });
    OperationView {
        id: operation.id.0,
        kind: operation.spec.kind.name().to_owned(),
        region: operation.spec.kind.region().map(ToString::to_string),
        by: match &operation.spec.by {
            By::Person(name) => Some(name.clone()),
            By::Itself => None,
        },
        phase: operation.phase.name().to_owned(),
        back: operation.leg == Leg::Back,
        moves: count(operation.moves.len()),
        outcome: outcome.map(str::to_owned),
        why,
        waits_for,
        timeline: operation
            .timeline
            .iter()
            .map(|entry| EntryView { at: entry.at, phase: entry.phase.clone(), detail: entry.detail.clone() })
            .collect(),
        report: report::of(operation),
    }
}

/// When drills begin by themselves as `policy` says, in `world`; none where none does.
pub(crate) fn drills(world: &World, policy: &Policy) -> Option<DrillsView> {
    let drills = policy.drills.as_ref()?;
    let (week, next_at) = drills.next(world.observed.now);
    let next = drills.region(&world.desired, week);
    Some(DrillsView {
        day: drills.day.name().to_owned(),
        hour: drills.hour,
        regions: drills.regions.iter().map(ToString::to_string).collect(),
        next_at,
        next: next.map(ToString::to_string),
        begun: world.observed.last_drill.is_some_and(|last| last >= week),
        unwell: match next {
            None => Some("no region is failover-ready".to_owned()),
            Some(region) => unwell(world, region),
        },
    })
}

/// A number that a view has room for.
pub(super) fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}
