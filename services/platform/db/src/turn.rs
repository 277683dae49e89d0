//! A request that comes again while it is under way waits for its end, and then finds its answer.
//!
//! Safe it is without this: the request's row stands for it in any process ([`Once`]). But an overloaded shop's clients ask
//! again, and each retry would run the whole request beside the first; so the work of one request is bounded by the number
//! of processes, not by its client's patience.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use kernel::Shard;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

use crate::{Db, Once};

/// A request: shard, principal, route, key.
type Key = (Shard, String, &'static str, String);

/// The requests of this process that hold or await their turn.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<Key, Queue>>);

#[derive(Debug, Default)]
struct Queue {
    lock: Arc<AsyncMutex<()>>,
    /// Who holds or awaits it.
    members: usize,
}

impl Turns {
    fn queues(&self) -> MutexGuard<'_, HashMap<Key, Queue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(&self, key: &Key) -> Arc<AsyncMutex<()>> {
        let mut queues = self.queues();
        let queue = queues.entry(key.clone()).or_default();
        queue.members += 1;
        Arc::clone(&queue.lock)
    }

    async fn turn(&self, key: Key) -> Turn<'_> {
        let lock = self.join(&key);
        // It exists before anything is waited for: whoever goes away while waiting leaves nothing behind.
        let mut turn = Turn { turns: self, key, held: None, waited: false };
        turn.held = Some(match Arc::clone(&lock).try_lock_owned() {
            Ok(held) => held,
            Err(_) => {
                metrics::counter!("db_requests_joined_total", "route" => turn.key.2).increment(1);
                turn.waited = true;
                lock.lock_owned().await
            }
        });
        turn
    }
}

/// While it lives, the same request waits elsewhere in this process.
#[derive(Debug)]
#[must_use = "the turn ends when it is dropped"]
pub struct Turn<'a> {
    turns: &'a Turns,
    key: Key,
    held: Option<OwnedMutexGuard<()>>,
    waited: bool,
}

impl Turn<'_> {
    /// Whether another one was under way: its answer is likely to be there now.
    pub fn waited(&self) -> bool {
        self.waited
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.held = None;
        let mut queues = self.turns.queues();
        if let Some(queue) = queues.get_mut(&self.key) {
            queue.members -= 1;
            if queue.members == 0 {
                queues.remove(&self.key);
            }
        }
    }
}

impl Db {
    /// Waits until no other request of this process with the same identity is under way. Take it before
    /// [`Once::find`], keep it until the answer is written, and hold one at a time.
    pub async fn turn(&self, once: &Once) -> Turn<'_> {
        self.0.turns.turn(once.key()).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures::FutureExt;

    use super::*;

    fn key(n: &str) -> Key {
        (Shard::new(1), "usr_1".to_owned(), "order.place", n.to_owned())
    }

    #[tokio::test]
    async fn the_same_request_waits_and_others_do_not() {
        let turns = Turns::default();
        let first = turns.turn(key("a")).await;
        assert!(!first.waited());
        let mut again = Box::pin(turns.turn(key("a")));
        assert!(again.as_mut().now_or_never().is_none());
        drop(turns.turn(key("b")).now_or_never().unwrap());
        assert_eq!(turns.queues().len(), 1);
        drop(first);
        let again = again.now_or_never().unwrap();
        assert!(again.waited());
        assert_eq!(turns.queues().len(), 1);
        drop(again);
        assert_eq!(turns.queues().len(), 0);
    }

    #[tokio::test]
    async fn who_goes_away_leaves_nothing_behind() {
        let turns = Turns::default();
        for told in [false, true] {
            let first = turns.turn(key("a")).await;
            let mut waiting = Box::pin(turns.turn(key("a")));
            assert!(waiting.as_mut().now_or_never().is_none());
            // It goes before or after its turn has come.
            let first = if told {
                drop(first);
                None
            } else {
                Some(first)
            };
            drop(waiting);
            drop(first);
            assert_eq!(turns.queues().len(), 0, "{told}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    #[expect(clippy::disallowed_methods, reason = "the tasks are awaited here")]
    async fn one_at_a_time_and_each_in_the_end() {
        let turns = Arc::new(Turns::default());
        let inside = Arc::new([const { AtomicBool::new(false) }; 3]);
        let tries = (0..200).map(|n: usize| {
            let (turns, inside) = (Arc::clone(&turns), Arc::clone(&inside));
            async move {
                let _turn = turns.turn(key(&(n % 3).to_string())).await;
                assert!(!inside[n % 3].swap(true, Ordering::SeqCst));
                tokio::task::yield_now().await;
                inside[n % 3].store(false, Ordering::SeqCst);
            }
        });
        futures::future::join_all(tries.map(tokio::task::spawn))
            .await
            .into_iter()
            .for_each(|end| end.unwrap());
        assert_eq!(turns.queues().len(), 0);
    }
}
