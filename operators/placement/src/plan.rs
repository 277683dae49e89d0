//! Which shards should live where.

mod assign;
mod fit;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use kernel::{Region, Shard};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use fit::Unfit;

use crate::{Desired, Jurisdiction, MapVersion, RegionRow, ShardRow, State, World};

/// What to plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Every shard where pins, laws and states allow, the best balance by weight, the fewest moves.
    Rebalance,
    /// These shards to these homes; no other shard moves.
    Move(BTreeMap<Shard, Region>),
    /// A serving home for every shard whose home is out; no other shard moves. Spread by capacity; who is seen down comes last.
    Evacuate {
        /// Regions that may take shards of any jurisdiction.
        outside: BTreeSet<Region>,
    },
    /// Another home for every shard of a region; no other shard moves. Spread by capacity; who is seen down comes last.
    Leave {
        /// The region.
        region: Region,
        /// Regions that may take shards of any jurisdiction.
        outside: BTreeSet<Region>,
    },
}

/// Why a shard moves.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Reason {
    /// A person named it.
    Asked,
    /// It is pinned to its new home.
    Pinned,
    /// Its home is not among the regions any more.
    RegionUnknown,
    /// Its home is a witness.
    RegionIsWitness,
    /// Its home is out.
    RegionOut(State),
    /// Its home is being left.
    RegionLeft,
    /// Its home keeps no data of its jurisdiction.
    Jurisdiction,
    /// Its home has more shards than its capacity.
    OverCapacity {
        /// How many it has.
        shards: usize,
        /// How many it may have.
        capacity: u16,
    },
    /// Its home has more than its share by weight.
    Balance {
        /// How many it has.
        shards: usize,
        /// How many it should have.
        share: usize,
    },
    /// Another shard has to live in its home, which is full.
    MakesRoom,
}

impl Reason {
    /// Its name in plans and reports.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Pinned => "pinned",
            Self::RegionUnknown => "region-unknown",
            Self::RegionIsWitness => "region-is-witness",
            Self::RegionOut(_) => "region-out",
            Self::RegionLeft => "region-left",
            Self::Jurisdiction => "jurisdiction",
            Self::OverCapacity { .. } => "over-capacity",
            Self::Balance { .. } => "balance",
            Self::MakesRoom => "makes-room",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("asked for by name"),
            Self::Pinned => f.write_str("pinned to its new home"),
            Self::RegionUnknown => f.write_str("its home is not a region any more"),
            Self::RegionIsWitness => f.write_str("its home is a witness"),
            Self::RegionOut(state) => write!(f, "its home is {state:?}"),
            Self::RegionLeft => f.write_str("its home is being left"),
            Self::Jurisdiction => f.write_str("its home keeps no data of its jurisdiction"),
            Self::OverCapacity { shards, capacity } => {
                write!(f, "its home has {shards} shards and room for {capacity}")
            }
            Self::Balance { shards, share } => {
                write!(f, "its home has {shards} shards, its share is {share}")
            }
            Self::MakesRoom => f.write_str("makes room for a shard that must live there"),
        }
    }
}

/// A shard's change of home.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Move {
    /// Which.
    pub shard: Shard,
    /// Its home now.
    pub from: Region,
    /// Its home to be.
    pub to: Region,
    /// Why.
    pub reason: Reason,
}

/// The fingerprint of a plan: SHA-256 over its canonical form, in hex.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// A digest as a person gives it back.
    pub fn new(hex: impl Into<String>) -> Self {
        Self(hex.into())
    }

    /// In hex.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which shards move, why, and what comes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The map that was planned on.
    pub version: MapVersion,
    /// The moves, by shard.
    pub moves: Vec<Move>,
    /// How many shards each region has now and will have.
    pub counts: BTreeMap<Region, (usize, usize)>,
}

impl Plan {
    /// The plan's fingerprint. Two plans have the same one exactly when they make the same moves, for the same reasons, on
    /// the same version of the map. Every text is preceded by its length, so no two plans share a canonical form.
    pub fn digest(&self) -> Digest {
        let mut hash = Sha256::new();
        let mut text = |text: &str| {
            hash.update(text.len().to_be_bytes());
            hash.update(text);
        };
        text("meridian plan 1");
        text(&self.version.to_string());
        for step in &self.moves {
            text(&step.shard.to_string());
            text(step.from.as_str());
            text(step.to.as_str());
            text(&step.reason.to_string());
        }
        Digest(hex::encode(hash.finalize()))
    }
}

