//! What happens in the model of an order's way. A step that reads and a step that writes are two steps, so everything may
//! happen between them; a transaction is one.

use super::data::{Attempt, Data, Doing, Effect, KEYS, Lease, Mutant, State};

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Action {
    /// The request arrives and looks for a stored answer.
    Send {
        key: u8,
        region: u8,
    },
    /// Its transaction commits, and the shopper hears, or not.
    Commit {
        key: u8,
        region: u8,
        heard: bool,
    },
    /// The home moves.
    Flip,
    /// The lease runs out.
    Expire,
    /// A region's processes end.
    Crash {
        region: u8,
    },
    /// An answer to a worker is lost: it forgets what it was doing.
    Forget {
        region: u8,
    },
    /// A worker takes the lease, or holds on to it.
    Take {
        region: u8,
    },
    Renew {
        region: u8,
    },
    /// Or sees that the home is elsewhere and gives it back.
    Release {
        region: u8,
    },
    /// It reads the cursor and an event of the outbox.
    Read {
        region: u8,
        event: u8,
    },
    /// It reads a message of the bus.
    Receive {
        region: u8,
        pos: u8,
    },
    /// It begins to relay the next position.
    Relay {
        region: u8,
    },
    /// It calls the provider for an intent.
    Call {
        region: u8,
        key: u8,
    },
    /// It does the second half of what it is doing.
    Finish {
        region: u8,
    },
}

impl Data {
    /// What the outer world may do: shoppers, time, faults.
    pub(super) fn chances(&self, state: &State, actions: &mut Vec<Action>) {
        for key in 0..2_u8 {
            for region in 0..2_u8 {
                match state.attempts[usize::from(key)][usize::from(region)] {
                    Attempt::Unsent => actions.push(Action::Send { key, region }),
                    Attempt::Looked | Attempt::HalfDone => {
                        actions.extend([true, false].map(|heard| Action::Commit { key, region, heard }));
                    }
                    Attempt::Over => {}
                }
            }
        }
        if state.flips > 0 {
            actions.push(Action::Flip);
        }
        if state.pauses > 0 && state.lease.live {
            actions.push(Action::Expire);
        }
        for region in 0..2_u8 {
            if state.crashes > 0 {
                actions.push(Action::Crash { region });
            }
            if state.doing[usize::from(region)] != Doing::Nothing {
                actions.push(Action::Forget { region });
            }
        }
    }

    /// What workers may do.
    pub(super) fn work(&self, state: &State, actions: &mut Vec<Action>) {
        // A lease whose holder does not know of it runs out by itself.
        let Lease { holder, epoch, live } = state.lease;
        if live && state.believes[usize::from(holder)] != Some(epoch) {
            actions.push(Action::Expire);
        }
        for region in 0..2_u8 {
            let at = usize::from(region);
            if state.doing[at] != Doing::Nothing {
                actions.push(Action::Finish { region });
                continue;
            }
            if state.believes[at].is_none() {
                if !live && state.home == region {
                    actions.push(Action::Take { region });
                }
                continue;
            }
            // All of this is for who believes to have the lease. Its map may be old: it renews wherever the home is.
            actions.push(Action::Renew { region });
            if state.home != region {
                actions.push(Action::Release { region });
            }
            let messages = (0..4_u8).filter(|pos| state.bus & (1 << pos) != 0);
            actions.extend(messages.map(|pos| Action::Receive { region, pos }));
            let waiting = (0..4_u8).filter(|event| state.outbox & (1 << event) != 0);
            actions.extend(waiting.map(|event| Action::Read { region, event }));
            if usize::from(state.progress) < state.log.len() {
                actions.push(Action::Relay { region });
            }
            let intended = (0..2_u8).filter(|key| state.intents[usize::from(*key)] == Effect::Intended);
            actions.extend(intended.map(|key| Action::Call { region, key }));
        }
    }

    pub(super) fn make(&self, state: &mut State, action: Action) {
        match action {
            Action::Send { key, region } => self.send(state, usize::from(key), usize::from(region)),
            Action::Commit { key, region, heard } => self.commit(state, key, region, heard),
            Action::Flip => {
                state.flips -= 1;
                state.home = 1 - state.home;
            }
            Action::Expire => {
                if state.believes[usize::from(state.lease.holder)] == Some(state.lease.epoch) {
                    state.pauses -= 1;
                }
                state.lease.live = false;
            }
            Action::Crash { region } => crash(state, usize::from(region)),
            Action::Forget { region } => state.doing[usize::from(region)] = Doing::Nothing,
            Action::Take { region } => {
                state.lease = Lease { holder: region, epoch: state.lease.epoch + 1, live: true };
                state.holders.push(region);
                state.believes[usize::from(region)] = Some(state.lease.epoch);
            }
            Action::Renew { region } => self.renew(state, region),
            Action::Release { region } => {
                if held(state, region) {
                    state.lease.live = false;
                }
                state.believes[usize::from(region)] = None;
            }
            Action::Read { region, event } => {
                let pos = u8::try_from(state.log.len()).unwrap();
                state.doing[usize::from(region)] = Doing::Sequencing { pos, event };
            }
            Action::Receive { region, pos } => state.doing[usize::from(region)] = Doing::Consuming { pos },
            Action::Relay { region } => {
                let pos = state.progress;
                self.relay(state, pos, true);
                state.doing[usize::from(region)] = Doing::Relaying { pos };
            }
            Action::Call { region, key } => {
                // The key derives from the intent: the provider knows a second call for what it is.
                state.charges[usize::from(key)] = 1;
                state.doing[usize::from(region)] = Doing::Called { key };
            }
            Action::Finish { region } => self.finish(state, region),
        }
    }

