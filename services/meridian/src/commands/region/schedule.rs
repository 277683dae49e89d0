//! Drills that begin by themselves, as they are shown.

use std::fmt;

use kernel::Timestamp;
use placement::{Policy, World, unwell};
use serde::Serialize;

/// When drills begin by themselves, whose turn it is, and why none would begin now.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Schedule {
    day: &'static str,
    hour: u8,
    /// The regions in turn; empty: all that are failover-ready.
    regions: Vec<String>,
    /// When the next hour begins, or the one that runs began.
    next_at: Timestamp,
    /// Whose turn it is then.
    next: Option<String>,
    /// Whether this week's has begun.
    begun: bool,
    /// Why it would not begin now.
    unwell: Option<String>,
}

impl Schedule {
    /// What `policy` says, in `world`; none where drills do not begin by themselves.
    pub(super) fn of(world: &World, policy: &Policy) -> Option<Self> {
        let drills = policy.drills.as_ref()?;
        let (week, next_at) = drills.next(world.observed.now);
        let next = drills.region(&world.desired, week);
        Some(Self {
            day: drills.day.name(),
            hour: drills.hour,
            regions: drills.regions.iter().map(ToString::to_string).collect(),
            next_at,
            next: next.map(ToString::to_string),
            begun: world.observed.last_drill.is_some_and(|last| last >= week),
            unwell: match next {
                None => Some("no region is failover-ready".to_owned()),
                Some(region) => unwell(world, region),
            },
        })
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a drill begins by itself each {} from {:02}:00 to {:02}:59 UTC",
            self.day, self.hour, self.hour
        )?;
        let next = self.next.as_deref().unwrap_or("nobody");
        if self.begun {
            return write!(f, "; this week's has begun");
        }
        write!(f, "; next {next}, {}", self.next_at)?;
        match &self.unwell {
            Some(why) => write!(f, "; now it would not begin: {why}"),
            None => Ok(()),
        }
    }
}
