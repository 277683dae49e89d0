//! An order's way through two regions: one shard, two keys, three requests.

use stateright::{Model, Property};

use super::{data_steps::Action, explore};

pub(super) const KEYS: usize = 2;
pub(super) const REGIONS: usize = 2;
/// An event for each key and region that could make it: a key that took effect twice has two.
pub(super) const EVENTS: usize = KEYS * REGIONS;

/// What is broken on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mutant {
    None,
    LeaseRenewedWithoutEpoch,
    PositionWithoutCompareAndSet,
    ConsumerWithoutInbox,
    /// The row in a transaction after the effect's, or before it.
    IdempotencyRowAfter,
    IdempotencyRowBefore,
    EffectWithoutIntent,
    ProgressBeforePublish,
}

/// A request of a key in a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Attempt {
    /// The shopper has not sent it.
    Unsent,
    /// It looked for a stored answer, and there was none.
    Looked,
    /// Mutants only: the first of two transactions is made.
    HalfDone,
    /// Over: answered, or the answer was lost, or its process died.
    Over,
}

/// What a region's worker is in the middle of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Doing {
    Nothing,
    /// It read the cursor and an event, and is about to write.
    Sequencing {
        pos: u8,
        event: u8,
    },
    /// It published the position (mutant: recorded it), and is about to do the other.
    Relaying {
        pos: u8,
    },
    /// It has a message and is about to write its effect.
    Consuming {
        pos: u8,
    },
    /// The effect is written, the message not yet acknowledged.
    Consumed {
        pos: u8,
    },
    /// The provider was called, which is not yet recorded.
    Called {
        key: u8,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Effect {
    None,
    Intended,
    Recorded,
}

/// A lease as stored; time is only whether it has run out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Lease {
    pub(super) holder: u8,
    pub(super) epoch: u8,
    pub(super) live: bool,
}

/// The database, the bus, the provider, and what processes have in memory. Bits in a byte are sets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    // The shopper.
    pub(super) attempts: [[Attempt; REGIONS]; KEYS],
    pub(super) acknowledged: u8,
    // The database.
    pub(super) orders: [u8; KEYS],
    pub(super) answers: u8,
    pub(super) outbox: u8,
    pub(super) log: Vec<u8>,
    pub(super) progress: u8,
    pub(super) inbox: u8,
    pub(super) consumed: [u8; EVENTS],
    pub(super) intents: [Effect; KEYS],
    pub(super) home: u8,
    pub(super) lease: Lease,
    // The bus and the provider.
    pub(super) bus: u8,
    pub(super) charges: [u8; KEYS],
    // The workers' memory.
    pub(super) believes: [Option<u8>; REGIONS],
    pub(super) doing: [Doing; REGIONS],
    // What may still happen.
    pub(super) crashes: u8,
    pub(super) pauses: u8,
    pub(super) flips: u8,
    // What has happened that no row shows.
    pub(super) holders: Vec<u8>,
    pub(super) two_holders: bool,
    pub(super) rewritten: bool,
    pub(super) zombie: bool,
}

/// The model with its bounds.
#[derive(Clone, Copy)]
pub(super) struct Data {
    pub(super) mutant: Mutant,
    pub(super) crashes: u8,
    /// How often a lease runs out under a worker that goes on.
    pub(super) pauses: u8,
    /// How often the home moves.
    pub(super) flips: u8,
    /// How many keys the shopper sends: the first to both regions, the second to one.
    pub(super) keys: u8,
}

impl Data {
    const fn whole(mutant: Mutant) -> Self {
        Self { mutant, crashes: 1, pauses: 1, flips: 1, keys: 2 }
    }
}

