//! The waiting room: so many requests are served at once, a bounded number waits, nobody waits long.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicUsize, Ordering},
};

use kernel::{Failure, Result};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{QueueConfig, code};

/// A region's waiting room. How many places it has may change while people are in it.
#[derive(Debug)]
pub(crate) struct Room {
    free: Semaphore,
    /// Places there are to be.
    places: AtomicUsize,
    /// Places that are taken and are no more once they are left.
    surplus: AtomicUsize,
    resizing: Mutex<()>,
    waiting: AtomicUsize,
    config: QueueConfig,
}

/// A place in it.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    room: &'a Room,
    permit: Option<SemaphorePermit<'a>>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take()
            && take(&self.room.surplus, 1) == 1
        {
            permit.forget();
        }
    }
}

/// Takes up to so many from a number; how many it had.
fn take(number: &AtomicUsize, most: usize) -> usize {
    let mut before = number.load(Ordering::Acquire);
    while before > 0 {
        let taken = before.min(most);
        match number.compare_exchange_weak(before, before - taken, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return taken,
            Err(now) => before = now,
        }
    }
    0
}

impl Room {
    pub(crate) fn new(config: QueueConfig) -> Self {
        Self {
            free: Semaphore::new(0),
            places: AtomicUsize::new(0),
            surplus: AtomicUsize::new(0),
            resizing: Mutex::new(()),
            waiting: AtomicUsize::new(0),
            config,
        }
    }

    /// Makes it this large. Nobody is sent away: places that are taken go when they are left.
    fn resize(&self, places: usize) {
        if self.places.load(Ordering::Acquire) == places {
            return;
        }
        let _one = self.resizing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.places.swap(places, Ordering::AcqRel);
        if places > before {
            let more = places - before;
            self.free.add_permits(more - take(&self.surplus, more));
        } else {
            let fewer = before - places;
            let gone = self.free.forget_permits(fewer);
            self.surplus.fetch_add(fewer - gone, Ordering::AcqRel);
        }
    }

    /// A place among as many as a person wants, or the configuration where that is 0; at once or after waiting.
    /// [`code::FULL`] where none became free; none where there is no waiting room. `patient`: whether waiting makes sense.
    pub(crate) async fn enter(&self, wanted: u32, patient: bool) -> Result<Option<Place<'_>>> {
        let wanted = usize::try_from(wanted).unwrap_or(usize::MAX);
        let places = if wanted == 0 { self.config.in_flight } else { wanted }.min(Semaphore::MAX_PERMITS);
        if places == 0 {
            return Ok(None);
        }
        self.resize(places);
        self.place(patient).await.map(|permit| Some(Place { room: self, permit: Some(permit) }))
    }

    async fn place(&self, patient: bool) -> Result<SemaphorePermit<'_>> {
        if let Ok(place) = self.free.try_acquire() {
            return Ok(place);
        }
        if !patient {
            return Err(self.full("every place is taken".to_owned()));
        }
        let waiting = Waiting::join(&self.waiting);
        if waiting.before >= self.config.waiting {
            return Err(self.full("the waiting room is full".to_owned()));
        }
        match tokio::time::timeout(self.config.wait, self.free.acquire()).await {
            Ok(Ok(place)) => Ok(place),
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
        let first = room.enter(0, true).await.unwrap();
        let second = room.enter(0, true);
        let rest = async {
            let refused = room.enter(0, true).await.unwrap_err();
            assert!(refused.is(code::FULL) && refused.problem().retry_after == Some(60));
            assert!(room.enter(0, false).await.is_err(), "who must not wait does not");
            drop(first);
        };
        let (second, ()) = tokio::join!(biased; second, rest);
        assert!(second.unwrap().is_some());
        assert!(room.enter(0, true).await.unwrap().is_some(), "places come back");
    }

    #[tokio::test]
    async fn nobody_waits_longer_than_said() {
        let room = room(1, 5, Duration::from_millis(20));
        let _first = room.enter(0, true).await.unwrap();
        let refused = room.enter(0, true).await.unwrap_err();
        assert_eq!(refused.message(), "0 were waiting before, and no place became free");
        assert_eq!(room.waiting.load(Ordering::Acquire), 0);
    }

    #[tokio::test]
    async fn is_open_to_all_where_it_is_not_wanted() {
        let room = room(0, 0, Duration::from_secs(1));
        for _ in 0..100 {
            assert!(room.enter(0, true).await.unwrap().is_none());
        }
    }

    #[tokio::test]
    async fn changes_its_size_while_people_are_in_it() {
        let room = room(0, 0, Duration::from_secs(1));
        let entered = async |places| room.enter(places, false).await.map(|place| place.unwrap());
        let mut inside = Vec::new();
        for _ in 0..3 {
            inside.push(entered(3).await.unwrap());
        }
        assert!(entered(3).await.is_err());
        assert!(entered(1).await.is_err(), "two more than there are to be");
        inside.truncate(1);
        assert!(entered(1).await.is_err(), "they are gone");
        let second = entered(2).await.unwrap();
        assert!(entered(2).await.is_err());
        drop((inside, second));
        assert!(room.enter(0, false).await.unwrap().is_none(), "open to all");
        let all = (entered(2).await.unwrap(), entered(2).await.unwrap());
        assert!(entered(2).await.is_err(), "no place was made or lost");
        drop(all);
        // Made larger again before surplus places were left.
        let two = (entered(2).await.unwrap(), entered(2).await.unwrap());
        assert!(entered(1).await.is_err());
        let third = entered(3).await.unwrap();
        assert!(entered(3).await.is_err());
        drop((two, third));
        assert_eq!((room.free.available_permits(), room.surplus.load(Ordering::Acquire)), (3, 0));
    }
}
