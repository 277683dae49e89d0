//! The error budget of a region: what share of the requests that it answered failed lately.
//!
//! It burns when, in a long window and in a short one of a twelfth of it, failures use the budget up [`FAST`] times as fast
//! as the objective allows: the long window says that it matters, the short one that it goes on (Google, *The Site
//! Reliability Workbook*, "Alerting on SLOs", multi-window burn rates).

use std::{
    collections::VecDeque,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// The workbook's rate for what a person is woken for.
const FAST: f64 = 14.4;
const LONG: Duration = Duration::from_mins(5);
const SHORT: Duration = Duration::from_secs(25);
/// Fewer requests in a window say nothing.
const ENOUGH: u64 = 50;

/// Counted since the process began.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    answered: AtomicU64,
    failed: AtomicU64,
}

impl Counts {
    pub(crate) fn answered(&self, failed: bool) {
        self.answered.fetch_add(1, Ordering::Relaxed);
        if failed {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn now(&self) -> Answered {
        // Failures first: what comes between is counted as answered, never as more failures than answers.
        let failed = self.failed.load(Ordering::Relaxed);
        Answered { answered: self.answered.load(Ordering::Relaxed).max(failed), failed }
    }
}

/// How many requests were answered since the process began, and how many of them failed (5xx).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answered {
    /// All.
    pub answered: u64,
    /// Those that failed.
    pub failed: u64,
}

/// Looks at [`Answered`] again and again.
#[derive(Debug)]
pub struct Budget {
    allowed: f64,
    /// In time's order, none much older than the long window.
    looks: VecDeque<(Instant, Answered)>,
}

impl Budget {
    /// With the share of requests that must be answered well, below 1.
    pub fn new(objective: f64) -> Self {
        Self { allowed: 1.0 - objective, looks: VecDeque::new() }
    }

    /// Whether the budget burns too fast, by what was counted until `now`.
    pub fn burns(&mut self, now: Instant, counted: Answered) -> bool {
        // One look a second is kept, so that their number has a bound.
        if self
            .looks
            .back()
            .is_none_or(|(at, _)| now.saturating_duration_since(*at) >= Duration::from_secs(1))
        {
            self.looks.push_back((now, counted));
        }
        while self.looks.get(1).is_some_and(|(at, _)| now.saturating_duration_since(*at) >= LONG) {
            self.looks.pop_front();
        }
        [LONG, SHORT].into_iter().all(|window| self.rate(window, now, counted) >= FAST)
    }

    /// How many times as fast as allowed the budget was used up in the last `window`, or since the first look.
    fn rate(&self, window: Duration, now: Instant, counted: Answered) -> f64 {
        let before = self.looks.iter().rev().find(|(at, _)| now.saturating_duration_since(*at) >= window);
        let before = before.or(self.looks.front()).map_or(counted, |(_, before)| *before);
        let answered = counted.answered.saturating_sub(before.answered);
        let failed = counted.failed.saturating_sub(before.failed);
        if answered < ENOUGH {
            return 0.0;
        }
        share(failed, answered) / self.allowed
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share needs no more digits than a float has")]
fn share(failed: u64, answered: u64) -> f64 {
    failed as f64 / answered as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second each: so many requests, so many of them failed.
    fn burns(budget: &mut Budget, from: Instant, seconds: &[(u64, u64)]) -> bool {
        let (mut now, mut counted, mut last) = (from, Answered::default(), false);
        for (answered, failed) in seconds {
            last = budget.burns(now, counted);
            now += Duration::from_secs(1);
            counted = Answered { answered: counted.answered + answered, failed: counted.failed + failed };
        }
        last |= budget.burns(now, counted);
        last
    }

    #[test]
    fn burns_while_more_fails_than_the_objective_allows_and_no_longer() {
        let mut budget = Budget::new(0.999);
        let begin = Instant::now();
        assert!(burns(&mut budget, begin, &[(100, 2); 60]), "2 % of 0.1 % allowed: 20 times as fast");
        let mut budget = Budget::new(0.999);
        assert!(!burns(&mut budget, begin, &[(100, 1); 60]), "1 %: 10 times as fast");
        let mut budget = Budget::new(0.999);
        let over: Vec<_> =
            std::iter::repeat_n((100, 50), 30).chain(std::iter::repeat_n((100, 0), 30)).collect();
        assert!(!burns(&mut budget, begin, &over), "it was bad, and is over");
        let mut budget = Budget::new(0.999);
        assert!(!burns(&mut budget, begin, &[(1, 1); 30]), "too few to say");
    }

    #[test]
    fn forgets_what_is_older_than_its_window() {
        let mut budget = Budget::new(0.999);
        let begin = Instant::now();
        for second in 0..10_000 {
            budget.burns(begin + Duration::from_secs(second), Answered { answered: second, failed: 0 });
        }
        assert!(budget.looks.len() <= 302, "{}", budget.looks.len());
    }
}
