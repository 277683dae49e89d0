//! The unit of placement.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The most shards a database can have: an id gives its last ten bits to its shard.
pub const MAX_SHARDS: u16 = 1 << 10;

/// A shard: a slice of the owners (users, merchants, stores) with everything they own. Chosen when the owner is
/// created, carried by every id, never changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Shard(u16);

impl Shard {
    /// The shard with this number, which must be below [`MAX_SHARDS`]; a larger one wraps.
    pub const fn new(number: u16) -> Self {
        Self(number % MAX_SHARDS)
    }

    /// Its number.
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
