//! Regions: the shard map, who works where, and the operations that change it. For staff and the command line; shoppers
//! never see it.

use garde::Validate;
use kernel::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Error codes.
pub mod code {
    kernel::codes! {
        NO_MAP = 409 "region.no_map" "This shop has no map of regions";
        BUSY = 409 "region.busy" "Another operation runs";
    }
}

/// Everything about regions, of one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RegionsView {
    /// Version of the map; 0 when the shop has no regions.
    pub version: u64,
    /// The region that answers; absent where the process belongs to none.
    pub here: Option<String>,
    /// The regions, by name.
    pub regions: Vec<RegionView>,
    /// The shards, by number.
    pub shards: Vec<ShardView>,
    /// Whether a person paused movement.
    pub paused: bool,
    /// The process that leads, as `region/process`; absent when none does.
    pub leader: Option<String>,
    /// The operation that runs.
    pub operation: Option<OperationView>,
    /// When drills begin by themselves; absent where none does.
    #[serde(default)]
    pub drills: Option<DrillsView>,
}

/// A region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RegionView {
    /// Its name.
    pub region: String,
    /// `full` or `witness`.
    pub role: String,
    /// `active`, `cordoned`, `drained` or `fenced`.
    pub state: String,
    /// Base URL of its entrance.
    pub endpoint: String,
    /// How many shards live here.
    pub homes: u64,
    /// Of how many shards its processes do the background work.
    pub leases: u64,
    /// The most shards that may live here.
    pub capacity: u16,
    /// Its share of the shards, in proportion to the others'.
    pub weight: u16,
    /// Whether a failover away from here may begin without a person.
    pub failover_ready: bool,
    /// Whether a person has it change nothing for now.
    #[serde(default)]
    pub read_only: bool,
    /// Whether a person has it show only copies of what anybody may see.
    #[serde(default)]
    pub static_only: bool,
    /// Requests that a person has it serve at once, while others wait; 0: as its configuration says.
    #[serde(default)]
    pub queue: u32,
    /// How far its relay is behind the log, in milliseconds; absent until it said so.
    pub relay_lag_ms: Option<u64>,
    /// Whether its error budget burns too fast.
    pub burning: bool,
    /// What the other regions see of it.
    pub seen: Vec<SightingView>,
}

/// What a region sees of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SightingView {
    /// Who looked.
    pub by: String,
    /// Whether it answered.
    pub up: bool,
    /// Whether the sighting is recent enough to count.
    pub fresh: bool,
    /// Since when nothing else was seen.
    pub since: Timestamp,
    /// When it was looked at last.
    pub seen_at: Timestamp,
}

/// A shard's row of the map, and its lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShardView {
    /// Its number.
    pub shard: u16,
    /// Where it lives.
    pub home: String,
    /// Where it is about to live.
    pub moving_to: Option<String>,
    /// Whose law its data is under.
    pub jurisdiction: String,
    /// Who does its background work, as `region/process`; absent when nobody does.
    pub holder: Option<String>,
    /// The lease's epoch; 0 when it was never taken.
    pub epoch: u64,
}

/// Drills that begin by themselves: one a week, within an hour, while nothing is unwell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DrillsView {
    /// The day, in UTC: `monday` to `sunday`.
    pub day: String,
    /// The hour of it, 0 to 23, in UTC.
    pub hour: u8,
    /// The regions in turn, one a week; empty: all that are failover-ready.
    pub regions: Vec<String>,
    /// When the next hour begins, or the one that runs began.
    pub next_at: Timestamp,
    /// Whose turn it is then; absent where no region is failover-ready.
    pub next: Option<String>,
    /// Whether this week's has begun.
    pub begun: bool,
    /// Why it would not begin now; absent where nothing is unwell.
    pub unwell: Option<String>,
}

/// An operation on the map.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OperationView {
    /// Its number.
    pub id: u64,
    /// `move`, `rebalance`, `evacuate`, `switchover`, `failover` or `drill`.
    pub kind: String,
    /// The region it is about.
    pub region: Option<String>,
    /// Who asked; absent when it began by itself.
    pub by: Option<String>,
    /// How far it is.
    pub phase: String,
    /// Whether it is on its way back (a drill).
    pub back: bool,
    /// Shards that move on this leg.
    pub moves: u64,
    /// `done`, `refused` or `aborted`; absent while it runs.
    pub outcome: Option<String>,
    /// Why it was refused or aborted, or what was late.
    pub why: Option<String>,
    /// What it waits for now.
    pub waits_for: Option<String>,
    /// What happened when.
    pub timeline: Vec<EntryView>,
    /// How it went, as far as it has come; absent for a move and a rebalance, which leave no region, and until a region was
    /// taken.
    #[serde(default)]
    pub report: Option<ReportView>,
}