/// Why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Impossible {
    /// A shard was asked to move that the map does not have.
    #[error("there is no shard {shard}")]
    NoSuchShard {
        /// Which.
        shard: Shard,
    },
    /// No order of moves would make room for a shard.
    #[error("shard {shard} of jurisdiction {jurisdiction} fits nowhere: {}", fit::told(.why))]
    FitsNowhere {
        /// Which.
        shard: Shard,
        /// Whose law it is under.
        jurisdiction: Jurisdiction,
        /// What is against each region.
        why: BTreeMap<Region, Unfit>,
    },
}

/// Plans `ask`. The same world and the same ask give the same plan.
///
/// Balance is the sum over regions of shards²/weight at its least, which is the apportionment of Webster and Sainte-Laguë:
/// each next shard goes where (2n + 1) / weight is smallest. Among the best balanced maps the one with the fewest moves is
/// taken. Both are exact: the plan is a minimum-cost flow with the costs compared in the order (shards outside their
/// jurisdiction, shards sent where a region is seen down, imbalance, moves). So a plan on the result of a plan is empty.
pub fn plan(world: &World, ask: &Ask) -> Result<Plan, Impossible> {
    let desired = &world.desired;
    if let Ask::Move(shards) = ask
        && let Some(shard) = shards.keys().find(|shard| !world.observed.shards.contains_key(shard))
    {
        return Err(Impossible::NoSuchShard { shard: *shard });
    }
    let regions: Vec<(&Region, &RegionRow)> = desired.regions.iter().collect();
    let (mut movable, mut kept) = (Vec::new(), vec![0_usize; regions.len()]);
    for (shard, row) in &world.observed.shards {
        if fit::in_scope(desired, ask, *shard, row) {
            movable.push((*shard, row));
        } else if let Some(at) = regions.iter().position(|(name, _)| **name == row.home) {
            kept[at] += 1;
        }
    }
    let shunned: Vec<bool> = regions.iter().map(|(name, _)| fit::shunned(world, ask, name)).collect();
    let problem = assign::Problem {
        slots: regions.iter().zip(&kept).map(|((_, row), kept)| fit::slots(ask, row, *kept)).collect(),
        options: movable.iter().map(|(shard, row)| options(desired, ask, *shard, row, &shunned)).collect(),
    };
    let homes = assign::assign(&problem).map_err(|index| {
        let (shard, row) = movable[index];
        let why = desired.regions.keys().map(|region| {
            (region.clone(), fit::fit(desired, ask, shard, row, region).err().unwrap_or(Unfit::Full))
        });
        Impossible::FitsNowhere { shard, jurisdiction: row.jurisdiction.clone(), why: why.collect() }
    })?;
    let mut counts = counts(world);
    let mut moves = Vec::new();
    for ((shard, row), at) in movable.iter().zip(homes) {
        let to = regions[at].0;
        if row.home != *to {
            moves.push((*shard, *row, to));
            shift(&mut counts, &row.home, to);
        }
    }
    let explain = |(shard, row, to): (Shard, &ShardRow, &Region)| Move {
        shard,
        from: row.home.clone(),
        to: to.clone(),
        reason: fit::reason(desired, ask, shard, row, &counts),
    };
    let moves = moves.into_iter().map(explain).collect();
    Ok(Plan { version: world.observed.version, moves, counts })
}

/// Where a shard may live, as (index of the region, cost).
fn options(
    desired: &Desired,
    ask: &Ask,
    shard: Shard,
    row: &ShardRow,
    shunned: &[bool],
) -> Vec<(usize, assign::Cost)> {
    desired
        .regions
        .keys()
        .zip(shunned)
        .enumerate()
        .filter_map(|(at, (region, down))| {
            let outside = fit::fit(desired, ask, shard, row, region).ok()?;
            Some((at, assign::Cost::shard(outside, *down, row.home != *region)))
        })
        .collect()
}

/// How many shards each region has, twice; homes that are no regions too.
fn counts(world: &World) -> BTreeMap<Region, (usize, usize)> {
    let mut counts: BTreeMap<Region, (usize, usize)> =
        world.desired.regions.keys().map(|region| (region.clone(), (0, 0))).collect();
    for row in world.observed.shards.values() {
        let count = counts.entry(row.home.clone()).or_default();
        *count = (count.0 + 1, count.1 + 1);
    }
    counts
}

fn shift(counts: &mut BTreeMap<Region, (usize, usize)>, from: &Region, to: &Region) {
    if let Some(count) = counts.get_mut(from) {
        count.1 -= 1;
    }
    if let Some(count) = counts.get_mut(to) {
        count.1 += 1;
    }
}
