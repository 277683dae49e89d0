//! The protocol: what an operation does next.
//!
//! ```text
//! preflight -> taking -> moving -> handing-over -> verifying -> closing -> ended
//!     |           |         |            |             |  ^________________ drill: once more, back
//!  refused        +---------+-- aborting-+-------------+
//! ```
//! Every answer follows from the journalled operation and the world alone, so a coordinator that comes after a crash, or a
//! second one beside the first, arrives at the same next change. Each change is one compare-and-set that names the
//! operation's version and the map's: whoever comes late changes nothing and looks again.

mod aborting;
mod handing_over;
mod moving;
mod preflight;
mod taking;

use std::{collections::BTreeMap, fmt};

use kernel::{Region, Shard, Timestamp};

use crate::{Kind, Leg, MapVersion, Operation, OperationId, Outcome, Phase, Placing, State, World};

/// A change of storage, made whole or not at all.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Change {
    /// A region's state; the map's version grows with it.
    Region {
        /// Which.
        region: Region,
        /// The map's version this was decided on.
        expect: MapVersion,
        /// Its new state.
        to: State,
        /// The operation that keeps it.
        held_by: Option<OperationId>,
    },
    /// Rows of the map: their homes and whether they are about to move.
    Map {
        /// The map's version this was decided on.
        expect: MapVersion,
        /// The rows.
        rows: BTreeMap<Shard, (Region, Placing)>,
    },
    /// The operation itself, as it is to be journalled; its version is the one before plus one.
    Journal(Box<Operation>),
}

/// A change with the operation it belongs to: storage refuses it once the operation has another version.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Effect {
    /// The operation.
    pub operation: OperationId,
    /// The operation's version this was decided on.
    pub version: u64,
    /// What changes.
    pub change: Change,
}

/// What an operation waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Wait {
    /// A person paused movement.
    Paused,
    /// A region's error budget burns.
    Burning(Region),
    /// A region's relay is behind.
    RelayLag(Region),
    /// A region is seen down by this many others, and that is not enough or not long enough.
    Agreement(Region, usize),
    /// A region that is to get shards is seen down.
    TargetDown(Region),
    /// No server of the database is up in a region that is to get shards.
    NoServer(Region),
    /// The database moves no leaders to a region that is to get shards.
    Stuck(Region),
    /// The next batch is not due.
    Pace,
    /// This many shards' leases are not in their new homes.
    Leases(usize),
}

/// For a person.
impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Paused => f.write_str("movement is paused"),
            Self::Burning(region) => write!(f, "{region} burns its error budget"),
            Self::RelayLag(region) => write!(f, "the relay of {region} is behind"),
            Self::Agreement(region, count) => write!(
                f,
                "{count} other regions see {region} down; it takes two, for long enough and without a break"
            ),
            Self::TargetDown(region) => write!(f, "{region}, which is to get shards, is seen down"),
            Self::NoServer(region) => write!(
                f,
                "no server of the database is up in {region}, which is to get shards: their leaders cannot move there"
            ),
            Self::Stuck(region) => write!(
                f,
                "the database finds no place for leaders in {region}, which is to get shards (SHOW PLACEMENT: PENDING)"
            ),
            Self::Pace => f.write_str("the next batch is not due"),
            Self::Leases(count) => write!(f, "{count} leases are not in their new homes"),
        }
    }
}

/// What an operation does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Make this change, then look again.
    Act(Effect),
    /// Look again when the world changes, at the latest at `until`.
    Wait {
        /// When at the latest; none: only a change of the world helps.
        until: Option<Timestamp>,
        /// What for.
        why: Wait,
    },
    /// Nothing: it is over.
    Ended,
}

/// The next step of `operation` in `world`. Total: every operation in every world has one.
pub fn step(operation: &Operation, world: &World) -> Step {
    let todo = match &operation.phase {
        Phase::Ended(_) => return Step::Ended,
        phase => cut_short(operation, phase, world).unwrap_or_else(|| match phase {
            Phase::Preflight => preflight::step(operation, world),
            Phase::Taking => taking::take(operation, world),
            Phase::Moving => moving::step(operation, world),
            Phase::HandingOver => handing_over::step(operation, world),
            Phase::Verifying => handing_over::verify(operation, world),
            Phase::Closing => taking::close(operation, world),
            Phase::Aborting { .. } | Phase::Ended(_) => aborting::step(operation, world),
        }),
    };
    match todo {
        Todo::Wait { until, why } => Step::Wait { until, why },
        Todo::Change(change) => act(operation, change),
        Todo::Journal(mut next) => {
            next.version = operation.version + 1;
            act(operation, Change::Journal(next))
        }
    }
}