    fn send(&self, state: &mut State, key: usize, region: usize) {
        let stored = state.answers & (1 << key) != 0;
        state.attempts[key][region] = if stored { Attempt::Over } else { Attempt::Looked };
        if stored {
            state.acknowledged |= 1 << key;
        } else if self.mutant == Mutant::EffectWithoutIntent {
            // Called at once, under a number of this attempt's own.
            state.charges[key] += 1;
        }
    }

    fn commit(&self, state: &mut State, key: u8, region: u8, heard: bool) {
        let (k, r) = (usize::from(key), usize::from(region));
        let half = state.attempts[k][r] == Attempt::HalfDone;
        let stored = state.answers & (1 << key) != 0;
        let (effect, row) = match self.mutant {
            Mutant::IdempotencyRowAfter => (!half, half),
            Mutant::IdempotencyRowBefore => (half, !half),
            // Together; who loses the insert of the row makes no effect and returns the winner's answer.
            _ => (!stored, true),
        };
        if effect {
            state.orders[k] += 1;
            state.outbox |= 1 << (key * 2 + region);
            if self.mutant != Mutant::EffectWithoutIntent {
                state.intents[k] = Effect::Intended;
            }
        }
        if row {
            state.answers |= 1 << key;
        }
        let apart = matches!(self.mutant, Mutant::IdempotencyRowAfter | Mutant::IdempotencyRowBefore);
        let lost_to_another = self.mutant == Mutant::IdempotencyRowBefore && !half && stored;
        if apart && !half && !lost_to_another {
            state.attempts[k][r] = Attempt::HalfDone;
            return;
        }
        state.attempts[k][r] = Attempt::Over;
        if heard {
            state.acknowledged |= 1 << key;
        }
    }

    fn renew(&self, state: &mut State, region: u8) {
        if self.mutant == Mutant::LeaseRenewedWithoutEpoch {
            let epoch = state.lease.epoch;
            state.two_holders |= state.holders[usize::from(epoch)] != region;
            state.lease = Lease { holder: region, epoch, live: true };
            state.believes[usize::from(region)] = Some(epoch);
        } else if !held(state, region) {
            state.believes[usize::from(region)] = None;
        }
    }

    /// Publishes and records, in the right order or in the mutant's.
    fn relay(&self, state: &mut State, pos: u8, first: bool) {
        if first != (self.mutant == Mutant::ProgressBeforePublish) {
            state.bus |= 1 << pos;
        } else if state.progress == pos {
            state.progress += 1;
        }
    }

    fn finish(&self, state: &mut State, region: u8) {
        let at = usize::from(region);
        let doing = std::mem::replace(&mut state.doing[at], Doing::Nothing);
        let zombie = !held(state, region);
        match doing {
            Doing::Nothing => {}
            Doing::Sequencing { pos, event } => self.sequence(state, usize::from(pos), event, zombie),
            Doing::Relaying { pos } => self.relay(state, pos, false),
            Doing::Consuming { pos } => {
                let event = usize::from(state.log[usize::from(pos)]);
                if state.inbox & (1 << pos) == 0 || self.mutant == Mutant::ConsumerWithoutInbox {
                    state.consumed[event] += 1;
                    state.zombie |= zombie && state.consumed[event] > 1;
                }
                state.inbox |= 1 << pos;
                state.doing[at] = Doing::Consumed { pos };
            }
            Doing::Consumed { pos } => state.bus &= !(1 << pos),
            Doing::Called { key } => state.intents[usize::from(key)] = Effect::Recorded,
        }
    }

    fn sequence(&self, state: &mut State, pos: usize, event: u8, zombie: bool) {
        let (fresh, bit) = (pos == state.log.len(), 1 << event);
        if self.mutant == Mutant::PositionWithoutCompareAndSet {
            state.zombie |= zombie && state.log.contains(&event);
            if fresh {
                state.log.push(event);
            } else {
                state.rewritten |= state.log[pos] != event;
                state.log[pos] = event;
            }
            state.outbox &= !bit;
        } else if fresh {
            // The cursor is where it was read, so nobody sequenced since, and the event is still in the outbox.
            state.log.push(event);
            state.outbox &= !bit;
        }
    }
}

/// Whether the region has the lease, under the epoch it believes in.
fn held(state: &State, region: u8) -> bool {
    let Lease { holder, epoch, live } = state.lease;
    live && holder == region && state.believes[usize::from(region)] == Some(epoch)
}

/// What a region's processes had in memory is gone; the shopper's requests there end without an answer.
fn crash(state: &mut State, region: usize) {
    state.crashes -= 1;
    state.believes[region] = None;
    state.doing[region] = Doing::Nothing;
    for key in 0..KEYS {
        if matches!(state.attempts[key][region], Attempt::Looked | Attempt::HalfDone) {
            state.attempts[key][region] = Attempt::Over;
        }
    }
}
