//! Back to a settled map: planned operations bring shards back to homes that still serve and are lawful; nothing stays announced.

use std::collections::BTreeMap;

use kernel::{Region, Shard};

use super::{Change, Todo};
use crate::{Operation, Outcome, Phase, Placing, World};

pub(super) fn step(operation: &Operation, world: &World) -> Todo {
    let mut rows = unsettled(operation, world);
    let batch = usize::from(world.desired.policy.movement.batch.max(1));
    if let Some(beyond) = rows.keys().nth(batch).copied() {
        rows.split_off(&beyond);
    }
    if !rows.is_empty() {
        return Todo::Change(Change::Map { expect: world.observed.version, rows });
    }
    let why = match &operation.phase {
        Phase::Aborting { why } => why.clone(),
        _ => String::new(),
    };
    Todo::enter(operation, Phase::Ended(Outcome::Aborted { why }), world, "the map is settled")
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
