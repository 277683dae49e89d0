//! Whether another process or region is worth asking: after failures in a row it is not asked for a while, then one request
//! tries.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It is asked; so many slow or broken answers in a row.
    Closed(u32),
    /// It is not asked until then.
    Open(Instant),
    /// One request is out to see.
    Probing,
}

/// The breaker of one process or region that is asked.
#[derive(Debug)]
pub struct Breaker {
    state: Mutex<State>,
    failures: u32,
    pause: Duration,
}

impl Breaker {
    /// Opens after so many failures in a row, at least one, for `pause`.
    pub fn new(failures: u32, pause: Duration) -> Self {
        Self { state: Mutex::new(State::Closed(0)), failures: failures.max(1), pause }
    }

    /// Lets a request through, or not. Only one that loses nothing but a moment, or that nobody else would do (`may_probe`),
    /// goes to see whether the other side is back: somebody's must, or it never closes.
    pub fn enter(&self, may_probe: bool, now: Instant) -> Option<Pass<'_>> {
        let mut state = self.state();
        let probe = match *state {
            State::Closed(_) => false,
            State::Open(until) if until <= now && may_probe => {
                *state = State::Probing;
                true
            }
            State::Open(_) | State::Probing => return None,
        };
        Some(Pass { breaker: self, probe })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request on its way. Dropped without a word it counts as neither success nor failure.
#[derive(Debug)]
pub struct Pass<'a> {
    breaker: &'a Breaker,
    probe: bool,
}

impl Pass<'_> {
    /// The other side answered in time. A request from before the breaker opened does not close it; the probe does.
    pub fn answered(&mut self) {
        let mut state = self.breaker.state();
        if std::mem::take(&mut self.probe) || matches!(*state, State::Closed(_)) {
            *state = State::Closed(0);
        }
    }

    /// The answer is slow or broke off.
    pub fn troubled(&mut self, now: Instant) {
        let breaker = self.breaker;
        let mut state = breaker.state();
        *state = match *state {
            State::Closed(before) if before + 1 < breaker.failures => State::Closed(before + 1),
            State::Closed(_) => State::Open(now + breaker.pause),
            State::Probing if self.probe => State::Open(now + breaker.pause),
            other => other,
        };
        self.probe = false;
    }

    /// The other side cannot be reached, or says that it does not serve.
    pub fn down(&mut self, now: Instant) {
        *self.breaker.state() = State::Open(now + self.breaker.pause);
        self.probe = false;
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.probe {
            // Its client went away before it knew: the next one probes.
            let mut state = self.breaker.state();
            if *state == State::Probing {
                *state = State::Open(Instant::now());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(1);

    #[test]
    fn opens_at_once_when_unreachable_and_closes_after_a_good_probe() {
        let (breaker, now) = (Breaker::new(3, PAUSE), Instant::now());
        breaker.enter(true, now).unwrap().down(now);
        assert!(breaker.enter(true, now).is_none());
        let later = now + PAUSE;
        assert!(breaker.enter(false, later).is_none(), "one that somebody else can do does not probe");
        let mut probe = breaker.enter(true, later).unwrap();
        assert!(breaker.enter(true, later).is_none(), "one probe at a time");
        probe.answered();
        assert!(breaker.enter(false, later).is_some());
    }

    #[test]
    fn opens_after_slow_answers_in_a_row_and_again_after_a_slow_probe() {
        let (breaker, now) = (Breaker::new(3, PAUSE), Instant::now());
        for _ in 0..2 {
            breaker.enter(true, now).unwrap().troubled(now);
        }
        breaker.enter(true, now).unwrap().answered();
        for _ in 0..3 {
            breaker.enter(true, now).unwrap().troubled(now);
        }
        assert!(breaker.enter(true, now).is_none());
        let later = now + PAUSE;
        let mut probe = breaker.enter(true, later).unwrap();
        probe.troubled(later);
        probe.answered();
        assert!(breaker.enter(true, later).is_none(), "an answer after the hedge does not close it");
        assert!(breaker.enter(true, later + PAUSE).is_some());
    }

    #[test]
    fn a_lost_probe_does_not_block_it() {
        let (breaker, now) = (Breaker::new(3, PAUSE), Instant::now());
        breaker.enter(true, now).unwrap().down(now);
        drop(breaker.enter(true, now + PAUSE).unwrap());
        assert!(breaker.enter(true, now + PAUSE).is_some());
    }
}
