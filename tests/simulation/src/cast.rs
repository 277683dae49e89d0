//! Who takes part: regions with a worker and an observer each, and coordinators.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use coordinator::{Coordinator, Deed, Intent, Journal, MemoryJournal, Result, Scene};
use futures::executor::block_on;
use kernel::{Clock, FakeClock, Region, Shard};
use placement::{
    Degraded, Desired, Instance, Jurisdiction, Movement, RegionRow, RegionSpec, Role, Verdict, Wish, wish,
};

use crate::{
    link::{Fault, Link, Mutant},
    seed::Seed,
};

const LEASE: Duration = Duration::from_secs(5);

/// A region's process.
pub(crate) struct Place {
    pub(crate) name: Region,
    pub(crate) alive: bool,
    /// Its way to the journal works.
    pub(crate) linked: bool,
    /// Whom it reaches.
    pub(crate) reaches: BTreeSet<Region>,
    pub(crate) link: Arc<Link>,
    /// The map as it saw it last: as old as its troubles.
    map: Scene,
    starts: u32,
}

impl Place {
    /// It ends, with what it knew.
    pub(crate) fn die(&mut self) {
        self.alive = false;
        self.map = Scene::default();
    }

    /// It starts again, as another process.
    pub(crate) fn start(&mut self) {
        self.alive = true;
        self.starts += 1;
    }

    fn instance(&self) -> Instance {
        Instance::new(self.name.clone(), format!("worker-{}", self.starts))
    }
}

/// A coordinator, perhaps halfway between looking and acting.
pub(crate) struct Runner {
    pub(crate) at: usize,
    pub(crate) link: Arc<Link>,
    pub(crate) decided: Option<Intent>,
    coordinator: Coordinator<Link>,
    starts: u32,
}

impl Runner {
    /// A crash: what it had decided is forgotten, and another one comes.
    pub(crate) fn crash(&mut self, name: &Region, leads: Duration) {
        self.starts += 1;
        self.decided = None;
        self.coordinator = new_coordinator(&self.link, name, self.starts, leads);
    }

    pub(crate) fn look(&mut self) -> Result<&Intent> {
        let intent = block_on(self.coordinator.look())?;
        Ok(self.decided.insert(intent))
    }

    pub(crate) fn act(&mut self) -> Result<Deed> {
        match &self.decided {
            Some(intent) => block_on(self.coordinator.act(intent)),
            None => Ok(Deed::Nothing),
        }
    }
}

fn new_coordinator(link: &Arc<Link>, name: &Region, starts: u32, leads: Duration) -> Coordinator<Link> {
    Coordinator::new(link.clone(), Instance::new(name.clone(), format!("coordinator-{starts}")), leads)
}

/// Everybody.
pub(crate) struct Cast {
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) journal: Arc<MemoryJournal>,
    pub(crate) places: Vec<Place>,
    pub(crate) runners: Vec<Runner>,
    /// How long a coordinator leads: for no time in some runs, so that all are at it at once.
    pub(crate) leads: Duration,
}

const NAMES: [&str; 5] = ["ap", "eu", "eu-north", "us", "us-west"];

impl Cast {
    pub(crate) fn new(seed: &mut Seed, mutant: Mutant) -> Self {
        let clock = Arc::new(FakeClock::new(kernel::Timestamp::from_micros(0)));
        let journal = Arc::new(MemoryJournal::new(clock.clone()));
        let (desired, homes) = first_map(seed);
        let link = || Arc::new(Link::new(journal.clone(), mutant));
        let all: BTreeSet<Region> = desired.regions.keys().cloned().collect();
        let place = |name: &Region| Place {
            name: name.clone(),
            alive: true,
            linked: true,
            reaches: all.clone(),
            link: link(),
            map: Scene::default(),
            starts: 0,
        };
        let places: Vec<Place> = all.iter().map(place).collect();
        let leads = Duration::from_secs(*seed.pick(&[0, 5]));
        let runners = (0..seed.between(1, 3)).map(|_| {
            let (at, link) = (usize::from(seed.below(u16::try_from(places.len()).unwrap_or(1))), link());
            let coordinator = new_coordinator(&link, &places[at].name, 0, leads);
            Runner { at, link, decided: None, coordinator, starts: 0 }
        });
        let runners = runners.collect();
        // A new journal in memory refuses nothing.
        drop(block_on(journal.found(&desired, &homes)));
        Self { clock, journal, places, runners, leads }
    }

