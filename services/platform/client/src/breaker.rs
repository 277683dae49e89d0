//! A circuit breaker a domain: after failures in a row calls are refused at once, then one of them probes.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kernel::{Clock, Failure, Result, Timestamp, code};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Calls go through; so many failed in a row.
    Closed(u32),
    /// Calls are refused until then.
    Open(Timestamp),
    /// One call is out to see; the others are refused.
    Probing,
}

/// The breaker.
pub(crate) struct Breaker {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
    failures: u32,
    pause: Duration,
}

impl Breaker {
    pub(crate) fn new(clock: Arc<dyn Clock>, failures: u32, pause: Duration) -> Self {
        Self { state: Mutex::new(State::Closed(0)), clock, failures: failures.max(1), pause }
    }

    /// Lets a call through, or refuses it with `server.unavailable`.
    pub(crate) fn enter(&self) -> Result<Pass<'_>> {
        let mut state = self.state();
        match *state {
            State::Closed(_) => Ok(Pass { breaker: self, probe: false, settled: false }),
            State::Open(until) if until <= self.clock.now() => {
                *state = State::Probing;
                Ok(Pass { breaker: self, probe: true, settled: false })
            }
            State::Open(_) | State::Probing => Err(Failure::new(code::UNAVAILABLE).retry_after(1)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call on its way. One that is dropped without a word counts as neither success nor failure.
pub(crate) struct Pass<'a> {
    breaker: &'a Breaker,
    probe: bool,
    settled: bool,
}

impl Pass<'_> {
    /// The other side answered.
    pub(crate) fn succeeded(mut self) {
        self.settled = true;
        let mut state = self.breaker.state();
        // A slow call that began before the breaker opened does not close it; the probe does.
        if self.probe || matches!(*state, State::Closed(_)) {
            *state = State::Closed(0);
        }
    }

    /// The other side did not answer, or is overloaded.
    pub(crate) fn failed(mut self) {
        self.settled = true;
        let breaker = self.breaker;
        let mut state = breaker.state();
        let open = State::Open(breaker.clock.now().plus(breaker.pause));
        *state = match *state {
            State::Closed(failures) if failures + 1 < breaker.failures => State::Closed(failures + 1),
            State::Closed(_) => open,
            State::Probing if self.probe => open,
            other => other,
        };
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.probe && !self.settled {
            // The prober went away before it knew: the next call probes.
            *self.breaker.state() = State::Open(self.breaker.clock.now());
        }
    }
}

#[cfg(test)]
mod tests {
    use kernel::FakeClock;

    use super::*;

    fn breaker() -> (Breaker, Arc<FakeClock>) {
        let clock = Arc::new(FakeClock::new(Timestamp::from_micros(0)));
        (Breaker::new(clock.clone(), 3, Duration::from_secs(1)), clock)
    }

    #[test]
    fn opens_after_failures_in_a_row_and_closes_after_a_good_probe() {
        let (breaker, clock) = breaker();
        for _ in 0..2 {
            breaker.enter().unwrap().failed();
        }
        breaker.enter().unwrap().succeeded();
        for _ in 0..3 {
            breaker.enter().unwrap().failed();
        }
        assert!(breaker.enter().err().unwrap().is(code::UNAVAILABLE));
        clock.advance(Duration::from_secs(1));
        let probe = breaker.enter().unwrap();
        assert!(breaker.enter().is_err(), "one probe at a time");
        probe.succeeded();
        breaker.enter().unwrap().succeeded();
    }

    #[test]
    fn a_bad_probe_opens_it_again_and_a_lost_one_does_not_block_it() {
        let (breaker, clock) = breaker();
        let slow = breaker.enter().unwrap();
        for _ in 0..3 {
            breaker.enter().unwrap().failed();
        }
        slow.succeeded();
        assert!(breaker.enter().is_err(), "a call from before does not close it");
        clock.advance(Duration::from_secs(1));
        breaker.enter().unwrap().failed();
        assert!(breaker.enter().is_err());
        clock.advance(Duration::from_secs(1));
        drop(breaker.enter().unwrap());
        breaker.enter().unwrap().succeeded();
        breaker.enter().unwrap().succeeded();
    }
}
