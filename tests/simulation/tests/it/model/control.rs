//! The real placement code on the real store: two homes and a witness, persons, time, and two coordinators. One looks and
//! acts at once and may stop for good anywhere (nothing obliges it to go on); the other may take any time between looking
//! and acting, act again, or forget.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use coordinator::{Applied, Intent, Store};
use kernel::{Region, Shard, Timestamp};
use placement::{
    Ask, Change, Degraded, Desired, Effect, Instance, Jurisdiction, Kind, Movement, RegionRow, RegionSpec,
    Role, Spec, State as RegionState, Verdict, Wish, plan, wish,
};
use simulation::audit::{self, By};
use stateright::{Model, Property};

use super::explore;

const LEASE: Duration = Duration::from_secs(5);
/// More than a lease, more than patience.
const TICK: Duration = Duration::from_secs(25);

fn region(name: &str) -> Region {
    Region::new(name)
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    store: Store,
    now: Timestamp,
    /// What the slow coordinator has decided and not yet done, or will do again.
    decided: Option<Intent>,
    /// What persons and time may still do.
    asks: u8,
    aborts: u8,
    persons: u8,
    ticks: u8,
    eu_is_up: bool,
    /// The invariant that the last step broke.
    broken: Option<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Action {
    Ask(Kind),
    Abort,
    SetState(Region, RegionState),
    /// The others have seen `eu` down for five seconds.
    EuGoesDown,
    /// The quick coordinator looks and acts.
    Coordinate,
    /// The slow one looks.
    Look,
    /// It does what it decided; `again`: and will do it once more.
    Act {
        again: bool,
    },
    /// It ends, with what it decided.
    Crash,
    /// The workers of all regions that are up do their part.
    Work,
    /// Time passes: leases run out, patience ends.
    Tick,
}

#[derive(Clone, Copy)]
pub(super) struct Control {
    compare_and_set: bool,
    /// How many operations persons ask for, and how many they abort.
    asks: u8,
    aborts: u8,
    /// How often a person changes a region's state.
    persons: u8,
    /// How often so much time passes that leases run out and patience ends.
    ticks: u8,
    /// `eu` may die in the middle of an operation, not only before.
    dies_late: bool,
}

impl Model for Control {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            store: first(),
            now: Timestamp::from_micros(0),
            decided: None,
            asks: self.asks,
            aborts: self.aborts,
            persons: self.persons,
            ticks: self.ticks,
            eu_is_up: true,
            broken: None,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let running = state.store.running().is_some();
        if state.asks > 0 && !running {
            actions.extend(kinds().into_iter().map(Action::Ask));
        }
        if state.aborts > 0 && running {
            actions.push(Action::Abort);
        }
        if state.persons > 0 {
            for (name, row) in &state.store.world().desired.regions {
                let states = [RegionState::Active, RegionState::Cordoned, RegionState::Fenced];
                let to = states.into_iter().filter(|to| *to != row.state && row.state.may_become(*to));
                let full = row.spec.role == Role::Full;
                actions.extend(to.filter(|_| full).map(|to| Action::SetState(name.clone(), to)));
            }
        }
        if state.eu_is_up && (self.dies_late || state.asks == self.asks) {
            actions.push(Action::EuGoesDown);
        }
        if state.ticks > 0 {
            actions.push(Action::Tick);
        }
        actions.push(Action::Coordinate);
        if state.decided.is_none() {
            actions.push(Action::Look);
        } else {
            actions.extend([Action::Act { again: false }, Action::Crash]);
            // A change may arrive twice. A beginning that did would begin operations without end.
            if matches!(state.decided, Some(Intent::Act(_))) {
                actions.push(Action::Act { again: true });
            }
        }
        actions.push(Action::Work);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        let made = self.make(&mut next, &action);
        let by = match &made {
            Some(Intent::Act(effect)) => By::Coordinator(Some(effect)),
            _ if matches!(action, Action::SetState(..)) => By::Person,
            _ => By::Coordinator(None),
        };
        next.broken =
            audit::step(&state.store, &next.store, by, next.now).err().map(|broken| broken.invariant);
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("3 the map changes by compare-and-set", |_, state: &State| {
                state.broken != Some(3)
            }),
            Property::always("4 epochs grow, one holder each", |_, state: &State| state.broken != Some(4)),
            Property::always("9 late changes are not made", |_, state: &State| state.broken != Some(9)),
            Property::always("10 what ends leaves a settled map", |_, state: &State| {
                state.broken != Some(10)
            }),
            Property::always("11 what is out stays out", |_, state: &State| state.broken != Some(11)),
            Property::always("12 homes are lawful", |_, state: &State| state.broken != Some(12)),
            Property::always("12 at rest every shard is served", |model: &Self, state: &State| {
                !model.at_rest(state) || audit::rest(&state.store, state.now).is_ok() || no_way_out(state)
            }),
            Property::always(
                "10 a switchover that is taken back lifts its cordon",
                |model: &Self, state: &State| {
                    let untouched = state.persons == model.persons && state.store.running().is_none();
                    let eu = &state.store.world().desired.regions[&region("eu")];
                    !(untouched && eu.state == RegionState::Cordoned && ended(state, "switchover", "Aborted"))
                },
            ),
            // What the bounds must not exclude.
            Property::sometimes("a move is done", |_, state: &State| ended(state, "move", "Done")),
            Property::sometimes("a move is aborted", |_, state: &State| ended(state, "move", "Aborted")),
            Property::sometimes("a switchover is done", |_, state: &State| {
                ended(state, "switchover", "Done")
            }),
            Property::sometimes("a switchover is aborted", |_, state: &State| {
                ended(state, "switchover", "Aborted")
            }),
            Property::sometimes("a failover is done", |_, state: &State| ended(state, "failover", "Done")),
            Property::sometimes("a drill is done", |_, state: &State| ended(state, "drill", "Done")),
            Property::sometimes("an evacuation is done", |_, state: &State| ended(state, "evacuate", "Done")),
        ]
    }
}

