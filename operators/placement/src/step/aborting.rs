//! Back to a settled map: planned operations bring shards back to homes that still serve and are lawful; nothing stays
//! announced, and a switchover lifts its own cordon.

use std::collections::BTreeMap;

use kernel::{Region, Shard};

use super::{Change, Todo, taking};
use crate::{Operation, Outcome, Phase, Placing, State, World};

pub(super) fn step(operation: &Operation, world: &World) -> Todo {
    // A drill was called off before it had its region, as far as was known: another coordinator had just taken it.
    if taking::took(operation, world) {
        return Todo::abort(operation, world, why(operation));
    }
    let mut rows = unsettled(operation, world);
    let batch = usize::from(world.desired.policy.movement.batch.max(1));
    if let Some(beyond) = rows.keys().nth(batch).copied() {
        rows.split_off(&beyond);
    }
    if !rows.is_empty() {
        return Todo::Change(Change::Map { expect: world.observed.version, rows });
    }
    if let Some(region) = taking::cordoned(operation, world) {
        return taking::set(world, region, State::Active, None);
    }
    let end = Phase::Ended(Outcome::Aborted { why: why(operation) });
    Todo::enter(operation, end, world, "the map is settled")
}

fn why(operation: &Operation) -> String {
    match &operation.phase {
        Phase::Aborting { why } => why.clone(),
        _ => String::new(),
    }
}

/// The world as it will be when this planned operation has been taken back.
pub(super) fn undone(operation: &Operation, world: &World) -> World {
    let mut without = world.clone();
    for (shard, (home, placing)) in unsettled(operation, world) {
        if let Some(row) = without.observed.shards.get_mut(&shard) {
            (row.home, row.placing) = (home, placing);
        }
    }
    let region = taking::cordoned(operation, world);
    if let Some(row) = region.and_then(|region| without.desired.regions.get_mut(region)) {
        (row.state, row.held_by) = (State::Active, None);
    }
    without
}

/// The rows that are not as they should be after an abort, and how they should be.
fn unsettled(operation: &Operation, world: &World) -> BTreeMap<Shard, (Region, Placing)> {
    let planned = operation.spec.kind.planned();
    let rows = operation.moves.iter().filter_map(|step| {
        let row = world.observed.shards.get(&step.shard)?;
        let sound = world.desired.serves(&step.from) && world.lawful(row, &step.from);
        let back = planned && row.home == step.to && sound;
        let home = if back { &step.from } else { &row.home };
        let settled = row.home == *home && row.placing == Placing::Settled;
        (!settled).then(|| (step.shard, (home.clone(), Placing::Settled)))
    });
    rows.collect()
}
