//! An operation as it is journalled.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use kernel::{Region, Shard, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Audit, Digest, Events, Move};

/// The number of an operation: given by the journal when it begins, never again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperationId(pub u64);

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Who asked for an operation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum By {
    /// A person, by name.
    Person(String),
    /// The coordinator.
    Itself,
}

/// What an operation does.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// Gives shards the homes that are named.
    Move {
        /// Where each goes.
        shards: BTreeMap<Shard, Region>,
    },
    /// Reaches the best balance with the fewest moves.
    Rebalance,
    /// Gives a serving home to every shard whose home is out.
    Evacuate {
        /// Regions that may take shards of any jurisdiction.
        outside: BTreeSet<Region>,
    },
    /// Moves all shards of a region away, then drains it. The way back is a person's: uncordon it, then move or rebalance.
    Switchover {
        /// The region.
        region: Region,
        /// Regions that may take shards of any jurisdiction.
        outside: BTreeSet<Region>,
    },
    /// Fences a dead region and re-homes its shards.
    Failover {
        /// The region.
        region: Region,
        /// Regions that may take shards of any jurisdiction.
        outside: BTreeSet<Region>,
        /// The region's name, typed by a person. Not needed where the region is failover-ready.
        confirm: Option<String>,
    },
    /// A failover of a healthy region, then back: the region is let back by the drill that took it, unless a person
    /// touched it meanwhile.
    Drill {
        /// The region.
        region: Region,
    },
}

impl Kind {
    /// Its name in commands, journals and metrics.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Move { .. } => "move",
            Self::Rebalance => "rebalance",
            Self::Evacuate { .. } => "evacuate",
            Self::Switchover { .. } => "switchover",
            Self::Failover { .. } => "failover",
            Self::Drill { .. } => "drill",
        }
    }

    /// Whether the shards' old homes are sound, so that there is time: batches are announced, paced, paused, and rolled
    /// back when the new homes do not work.
    pub const fn planned(&self) -> bool {
        matches!(self, Self::Move { .. } | Self::Rebalance | Self::Switchover { .. })
    }

    /// Whether its end is reported on: a region is left, and how long that took and what waited meanwhile is worth knowing.
    pub const fn reported(&self) -> bool {
        matches!(
            self,
            Self::Evacuate { .. } | Self::Switchover { .. } | Self::Failover { .. } | Self::Drill { .. }
        )
    }

    /// Whether it names `region` as one that may take shards of any jurisdiction.
    pub fn allows_outside(&self, region: &Region) -> bool {
        match self {
            Self::Evacuate { outside }
            | Self::Switchover { outside, .. }
            | Self::Failover { outside, .. } => outside.contains(region),
            Self::Move { .. } | Self::Rebalance | Self::Drill { .. } => false,
        }
    }

    /// The region it is about, if it is about one.
    pub const fn region(&self) -> Option<&Region> {
        match self {
            Self::Switchover { region, .. } | Self::Failover { region, .. } | Self::Drill { region } => {
                Some(region)
            }
            Self::Move { .. } | Self::Rebalance | Self::Evacuate { .. } => None,
        }
    }
}

/// What was asked for; never changed afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Spec {
    /// What to do.
    pub kind: Kind,
    /// Who asked.
    pub by: By,
    /// The plan that was shown to a person: another one is refused.
    pub digest: Option<Digest>,
    /// The asker's own key: who asks again with it is told of the operation that began, and nothing begins anew.
    #[serde(default)]
    pub request: Option<String>,
}

impl Spec {
    /// What `person` asks for.
    pub fn asked(person: impl Into<String>, kind: Kind) -> Self {
        Self { kind, by: By::Person(person.into()), digest: None, request: None }
    }

    /// The same under the asker's own key.
    #[must_use]
    pub fn keyed(mut self, request: impl Into<String>) -> Self {
        self.request = Some(request.into());
        self
    }
}

/// The way out or, in a drill, back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Leg {
    /// Away from where the shards lived.
    Out,
    /// Home again.
    Back,
}