fn ended(state: &State, kind: &str, outcome: &str) -> bool {
    state.store.ended().values().any(|one| {
        one.spec.kind.name() == kind && format!("{:?}", one.phase).starts_with(&format!("Ended({outcome}"))
    })
}

/// A dead region is still a home, and the planner names why nobody can take its shards: no majority is left.
fn no_way_out(state: &State) -> bool {
    let world = state.store.world();
    let leave = Ask::Leave { region: region("eu"), outside: BTreeSet::new() };
    !state.eu_is_up && world.desired.serves(&region("eu")) && plan(world, &leave).is_err()
}

/// Two homes and a witness; a shard each.
fn first() -> Store {
    let spec = |role| RegionSpec {
        endpoint: String::new(),
        role,
        capacity: 2,
        weight: 1,
        jurisdictions: BTreeSet::from([Jurisdiction::new(Jurisdiction::ANY)]),
        failover_ready: true,
        degraded: Degraded::default(),
    };
    let mut desired = Desired::default();
    for (name, role) in [("ap", Role::Witness), ("eu", Role::Full), ("us", Role::Full)] {
        desired.regions.insert(region(name), RegionRow::new(spec(role)));
    }
    desired.policy.movement = Movement { batch: 1, patience: TICK, per_minute: 60, ..Movement::default() };
    let home = |name: &str| (region(name), Jurisdiction::new(Jurisdiction::ANY));
    let homes = BTreeMap::from([(Shard::new(0), home("eu")), (Shard::new(1), home("us"))]);
    let mut store = Store::default();
    assert_eq!(store.found(&desired, &homes), Applied::Yes);
    store
}

fn kinds() -> Vec<Kind> {
    let (eu, outside) = (region("eu"), BTreeSet::new());
    vec![
        Kind::Move { shards: BTreeMap::from([(Shard::new(0), region("us"))]) },
        Kind::Switchover { region: eu.clone(), outside: outside.clone() },
        Kind::Failover { region: eu.clone(), outside, confirm: Some("eu".into()) },
        Kind::Drill { region: eu },
    ]
}

impl Control {
    fn make(&self, state: &mut State, action: &Action) -> Option<Intent> {
        match action {
            Action::Ask(kind) => {
                state.asks -= 1;
                drop(state.store.begin(&Spec::asked("ada", kind.clone()), state.now));
            }
            Action::Abort => {
                state.aborts -= 1;
                let id = state.store.running()?.id;
                let _ = state.store.abort(id, "enough");
            }
            Action::SetState(name, to) => {
                state.persons -= 1;
                let version = state.store.world().desired.regions.get(name)?.version;
                assert_eq!(state.store.set_state(name, version, *to), Ok(Applied::Yes));
            }
            Action::EuGoesDown => {
                state.eu_is_up = false;
                see_eu_down(state);
            }
            Action::Coordinate => {
                let intent = decide(state)?;
                return self.act(state, &intent);
            }
            Action::Look => state.decided = decide(state),
            Action::Act { again } => {
                let intent = state.decided.clone()?;
                if !again {
                    state.decided = None;
                }
                return self.act(state, &intent);
            }
            Action::Crash => state.decided = None,
            Action::Work => work(state),
            Action::Tick => {
                state.ticks -= 1;
                state.now = state.now.plus(TICK);
                if !state.eu_is_up {
                    see_eu_down(state);
                }
            }
        }
        None
    }

