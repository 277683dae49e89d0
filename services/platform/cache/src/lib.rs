//! Caches inside a process.
//!
//! [`Cache`] keeps what was loaded, and that nothing was there. Invariants:
//! - One load a key at a time: callers that come while it runs wait for its answer. An error is handed to all of them
//!   and kept by nobody.
//! - An entry carries the moment taken *before* its load began; [`Cache::get_or_load_since`] takes only entries that are
//!   young enough, which is how a consistency token reaches a cache.
//! - After [`Cache::invalidate`] returned, no caller gets a value whose load began before: a load that was under way
//!   is not believed.
//! - Entries live for the time to live less a random part, so that those loaded together do not end together.
//!
//! [`Filter`] says of an id that it certainly does not exist, without asking the database.
//!
//! A second level (Redis) fits between: `get_or_load` asks it before the loader; keys and values need no change.

mod cache;
mod filter;

pub use cache::{Cache, Settings};
pub use filter::{Filter, Rebuild};
