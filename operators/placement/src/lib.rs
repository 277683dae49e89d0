//! Where shards live and how they move. Pure: desired and observed go in, a plan or the next effect comes out; nothing
//! here reads a clock, a database or a network, and every function is total.
//!
//! - [`plan()`]: which shards should move where, the fewest that reach the best balance, each with its reason; or the
//!   named error that says which shard fits nowhere and why.
//! - [`step()`]: the protocol of move, rebalance, evacuation, switchover, failover and drill. It looks at an operation and
//!   at the world and names the one change to make next. It remembers nothing else, so whoever comes after a crash goes
//!   on where the last one stopped.
//! - [`report()`]: what an operation's journal says of how long it took and what waited meanwhile.
//! - [`duty()`]: what a coordinator begins by itself.
//! - [`wish`]: what a worker does about a shard's lease.
//! - [`seats`]: where the database should keep the rows of a shard, and those of a region.
//!
//! **What holds** (numbers as in the specification of regions; model and simulation check them):
//! 3 every change of the map is a compare-and-set on its version; 4 a lease's epochs only grow; 9 two coordinators do no
//! harm, since every change also names the version of the operation it belongs to; 10 an operation cut anywhere resumes or
//! aborts to a settled map; 11 no shard is sent to a region that is drained or fenced, and only a person lets one back
//! (a drill: the region it took itself, if nobody touched it since); 12 at rest every shard has a serving home of its
//! jurisdiction, unless the planner names the reason why not.
//!
//! **Home is a preference**: any region of the jurisdiction may serve a shard correctly at any moment, the database is the
//! arbiter. What is decided here makes shops fast; a late or a stale decision costs milliseconds, never an order.

mod agreement;
mod desired;
mod drills;
mod duty;
mod lease;
mod observed;
mod operation;
mod plan;
mod report;
mod seat;
mod step;

pub use agreement::{Agreement, agreement, seen_down};
pub use desired::{Degraded, Desired, Jurisdiction, Movement, Policy, RegionRow, RegionSpec, Role, State};
pub use drills::{Day, Drills, drill_keys, drilled, unwell};
pub use duty::duty;
pub use lease::{Instance, Lease, Wish, wish};
pub use observed::{MapVersion, Observed, Placing, Servers, ShardRow, Sighting, Verdict, Vitals, World};
pub use operation::{By, Entry, Kind, Leg, Operation, OperationId, Outcome, Phase, Spec};
pub use plan::{Ask, Digest, Impossible, Move, Plan, Reason, Unfit, plan};
pub use report::{Audit, Backlog, Events, Found, Report, report};
pub use seat::{Seat, Seats, seats};
pub use step::{Change, Effect, Step, Wait, step};
