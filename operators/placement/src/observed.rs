//! What is: the shard map, leases, what the regions see of each other.

use std::{collections::BTreeMap, fmt, time::Duration};

use kernel::{Region, Shard, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Desired, Jurisdiction, Lease};

/// The version of the shard map and of the regions' states together: every change of either makes it one more, so that
/// one compare-and-set decides between all who change them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MapVersion(pub u64);

impl MapVersion {
    /// The version after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for MapVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether a shard is about to move.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Placing {
    /// It stays.
    Settled,
    /// An operation will make `target` its home: caches and connections there may be warmed.
    Moving {
        /// The home to be.
        target: Region,
    },
}

/// A shard's row of the map.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ShardRow {
    /// Where it is fast, its background work runs and its leaders sit.
    pub home: Region,
    /// Whose law its data is under. A person may say another, whose data its home keeps.
    pub jurisdiction: Jurisdiction,
    /// Whether it is about to move.
    pub placing: Placing,
    /// The map's version that changed this row last.
    pub version: MapVersion,
}

/// What a region saw of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Verdict {
    /// It answered.
    Up,
    /// It did not.
    Down,
}

/// A region's view of another, as it wrote it down last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sighting {
    /// What it saw.
    pub verdict: Verdict,
    /// Since when it has seen nothing else.
    pub since: Timestamp,
    /// When it looked last.
    pub seen_at: Timestamp,
}

/// What a region says about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Vitals {
    /// How far its relay is behind the log.
    pub relay_lag: Duration,
    /// Its error budget burns faster than the objective allows.
    pub burning: bool,
}

/// A region's servers of the database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Servers {
    /// How many there are.
    pub all: u32,
    /// How many of them are up.
    pub up: u32,
    /// Whether the database found no place for rows whose leaders belong here, and so moves none.
    pub stuck: bool,
}

/// What is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Observed {
    /// The storage's clock when all this was read.
    pub now: Timestamp,
    /// The map's version.
    pub version: MapVersion,
    /// The map.
    pub shards: BTreeMap<Shard, ShardRow>,
    /// Who does a shard's background work, or did it last.
    pub leases: BTreeMap<Shard, Lease>,
    /// Whom (first) who (second) saw; itself, when it spoke last.
    pub sightings: BTreeMap<(Region, Region), Sighting>,
    /// What the regions said last about themselves, however long ago ([`World::vitals`]).
    pub vitals: BTreeMap<Region, Vitals>,
    /// The week of the last drill that began by schedule ([`crate::Drills`]), where drills are scheduled.
    pub last_drill: Option<u64>,
    /// The database's servers, by region: asked for when a planned operation is about to begin, and empty where the database
    /// does not place rows by region or did not say in time.
    pub servers: BTreeMap<Region, Servers>,
}

/// Desired and observed, of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct World {
    /// What persons ask for.
    pub desired: Desired,
    /// What is.
    pub observed: Observed,
}

impl World {
    /// Whether `region` keeps data of a shard's jurisdiction.
    pub fn lawful(&self, row: &ShardRow, region: &Region) -> bool {
        let region = self.desired.regions.get(region);
        region.is_some_and(|region| region.spec.jurisdictions.contains(&row.jurisdiction))
    }

    /// Whether `region` may do a shard's background work: it is the shard's home, or it stands in, since it keeps data of
    /// the shard's jurisdiction and the home does not serve or is seen down by it. A home that lives holds its lease, so
    /// who stands in by mistake gets none; one that is out renews none, and of many who may stand in the lease lets one.
    /// So no shard has to be given another home first for its work to go on.
    pub fn works(&self, row: &ShardRow, region: &Region, now: Timestamp) -> bool {
        let absent =
            || !self.desired.serves(&row.home) || self.saw(region, &row.home, now) == Some(Verdict::Down);
        self.desired.serves(region) && (row.home == *region || (self.lawful(row, region) && absent()))
    }

    /// What the regions that serve say about themselves, if they said it lately: the last words of a region that died or
    /// was taken out count for nothing. A region that speaks of itself sees itself up at that moment.
    pub fn vitals(&self) -> impl Iterator<Item = (&Region, &Vitals)> {
        let said = self.observed.vitals.iter();
        said.filter(move |(region, _)| {
            self.desired.serves(region) && self.saw(region, region, self.observed.now).is_some()
        })
    }

    /// What `observer` saw of `subject`, if it looked lately.
    pub(crate) fn saw(&self, observer: &Region, subject: &Region, now: Timestamp) -> Option<Verdict> {
        let sighting = self.observed.sightings.get(&(subject.clone(), observer.clone()))?;
        (now.since(sighting.seen_at) <= self.desired.policy.movement.fresh_for).then_some(sighting.verdict)
    }

    /// The shards whose home does not serve: it is out, a witness, or unknown.
    pub fn stranded(&self) -> impl Iterator<Item = (Shard, &ShardRow)> {
        self.observed
            .shards
            .iter()
            .filter(|(_, row)| !self.desired.serves(&row.home))
            .map(|(shard, row)| (*shard, row))
    }
}
