//! What an operation's journal says of how long it took, what waited meanwhile, and whether the books held afterwards.
//!
//! It says what the journal and the database know, by the database's clock. What only clients see, requests that failed and
//! writes that were acknowledged and lost, it does not know, and does not name.

use std::{collections::BTreeMap, time::Duration};

use kernel::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Entry, Kind, Operation, Phase};

/// What is journalled when every moved shard's lease is held in its new home.
pub(crate) const ALL_LEASES: &str = "every lease is in its new home";

/// Events of some shards, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Events {
    /// Of how many shards.
    pub shards: u64,
    /// Committed, and without a position in the log.
    pub unsequenced: u64,
    /// In the log, and not consumed by the slowest subscription (with a broker: not relayed).
    pub unconsumed: u64,
    /// The sum of the positions that the shards' logs end with.
    pub sequenced: u64,
}

impl Events {
    /// Everything that waits.
    pub const fn waiting(&self) -> u64 {
        self.unsequenced.saturating_add(self.unconsumed)
    }

    /// The sum of the positions up to which every subscription has consumed.
    const fn consumed(&self) -> u64 {
        self.sequenced.saturating_sub(self.unconsumed)
    }
}

/// What the audit found once an operation was over: of each rule the first look that began after its end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Audit {
    /// By rule.
    pub rules: BTreeMap<String, Found>,
}

/// What was found about a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Found {
    /// When the look was over.
    pub at: Timestamp,
    /// How much was looked at.
    pub looked_at: u64,
    /// How much of it was wrong.
    pub wrong: u64,
}

impl Audit {
    /// Whether every rule that was looked at held.
    pub fn held(&self) -> bool {
        self.rules.values().all(|found| found.wrong == 0)
    }
}

/// Events from the moment the region was out until they were counted last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Backlog {
    /// Those that waited when the region was out.
    pub waited: u64,
    /// Those that got their position since.
    pub sequenced: u64,
    /// Those that every subscription consumed since.
    pub consumed: u64,
    /// Those that waited when they were counted last.
    pub waits: u64,
    /// When that was.
    pub counted_at: Timestamp,
}

impl Backlog {
    /// How many of those that waited when the region was out were consumed since: a shard's events are consumed in order.
    pub fn replayed(&self) -> u64 {
        self.waited.min(self.consumed)
    }
}

/// An operation's report. Times are those of the way out; a drill's way back ends with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Report {
    /// When it was asked for, or began by itself.
    pub decided_at: Timestamp,
    /// When the dead region of a failover spoke last, which it does about once a second while it lives.
    pub last_sign_of_life: Option<Timestamp>,
    /// When its region was found taken: fenced, or cordoned by a switchover.
    pub taken_at: Option<Timestamp>,
    /// When the last home was found moved.
    pub moved_at: Option<Timestamp>,
    /// When every moved shard's lease was found held in its new home: from then on all background work goes on there. None
    /// where that was not so before patience ended.
    pub handed_over_at: Option<Timestamp>,
    /// Shards whose background work had not resumed when patience ended.
    pub late: usize,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// What waited; none where it was not counted.
    pub events: Option<Backlog>,
    /// What the audit found afterwards; none until it has looked.
    pub audit: Option<Audit>,
}

impl Report {
    /// How long the region's shards were without their background work, at most: from the last sign of life of a dead
    /// region, or from the decision to take a living one, until every lease was held elsewhere.
    pub fn recovery(&self) -> Option<Duration> {
        let from = self.last_sign_of_life.unwrap_or(self.decided_at);
        self.handed_over_at.map(|until| until.since(from))
    }
}

/// The report of an operation, as far as it has come; none of a kind that leaves no region, and none of what was refused.
pub fn report(operation: &Operation) -> Option<Report> {
    let first = operation.timeline.first()?;
    let way_out = way_out(&operation.timeline)?;
    if !operation.spec.kind.reported() {
        return None;
    }
    let entered = |phase: &Phase| way_out.iter().find(|entry| entry.phase == phase.name());
    let taken = entered(&Phase::Moving);
    let handed_over = entered(&Phase::Verifying).filter(|entry| entry.detail == ALL_LEASES);
    let out = !matches!(operation.spec.kind, Kind::Evacuate { .. });
    Some(Report {
        decided_at: first.at,
        last_sign_of_life: operation.last_sign,
        taken_at: taken.filter(|_| out).map(|entry| entry.at),
        moved_at: entered(&Phase::HandingOver).map(|entry| entry.at),
        handed_over_at: handed_over.map(|entry| entry.at),
        late: operation.late.len(),
        ended_at: operation.timeline.last().filter(|_| operation.ended()).map(|entry| entry.at),
        events: taken.and_then(|taken| backlog(operation, taken)),
        audit: operation.audit.clone(),
    })
}

/// The lines before a drill turned round: it takes its region twice. None where nothing was taken.
fn way_out(timeline: &[Entry]) -> Option<&[Entry]> {
    let taking = |entry: &Entry| entry.phase == Phase::Taking.name();
    let first = timeline.iter().position(taking)?;
    let (until, rest) = timeline.split_at_checked(first + 1)?;
    let second = rest.iter().position(taking).unwrap_or(rest.len());
    timeline.get(..until.len() + second)
}

/// From when the region was out until the last count of the same shards.
fn backlog(operation: &Operation, taken: &Entry) -> Option<Backlog> {
    let before = taken.events?;
    let counts = operation.timeline.iter().rev().filter_map(|entry| Some((entry.at, entry.events?)));
    let (counted_at, after) =
        counts.filter(|(at, _)| *at >= taken.at).find(|(_, events)| events.shards == before.shards)?;
    Some(Backlog {
        waited: before.waiting(),
        sequenced: after.sequenced.saturating_sub(before.sequenced),
        consumed: after.consumed().saturating_sub(before.consumed()),
        waits: after.waiting(),
        counted_at,
    })
}
