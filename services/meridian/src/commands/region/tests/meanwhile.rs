//! What others do, and what the database does, while a command is at it.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use coordinator::{Applied, Journal, JournalError, MemoryJournal, Result, testing::Hooked};
use futures::FutureExt as _;
use placement::{Ask, State, plan};

use super::{C, Desk, Field, Run, ShardRange, Waiting, now, region, switchover};

/// What happens before a call of this name; an error is the call's answer.
type Before = dyn Fn(&str) -> Result<()> + Send + Sync;

impl Field {
    /// A desk, and what happens before each of its calls to the journal.
    fn desk_between(&self, before: Box<Before>) -> Desk {
        Desk { journal: Arc::new(Hooked::new(self.journal.clone(), before)), ..self.desk() }
    }

    /// A desk, and what somebody else does once, before its call of this name; `nth` counts from 0.
    fn desk_overtaken(
        &self,
        name: &'static str,
        nth: usize,
        other: impl Fn(&MemoryJournal) + Send + Sync + 'static,
    ) -> Desk {
        let (journal, calls) = (self.journal.clone(), AtomicUsize::new(0));
        self.desk_between(Box::new(move |call| {
            if call == name && calls.fetch_add(1, Ordering::SeqCst) == nth {
                other(&journal);
            }
            Ok(())
        }))
    }

    /// A desk to which the database does not answer: each call that `silent` names, once `since` was called.
    fn desk_cut_off(
        &self,
        since: &'static str,
        silent: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Desk {
        let cut = AtomicBool::new(false);
        self.desk_between(Box::new(move |call| {
            if cut.load(Ordering::SeqCst) && silent(call) {
                return Err(JournalError::Unreachable("on purpose".into()));
            }
            cut.fetch_or(call == since, Ordering::SeqCst);
            Ok(())
        }))
    }
}

/// Somebody else changes a region's state.
fn set(journal: &MemoryJournal, name: &str, to: State) {
    let (name, store) = (region(name), journal.store());
    let expect = store.world().desired.regions[&name].version;
    assert_eq!(journal.set_state(&name, expect, to).now_or_never(), Some(Ok(Applied::Yes)));
}

fn cordon() -> C {
    C::Cordon { region: region("eu"), dry_run: false }
}

fn uncordon() -> C {
    C::Uncordon { region: region("eu"), dry_run: false }
}

#[tokio::test]
async fn a_fence_that_was_set_meanwhile_stays() {
    let drain = C::Drain { region: region("eu"), wait: Waiting::default(), dry_run: false };
    for (before, nth, command) in [
        (State::Active, 0, cordon()),
        (State::Active, 0, drain),
        (State::Cordoned, 0, uncordon()),
        (State::Drained, 0, uncordon()),
        (State::Drained, 1, uncordon()),
    ] {
        let field = Field::new().await;
        set(&field.journal, "eu", before);
        let desk = field.desk_overtaken("set_state", nth, |journal| set(journal, "eu", State::Fenced));
        assert_eq!(field.run_at(&desk, &command).await, 1, "{before:?} {nth} {command:?}");
        assert_eq!(field.state("eu"), State::Fenced, "{before:?} {nth} {command:?}");
    }
}

#[tokio::test]
async fn a_word_holds_when_somebody_changed_something_else() {
    let field = Field::new().await;
    let desk = field.desk_overtaken("set_state", 0, |journal| {
        let row = journal.store().world().desired.regions[&region("eu")].clone();
        let put = journal.put_region(&region("eu"), Some(row.version), &row.spec).now_or_never();
        assert_eq!(put, Some(Ok(Applied::Yes)));
    });
    assert_eq!(field.run_at(&desk, &cordon()).await, 0);
    assert_eq!(field.state("eu"), State::Cordoned);
}

#[tokio::test]
async fn a_plan_that_is_another_one_meanwhile_is_a_conflict() {
    // The command looks, looks again as every operation does, and begins; the coordinator looks once more.
    for (call, nth) in [("read", 1), ("begin", 0)] {
        let field = Field::new().await;
        let shards = vec![ShardRange(0, 3)];
        assert_eq!(field.run(&C::Move { shards, to: region("us"), run: now() }).await, 0);
        let before = field.homes("us");
        let world = field.journal.read().await.unwrap().world;
        let digest = plan(&world, &Ask::Rebalance).unwrap().digest().to_string();
        let desk = field.desk_overtaken(call, nth, |journal| set(journal, "eu", State::Cordoned));
        assert_eq!(field.run_at(&desk, &C::Apply { plan: digest, run: now() }).await, 4, "{call}");
        assert_eq!(field.homes("us"), before, "nothing moved");
    }
}

#[tokio::test]
async fn a_wait_outlives_a_database_that_does_not_answer_for_a_moment() {
    let field = Field::new().await;
    let failed = Mutex::new(BTreeSet::new());
    let desk = field.desk_cut_off("begin", move |call| failed.lock().unwrap().insert(call.to_owned()));
    assert_eq!(field.run_at(&desk, &switchover("eu", now())).await, 0);
    assert_eq!((field.state("eu"), field.homes("eu")), (State::Drained, 0));
}

#[tokio::test]
async fn a_wait_for_a_database_that_stays_away_is_late() {
    let wait = || Waiting { timeout: Some("1s".parse().unwrap()), ..Waiting::default() };
    let drain = C::Drain { region: region("eu"), wait: wait(), dry_run: false };
    for (since, command) in
        [("begin", switchover("eu", Run { dry_run: false, wait: wait() })), ("set_state", drain)]
    {
        let field = Field::new().await;
        let desk = field.desk_cut_off(since, |_| true);
        assert_eq!(field.run_at(&desk, &command).await, 5, "{command:?}");
    }
}
