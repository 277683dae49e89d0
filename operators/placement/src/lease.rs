//! Work leases: who does a shard's background work. They save work; nothing is safe because of them.

use std::fmt;

use kernel::{Epoch, Region, Timestamp};
use serde::{Deserialize, Serialize};

/// A running process of a region. Its name is new with every start, so a process never mistakes its predecessor's lease
/// for its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Instance {
    /// Where it runs.
    pub region: Region,
    /// Which it is.
    pub name: String,
}

impl Instance {
    /// The process `name` of `region`.
    pub fn new(region: Region, name: impl Into<String>) -> Self {
        Self { region, name: name.into() }
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.region, self.name)
    }
}

/// A lease as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lease {
    /// Who has it, or had it last.
    pub holder: Instance,
    /// Grows by one whenever it is taken.
    pub epoch: Epoch,
    /// Until when, by the storage's clock.
    pub expires_at: Timestamp,
}

impl Lease {
    /// Whether it is held at `now`.
    pub fn held(&self, now: Timestamp) -> bool {
        now < self.expires_at
    }
}

/// What a worker should do about a lease, between two batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Take it: it is free and the work is ours.
    Take,
    /// Renew it, under the epoch it was taken with.
    Renew(Epoch),
    /// Give it back: the shard lives elsewhere now, or its home is back.
    Release(Epoch),
    /// Nothing.
    Nothing,
}

/// What `me` does about a shard's lease. `mine`: the shard's work is my region's ([`crate::World::works`]). The storage
/// checks the same again in the change itself, so a worker with an old map only wastes a question.
pub fn wish(me: &Instance, mine: bool, lease: Option<&Lease>, now: Timestamp) -> Wish {
    match lease {
        Some(lease) if lease.holder == *me && lease.held(now) => {
            if mine {
                Wish::Renew(lease.epoch)
            } else {
                Wish::Release(lease.epoch)
            }
        }
        Some(lease) if lease.held(now) => Wish::Nothing,
        Some(_) | None if mine => Wish::Take,
        Some(_) | None => Wish::Nothing,
    }
}
