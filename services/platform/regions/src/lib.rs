//! What a process knows of regions: the shard map in memory.
//!
//! Whoever polls the database publishes what was found; everybody else reads it here, without I/O. What is read may be
//! old: home is a preference and the database is the arbiter, so an old map costs milliseconds and never correctness.
//!
//! A shop without regions is [`Regions::single`]: every shard is at home here, and this process does all work.

mod budget;
mod busy;
mod duty;
mod share;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use kernel::{Region, Shard};
use placement::World;
use tokio::sync::watch;

pub use budget::{Answered, Budget};
pub use busy::Busy;
pub use duty::Duty;
pub use share::Share;

/// The header of a region's `/healthz` that says how old its map is, in milliseconds.
pub const MAP_AGE_HEADER: &str = "x-meridian-map-age";

/// No answer of a database is later than this: one that is older than what is known was set back.
const LATE: Duration = Duration::from_secs(10);

/// The map as this process knows it; clones see the same.
#[derive(Clone, Debug)]
pub struct Regions(Option<Arc<Known>>);

#[derive(Debug)]
struct Known {
    me: Region,
    world: watch::Sender<Arc<World>>,
    /// Whether `world` is the database's, and not only what was known at the start.
    read: AtomicBool,
    duty: watch::Sender<Arc<Duty>>,
    busy: busy::Counts,
    /// How far the relay is behind, in microseconds.
    lag: AtomicU64,
    /// When the map was read last.
    read_at: Mutex<Instant>,
    requests: budget::Counts,
}

impl Regions {
    /// A shop without regions.
    pub const fn single() -> Self {
        Self(None)
    }

    /// Region `me`, which knows nothing yet but `world`: what is published first takes its place, whatever their versions. It
    /// may be of another database, or of this one before it was set back.
    pub fn of(me: Region, world: World) -> Self {
        let duty = Duty::of(&me, &world);
        Self(Some(Arc::new(Known {
            me,
            world: watch::Sender::new(Arc::new(world)),
            read: AtomicBool::new(false),
            duty: watch::Sender::new(Arc::new(duty)),
            busy: busy::Counts::default(),
            lag: AtomicU64::new(0),
            read_at: Mutex::new(Instant::now()),
            requests: budget::Counts::default(),
        })))
    }

    /// This process' region; none in a shop without regions.
    pub fn me(&self) -> Option<&Region> {
        self.0.as_ref().map(|known| &known.me)
    }

    /// Everything that is known, of one moment; none in a shop without regions.
    pub fn world(&self) -> Option<Arc<World>> {
        self.0.as_ref().map(|known| known.world.borrow().clone())
    }

    /// What was found in the database last, and whether it is what is known from now on. It is not in a shop without regions,
    /// and where it is older than what was found before: an answer that was late. Where nothing else has been found for longer
    /// than answers are late, the database was set back, and what it says now counts.
    pub fn publish(&self, world: World) -> bool {
        let Some(known) = &self.0 else { return false };
        let duty = Duty::of(&known.me, &world);
        let silent = self.map_age().is_some_and(|age| age > LATE);
        let published = known.world.send_if_modified(|current| {
            let first = !known.read.swap(true, Ordering::AcqRel);
            let later = (world.observed.version, world.observed.now)
                >= (current.observed.version, current.observed.now);
            let taken = first || later || silent;
            if taken {
                *current = Arc::new(world);
            }
            taken
        });
        if published {
            *known.read_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            known.duty.send_if_modified(|current| {
                let changed = **current != duty;
                if changed {
                    *current = Arc::new(duty);
                }
                changed
            });
        }
        published
    }

    /// Whether this region is out, as far as is known; never in a shop without regions.
    pub fn is_out(&self) -> bool {
        self.0.as_ref().is_some_and(|known| is_out(&known.world.borrow(), &known.me))
    }

    /// Waits until this region is out: for ever in a shop without regions.
    pub async fn until_out(&self) {
        let Some(known) = &self.0 else { return std::future::pending().await };
        let mut world = known.world.subscribe();
        // It cannot fail: `known` holds the other end.
        let _ = world.wait_for(|world| is_out(world, &known.me)).await;
    }

