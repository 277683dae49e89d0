//! What a cache promises inside a process.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use futures::future::join_all;
use kernel::{FakeClock, code};
use tokio::sync::Notify;

use super::*;

fn cache() -> (Cache<u32, u32>, Arc<FakeClock>) {
    let clock = Arc::new(FakeClock::new(Timestamp::from_micros(1_000)));
    (Cache::new(Settings::new("test", 100, Duration::from_secs(60)), clock.clone()), clock)
}

#[tokio::test]
async fn many_callers_make_one_load() {
    let (cache, _) = cache();
    let loads = AtomicUsize::new(0);
    let answers = join_all((0..50).map(|_| {
        cache.get_or_load(&1, || async {
            loads.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            Ok(Some(7))
        })
    }))
    .await;
    assert!(answers.into_iter().all(|answer| answer.unwrap() == Some(7)));
    assert_eq!(loads.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn errors_reach_every_waiter_and_are_not_kept() {
    let (cache, _) = cache();
    let loads = AtomicUsize::new(0);
    let fail = || async {
        loads.fetch_add(1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        Err(Failure::new(code::UNAVAILABLE).because("down"))
    };
    for answer in join_all((0..10).map(|_| cache.get_or_load(&1, fail))).await {
        let failure = answer.unwrap_err();
        assert!(failure.is(code::UNAVAILABLE));
        assert_eq!(failure.cause().unwrap().to_string(), "down");
    }
    assert_eq!(loads.load(Ordering::SeqCst), 1);
    assert_eq!(cache.get_or_load(&1, || async { Ok(Some(1)) }).await.unwrap(), Some(1));
}

#[tokio::test]
async fn that_there_is_none_is_kept() {
    let (cache, _) = cache();
    assert_eq!(cache.get_or_load(&1, || async { Ok(None) }).await.unwrap(), None);
    assert_eq!(cache.get_or_load(&1, || async { Ok(Some(1)) }).await.unwrap(), None);
    cache.invalidate(&1).await;
    assert_eq!(cache.get_or_load(&1, || async { Ok(Some(1)) }).await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_load_that_began_before_the_invalidation_is_not_believed() {
    let (cache, _) = cache();
    let (started, go_on) = (Notify::new(), Notify::new());
    let loads = AtomicUsize::new(0);
    let load = || async {
        if loads.fetch_add(1, Ordering::SeqCst) == 0 {
            started.notify_one();
            go_on.notified().await;
            Ok(Some(1)) // what the database said before the change
        } else {
            Ok(Some(2))
        }
    };
    let change = async {
        started.notified().await;
        cache.invalidate(&1).await;
        go_on.notify_one();
    };
    let (answer, ()) = tokio::join!(cache.get_or_load(&1, load), change);
    assert_eq!(answer.unwrap(), Some(2));
    assert_eq!(cache.get_or_load(&1, || async { Ok(Some(9)) }).await.unwrap(), Some(2));
}

#[tokio::test]
async fn an_entry_older_than_asked_for_is_a_miss() {
    let (cache, clock) = cache();
    cache.get_or_load(&1, || async { Ok(Some(1)) }).await.unwrap();
    clock.advance(Duration::from_micros(10));
    let now = clock.now();
    assert_eq!(cache.get_or_load_since(&1, now, || async { Ok(Some(2)) }).await.unwrap(), Some(2));
    assert_eq!(cache.get_or_load_since(&1, now, || async { Ok(Some(3)) }).await.unwrap(), Some(2));
}

#[tokio::test]
async fn what_is_made_of_an_old_entry_is_as_old() {
    let (rows, clock) = cache();
    let made = || Cache::new(Settings::new("made", 100, Duration::from_secs(60)), clock.clone());
    let (pages, lists): (Cache<u32, u32>, Cache<u32, u32>) = (made(), made());
    let row = AtomicU32::new(1);
    let load_row = || async { Ok(Some(row.load(Ordering::SeqCst))) };
    let load_page = || rows.get_or_load(&1, load_row);
    let load_list =
        |_: Vec<u32>| async { Ok(load_page().await?.map(|page| (1, page)).into_iter().collect()) };
    rows.get_or_load(&1, load_row).await.unwrap();
    clock.advance(Duration::from_micros(10));
    row.store(2, Ordering::SeqCst);
    let written = clock.now();
    clock.advance(Duration::from_micros(10));
    // Made after the write, of an entry from before it.
    assert_eq!(pages.get_or_load(&1, load_page).await.unwrap(), Some(1));
    assert_eq!(lists.get_many_or_load(&[1], load_list).await.unwrap()[&1], 1);
    crate::since(written, async {
        assert_eq!(pages.get_or_load(&1, load_page).await.unwrap(), Some(2));
        assert_eq!(lists.get_many_or_load(&[1], load_list).await.unwrap()[&1], 2);
        let kept = || async { panic!("a page of what was loaded since is young enough") };
        assert_eq!(pages.get_or_load(&1, kept).await.unwrap(), Some(2));
    })
    .await;
}

#[tokio::test]
async fn many_keys_load_only_what_is_missing() {
    let (cache, _) = cache();
    cache.insert(1, 10, Timestamp::from_micros(0)).await;
    let found = cache
        .get_many_or_load(&[1, 2, 3], |missing| async move {
            assert_eq!(missing, [2, 3]);
            Ok(HashMap::from([(2, 20)]))
        })
        .await
        .unwrap();
    assert_eq!(found, HashMap::from([(1, 10), (2, 20)]));
    let again = cache.get_many_or_load(&[1, 2, 3], |_| async { panic!("3 is known to be absent") }).await;
    assert_eq!(again.unwrap().len(), 2);
    cache.invalidate_all();
    let none = cache.get_many_or_load(&[1], |_| async { Ok(HashMap::new()) }).await.unwrap();
    assert!(none.is_empty());
}

#[test]
fn lives_differ_and_negative_ones_are_shorter() {
    let life = Life {
        ttl: Duration::from_secs(100),
        negative_ttl: Duration::from_secs(10),
        linked_ttl: Duration::from_secs(1000),
        linked_negative_ttl: Duration::from_secs(20),
        jitter: 0.1,
    };
    let entry = |value| Entry { value, since: Timestamp::default(), stamp: (0, 0), link: 0 };
    let lives: Vec<_> = (0..100).map(|_| life.of(&entry(Some(1)))).collect();
    assert!(lives.iter().all(|life| (90.0..=100.0).contains(&life.as_secs_f64())));
    assert!(lives.iter().any(|life| *life != lives[0]));
    assert!(life.of(&entry(None::<i32>)) <= Duration::from_secs(10));
}