impl Model for Data {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut attempts = [[Attempt::Unsent; REGIONS]; KEYS];
        // The second key is sent to one region only: it is there so that two events wait at once.
        attempts[1][0] = Attempt::Over;
        if self.keys == 1 {
            attempts[1][1] = Attempt::Over;
        }
        vec![State {
            attempts,
            acknowledged: 0,
            orders: [0; KEYS],
            answers: 0,
            outbox: 0,
            log: Vec::new(),
            progress: 0,
            inbox: 0,
            consumed: [0; EVENTS],
            intents: [Effect::None; KEYS],
            home: 0,
            lease: Lease { holder: 0, epoch: 0, live: false },
            bus: 0,
            charges: [0; KEYS],
            believes: [None; REGIONS],
            doing: [Doing::Nothing; REGIONS],
            crashes: self.crashes,
            pauses: self.pauses,
            flips: self.flips,
            holders: vec![0],
            two_holders: false,
            rewritten: false,
            zombie: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.chances(state, actions);
        self.work(state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        self.make(&mut next, action);
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("1 acknowledged writes are there", |_, state: &State| {
                (0..KEYS).all(|key| state.acknowledged & (1 << key) == 0 || state.orders[key] > 0)
            }),
            Property::always("2 one effect a key", |_, state: &State| {
                state.orders.iter().chain(&state.charges).all(|count| *count <= 1)
            }),
            Property::always("4 one holder an epoch", |_, state: &State| !state.two_holders),
            Property::always("5 no second effect without the lease", |_, state: &State| !state.zombie),
            Property::always("6 positions do not change", |_, state: &State| !state.rewritten),
            Property::always("7 at rest everything is through", |model: &Self, state: &State| {
                !model.at_rest(state) || through(state)
            }),
            Property::always("8 one effect a position", |_, state: &State| {
                state.consumed.iter().all(|count| *count <= 1)
            }),
            Property::always("9 two sequencers sequence once", |_, state: &State| {
                (0..state.log.len()).all(|at| !state.log[..at].contains(&state.log[at]))
            }),
        ]
    }
}

impl Data {
    /// Nothing is left to do for any worker.
    fn at_rest(&self, state: &State) -> bool {
        let mut work = Vec::new();
        self.work(state, &mut work);
        work.into_iter().all(|action| self.next_state(state, action).is_none())
    }
}

/// Every committed event is sequenced, published and consumed, every intent carried out.
fn through(state: &State) -> bool {
    let waiting = state.outbox != 0 || usize::from(state.progress) != state.log.len() || state.bus != 0;
    let lost = state.log.iter().any(|event| state.consumed[usize::from(*event)] == 0);
    let owed = (0..KEYS).any(|key| state.intents[key] == Effect::Intended);
    let unpaid = (0..KEYS).any(|key| state.orders[key] > 0 && state.charges[key] == 0);
    !waiting && !lost && !owed && !unpaid
}

#[test]
fn the_way_of_an_order_keeps_every_invariant() {
    let mutant = Mutant::None;
    // Two events and every fault but a new home; a new home while the old one goes on; one event and everything.
    let bounds = [
        Data { mutant, crashes: 1, pauses: 1, flips: 0, keys: 2 },
        Data { mutant, crashes: 0, pauses: 1, flips: 1, keys: 2 },
        Data { mutant, crashes: 1, pauses: 1, flips: 1, keys: 1 },
    ];
    for model in bounds {
        let Data { crashes, pauses, flips, keys, .. } = model;
        let name =
            format!("data, {keys} keys, {crashes} crashes, {pauses} pauses, {flips} moves of the home");
        assert_eq!(explore(&name, model, &[]), [""; 0]);
    }
}

/// A mutant must break this invariant.
fn breaks(mutant: Mutant, property: &'static str) {
    let broken = explore(&format!("data, {mutant:?}"), Data::whole(mutant), &[property]);
    assert!(broken.contains(&property), "{mutant:?} breaks {broken:?} only");
}

#[test]
fn a_lease_renewed_without_its_epoch_has_two_holders() {
    breaks(Mutant::LeaseRenewedWithoutEpoch, "4 one holder an epoch");
}

#[test]
fn a_position_taken_without_compare_and_set_changes_and_is_sequenced_twice() {
    for property in [
        "6 positions do not change",
        "9 two sequencers sequence once",
        "5 no second effect without the lease",
    ] {
        breaks(Mutant::PositionWithoutCompareAndSet, property);
    }
}

#[test]
fn a_consumer_without_inbox_has_an_effect_twice() {
    breaks(Mutant::ConsumerWithoutInbox, "8 one effect a position");
}

#[test]
fn an_idempotency_row_in_a_transaction_of_its_own_doubles_or_loses() {
    breaks(Mutant::IdempotencyRowAfter, "2 one effect a key");
    breaks(Mutant::IdempotencyRowBefore, "1 acknowledged writes are there");
}

#[test]
fn an_outside_effect_without_intent_happens_twice() {
    breaks(Mutant::EffectWithoutIntent, "2 one effect a key");
}

#[test]
fn progress_recorded_before_the_publish_loses_an_event() {
    breaks(Mutant::ProgressBeforePublish, "7 at rest everything is through");
}
