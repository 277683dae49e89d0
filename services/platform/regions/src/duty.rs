//! Whose background work this region does.

use std::collections::BTreeSet;

use kernel::{Region, Shard};
use placement::World;

/// The shards whose background work is this region's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Duty {
    /// All: there is no map yet. Regions then do the same work several times over, to one effect.
    All,
    /// Those whose lease it holds and should hold.
    Of(BTreeSet<Shard>),
}

impl Duty {
    /// What is `me`'s to do in `world`.
    pub fn of(me: &Region, world: &World) -> Self {
        let observed = &world.observed;
        if observed.shards.is_empty() {
            return Self::All;
        }
        let mine = observed.shards.iter().filter(|(shard, row)| {
            world.works(row, me, observed.now)
                && observed
                    .leases
                    .get(shard)
                    .is_some_and(|lease| lease.holder.region == *me && lease.held(observed.now))
        });
        Self::Of(mine.map(|(shard, _)| *shard).collect())
    }

    /// Whether a shard is among them.
    pub fn has(&self, shard: Shard) -> bool {
        match self {
            Self::All => true,
            Self::Of(shards) => shards.contains(&shard),
        }
    }
}
