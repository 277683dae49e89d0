//! Three regions with workers and observers in virtual time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use coordinator::{Coordinator, Deed, Journal, MemoryJournal};
use futures::executor::block_on;
use kernel::{Clock, FakeClock, Region, Shard, Timestamp};
use placement::{
    Degraded, Desired, Instance, Jurisdiction, Kind, Operation, OperationId, Outcome, Phase, Placing, Policy,
    RegionRow, RegionSpec, Role, Spec, State, Verdict, Vitals, Wish, wish,
};

pub(crate) const REGIONS: [&str; 3] = ["ap", "eu", "us"];
const LEASE: Duration = Duration::from_secs(5);
const TURN: Duration = Duration::from_millis(200);

pub(crate) fn region(name: &str) -> Region {
    Region::new(name)
}

pub(crate) struct Field {
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) journal: Arc<MemoryJournal>,
    pub(crate) dead: BTreeSet<Region>,
}

impl Field {
    /// Twelve shards, four a region, every one worked on.
    pub(crate) fn new() -> Self {
        let clock = Arc::new(FakeClock::new(Timestamp::from_micros(0)));
        let journal = Arc::new(MemoryJournal::new(clock.clone()));
        let spec = RegionSpec {
            endpoint: String::new(),
            role: Role::Full,
            capacity: 12,
            weight: 1,
            jurisdictions: BTreeSet::from([Jurisdiction::new(Jurisdiction::ANY)]),
            failover_ready: true,
            degraded: Degraded::default(),
        };
        let regions = REGIONS.map(|name| (region(name), RegionRow::new(spec.clone())));
        let desired = Desired { regions: regions.into(), ..Desired::default() };
        let homes: BTreeMap<_, _> = (0..12)
            .map(|n| {
                (Shard::new(n), (region(REGIONS[usize::from(n % 3)]), Jurisdiction::new(Jurisdiction::ANY)))
            })
            .collect();
        assert_eq!(block_on(journal.found(&desired, &homes)), Ok(coordinator::Applied::Yes));
        let field = Self { clock, journal, dead: BTreeSet::new() };
        field.live();
        field
    }

    /// A coordinator that lets others lead at once.
    pub(crate) fn coordinator(&self, name: &str) -> Coordinator<MemoryJournal> {
        Coordinator::new(self.journal.clone(), Instance::new(region("us"), name), Duration::ZERO)
    }

    pub(crate) fn ask(&self, kind: Kind) -> OperationId {
        block_on(self.journal.begin(&Spec::asked("ada", kind))).unwrap().unwrap()
    }

    pub(crate) fn operation(&self, id: OperationId) -> Operation {
        self.journal.store().operation(id).unwrap().clone()
    }

    pub(crate) fn set(&self, name: &str, to: State) {
        let store = self.journal.store();
        let version = store.world().desired.regions[&region(name)].version;
        assert_eq!(
            block_on(self.journal.set_state(&region(name), version, to)),
            Ok(coordinator::Applied::Yes)
        );
    }

    /// A person says how shards are to move.
    pub(crate) fn put(&self, policy: &Policy) {
        let version = self.journal.store().world().observed.version;
        assert_eq!(block_on(self.journal.put_policy(version, policy)), Ok(coordinator::Applied::Yes));
    }

    /// From now on nobody fails this region over but a person.
    pub(crate) fn unready(&self, name: &str) {
        let row = self.journal.store().world().desired.regions[&region(name)].clone();
        let spec = RegionSpec { failover_ready: false, ..row.spec };
        let put = block_on(self.journal.put_region(&region(name), Some(row.version), &spec));
        assert_eq!(put, Ok(coordinator::Applied::Yes));
    }

    pub(crate) fn state(&self, name: &str) -> State {
        self.journal.store().world().desired.regions[&region(name)].state
    }

    /// How many shards live in each region.
    pub(crate) fn counts(&self) -> [usize; 3] {
        let store = self.journal.store();
        REGIONS
            .map(|name| store.world().observed.shards.values().filter(|row| row.home == region(name)).count())
    }