    /// A region looks at the map; answers whether it could.
    pub(crate) fn poll(&mut self, at: usize) -> bool {
        let place = &mut self.places[at];
        match block_on(place.link.read()) {
            Ok(scene) => {
                place.map = scene;
                true
            }
            Err(_) => false,
        }
    }

    /// A region's worker does what it thinks right about a shard's lease, by the map it has.
    pub(crate) fn work(&self, at: usize, shard: Shard) -> Option<Wish> {
        let place = &self.places[at];
        let world = &place.map.world;
        let row = world.observed.shards.get(&shard)?;
        let me = place.instance();
        let mine = world.works(row, &me.region, self.clock.now());
        let wish = wish(&me, mine, world.observed.leases.get(&shard), self.clock.now());
        let journal = &place.link;
        // A lost answer and a refusal are the same to a worker: it looks at the map again.
        match wish {
            Wish::Take => drop(block_on(journal.take(shard, &me, LEASE))),
            Wish::Renew(epoch) => drop(block_on(journal.renew(shard, &me, epoch, LEASE))),
            Wish::Release(epoch) => drop(block_on(journal.release(shard, &me, epoch))),
            Wish::Nothing => {}
        }
        Some(wish)
    }

    /// A region looks at all others.
    pub(crate) fn observe(&self, at: usize) {
        let place = &self.places[at];
        for other in self.places.iter().filter(|other| other.name != place.name) {
            let up = other.alive && place.reaches.contains(&other.name);
            let verdict = if up { Verdict::Up } else { Verdict::Down };
            drop(block_on(place.link.sight(&other.name, &place.name, verdict)));
        }
    }

    pub(crate) fn shards(&self) -> Vec<Shard> {
        self.journal.store().world().observed.shards.keys().copied().collect()
    }

    /// Everything that is broken is whole again; what persons decided stays.
    pub(crate) fn heal(&mut self) {
        let all: BTreeSet<Region> = self.places.iter().map(|place| place.name.clone()).collect();
        for place in &mut self.places {
            if !place.alive {
                place.start();
            }
            place.linked = true;
            place.reaches.clone_from(&all);
            place.link.set(Fault::None);
        }
        for runner in &mut self.runners {
            runner.link.set(Fault::None);
        }
    }
}

/// Regions of two laws, one of them perhaps a witness, and shards that are lawful where they are.
fn first_map(seed: &mut Seed) -> (Desired, BTreeMap<Shard, (Region, Jurisdiction)>) {
    let count = usize::from(seed.between(3, 5));
    let shards = seed.between(2, 10);
    let witness = seed.one_in(4).then_some(count - 1);
    let mut desired = Desired::default();
    for (at, name) in NAMES.iter().enumerate().take(count) {
        let laws: &[&str] = if seed.one_in(3) { &["eu"] } else { &["eu", "any"] };
        let spec = RegionSpec {
            endpoint: String::new(),
            role: if witness == Some(at) { Role::Witness } else { Role::Full },
            capacity: if seed.one_in(4) { shards.div_ceil(2) } else { shards },
            weight: seed.between(0, 3),
            jurisdictions: laws.iter().copied().map(Jurisdiction::new).collect(),
            failover_ready: !seed.one_in(4),
            degraded: Degraded::default(),
        };
        desired.regions.insert(Region::new(*name), RegionRow::new(spec));
    }
    desired.policy.movement = Movement {
        batch: seed.between(1, 4),
        per_minute: *seed.pick(&[30, 600, 6_000]),
        patience: Duration::from_secs(20),
        ..Movement::default()
    };
    let mut homes = BTreeMap::new();
    for number in 0..shards {
        let law = Jurisdiction::new(if seed.one_in(3) { "eu" } else { "any" });
        let fits: Vec<&Region> = desired
            .regions
            .iter()
            .filter(|(_, row)| row.spec.role == Role::Full && row.spec.jurisdictions.contains(&law))
            .map(|(name, _)| name)
            .collect();
        if !fits.is_empty() {
            homes.insert(Shard::new(number), ((*seed.pick(&fits)).clone(), law));
        }
    }
    (desired, homes)
}
