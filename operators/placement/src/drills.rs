//! Drills that begin by themselves: once a week, at an hour that a person chose, with one region after the other, and only
//! while nothing is unwell.

use std::{fmt, str::FromStr};

use kernel::{Region, Shard, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    Ask, By, Desired, Kind, Placing, RegionRow, Role, Spec, State, Verdict, World, agreement::ENOUGH, plan,
    seen_down,
};

/// Hours of a week.
const WEEK: i64 = 168;
/// 1970 began on a Thursday, the fourth day of a week that begins on Monday.
const BEFORE_1970: i64 = 72;
const HOUR: i64 = 3_600 * 1_000_000;
/// What the key of such a drill begins with: a week has one, whoever begins it, and however often.
const KEY: &str = "drill-by-schedule-";

/// A day of the week, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Day {
    /// Monday.
    Monday,
    /// Tuesday.
    Tuesday,
    /// Wednesday.
    Wednesday,
    /// Thursday.
    Thursday,
    /// Friday.
    Friday,
    /// Saturday.
    Saturday,
    /// Sunday.
    Sunday,
}

impl Day {
    /// Every one, in order.
    pub const ALL: [Self; 7] = [
        Self::Monday,
        Self::Tuesday,
        Self::Wednesday,
        Self::Thursday,
        Self::Friday,
        Self::Saturday,
        Self::Sunday,
    ];

    /// Its word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Monday => "monday",
            Self::Tuesday => "tuesday",
            Self::Wednesday => "wednesday",
            Self::Thursday => "thursday",
            Self::Friday => "friday",
            Self::Saturday => "saturday",
            Self::Sunday => "sunday",
        }
    }

    /// Hours from the beginning of the week to the beginning of the day.
    const fn hours(self) -> i64 {
        24 * match self {
            Self::Monday => 0,
            Self::Tuesday => 1,
            Self::Wednesday => 2,
            Self::Thursday => 3,
            Self::Friday => 4,
            Self::Saturday => 5,
            Self::Sunday => 6,
        }
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Day {
    type Err = String;

    /// By its whole word, or the first three letters of it.
    fn from_str(text: &str) -> Result<Self, String> {
        let named = |day: &Self| day.name() == text || day.name().get(..3) == Some(text);
        Self::ALL
            .into_iter()
            .find(named)
            .ok_or_else(|| format!("{text:?} is no day of the week, such as sat"))
    }
}

/// When drills begin, and with which regions.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drills {
    /// The day.
    pub day: Day,
    /// The hour of it, 0 to 23, in UTC: a drill begins within it, as soon as nothing is unwell, or not in this week.
    pub hour: u8,
    /// The regions in turn, one a week; empty: every failover-ready one, by name.
    #[serde(default)]
    pub regions: Vec<Region>,
}

impl Drills {
    /// The week whose hour it is at `now`, counted from that of 1970-01-01; none at any other hour.
    pub fn due(&self, now: Timestamp) -> Option<u64> {
        let (week, begins_at) = self.next(now);
        (begins_at <= now).then_some(week)
    }

    /// The week of the drill that is due at `now` or comes next, and when its hour begins.
    pub fn next(&self, now: Timestamp) -> (u64, Timestamp) {
        let hours = now.micros().div_euclid(HOUR) + BEFORE_1970;
        let (week, wanted) = (hours.div_euclid(WEEK), self.day.hours() + i64::from(self.hour.min(23)));
        let week = if hours.rem_euclid(WEEK) > wanted { week + 1 } else { week };
        let begins = (week * WEEK + wanted - BEFORE_1970).saturating_mul(HOUR);
        (u64::try_from(week).unwrap_or_default(), Timestamp::from_micros(begins))
    }

    /// Whose turn it is in a week.
    pub fn region<'a>(&'a self, desired: &'a Desired, week: u64) -> Option<&'a Region> {
        let ready = |row: &RegionRow| row.spec.role == Role::Full && row.spec.failover_ready;
        let ready = desired.regions.iter().filter(|(_, row)| ready(row)).map(|(region, _)| region);
        let turns: Vec<&Region> =
            if self.regions.is_empty() { ready.collect() } else { self.regions.iter().collect() };
        let turn = week.checked_rem(u64::try_from(turns.len()).ok()?)?;
        turns.get(usize::try_from(turn).ok()?).copied()
    }
}

