//! Who takes part: regions with a worker and an observer each, and coordinators.

mod first;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use coordinator::{Coordinator, Deed, Intent, Journal, MemoryJournal, Result, Scene};
use futures::executor::block_on;
use kernel::{Clock, FakeClock, Region, Shard, Timestamp};
use placement::{Instance, Verdict, Vitals, Wish, wish};

use self::first::{NAMES, first_map, schedule};
use crate::{
    link::{Fault, Link, Mutant, link},
    seed::Seed,
};

const LEASE: Duration = Duration::from_secs(5);

/// A region's process.
pub(crate) struct Place {
    pub(crate) name: Region,
    pub(crate) alive: bool,
    /// Its way to the journal works.
    pub(crate) linked: bool,
    /// Its error budget burns.
    pub(crate) burning: bool,
    /// Whom it reaches.
    pub(crate) reaches: BTreeSet<Region>,
    pub(crate) link: Arc<Link>,
    /// The map as it saw it last: as old as its troubles.
    map: Scene,
    starts: u32,
}

impl Place {
    fn new(name: Region, reaches: BTreeSet<Region>, link: Arc<Link>) -> Self {
        let map = Scene::default();
        Self { name, alive: true, linked: true, burning: false, reaches, link, map, starts: 0 }
    }

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
    fn new(at: usize, name: &Region, link: Arc<Link>, leads: Duration) -> Self {
        let coordinator = new_coordinator(&link, name, 0, leads);
        Self { at, link, decided: None, coordinator, starts: 0 }
    }

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
    /// The first moment of the run.
    pub(crate) began: Timestamp,
    pub(crate) journal: Arc<MemoryJournal>,
    pub(crate) places: Vec<Place>,
    pub(crate) runners: Vec<Runner>,
    /// How long a coordinator leads: for no time in some runs, so that all are at it at once.
    pub(crate) leads: Duration,
    /// Drills begin by themselves, and their hour is near.
    pub(crate) scheduled: bool,
    /// The regions say how they are. Where they do not, what is said of them grows old.
    talks: bool,
    mutant: Mutant,
}

impl Cast {
    pub(crate) fn new(seed: &mut Seed, mutant: Mutant) -> Self {
        let (mut desired, homes) = first_map(seed);
        let scheduled = seed.one_in(6);
        let talks = scheduled || seed.one_in(2);
        let began = if scheduled { schedule(&mut desired, seed) } else { Timestamp::from_micros(0) };
        let clock = Arc::new(FakeClock::new(began));
        let journal = Arc::new(MemoryJournal::new(clock.clone()));
        let all: BTreeSet<Region> = desired.regions.keys().cloned().collect();
        let place = |name: &Region| Place::new(name.clone(), all.clone(), link(&journal, mutant));
        let places: Vec<Place> = all.iter().map(place).collect();
        let leads = Duration::from_secs(*seed.pick(&[0, 5]));
        let runners = (0..seed.between(1, 3)).map(|_| {
            let at = usize::from(seed.below(u16::try_from(places.len()).unwrap_or(1)));
            Runner::new(at, &places[at].name, link(&journal, mutant), leads)
        });
        let runners = runners.collect();
        // A new journal in memory refuses nothing.
        drop(block_on(journal.found(&desired, &homes)));
        Self { clock, began, journal, places, runners, leads, scheduled, talks, mutant }
    }

    /// The name of the next region that may come later; none when there are enough.
    pub(crate) fn next_name(&self) -> Option<Region> {
        NAMES.get(self.places.len()).map(|name| Region::new(*name))
    }

    /// A region that was added: its process runs or does not yet, and it may bring a coordinator.
    pub(crate) fn join(&mut self, name: &Region, seed: &mut Seed) {
        let others = self.places.iter().map(|place| place.name.clone());
        let all = others.chain([name.clone()]).collect();
        for place in &mut self.places {
            place.reaches.insert(name.clone());
        }
        let mut place = Place::new(name.clone(), all, link(&self.journal, self.mutant));
        place.alive = !seed.one_in(3);
        if seed.one_in(2) {
            let way = link(&self.journal, self.mutant);
            self.runners.push(Runner::new(self.places.len(), name, way, self.leads));
        }
        self.places.push(place);
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

    /// A region looks at all others, and says how it is itself where regions do.
    pub(crate) fn observe(&self, at: usize) {
        let place = &self.places[at];
        let others = self.places.iter().filter(|other| other.name != place.name);
        let looks = others.map(|other| {
            let up = other.alive && place.reaches.contains(&other.name);
            (other.name.clone(), if up { Verdict::Up } else { Verdict::Down })
        });
        let seen: BTreeMap<Region, Verdict> = looks.collect();
        if self.talks {
            let vitals = Vitals { burning: place.burning, ..Vitals::default() };
            return drop(block_on(place.link.report(&place.name, &seen, vitals)));
        }
        for (other, verdict) in seen {
            drop(block_on(place.link.sight(&other, &place.name, verdict)));
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
            (place.linked, place.burning) = (true, false);
            place.reaches.clone_from(&all);
            place.link.hooks().set(Fault::None);
        }
        for runner in &mut self.runners {
            runner.link.hooks().set(Fault::None);
        }
    }
}
