//! The invariants of regions, as predicates over a journal before and after a step. Numbers are the specification's.

use std::collections::{BTreeMap, BTreeSet};

pub use coordinator::Broken;
use coordinator::{Store, journalled, standing};
use kernel::{Shard, Timestamp};
use placement::{
    Ask, By as Asked, Change, Day, Drills, Effect, Kind, Lease, Leg, Operation, Outcome, Phase, Role, State,
    drilled, plan,
};

/// Who made a step.
#[derive(Clone, Copy, Debug)]
pub enum By<'a> {
    /// A person.
    Person,
    /// A coordinator, with the change it had decided on.
    Coordinator(Option<&'a Effect>),
    /// A worker or an observer.
    Worker,
}

fn hold(invariant: u8, holds: bool, what: impl FnOnce() -> String) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken { invariant, what: what() }) }
}

/// Holds one step to the invariants.
pub fn step(before: &Store, after: &Store, by: By<'_>, now: Timestamp) -> Result<(), Broken> {
    if before == after {
        return Ok(());
    }
    versions(before, after)?;
    compared(before, after, by)?;
    leases(before, after, now)?;
    at_any_time(after, now)?;
    homes(before, after)?;
    let_go(after)?;
    let_back(before, after, by)?;
    once_a_week(before, after)
}

/// 3: the map's version only grows, by one with every change of the map, the regions or the policy. (A person may write what
/// is there already; that counts as a change.)
fn versions(before: &Store, after: &Store) -> Result<(), Broken> {
    let (old, new) = (before.world(), after.world());
    let changed = old.desired != new.desired || old.observed.shards != new.observed.shards;
    let (was, is) = (old.observed.version, new.observed.version);
    let right = is == was.next() || (!changed && is == was);
    hold(3, right, || format!("the version went from {was} to {is}, changed: {changed}"))?;
    let unmarked = new.observed.shards.iter().find(|(shard, row)| {
        old.observed.shards.get(shard).is_none_or(|old| old != *row) && row.version != is
    });
    hold(3, unmarked.is_none(), || format!("a row changed without its version: {unmarked:?}"))
}

/// 3, 9: a coordinator's change is made only on what it was decided on.
fn compared(before: &Store, after: &Store, by: By<'_>) -> Result<(), Broken> {
    let By::Coordinator(Some(effect)) = by else { return Ok(()) };
    let running = before.running().map(|running| (running.id, running.version));
    hold(9, running == Some((effect.operation, effect.version)), || {
        format!("a change of {}, version {}, was made during {running:?}", effect.operation, effect.version)
    })?;
    if let Change::Map { expect, .. } | Change::Region { expect, .. } = &effect.change {
        let (was, is) = (before.world().observed.version, after.world().observed.version);
        hold(3, was == *expect, || format!("decided on version {expect}, made on {was}, which became {is}"))?;
    }
    Ok(())
}

/// 4: epochs only grow, one holder an epoch, and a lease changes hands only when it is free; taken and renewed by its
/// shard's home alone, or by a region that stands in for one that it sees down (5).
fn leases(before: &Store, after: &Store, now: Timestamp) -> Result<(), Broken> {
    let (old, new) = (&before.world().observed, after.world());
    for (shard, lease) in &new.observed.leases {
        let Some(last) = old.leases.get(shard) else {
            hold(4, lease.epoch.0 == 1, || format!("shard {shard} begins with {:?}", lease.epoch))?;
            at_home(*shard, lease, after, now)?;
            continue;
        };
        handed_over(&format!("shard {shard}"), last, lease, now)?;
        if lease.expires_at > last.expires_at {
            at_home(*shard, lease, after, now)?;
        }
    }
    match (before.leader(), after.leader()) {
        (Some(last), Some(lease)) => handed_over("the leadership", last, lease, now)?,
        (last, lease) => hold(4, last.is_none(), || format!("the leadership: {last:?} became {lease:?}"))?,
    }
    let lost = old.leases.keys().find(|shard| !new.observed.leases.contains_key(shard));
    hold(4, lost.is_none(), || format!("the lease of shard {lost:?} is gone, and its epoch with it"))
}

fn handed_over(whose: &str, last: &Lease, lease: &Lease, now: Timestamp) -> Result<(), Broken> {
    hold(4, lease.epoch >= last.epoch, || format!("{whose}: {last:?} became {lease:?}"))?;
    let same = lease.epoch == last.epoch;
    hold(4, !same || lease.holder == last.holder, || {
        format!("{whose}: two holders in one epoch, {last:?} and {lease:?}")
    })?;
    hold(4, same || !last.held(now), || format!("{whose}: {last:?} was held when {lease:?} began"))
}

fn at_home(shard: Shard, lease: &Lease, after: &Store, now: Timestamp) -> Result<(), Broken> {
    let world = after.world();
    let row = world.observed.shards.get(&shard);
    let right = row.is_some_and(|row| world.works(row, &lease.holder.region, now));
    hold(11, right, || format!("{} works on shard {shard}, whose row is {row:?}", lease.holder))
}

/// What must be true at every moment, whatever came before: the same as the online audit of a database.
fn at_any_time(after: &Store, now: Timestamp) -> Result<(), Broken> {
    standing(&after.read(now)).into_iter().next().map_or(Ok(()), Err)
}

