//! Homes change, in small batches. Planned batches are announced first, paced, and stand still while a region suffers; a
//! failover's, an evacuation's and a drill's are not: their shards have no sound home to wait in.

use std::{collections::BTreeMap, time::Duration};

use super::{Change, Todo, Wait, ask, held_up};
use crate::{Kind, Leg, Move, Operation, Phase, Placing, Role, ShardRow, State, World, plan};

pub(super) fn step(operation: &Operation, world: &World) -> Todo {
    let planned = operation.spec.kind.planned();
    let remaining: Vec<&Move> = operation.moves.iter().filter(|step| !arrived(step, world)).collect();
    if operation.leg == Leg::Back && remaining.iter().any(|step| is_unlawful(step, world)) {
        return Todo::journal(without_unlawful(operation, world));
    }
    if let Some(target) = remaining.iter().find(|step| !welcome(operation, step, world)) {
        let why = format!("{} takes no shards any more", target.to);
        return if planned || operation.leg == Leg::Back {
            Todo::abort(operation, world, why)
        } else {
            again(operation, world, &why)
        };
    }
    let flipped = operation.moves.len() - remaining.len();
    if planned && flipped > operation.flipped {
        return Todo::journal(paced(operation, world, flipped));
    }
    if remaining.is_empty() {
        return Todo::enter(operation, Phase::HandingOver, world, format!("{flipped} shards moved"));
    }
    let batch = &remaining[..remaining.len().min(usize::from(world.desired.policy.movement.batch.max(1)))];
    if !planned {
        return flip(world, batch);
    }
    if batch.iter().any(|step| !announced(step, world)) {
        if let Some(why) = held_up(world) {
            return Todo::Wait { until: None, why };
        }
        if operation.next_batch_at > world.observed.now {
            return Todo::Wait { until: Some(operation.next_batch_at), why: Wait::Pace };
        }
        return announce(world, batch);
    }
    flip(world, batch)
}

/// Whether the shard lives where the move wants it, and is settled.
pub(super) fn arrived(step: &Move, world: &World) -> bool {
    row(step, world).is_some_and(|row| row.home == step.to && row.placing == Placing::Settled)
}

fn row<'a>(step: &Move, world: &'a World) -> Option<&'a ShardRow> {
    world.observed.shards.get(&step.shard)
}

/// Whether the target still takes the shard, by its state and by law. A drill brings shards back to the region it holds,
/// cordoned for others.
fn welcome(operation: &Operation, step: &Move, world: &World) -> bool {
    let (Some(row), Some(target)) = (row(step, world), world.desired.regions.get(&step.to)) else {
        return false;
    };
    let held = target.spec.role == Role::Full
        && target.state == State::Cordoned
        && target.held_by == Some(operation.id);
    let open = target.accepts() || held || (row.home == step.to && target.serves());
    open && (world.lawful(row, &step.to) || operation.spec.kind.allows_outside(&step.to))
}

/// Whether the shard has come under a law since that keeps it from its target.
fn is_unlawful(step: &Move, world: &World) -> bool {
    row(step, world).is_some_and(|row| row.home != step.to && !world.lawful(row, &step.to))
}

/// A drill on its way back without the shards that may not go back any more: they stay where they are, and the others and the
/// region do not wait for them.
fn without_unlawful(operation: &Operation, world: &World) -> Operation {
    let mut next = operation.clone();
    next.moves.retain(|step| !is_unlawful(step, world));
    next
}

fn announced(step: &Move, world: &World) -> bool {
    row(step, world).is_some_and(|row| row.placing == Placing::Moving { target: step.to.clone() })
}

fn announce(world: &World, batch: &[&Move]) -> Todo {
    let rows = batch.iter().filter_map(|step| {
        let home = row(step, world)?.home.clone();
        Some((step.shard, (home, Placing::Moving { target: step.to.clone() })))
    });
    change(world, rows.collect())
}

fn flip(world: &World, batch: &[&Move]) -> Todo {
    change(world, batch.iter().map(|step| (step.shard, (step.to.clone(), Placing::Settled))).collect())
}

fn change(world: &World, rows: BTreeMap<kernel::Shard, (kernel::Region, Placing)>) -> Todo {
    Todo::Change(Change::Map { expect: world.observed.version, rows })
}

/// The batch is journalled, and with it when the next may begin: the pace survives a crash.
fn paced(operation: &Operation, world: &World, flipped: usize) -> Operation {
    let count = u32::try_from(flipped - operation.flipped).unwrap_or(u32::MAX);
    let each = Duration::from_secs(60) / u32::from(world.desired.policy.movement.per_minute.max(1));
    let mut next = operation.clone();
    next.flipped = flipped;
    next.next_batch_at = world.observed.now.plus(each.saturating_mul(count));
    next
}

/// A target of an unplanned operation went out as well: what has not moved is planned anew, what has stays.
fn again(operation: &Operation, world: &World, why: &str) -> Todo {
    let fresh = match plan(world, &stranded(&operation.spec.kind)) {
        Ok(fresh) => fresh,
        Err(impossible) => return Todo::abort(operation, world, format!("{why}; {impossible}")),
    };
    let mut next = operation.enter(Phase::Moving, world.observed.now, format!("planned anew: {why}"));
    next.moves.retain(|step| arrived(step, world) && fresh.moves.iter().all(|new| new.shard != step.shard));
    next.flipped = next.moves.len();
    // Where a shard came from in the first place is where a drill brings it back to.
    let came_from = operation.way_back();
    next.moves.extend(
        fresh
            .moves
            .into_iter()
            .map(|step| Move { from: came_from.get(&step.shard).unwrap_or(&step.from).clone(), ..step }),
    );
    next.moves.sort_by_key(|step| step.shard);
    Todo::journal(next)
}

/// Unplanned operations move what lives in a region that is out.
fn stranded(kind: &Kind) -> crate::Ask {
    match ask(kind) {
        crate::Ask::Leave { outside, .. } => crate::Ask::Evacuate { outside },
        other => other,
    }
}