    /// Whether the background work of `shard` is this region's: it holds the shard's lease and should, as far as is known.
    pub fn works(&self, shard: Shard) -> bool {
        self.0.as_ref().is_none_or(|known| known.duty.borrow().has(shard))
    }

    /// The shards whose background work is this region's, and every change of them; none in a shop without regions.
    pub fn duty(&self) -> Option<watch::Receiver<Arc<Duty>>> {
        self.0.as_ref().map(|known| known.duty.subscribe())
    }

    /// Says that a batch of these shards is being worked on, until what is returned is dropped: their leases are kept until
    /// then. Free in a shop without regions.
    pub fn busy(&self, shards: impl IntoIterator<Item = Shard>) -> Option<Busy> {
        self.0.as_ref().map(|known| known.busy.begin(shards))
    }

    /// The shards that are being worked on at this moment.
    pub fn busy_now(&self) -> BTreeSet<Shard> {
        self.0.as_ref().map(|known| known.busy.now()).unwrap_or_default()
    }

    /// Says how far this process' relay of events is behind.
    pub fn relay_is_behind(&self, lag: Duration) {
        if let Some(known) = &self.0 {
            known.lag.store(u64::try_from(lag.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        }
    }

    /// How far this process' relay of events is behind.
    pub fn relay_lag(&self) -> Duration {
        let lag = self.0.as_ref().map_or(0, |known| known.lag.load(Ordering::Relaxed));
        Duration::from_micros(lag)
    }

    /// How long ago the map was read from the database; none in a shop without regions. A region whose map grows old does
    /// not reach the database, and serves nobody well.
    pub fn map_age(&self) -> Option<Duration> {
        let known = self.0.as_ref()?;
        Some(known.read_at.lock().unwrap_or_else(PoisonError::into_inner).elapsed())
    }

    /// Counts an answer to a public request; `failed`: a 5xx.
    pub fn answered(&self, failed: bool) {
        if let Some(known) = &self.0 {
            known.requests.answered(failed);
        }
    }

    /// What was answered by this process since it began.
    pub fn requests(&self) -> Answered {
        self.0.as_ref().map(|known| known.requests.now()).unwrap_or_default()
    }

    /// The regions that serve shoppers, with their parts of what regions divide among themselves, as far as is known; none
    /// in a shop without regions.
    pub fn shares(&self) -> Option<Vec<Share>> {
        self.0.as_ref().map(|known| share::shares(&known.world.borrow().desired))
    }

    /// The shards of a jurisdiction whose home serves: those that are at home here, where there are any. Whoever lives under
    /// its law gets one of them. None in a shop without regions.
    pub fn shards_under(&self, jurisdiction: &str) -> Option<Vec<Shard>> {
        let known = self.0.as_ref()?;
        let world = known.world.borrow();
        let under = world.observed.shards.iter().filter(|(_, row)| row.jurisdiction.as_str() == jurisdiction);
        let (mut here, mut all) = (Vec::new(), Vec::new());
        for (shard, row) in under.filter(|(_, row)| world.desired.serves(&row.home)) {
            all.push(*shard);
            if row.home == known.me {
                here.push(*shard);
            }
        }
        Some(if here.is_empty() { all } else { here })
    }

    /// The shards that are at home here; none in a shop without regions, where all are.
    pub fn homed_here(&self) -> Option<Vec<Shard>> {
        let known = self.0.as_ref()?;
        let world = known.world.borrow();
        if !world.desired.serves(&known.me) {
            return Some(Vec::new());
        }
        let here = world.observed.shards.iter().filter(|(_, row)| row.home == known.me);
        Some(here.map(|(shard, _)| *shard).collect())
    }
}

/// Whether `me` is out: a person or a failover took it out, or it is a witness. A region that the map does not know yet is
/// not out.
pub fn is_out(world: &World, me: &Region) -> bool {
    world.desired.regions.get(me).is_some_and(|row| !row.serves())
}

#[cfg(test)]
mod tests;