/// A line of an operation's timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EntryView {
    /// When, by the database's clock.
    pub at: Timestamp,
    /// What began then.
    pub phase: String,
    /// More about it.
    pub detail: String,
}

/// How an operation went that left a region: what its journal and the database know. Seconds count from the decision, by the
/// database's clock; what is absent is not known, or not yet. Of a drill it is the way out; `ended_seconds` is the end of the
/// way back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReportView {
    /// When it was asked for, or began by itself.
    pub decided_at: Timestamp,
    /// When the dead region of a failover spoke last; absent where it lived.
    pub last_sign_of_life: Option<Timestamp>,
    /// Until its region was fenced, or cordoned by a switchover; absent for an evacuation, which finds it out.
    pub taken_seconds: Option<f64>,
    /// Until the last home was moved.
    pub moved_seconds: Option<f64>,
    /// Until every moved shard's lease was held in its new home; absent where that was not so before patience ended.
    pub leases_seconds: Option<f64>,
    /// Until it was over.
    pub ended_seconds: Option<f64>,
    /// How long background work rested, at most: from the last sign of life, or from the decision where the region lived,
    /// until every lease was held elsewhere.
    pub rto_seconds: Option<f64>,
    /// Shards whose background work had not resumed when patience ended.
    pub late: u64,
    /// What waited; absent where it was not counted.
    pub events: Option<BacklogView>,
    /// How many of the events that waited when the region was out were consumed since; absent where they were not counted.
    pub replayed_events: Option<u64>,
    /// What the audit found after its end; absent until it has looked.
    pub audit: Option<ReportAuditView>,
    /// Requests that failed meanwhile. Absent: only clients know; see `unknown`.
    pub failed_requests: Option<u64>,
    /// Writes that were acknowledged and lost. Absent: only clients know; see `unknown`.
    pub lost_writes: Option<u64>,
    /// What is not known here, and where it is.
    pub unknown: Vec<UnknownView>,
}

/// Events of the shards that moved, from the moment their region was out until they were counted last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BacklogView {
    /// Those that waited when the region was out.
    pub waited: u64,
    /// Those that got their position in the log since.
    pub sequenced: u64,
    /// Those that every subscription consumed since.
    pub consumed: u64,
    /// Those that waited when they were counted last.
    pub waits: u64,
}

/// What the audit found once an operation was over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportAuditView {
    /// Whether every rule that was looked at held.
    pub held: bool,
    /// Each rule's first look that began after the end.
    pub rules: Vec<ReportRuleView>,
}

/// What was found about a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportRuleView {
    /// The rule, such as `order.sums`.
    pub rule: String,
    /// When the look was over.
    pub at: Timestamp,
    /// How much was looked at.
    pub looked_at: u64,
    /// How much of it was wrong.
    pub wrong: u64,
}

/// What a report does not know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnknownView {
    /// The field, such as `lost_writes`.
    pub what: String,
    /// Why, and where it is known.
    pub why: String,
}

/// What staff may begin from the shop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    /// Moves all shards of a region away, then drains it.
    Switchover,
    /// A failover of a healthy region, then back.
    Drill,
}

/// Begins an operation.
#[derive(Clone, Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginOperation {
    /// What to do.
    #[garde(skip)]
    pub kind: OperationKind,
    /// With which region.
    #[garde(length(chars, min = 1, max = 32))]
    #[schema(min_length = 1, max_length = 32)]
    pub region: String,
}

/// Ends an operation.
#[derive(Clone, Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AbortOperation {
    /// Which.
    #[garde(skip)]
    pub id: u64,
    /// Why.
    #[garde(length(chars, min = 1, max = 200))]
    #[schema(min_length = 1, max_length = 200)]
    pub why: String,
}

contract! {
    /// Regions, for staff.
    Regions as "region", RegionsClient, RegionsDispatcher {
        /// The map, the regions, the operation that runs (`operations.read`).
        regions(()) -> RegionsView;
        /// An operation, running or ended (`operations.read`).
        operation(u64) -> OperationView;
        /// The operation that began last, running or ended (`operations.read`).
        last(()) -> Option<OperationView>;
        /// Begins an operation (`operations.write`).
        begin(BeginOperation) -> OperationView;
        /// Asks an operation to end (`operations.write`). Again is harmless.
        abort(AbortOperation) -> OperationView;
    }
}
