//! Are the conditions right? Nothing is changed before they are, and the moves are fixed here.

use kernel::{Region, Timestamp};

use super::{Todo, Wait, ask, due_first, held_up, patience};
use crate::{Agreement, By, Kind, Operation, Phase, Plan, Role, State, World, agreement, plan, seen_down};

pub(super) fn step(operation: &Operation, world: &World) -> Todo {
    if let Some(why) = never(operation, world) {
        return Todo::refuse(operation, world, why);
    }
    let plan = match plan(world, &ask(&operation.spec.kind)) {
        Ok(plan) => plan,
        Err(impossible) => return Todo::refuse(operation, world, impossible.to_string()),
    };
    if let Some(shown) = &operation.spec.digest
        && *shown != plan.digest()
    {
        let why = format!("the plan is now {}, not {shown}: look at it again", plan.digest());
        return Todo::refuse(operation, world, why);
    }
    if let Some(why) = not_yet(operation, world, &plan) {
        let until = (why != Wait::Paused).then(|| patience(operation, world));
        if until.is_some_and(|until| until <= world.observed.now) || begins_again(operation, &why) {
            return Todo::refuse(operation, world, why.to_string());
        }
        // A planned operation and a drill have made room before; a failover that still waits does, too.
        if let Some(first) = due_first(world) {
            return Todo::refuse(operation, world, first);
        }
        return Todo::Wait { until, why };
    }
    let detail = format!("{} shards to move, plan {}", plan.moves.len(), plan.digest());
    let mut next = operation.enter(Phase::Taking, world.observed.now, detail);
    next.moves = plan.moves;
    next.last_sign = last_sign(operation, world);
    Todo::journal(next)
}

/// Whether a failover that began by itself has lost what it began for: it begins again when the others agree again, and holds
/// up no other one until then.
fn begins_again(operation: &Operation, why: &Wait) -> bool {
    operation.spec.by == By::Itself && matches!(why, Wait::Agreement(..))
}

/// When the dead region of a failover spoke last.
fn last_sign(operation: &Operation, world: &World) -> Option<Timestamp> {
    let Kind::Failover { region, .. } = &operation.spec.kind else { return None };
    let said = world.observed.sightings.get(&(region.clone(), region.clone()));
    said.map(|said| said.seen_at)
}

/// What no patience helps against.
fn never(operation: &Operation, world: &World) -> Option<String> {
    let kind = &operation.spec.kind;
    let region = kind.region()?;
    let Some(row) = world.desired.regions.get(region) else {
        return Some(format!("there is no region {region}"));
    };
    if row.spec.role == Role::Witness {
        return Some(format!("{region} is a witness: it has no shards"));
    }
    match kind {
        Kind::Drill { .. } if row.state != State::Active => {
            Some(format!("{region} is {:?}: a drill takes an active region", row.state))
        }
        Kind::Switchover { .. } if !row.state.serves() => {
            Some(format!("{region} is {:?} already", row.state))
        }
        Kind::Failover { confirm: Some(name), .. } if name != region.as_str() => {
            Some(format!("confirmed for {name}, not for {region}"))
        }
        Kind::Failover { confirm: None, .. } if !row.spec.failover_ready => {
            Some(format!("{region} is not failover-ready: a person has to confirm by its name"))
        }
        _ => None,
    }
}

/// What may still come right.
fn not_yet(operation: &Operation, world: &World, plan: &Plan) -> Option<Wait> {
    let kind = &operation.spec.kind;
    if let Kind::Failover { region, .. } = kind {
        if operation.spec.by == By::Itself && world.desired.policy.paused {
            return Some(Wait::Paused);
        }
        return disagreed(world, region);
    }
    if matches!(kind, Kind::Evacuate { .. }) {
        return None;
    }
    let most = world.desired.policy.movement.most_relay_lag;
    let behind = || {
        let lagging = world.vitals().find(|(_, vitals)| vitals.relay_lag > most);
        lagging.map(|(region, _)| Wait::RelayLag(region.clone()))
    };
    let down = || {
        let target = plan.moves.iter().find(|step| !seen_down(world, &step.to).is_empty());
        target.map(|step| Wait::TargetDown(step.to.clone()))
    };
    held_up(world).or_else(behind).or_else(down).or_else(|| immovable(kind, world, plan))
}

/// A region that a planned operation would give shards whose leaders the database could not move there. Who has to leave a
/// region at once does not ask: the database serves from wherever its leaders are. A region without servers gets none.
fn immovable(kind: &Kind, world: &World, plan: &Plan) -> Option<Wait> {
    if !kind.planned() {
        return None;
    }
    plan.moves.iter().find_map(|step| match world.observed.servers.get(&step.to) {
        Some(servers) if servers.all > 0 && servers.up == 0 => Some(Wait::NoServer(step.to.clone())),
        Some(servers) if servers.stuck => Some(Wait::Stuck(step.to.clone())),
        Some(_) | None => None,
    })
}

/// Why a failover of `region` has to wait.
pub(super) fn disagreed(world: &World, region: &Region) -> Option<Wait> {
    match agreement(world, region) {
        Agreement::Down(_) => None,
        Agreement::No(who) => Some(Wait::Agreement(region.clone(), who.len())),
    }
}