/// How far an operation is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// Are the conditions right? Nothing was changed yet.
    Preflight,
    /// The region it is about is cordoned, fenced or, on the way back, let in.
    Taking,
    /// Homes change in small batches.
    Moving,
    /// The old holders give their leases back or run out; the new homes' workers take over.
    HandingOver,
    /// Map and leases are compared with the plan.
    Verifying,
    /// The region's last change: drained after a switchover, active again after a drill.
    Closing,
    /// Back to a settled map.
    Aborting {
        /// What for.
        why: String,
    },
    /// Over.
    Ended(Outcome),
}

impl Phase {
    /// Its name in journals and reports.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Preflight => "preflight",
            Self::Taking => "taking",
            Self::Moving => "moving",
            Self::HandingOver => "handing-over",
            Self::Verifying => "verifying",
            Self::Closing => "closing",
            Self::Aborting { .. } => "aborting",
            Self::Ended(_) => "ended",
        }
    }
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// As asked.
    Done {
        /// Shards whose background work had not resumed when patience ran out (failover, evacuation, drill).
        late: BTreeSet<Shard>,
    },
    /// Never begun, nothing changed.
    Refused {
        /// Why.
        why: String,
    },
    /// Begun and taken back as far as sound.
    Aborted {
        /// Why.
        why: String,
    },
}

/// A line of an operation's timeline.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Entry {
    /// When, by the storage's clock.
    pub at: Timestamp,
    /// What began then.
    pub phase: String,
    /// More about it, for a person.
    pub detail: String,
    /// What waited then of the moved shards' events; none where it was not measured, or not in time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Events>,
}

impl Entry {
    fn new(at: Timestamp, phase: &Phase, detail: impl Into<String>) -> Self {
        Self { at, phase: phase.name().into(), detail: detail.into(), events: None }
    }
}

/// An operation as it is journalled.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Operation {
    /// Its number.
    pub id: OperationId,
    /// Grows with every change of this row; every effect of the operation names it.
    pub version: u64,
    /// What was asked for.
    pub spec: Spec,
    /// How far it is.
    pub phase: Phase,
    /// Out or back.
    pub leg: Leg,
    /// When the phase began.
    pub entered_at: Timestamp,
    /// What moves on this leg; fixed at the end of preflight, planned anew only when a target goes out.
    pub moves: Vec<Move>,
    /// How many of the moves were journalled as done.
    pub flipped: usize,
    /// No planned batch before this moment.
    pub next_batch_at: Timestamp,
    /// Shards whose background work had not resumed in time.
    pub late: BTreeSet<Shard>,
    /// A person wants it ended.
    pub abort: Option<String>,
    /// Why it was not carried out, while it still has its region to let back: a drill that turned round before its end.
    #[serde(default)]
    pub failed: Option<String>,
    /// When the region that a failover is about spoke last, as far as was known when it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_sign: Option<Timestamp>,
    /// What the audit found once it was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit: Option<Audit>,
    /// What happened when.
    pub timeline: Vec<Entry>,
}

impl Operation {
    /// An operation that begins.
    pub fn begin(id: OperationId, spec: Spec, now: Timestamp) -> Self {
        let entry = Entry::new(now, &Phase::Preflight, spec.kind.name());
        Self {
            id,
            version: 0,
            spec,
            phase: Phase::Preflight,
            leg: Leg::Out,
            entered_at: now,
            moves: Vec::new(),
            flipped: 0,
            next_batch_at: now,
            late: BTreeSet::new(),
            abort: None,
            failed: None,
            last_sign: None,
            audit: None,
            timeline: vec![entry],
        }
    }

    /// Whether it is over.
    pub const fn ended(&self) -> bool {
        matches!(self.phase, Phase::Ended(_))
    }

    /// This operation in its next phase.
    #[must_use]
    pub(crate) fn enter(&self, phase: Phase, now: Timestamp, detail: impl Into<String>) -> Self {
        let mut next = self.clone();
        next.timeline.push(Entry::new(now, &phase, detail));
        next.phase = phase;
        next.entered_at = now;
        next
    }

    /// The moves that would bring every shard of this operation back to where it was.
    pub fn way_back(&self) -> BTreeMap<Shard, Region> {
        self.moves.iter().map(|step| (step.shard, step.from.clone())).collect()
    }
}
