//! The waiting room: so many requests are served at once, a bounded number waits, nobody waits long.

use std::sync::atomic::{AtomicUsize, Ordering};

use kernel::{Failure, Result};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{QueueConfig, code};

/// A region's waiting room.
#[derive(Debug)]
pub(crate) struct Room {
    places: Option<Semaphore>,
    waiting: AtomicUsize,
    config: QueueConfig,
}

impl Room {
    pub(crate) fn new(config: QueueConfig) -> Self {
        let places =
            (config.in_flight > 0).then(|| Semaphore::new(config.in_flight.min(Semaphore::MAX_PERMITS)));
        Self { places, waiting: AtomicUsize::new(0), config }
    }

    /// A place, at once or after waiting; [`code::FULL`] where none became free. `patient`: whether waiting makes sense.
    pub(crate) async fn enter(&self, patient: bool) -> Result<Option<SemaphorePermit<'_>>> {
        let Some(places) = &self.places else { return Ok(None) };
        if let Ok(place) = places.try_acquire() {
            return Ok(Some(place));
        }
        if !patient {
            return Err(self.full("every place is taken".to_owned()));
        }
        let waiting = Waiting::join(&self.waiting);
        if waiting.before >= self.config.waiting {
            return Err(self.full("the waiting room is full".to_owned()));
        }
        match tokio::time::timeout(self.config.wait, places.acquire()).await {
            Ok(Ok(place)) => Ok(Some(place)),
            Ok(Err(_)) | Err(_) => {
                Err(self.full(format!("{} were waiting before, and no place became free", waiting.before)))
            }
        }
    }

    fn full(&self, detail: String) -> Failure {
        let seconds = u32::try_from(self.config.wait.as_secs()).unwrap_or(u32::MAX).max(1);
        Failure::new(code::FULL).detail(detail).retry_after(seconds)
    }
}

/// One who waits.
struct Waiting<'a> {
    waiting: &'a AtomicUsize,
    before: usize,
}

impl<'a> Waiting<'a> {
    fn join(waiting: &'a AtomicUsize) -> Self {
        Self { waiting, before: waiting.fetch_add(1, Ordering::AcqRel) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn room(in_flight: usize, waiting: usize, wait: Duration) -> Room {
        Room::new(QueueConfig { in_flight, waiting, wait })
    }

    #[tokio::test]
    async fn serves_some_lets_some_wait_and_turns_the_rest_away() {
        let room = room(1, 1, Duration::from_secs(60));
        let first = room.enter(true).await.unwrap();
        let second = room.enter(true);
        let rest = async {
            let refused = room.enter(true).await.unwrap_err();
            assert!(refused.is(code::FULL) && refused.problem().retry_after == Some(60));
            assert!(room.enter(false).await.is_err(), "who must not wait does not");
            drop(first);
        };
        let (second, ()) = tokio::join!(biased; second, rest);
        assert!(second.unwrap().is_some());
        assert!(room.enter(true).await.unwrap().is_some(), "places come back");
    }

    #[tokio::test]
    async fn nobody_waits_longer_than_said() {
        let room = room(1, 5, Duration::from_millis(20));
        let _first = room.enter(true).await.unwrap();
        let refused = room.enter(true).await.unwrap_err();
        assert_eq!(refused.message(), "0 were waiting before, and no place became free");
        assert_eq!(room.waiting.load(Ordering::Acquire), 0);
    }

    #[tokio::test]
    async fn is_open_to_all_where_it_is_not_wanted() {
        let room = room(0, 0, Duration::from_secs(1));
        for _ in 0..100 {
            assert!(room.enter(true).await.unwrap().is_none());
        }
    }
}
