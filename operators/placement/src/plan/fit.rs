//! Which region may hold which shard, and why a shard moves.

use std::{collections::BTreeMap, fmt};

use kernel::{Region, Shard};

use super::{
    Ask, Reason,
    assign::{Price, Slots},
};
use crate::{Desired, RegionRow, Role, ShardRow, State, World, agreement::mostly_down};

/// What is against a shard living in a region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// There is no such region.
    Unknown,
    /// A witness holds no shards.
    Witness,
    /// It is drained or fenced.
    Out(State),
    /// It takes no more shards.
    Cordoned,
    /// It is being left.
    Left,
    /// The shard is pinned elsewhere.
    Pinned(Region),
    /// The shard was asked to go elsewhere.
    AskedElsewhere(Region),
    /// It keeps no data of the shard's jurisdiction.
    Jurisdiction,
    /// It has room for no more, even when others make way.
    Full,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("is no region"),
            Self::Witness => f.write_str("is a witness"),
            Self::Out(state) => write!(f, "is {state:?}"),
            Self::Cordoned => f.write_str("is cordoned"),
            Self::Left => f.write_str("is being left"),
            Self::Pinned(to) => write!(f, "is not {to}, where the shard is pinned"),
            Self::AskedElsewhere(to) => write!(f, "is not {to}, where the shard was asked to go"),
            Self::Jurisdiction => f.write_str("keeps no data of that jurisdiction"),
            Self::Full => f.write_str("is full"),
        }
    }
}

pub(super) fn told(why: &BTreeMap<Region, Unfit>) -> String {
    if why.is_empty() {
        return "there are no regions".into();
    }
    why.iter().map(|(region, unfit)| format!("{region} {unfit}")).collect::<Vec<_>>().join(", ")
}

/// Whether `ask` may move this shard at all.
pub(super) fn in_scope(desired: &Desired, ask: &Ask, shard: Shard, row: &ShardRow) -> bool {
    match ask {
        Ask::Rebalance => true,
        Ask::Move(shards) => shards.contains_key(&shard),
        Ask::Evacuate { .. } => !desired.serves(&row.home),
        Ask::Leave { region, .. } => row.home == *region,
    }
}

/// Whether the shard may live in `region`, and then whether that is outside its jurisdiction.
pub(super) fn fit(
    desired: &Desired,
    ask: &Ask,
    shard: Shard,
    row: &ShardRow,
    region: &Region,
) -> Result<bool, Unfit> {
    let target = desired.regions.get(region).ok_or(Unfit::Unknown)?;
    if target.spec.role == Role::Witness {
        return Err(Unfit::Witness);
    }
    if !target.state.serves() {
        return Err(Unfit::Out(target.state));
    }
    if target.state == State::Cordoned && row.home != *region {
        return Err(Unfit::Cordoned);
    }
    if leaves(ask, region) {
        return Err(Unfit::Left);
    }
    if let Some(to) = desired.policy.pins.get(&shard).filter(|to| *to != region && !excused(desired, ask, to))
    {
        return Err(Unfit::Pinned(to.clone()));
    }
    if let Ask::Move(shards) = ask
        && let Some(to) = shards.get(&shard).filter(|to| *to != region)
    {
        return Err(Unfit::AskedElsewhere(to.clone()));
    }
    if target.spec.jurisdictions.contains(&row.jurisdiction) {
        return Ok(false);
    }
    match ask {
        Ask::Evacuate { outside } | Ask::Leave { outside, .. } if outside.contains(region) => Ok(true),
        _ => Err(Unfit::Jurisdiction),
    }
}

/// Whether shards that have to live elsewhere at once go there last: it is seen down. What is planned in peace waits instead,
/// and a region that is being left is not asked.
pub(super) fn shunned(world: &World, ask: &Ask, region: &Region) -> bool {
    match ask {
        Ask::Rebalance | Ask::Move(_) => false,
        Ask::Evacuate { .. } => mostly_down(world, region, None),
        Ask::Leave { region: left, .. } => mostly_down(world, region, Some(left)),
    }
}

fn leaves(ask: &Ask, region: &Region) -> bool {
    matches!(ask, Ask::Leave { region: left, .. } if left == region)
}

/// A pin says where a shard should live while that region takes part; it does not keep a shard in a region that is out or
/// being left.
fn excused(desired: &Desired, ask: &Ask, pinned: &Region) -> bool {
    let emergency = matches!(ask, Ask::Evacuate { .. } | Ask::Leave { .. });
    emergency && (leaves(ask, pinned) || !desired.serves(pinned))
}

/// What a region's slots cost; `kept` are taken by shards that do not move.
pub(super) fn slots(ask: &Ask, row: &RegionRow, kept: usize) -> Slots {
    let price = match ask {
        // A cordoned region keeps what it has: its slots are free.
        Ask::Rebalance if row.state == State::Cordoned => Price::Free,
        Ask::Rebalance | Ask::Move(_) => Price::Weight(row.spec.weight),
        Ask::Evacuate { .. } | Ask::Leave { .. } => Price::Weight(row.spec.capacity),
    };
    Slots { kept, capacity: usize::from(row.spec.capacity), price }
}

/// Why a shard moves; `counts` are the shards of each region before and after.
pub(super) fn reason(
    desired: &Desired,
    ask: &Ask,
    shard: Shard,
    row: &ShardRow,
    counts: &BTreeMap<Region, (usize, usize)>,
) -> Reason {
    if matches!(ask, Ask::Move(_)) {
        return Reason::Asked;
    }
    let Err(unfit) = fit(desired, ask, shard, row, &row.home) else {
        return crowded(desired, row, counts);
    };
    match unfit {
        Unfit::Unknown => Reason::RegionUnknown,
        Unfit::Witness => Reason::RegionIsWitness,
        Unfit::Out(state) => Reason::RegionOut(state),
        Unfit::Left => Reason::RegionLeft,
        Unfit::Pinned(_) => Reason::Pinned,
        Unfit::Jurisdiction => Reason::Jurisdiction,
        // None of these is ever said of a shard's own home.
        Unfit::Cordoned | Unfit::AskedElsewhere(_) | Unfit::Full => Reason::Asked,
    }
}

/// Why a shard leaves a home that it fits into.
fn crowded(desired: &Desired, row: &ShardRow, counts: &BTreeMap<Region, (usize, usize)>) -> Reason {
    let (shards, share) = counts.get(&row.home).copied().unwrap_or_default();
    let capacity = desired.regions.get(&row.home).map_or(0, |region| region.spec.capacity);
    if shards > usize::from(capacity) {
        Reason::OverCapacity { shards, capacity }
    } else if share < shards {
        Reason::Balance { shards, share }
    } else {
        Reason::MakesRoom
    }
}
