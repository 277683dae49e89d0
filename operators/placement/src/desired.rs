//! What persons ask for: regions, pins, the pace of movement.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use kernel::{Region, Shard};
use serde::{Deserialize, Serialize};

use crate::{Drills, OperationId};

/// A law's territory by name, such as `eu`: a shard has one, a region keeps the data of some.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Jurisdiction(String);

impl Jurisdiction {
    /// The name of that which binds nothing to a place.
    pub const ANY: &str = "any";

    /// A jurisdiction of this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// Its name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Jurisdiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a region is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Role {
    /// Serves shoppers and may be a home.
    Full,
    /// Votes in the database and watches the others; never a home.
    Witness,
}

/// Whether a region takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum State {
    /// Takes part.
    Active,
    /// Keeps the shards it has and gets no more.
    Cordoned,
    /// Out, and gone in good order.
    Drained,
    /// Out, whatever its processes think.
    Fenced,
}

impl State {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Active, Self::Cordoned, Self::Drained, Self::Fenced];

    /// Its word, in tables and for people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Cordoned => "cordoned",
            Self::Drained => "drained",
            Self::Fenced => "fenced",
        }
    }

    /// Whether a shard's home may be here.
    pub const fn serves(self) -> bool {
        matches!(self, Self::Active | Self::Cordoned)
    }

    /// Whether a person may change a region from here to `to`. A region that is out comes back through [`State::Cordoned`],
    /// where it can be looked at before it gets shards.
    pub const fn may_become(self, to: Self) -> bool {
        match (self, to) {
            (Self::Fenced, Self::Fenced | Self::Cordoned) => true,
            (Self::Fenced, Self::Active | Self::Drained) | (Self::Drained, Self::Active) => false,
            (Self::Active | Self::Cordoned | Self::Drained, _) => true,
        }
    }
}

/// What a region's entrance does less of, because a person says so: nothing, unless said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Degraded {
    /// It changes nothing.
    pub read_only: bool,
    /// It shows copies of what anybody may see, and asks nothing behind its entrance; so it changes nothing, too. Not written
    /// where it is not so: older processes do not know it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub static_only: bool,
    /// So many requests are served at once, others wait; 0: as its configuration says.
    pub queue: u32,
}

/// What a person says about a region.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RegionSpec {
    /// What it is for.
    pub role: Role,
    /// Where its entrance is for shoppers and for the other regions: a base URL. Empty: not known.
    pub endpoint: String,
    /// The most shards that may live here.
    pub capacity: u16,
    /// Its share of the shards, in proportion to the others'; 0: none, as long as there is room elsewhere.
    pub weight: u16,
    /// Whose data may live here.
    pub jurisdictions: BTreeSet<Jurisdiction>,
    /// Whether a failover away from here may begin without a person (the condition `FailoverReady`).
    pub failover_ready: bool,
    /// What its entrance does less of.
    #[serde(default)]
    pub degraded: Degraded,
}

/// A region as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RegionRow {
    /// What a person says about it.
    pub spec: RegionSpec,
    /// Whether it takes part.
    pub state: State,
    /// The operation that took it and will let it go: a drill that fenced it, a switchover that cordoned it. Any change of
    /// its state by a person clears it: then the region stays as the person wants it.
    pub held_by: Option<OperationId>,
    /// Grows with every change of this row.
    pub version: u64,
}

impl RegionRow {
    /// A new, active region.
    pub const fn new(spec: RegionSpec) -> Self {
        Self { spec, state: State::Active, held_by: None, version: 0 }
    }

    /// Whether a shard's home may be here.
    pub fn serves(&self) -> bool {
        self.spec.role == Role::Full && self.state.serves()
    }

    /// Whether shards may be sent here.
    pub fn accepts(&self) -> bool {
        self.spec.role == Role::Full && self.state == State::Active
    }
}

/// How fast shards move and how long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Movement {
    /// The most shards that change together; 0 counts as 1.
    pub batch: u16,
    /// The most shards a minute in planned operations (a failover has no such limit); 0 counts as 1.
    pub per_minute: u16,
    /// How long two regions must have seen another one down without a break.
    pub agree_for: Duration,
    /// How old a sighting may be and still count.
    pub fresh_for: Duration,
    /// How long an operation waits for its conditions, and for workers to take over leases.
    pub patience: Duration,
    /// The most a region's relay may lag behind when a planned operation begins.
    pub most_relay_lag: Duration,
}

impl Default for Movement {
    fn default() -> Self {
        Self {
            batch: 4,
            per_minute: 120,
            agree_for: Duration::from_secs(5),
            fresh_for: Duration::from_secs(3),
            patience: Duration::from_secs(60),
            most_relay_lag: Duration::from_secs(10),
        }
    }
}

/// What a person says about the map as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// Shards that must live in one region.
    pub pins: BTreeMap<Shard, Region>,
    /// Pace and patience.
    pub movement: Movement,
    /// Planned operations stand still and nothing begins by itself. A failover that has fenced its region goes on.
    pub paused: bool,
    /// Drills that begin by themselves; none where it is not said. Not written then: older processes do not know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drills: Option<Drills>,
}

/// Everything persons ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Desired {
    /// The regions.
    pub regions: BTreeMap<Region, RegionRow>,
    /// The map as a whole.
    pub policy: Policy,
}

impl Desired {
    /// Whether a shard whose home is `region` is served there.
    pub fn serves(&self, region: &Region) -> bool {
        self.regions.get(region).is_some_and(RegionRow::serves)
    }
}
