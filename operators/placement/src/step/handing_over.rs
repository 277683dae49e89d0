//! Background work follows the shards: old holders give their leases back or run out, the new homes take over.

use std::collections::BTreeSet;

use kernel::Shard;

use super::{Todo, Wait, due_first, moving::arrived, patience, taking};
use crate::{Agreement, Operation, Phase, World, agreement, report::ALL_LEASES};

pub(super) fn step(operation: &Operation, world: &World) -> Todo {
    let missing = missing(operation, world);
    if missing.is_empty() {
        return Todo::enter(operation, Phase::Verifying, world, ALL_LEASES);
    }
    let until = patience(operation, world);
    let planned = operation.spec.kind.planned();
    // What is planned was taken back for what comes first; the rest is as good as done.
    let waits = planned || due_first(world).is_none();
    if waits && until > world.observed.now && !hopeless(operation, world, &missing) {
        return Todo::Wait { until: Some(until), why: Wait::Leases(missing.len()) };
    }
    if planned {
        let why = format!("{} shards' background work did not resume in their new homes", missing.len());
        return Todo::abort(operation, world, why);
    }
    let detail = format!("{} leases are late", missing.len());
    let mut next = operation.enter(Phase::Verifying, world.observed.now, detail);
    next.late.extend(missing);
    Todo::journal(next)
}

/// Whether each of these shards waits for a region that is out by now, or that the others agree is down: the next evacuation or
/// failover is theirs.
fn hopeless(operation: &Operation, world: &World, missing: &BTreeSet<Shard>) -> bool {
    let mut moves = operation.moves.iter().filter(|step| missing.contains(&step.shard));
    moves.all(|step| {
        !world.desired.serves(&step.to) || matches!(agreement(world, &step.to), Agreement::Down(_))
    })
}

/// The moved shards whose lease nobody in their new home holds.
fn missing(operation: &Operation, world: &World) -> BTreeSet<Shard> {
    let taken = |shard: Shard, home: &kernel::Region| {
        world
            .observed
            .leases
            .get(&shard)
            .is_some_and(|lease| lease.holder.region == *home && lease.held(world.observed.now))
    };
    operation.moves.iter().filter(|step| !taken(step.shard, &step.to)).map(|step| step.shard).collect()
}

/// The map against the plan. A shard that is not where it should be was moved by nobody we know: the operation goes back to
/// what it can vouch for.
pub(super) fn verify(operation: &Operation, world: &World) -> Todo {
    if let Some(wrong) = operation.moves.iter().find(|step| !arrived(step, world)) {
        return Todo::abort(operation, world, format!("shard {} is not in {}", wrong.shard, wrong.to));
    }
    if taking::took(operation, world) {
        return Todo::journal(taking::turn_round(operation, world, "every shard was served elsewhere"));
    }
    let detail = format!("{} shards are where they should be", operation.moves.len());
    Todo::enter(operation, Phase::Closing, world, detail)
}