    /// The living regions say that they are well.
    pub(crate) fn say_well(&self) {
        for name in REGIONS.map(region).iter().filter(|name| !self.dead.contains(*name)) {
            block_on(self.journal.say(name, Vitals::default())).unwrap();
        }
    }

    /// Workers and observers of the living regions do what they do; a turn of time passes.
    pub(crate) fn live(&self) {
        for name in REGIONS.map(region).into_iter().filter(|name| !self.dead.contains(name)) {
            for other in REGIONS.map(region).iter().filter(|other| **other != name) {
                let verdict = if self.dead.contains(other) { Verdict::Down } else { Verdict::Up };
                block_on(self.journal.sight(other, &name, verdict)).unwrap();
            }
            self.work(&Instance::new(name, "worker"));
        }
        self.clock.advance(TURN);
    }

    fn work(&self, me: &Instance) {
        let world = block_on(self.journal.read()).unwrap().world;
        for (shard, row) in &world.observed.shards {
            let mine = world.works(row, &me.region, self.clock.now());
            let lease = world.observed.leases.get(shard);
            match wish(me, mine, lease, self.clock.now()) {
                Wish::Take => drop(block_on(self.journal.take(*shard, me, LEASE)).unwrap()),
                Wish::Renew(epoch) => {
                    let _ = block_on(self.journal.renew(*shard, me, epoch, LEASE)).unwrap();
                }
                Wish::Release(epoch) => {
                    let _ = block_on(self.journal.release(*shard, me, epoch)).unwrap();
                }
                Wish::Nothing => {}
            }
        }
    }

    /// Turns until `done`; panics when that takes more than ten minutes of virtual time.
    pub(crate) fn until(&self, mut tick: impl FnMut() -> Deed, mut done: impl FnMut(&Self) -> bool) {
        for _ in 0..3_000 {
            if done(self) {
                return;
            }
            // What can be changed is changed at once; time passes when there is nothing to change.
            if tick() == Deed::Nothing {
                self.live();
            }
        }
        panic!("never done: {:#?}", self.journal.store().running());
    }

    /// Runs an operation to its end.
    pub(crate) fn run(&self, id: OperationId) -> Outcome {
        let coordinator = self.coordinator("only");
        self.until(|| block_on(coordinator.tick()).unwrap(), |field| field.operation(id).ended());
        self.outcome(id)
    }

    pub(crate) fn outcome(&self, id: OperationId) -> Outcome {
        match self.operation(id).phase {
            Phase::Ended(outcome) => outcome,
            phase => panic!("{phase:?}"),
        }
    }

    /// Every shard is settled and its home serves.
    pub(crate) fn assert_settled(&self) {
        let store = self.journal.store();
        for (shard, row) in &store.world().observed.shards {
            assert_eq!(row.placing, Placing::Settled, "shard {shard}");
            assert!(store.world().desired.serves(&row.home), "shard {shard} lives in {}", row.home);
        }
    }
}

pub(crate) fn done() -> Outcome {
    Outcome::Done { late: BTreeSet::new() }
}

/// One of each kind; a failover needs a dead region.
pub(crate) fn kinds() -> Vec<Kind> {
    let (eu, outside) = (region("eu"), BTreeSet::new());
    vec![
        Kind::Move { shards: (0..5).map(|n| (Shard::new(n), region("us"))).collect() },
        Kind::Switchover { region: eu.clone(), outside: outside.clone() },
        Kind::Failover { region: eu.clone(), outside, confirm: None },
        Kind::Drill { region: eu },
    ]
}

/// A field where `kind` can run: with its region dead for a minute when it is a failover.
pub(crate) fn field_for(kind: &Kind) -> Field {
    let mut field = Field::new();
    if let Kind::Failover { region, .. } = kind {
        field.dead.insert(region.clone());
        for _ in 0..40 {
            field.live();
        }
    }
    field
}
