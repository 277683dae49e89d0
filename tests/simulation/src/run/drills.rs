//! What a drill by schedule needs to begin, which chance alone hardly ever brings together: its hour, and that all is well.

use std::time::Duration;

use kernel::Clock;

use super::Run;
use crate::{audit::Broken, link::Fault};

const WEEK: Duration = Duration::from_secs(7 * 86_400);

impl Run {
    /// For a while everybody who lives does their part. The coordinators crash, act late, and lose questions and answers as
    /// ever.
    pub(super) fn watch(&mut self) -> Result<(), Broken> {
        for _ in 0..self.chance.between(10, 30) {
            for at in 0..self.cast.places.len() {
                if self.cast.places[at].alive && self.cast.places[at].linked {
                    self.cast.places[at].link.hooks().set(Fault::None);
                    self.part(at)?;
                }
            }
            for _ in 0..4 {
                self.coordinate(true)?;
            }
            self.cast.clock.advance(Duration::from_millis(u64::from(self.chance.between(200, 1_000))));
        }
        Ok(())
    }

    /// Nothing happens until shortly before the next hour of a drill; for a week, where nobody wants drills any more.
    pub(super) fn next_week(&mut self) {
        let now = self.cast.clock.now();
        let store = self.cast.journal.store();
        let next = store.world().desired.policy.drills.as_ref().map(|drills| drills.next(now).1);
        // In an hour of drills, the next hour is a week after it.
        let next = next.map(|begins| if begins <= now { begins.plus(WEEK) } else { begins });
        let soon = Duration::from_secs(u64::from(self.chance.between(0, 8)));
        let by = next.map_or(WEEK, |next| next.since(now).saturating_sub(soon));
        self.cast.clock.advance(by);
        self.trace.push(format!("          {} s go by", by.as_secs()));
    }
}