/// 11, 12: a shard's new home serves and keeps data of its jurisdiction, or was named by the operation.
fn homes(before: &Store, after: &Store) -> Result<(), Broken> {
    let world = after.world();
    for (shard, row) in &world.observed.shards {
        let moved = before.world().observed.shards.get(shard).is_none_or(|old| old.home != row.home);
        if !moved {
            continue;
        }
        let serves = world.desired.serves(&row.home);
        hold(11, serves, || format!("shard {shard} was sent to {}, which is out", row.home))?;
        let lawful = world.lawful(row, &row.home);
        let named = before.running().is_some_and(|running| running.spec.kind.allows_outside(&row.home));
        hold(12, lawful || named, || {
            format!("shard {shard} of {} was sent to {}", row.jurisdiction, row.home)
        })?;
    }
    Ok(())
}

/// 10: a switchover that has ended keeps no region, nor does a drill that is done or never turned round. (One that was cut
/// short on its way back leaves its region as it is, for a person.)
fn let_go(after: &Store) -> Result<(), Broken> {
    for (region, row) in &after.world().desired.regions {
        let holder = row.held_by.and_then(|held| after.ended().get(&held));
        let kept = holder.filter(|one| match one.spec.kind {
            Kind::Switchover { .. } => true,
            Kind::Drill { .. } => {
                one.leg == Leg::Out || matches!(one.phase, Phase::Ended(Outcome::Done { .. }))
            }
            Kind::Move { .. } | Kind::Rebalance | Kind::Evacuate { .. } | Kind::Failover { .. } => false,
        });
        hold(10, kept.is_none(), || {
            let holder = kept.map(|one| (one.spec.kind.name(), one.id));
            format!("{region} is {:?} since an operation that has ended, {holder:?}", row.state)
        })?;
    }
    Ok(())
}

/// 11: a region that is out is let back by a person, or by the drill that holds it.
fn let_back(before: &Store, after: &Store, by: By<'_>) -> Result<(), Broken> {
    for (region, row) in &after.world().desired.regions {
        let Some(old) = before.world().desired.regions.get(region) else { continue };
        let back = !old.state.serves() && row.state.serves();
        let drill = before.running().is_some_and(|running| {
            matches!(running.spec.kind, Kind::Drill { .. }) && old.held_by == Some(running.id)
        });
        hold(11, !back || matches!(by, By::Person) || drill, || {
            format!("{region} went from {:?} to {:?} by {by:?}", old.state, row.state)
        })?;
        let shortcut = matches!((old.state, row.state), (State::Fenced | State::Drained, State::Active));
        hold(11, !shortcut, || format!("{region} went from {:?} to Active at once", old.state))?;
    }
    Ok(())
}

/// Whether nobody asked for it but the schedule.
pub(crate) fn by_schedule(operation: &Operation) -> bool {
    operation.spec.by == Asked::Itself && matches!(operation.spec.kind, Kind::Drill { .. })
}

/// 9: a week has one drill by schedule at most, however many coordinators ask for it.
fn once_a_week(before: &Store, after: &Store) -> Result<(), Broken> {
    let running = |store: &Store| store.running().map(|running| running.id);
    if running(before) == running(after) {
        return Ok(());
    }
    let mut weeks = BTreeMap::new();
    for one in after.ended().values().chain(after.running()).filter(|one| by_schedule(one)) {
        let week = week(one);
        let other = weeks.insert(week, one.id);
        hold(9, other.is_none(), || format!("week {week} has drills {other:?} and {}", one.id))?;
    }
    Ok(())
}

/// The week of a drill: by its key, or, where it has none, by the day on which it began.
fn week(drill: &Operation) -> u64 {
    let began = drill.timeline.first().map_or(drill.entered_at, |entry| entry.at);
    let end = Drills { day: Day::Sunday, hour: 23, regions: Vec::new() };
    let keyed = drill.spec.request.as_deref().and_then(drilled);
    keyed.unwrap_or_else(|| end.next(began).0)
}

/// Holds every operation that ended to the protocol: 9, its timeline is a path of it.
pub fn journal(store: &Store, now: Timestamp) -> Result<(), Broken> {
    let operations: Vec<Operation> = store.ended().values().cloned().collect();
    journalled(&store.read(now), &operations).into_iter().next().map_or(Ok(()), Err)
}

/// Holds a journal at rest (nothing runs, nothing is due, nobody is cut off) to what must have come about: 12, every shard
/// has a serving home, unless the planner names why it cannot have one; and its home works on it, or, where it has none
/// that serves, whoever may.
pub fn rest(store: &Store, now: Timestamp) -> Result<(), Broken> {
    at_any_time(store, now)?;
    let world = store.world();
    let stranded: Vec<Shard> = world.stranded().map(|(shard, _)| shard).collect();
    let evacuated = plan(world, &Ask::Evacuate { outside: BTreeSet::new() });
    hold(12, stranded.is_empty() || evacuated.is_err(), || format!("no home for {stranded:?}"))?;
    for (shard, row) in &world.observed.shards {
        let full = world.desired.regions.get(&row.home).is_some_and(|home| home.spec.role == Role::Full);
        hold(12, full, || format!("shard {shard} lives in {}, which is no home", row.home))?;
        let worker = world.observed.leases.get(shard).filter(|lease| lease.held(now));
        let worked_on = if stranded.contains(shard) {
            let may = world.desired.regions.keys().any(|region| world.works(row, region, now));
            worker.is_some() || !may
        } else {
            worker.is_some_and(|lease| lease.holder.region == row.home)
        };
        hold(12, worked_on, || format!("nobody works on {shard}, whose home is {}", row.home))?;
    }
    Ok(())
}