const fn act(operation: &Operation, change: Change) -> Step {
    Step::Act(Effect { operation: operation.id, version: operation.version, change })
}

/// What a phase wants.
enum Todo {
    Change(Change),
    Journal(Box<Operation>),
    Wait { until: Option<Timestamp>, why: Wait },
}

impl Todo {
    fn journal(next: Operation) -> Self {
        Self::Journal(Box::new(next))
    }

    fn enter(operation: &Operation, phase: Phase, world: &World, detail: impl Into<String>) -> Self {
        Self::journal(operation.enter(phase, world.observed.now, detail))
    }

    fn refuse(operation: &Operation, world: &World, why: impl Into<String>) -> Self {
        let why = why.into();
        Self::enter(operation, Phase::Ended(Outcome::Refused { why: why.clone() }), world, why)
    }

    /// Takes the operation back. A drill on its way out turns round instead: the region it took has to be let in again.
    fn abort(operation: &Operation, world: &World, why: impl Into<String>) -> Self {
        let why = why.into();
        if taking::took(operation, world) {
            let back = taking::turn_round(operation, world, &why);
            return Self::journal(Operation { failed: Some(why), ..back });
        }
        Self::enter(operation, Phase::Aborting { why: why.clone() }, world, why)
    }
}

/// What a person's wish to end the operation changes, or a region's death that cannot wait for its end, if anything: nothing
/// is left to take back once it closes.
fn cut_short(operation: &Operation, phase: &Phase, world: &World) -> Option<Todo> {
    let why = operation.abort.clone().or_else(|| gives_way(operation, world))?;
    match phase {
        Phase::Preflight => Some(Todo::refuse(operation, world, why)),
        Phase::Taking | Phase::Moving | Phase::HandingOver | Phase::Verifying => {
            let mut heard = operation.clone();
            heard.abort = None;
            Some(Todo::abort(&heard, world, why))
        }
        Phase::Closing | Phase::Aborting { .. } | Phase::Ended(_) => None,
    }
}

/// Why a planned operation makes room, and a drill that has not turned round yet: one runs at a time, and shards without a
/// home that lives and serves cannot wait for its end. What is due is asked of the world without this operation: neither what
/// it took nor what it moved may be why nothing can be done, or why anything has to be.
fn gives_way(operation: &Operation, world: &World) -> Option<String> {
    match operation.spec.kind {
        Kind::Drill { .. } if operation.leg == Leg::Out => due_first(&taking::undone(operation, world)),
        _ if operation.spec.kind.planned() => due_first(&aborting::undone(operation, world)),
        _ => None,
    }
}

/// What cannot wait for the end of anything that can be put off, and why not.
fn due_first(world: &World) -> Option<String> {
    match crate::duty(world)?.kind {
        Kind::Failover { region, .. } => Some(format!("{region} is down: its failover comes first")),
        Kind::Evacuate { .. } => {
            let stranded = world.stranded().count();
            Some(format!("{stranded} shards have a home that does not serve: their evacuation comes first"))
        }
        Kind::Move { .. } | Kind::Rebalance | Kind::Switchover { .. } | Kind::Drill { .. } => None,
    }
}

/// Whether a planned operation has to stand still now.
fn held_up(world: &World) -> Option<Wait> {
    if world.desired.policy.paused {
        return Some(Wait::Paused);
    }
    let burning = world.vitals().find(|(_, vitals)| vitals.burning);
    burning.map(|(region, _)| Wait::Burning(region.clone()))
}

/// When this phase's patience is over.
fn patience(operation: &Operation, world: &World) -> Timestamp {
    operation.entered_at.plus(world.desired.policy.movement.patience)
}

/// What to plan for an operation that moves shards from where they are now.
fn ask(kind: &Kind) -> crate::Ask {
    match kind {
        Kind::Move { shards } => crate::Ask::Move(shards.clone()),
        Kind::Rebalance => crate::Ask::Rebalance,
        Kind::Evacuate { outside } => crate::Ask::Evacuate { outside: outside.clone() },
        Kind::Switchover { region, outside } | Kind::Failover { region, outside, .. } => {
            crate::Ask::Leave { region: region.clone(), outside: outside.clone() }
        }
        Kind::Drill { region } => {
            crate::Ask::Leave { region: region.clone(), outside: std::collections::BTreeSet::new() }
        }
    }
}