/// The week of the drill that was asked for under `request`, if the schedule asked for it.
pub fn drilled(request: &str) -> Option<u64> {
    request.strip_prefix(KEY)?.parse().ok()
}

/// Between which two keys those of all such drills lie, and nobody else's.
pub const fn drill_keys() -> (&'static str, &'static str) {
    (KEY, "drill-by-schedule.")
}

/// The drill that is due: one a week, where nothing is unwell.
pub(crate) fn drill(world: &World) -> Option<Spec> {
    let drills = world.desired.policy.drills.as_ref()?;
    let week = drills.due(world.observed.now)?;
    if world.observed.last_drill.is_some_and(|last| last >= week) {
        return None;
    }
    let region = drills.region(&world.desired, week)?.clone();
    if unwell(world, &region).is_some() {
        return None;
    }
    let request = Some(format!("{KEY}{week:08}"));
    Some(Spec { kind: Kind::Drill { region }, by: By::Itself, digest: None, request })
}

/// Why a drill of `region` does not begin by itself now; none where nothing is unwell.
pub fn unwell(world: &World, region: &Region) -> Option<String> {
    let Some(row) = world.desired.regions.get(region) else {
        return Some(format!("there is no region {region}"));
    };
    if row.spec.role == Role::Witness {
        return Some(format!("{region} is a witness: it has no shards"));
    }
    if !row.spec.failover_ready {
        return Some(format!("{region} is not failover-ready"));
    }
    if world.desired.policy.paused {
        return Some("movement is paused".to_owned());
    }
    let mut regions = world.desired.regions.iter();
    if let Some((name, row)) = regions.find(|(_, row)| row.state != State::Active) {
        return Some(format!("{name} is {}", row.state.name()));
    }
    troubled(world).or_else(|| unwatched(world, region)).or_else(|| unsettled(world)).or_else(|| {
        let leave = Ask::Leave { region: region.clone(), outside: [].into() };
        plan(world, &leave).err().map(|impossible| impossible.to_string())
    })
}

/// A region that is seen down, or that does not say that it is well.
fn troubled(world: &World) -> Option<String> {
    let most = world.desired.policy.movement.most_relay_lag;
    world.desired.regions.iter().find_map(|(name, row)| {
        if !seen_down(world, name).is_empty() {
            return Some(format!("{name} is seen down"));
        }
        if row.spec.role == Role::Witness {
            return None;
        }
        match world.vitals().find(|(region, _)| *region == name) {
            None => Some(format!("{name} has not said lately how it is")),
            Some((_, vitals)) if vitals.burning => Some(format!("{name} burns its error budget")),
            Some((_, vitals)) if vitals.relay_lag > most => Some(format!("the relay of {name} is behind")),
            Some(_) => None,
        }
    })
}

/// A region at which too few look: nobody would notice that it does not come back.
fn unwatched(world: &World, region: &Region) -> Option<String> {
    let others = world.desired.regions.keys().filter(|other| *other != region);
    let see = others.filter(|other| world.saw(other, region, world.observed.now) == Some(Verdict::Up));
    let see = see.count();
    (see < ENOUGH).then(|| format!("{see} other regions see {region}; it takes {ENOUGH}"))
}

/// A shard that is about to move, or whose work is not done at home.
fn unsettled(world: &World) -> Option<String> {
    let observed = &world.observed;
    let at_home = |shard: &Shard, home: &Region| {
        let lease = observed.leases.get(shard);
        lease.is_some_and(|lease| lease.holder.region == *home && lease.held(observed.now))
    };
    observed.shards.iter().find_map(|(shard, row)| match row.placing {
        Placing::Settled if at_home(shard, &row.home) => None,
        Placing::Settled => Some(format!("the work of shard {shard} is not done in {}", row.home)),
        Placing::Moving { .. } => Some(format!("shard {shard} is about to move")),
    })
}
