//! Caches, in two levels: the process' own (moka), and one that processes share (Redis), where there is one.
//!
//! [`Cache`] keeps what was loaded, and that nothing was there. Invariants:
//! - One load a key and process at a time: callers that come while it runs wait for its answer. An error is handed to all
//!   of them and kept by nobody.
//! - An entry carries the moment taken *before* its load began; [`Cache::get_or_load_since`] takes only entries that are
//!   young enough, and within [`since()`] every question does, which is how a consistency token reaches caches.
//! - After [`Cache::invalidate`] returned, no caller here gets a value whose load began before: a load that was under way
//!   is not believed. Callers elsewhere do not either, when Redis answered; at worst for the bound below.
//! - Entries live for the time to live less a random part, so that those loaded together do not end together.
//!
//! # What Redis keeps, and when it is believed
//!
//! Whoever finds nothing puts a *claim* under the key, loads, and puts the value where its claim still stands. Whoever
//! changes the value removes what is there, value or claim, after the commit: a slow loader cannot put an old value back
//! (the leases of Nishtala et al., "Scaling Memcache at Facebook", 2013).
//!
//! A value carries the *generation* in which it was claimed; only those of the current one are believed. Processes form a
//! ring: each tells Redis five times a lease that it lives. A new generation begins when
//! - a server was restarted, wiped or replaced (another `run_id`): an old snapshot may hold what was removed later;
//! - a member's lease ran out: it was killed between its commit and the removal, or cannot reach Redis;
//! - everything was given up: too many changes to tell, [`Cache::invalidate_all`].
//!
//! The script that reads has the generation in its text: a server that lost its memory does not know it and answers
//! NOSCRIPT. What a process could not remove it keeps in mind, does not ask Redis for, and delivers before it uses Redis again.
//!
//! What is removed is also told to all processes, numbered, so that a gap is seen. While a process hears of changes it keeps
//! values for minutes (`redis.l1_ttl`); an entry from before a gap, a silence of half a lease, or a new generation lives no
//! longer than its cache's own `ttl`.
//!
//! **Bound.** With Redis a change is seen everywhere within a round trip. Whatever fails, a process that believes it is
//! linked finds out within half a lease, and a value in Redis whose change was not told is given up a lease and a fifth
//! after the changer fell silent; in a process' own level it lives `ttl` at most from then. Not covered: a process that
//! changes something, could never reach Redis, and dies, while others reach the same Redis all along; events cover what has
//! some, and `redis.l2_ttl` ends the rest.
//!
//! [`Filter`] says of an id that it certainly does not exist, without asking the database. [`SharedBuckets`] limit rates over
//! all processes.

mod buckets;
mod cache;
mod config;
mod filter;
mod key;
mod redis;
mod since;
#[cfg(feature = "testing")]
pub mod testing;

pub use buckets::{SharedBuckets, Taken};
pub use cache::{Cache, Caches, Settings};
pub use config::{RedisConfig, RedisEngine};
pub use filter::{Filter, Rebuild};
pub use key::{Codec, Key};
pub use redis::Redis;
pub use since::since;
