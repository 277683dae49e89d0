//! The region an operation is about: cordoned, fenced, drained, or let back by the drill that took it.

use kernel::{Region, Shard};

use super::{Change, Todo, Wait, due_first, patience, preflight::disagreed};
use crate::{
    Kind, Leg, Move, Operation, OperationId, Outcome, Phase, Placing, RegionRow, State, World, seen_down,
};

pub(super) fn take(operation: &Operation, world: &World) -> Todo {
    let Some((region, row)) = subject(operation, world) else {
        return Todo::enter(operation, Phase::Moving, world, "");
    };
    match (&operation.spec.kind, operation.leg) {
        (Kind::Failover { .. }, _) if row.state != State::Fenced => {
            // Agreed a moment ago; after a crash that moment may be long past.
            if disagreed(world, region).is_some() {
                return Todo::refuse(operation, world, format!("{region} answers again"));
            }
            set(world, region, State::Fenced, None)
        }
        (Kind::Switchover { .. }, _) if row.state == State::Active => {
            set(world, region, State::Cordoned, Some(operation.id))
        }
        (Kind::Switchover { .. }, _) if !row.state.serves() => {
            Todo::abort(operation, world, format!("{region} was taken out meanwhile"))
        }
        (Kind::Drill { .. }, Leg::Out) if row.state == State::Active => {
            set(world, region, State::Fenced, Some(operation.id))
        }
        (Kind::Drill { .. }, Leg::Out) if !took(operation, world) => {
            Todo::abort(operation, world, format!("{region} was taken out meanwhile"))
        }
        (Kind::Drill { .. }, Leg::Back) => let_back(operation, world, region, row),
        _ => Todo::enter(operation, Phase::Moving, world, format!("{region} is {:?}", row.state)),
    }
}

/// The first half of the way back: the region may have shards again, and gets those it had.
fn let_back(operation: &Operation, world: &World, region: &Region, row: &RegionRow) -> Todo {
    if row.held_by != Some(operation.id) {
        return Todo::abort(operation, world, format!("a person has taken {region} over"));
    }
    if row.state != State::Fenced {
        return Todo::enter(operation, Phase::Moving, world, format!("{region} is let back"));
    }
    if seen_down(world, region).is_empty() {
        return set(world, region, State::Cordoned, Some(operation.id));
    }
    let until = patience(operation, world);
    // Shards elsewhere that have no home do not wait for this one to be back.
    if until > world.observed.now && due_first(&undone(operation, world)).is_none() {
        return Todo::Wait { until: Some(until), why: Wait::TargetDown(region.clone()) };
    }
    let why = format!("{region} is seen down: it stays fenced");
    Todo::enter(operation, Phase::Aborting { why: why.clone() }, world, why)
}

/// The region's last change, and the end.
pub(super) fn close(operation: &Operation, world: &World) -> Todo {
    if let Some((region, row)) = subject(operation, world) {
        match operation.spec.kind {
            Kind::Switchover { .. } if row.state == State::Cordoned => {
                return set(world, region, State::Drained, None);
            }
            Kind::Drill { .. } if row.held_by == Some(operation.id) => {
                return set(world, region, State::Active, None);
            }
            _ => {}
        }
    }
    if let Some(why) = operation.failed.clone().or_else(|| taken_over(operation, world)) {
        return Todo::enter(operation, Phase::Ended(Outcome::Aborted { why: why.clone() }), world, why);
    }
    let outcome = Outcome::Done { late: operation.late.clone() };
    let detail = format!("done, {} shards late", operation.late.len());
    Todo::enter(operation, Phase::Ended(outcome), world, detail)
}

/// Why an operation that closes does not leave its region as it would have: a person has touched it. A drill did not turn
/// round or its region is not active; a switchover's region takes shards again.
fn taken_over(operation: &Operation, world: &World) -> Option<String> {
    let (region, row) = subject(operation, world)?;
    let active = row.state == State::Active;
    let touched = match operation.spec.kind {
        Kind::Drill { .. } => operation.leg == Leg::Out || !active,
        Kind::Switchover { .. } => active,
        Kind::Move { .. } | Kind::Rebalance | Kind::Evacuate { .. } | Kind::Failover { .. } => false,
    };
    touched.then(|| format!("a person has taken {region} over"))
}

/// The region that a switchover has cordoned, if nobody has touched it since.
pub(super) fn cordoned<'a>(operation: &'a Operation, world: &'a World) -> Option<&'a Region> {
    let (region, row) = subject(operation, world)?;
    let own = row.state == State::Cordoned && row.held_by == Some(operation.id);
    (own && matches!(operation.spec.kind, Kind::Switchover { .. })).then_some(region)
}

/// Whether this is a drill on its way out that has its region.
pub(super) fn took(operation: &Operation, world: &World) -> bool {
    matches!(operation.spec.kind, Kind::Drill { .. })
        && operation.leg == Leg::Out
        && subject(operation, world).is_some_and(|(_, row)| row.held_by == Some(operation.id))
}

/// The world as it would be if this drill had not taken its region: that takes part and has the shards that it had. Whether it
/// is down itself is found out by letting it back.
pub(super) fn undone(operation: &Operation, world: &World) -> World {
    let mut without = world.clone();
    let held = subject(operation, world).filter(|(_, row)| row.held_by == Some(operation.id));
    let Some(row) = held.and_then(|(region, _)| without.desired.regions.get_mut(region)) else {
        return without;
    };
    (row.state, row.held_by, row.spec.failover_ready) = (State::Active, None, false);
    for step in &operation.moves {
        let home = if operation.leg == Leg::Out { &step.from } else { &step.to };
        if let Some(row) = without.observed.shards.get_mut(&step.shard) {
            (row.home, row.placing) = (home.clone(), Placing::Settled);
        }
    }
    without
}

/// The drill, on its way back: every shard goes where it came from, unless it should not have lived there.
pub(super) fn turn_round(operation: &Operation, world: &World, why: &str) -> Operation {
    let mut back = operation.enter(Phase::Taking, world.observed.now, format!("back: {why}"));
    back.leg = Leg::Back;
    back.flipped = 0;
    back.moves = operation
        .moves
        .iter()
        .filter(|step| lawful(world, step))
        .map(|step| Move { from: home(world, step.shard, &step.to), to: step.from.clone(), ..step.clone() })
        .collect();
    back
}

fn lawful(world: &World, step: &Move) -> bool {
    world.observed.shards.get(&step.shard).is_some_and(|row| world.lawful(row, &step.from))
}

/// Where a shard lives now; `or` when the map does not know it.
fn home(world: &World, shard: Shard, or: &Region) -> Region {
    world.observed.shards.get(&shard).map_or_else(|| or.clone(), |row| row.home.clone())
}

fn subject<'a>(operation: &'a Operation, world: &'a World) -> Option<(&'a Region, &'a RegionRow)> {
    let region = operation.spec.kind.region()?;
    Some((region, world.desired.regions.get(region)?))
}

pub(super) fn set(world: &World, region: &Region, to: State, held_by: Option<OperationId>) -> Todo {
    Todo::Change(Change::Region { region: region.clone(), expect: world.observed.version, to, held_by })
}