    fn act(&self, state: &mut State, intent: &Intent) -> Option<Intent> {
        match intent {
            Intent::Begin(spec) => drop(state.store.begin(spec, state.now)),
            Intent::Act(effect) => assert!(state.store.apply(&self.mutate(state, effect)).is_ok()),
            Intent::Follow | Intent::Idle | Intent::Wait { .. } => {}
        }
        Some(intent.clone())
    }

    /// The effect without what no decision reads, its timeline; with the mutant, on whatever version there is.
    fn mutate(&self, state: &State, effect: &Effect) -> Effect {
        let mut effect = effect.clone();
        match &mut effect.change {
            Change::Journal(next) => next.timeline.clear(),
            Change::Map { expect, .. } if !self.compare_and_set => {
                *expect = state.store.world().observed.version
            }
            Change::Map { .. } | Change::Region { .. } => {}
        }
        effect
    }

    /// Nobody has decided anything, nothing runs, nothing is due, no worker has anything to do.
    fn at_rest(&self, state: &State) -> bool {
        let idle = state.store.running().is_none() && state.decided.is_none() && decide(state).is_none();
        idle && {
            let mut after = state.clone();
            work(&mut after);
            after.store == state.store
        }
    }
}

/// What a coordinator would do now, if anything.
fn decide(state: &State) -> Option<Intent> {
    let intent = Intent::decide(&state.store.read(state.now));
    matches!(intent, Intent::Act(_) | Intent::Begin(_)).then_some(intent)
}

/// The others see `eu` down, three times in five seconds.
fn see_eu_down(state: &mut State) {
    for look in 0..3 {
        if look > 0 {
            state.now = state.now.plus(Duration::from_millis(2_500));
        }
        for observer in ["ap", "us"].map(region) {
            state.store.sight(&region("eu"), &observer, Verdict::Down, state.now);
        }
    }
}

/// Workers of the regions that are up do what they wish.
fn work(state: &mut State) {
    let world = state.store.read(state.now).world;
    for name in ["eu", "us"].map(region).into_iter().filter(|name| state.eu_is_up || *name != region("eu")) {
        let me = Instance::new(name.clone(), "worker");
        for (shard, row) in &world.observed.shards {
            let mine = world.works(row, &name, state.now);
            match wish(&me, mine, world.observed.leases.get(shard), state.now) {
                Wish::Take => drop(state.store.take(*shard, &me, LEASE, state.now)),
                Wish::Renew(epoch) => {
                    let _ = state.store.renew(*shard, &me, epoch, LEASE, state.now);
                }
                Wish::Release(epoch) => {
                    let _ = state.store.release(*shard, &me, epoch, state.now);
                }
                Wish::Nothing => {}
            }
        }
    }
}

#[test]
fn operations_keep_every_invariant() {
    let none = Control { compare_and_set: true, asks: 1, aborts: 0, persons: 0, ticks: 0, dies_late: false };
    let bounds = [
        ("dies late", Control { dies_late: true, ..none }),
        ("an abort", Control { aborts: 1, ..none }),
        ("time", Control { ticks: 1, ..none }),
        ("a person", Control { persons: 1, ..none }),
    ];
    let mut came_about = BTreeSet::new();
    for (name, model) in bounds {
        let found = explore(&format!("control, {name}"), model, &[]);
        assert!(found.iter().all(|name| name.starts_with('a')), "{name}: {found:?}");
        came_about.extend(found);
    }
    let properties = none.properties().into_iter().map(|property| property.name);
    let wanted: BTreeSet<_> = properties.filter(|name| name.starts_with('a')).collect();
    assert_eq!(came_about, wanted, "what was looked for is within the bounds");
}

#[test]
fn a_map_without_compare_and_set_is_caught() {
    let model =
        Control { compare_and_set: false, asks: 1, aborts: 0, persons: 1, ticks: 0, dies_late: false };
    let property = "3 the map changes by compare-and-set";
    let broken = explore("control, MapWithoutCompareAndSet", model, &[property]);
    assert!(broken.contains(&property), "{broken:?}");
}
