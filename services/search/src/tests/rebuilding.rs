//! The index is made anew and looked over.

use std::sync::atomic::Ordering;

use contracts::search::{CheckIndex, Search};
use kernel::code;

use super::world::{open, shop, system, words};
use crate::{SearchConfig, store};

#[tokio::test]
async fn what_changes_during_a_rebuild_is_in_the_new_index() {
    let mut shop = shop(600).await; // more than one page of the scan
    shop.world.hold_scan.store(true, Ordering::SeqCst);
    let (search, world) = (shop.search.clone(), shop.world.clone());
    let ctx = system(&shop.db);
    let rebuild = search.rebuild(&ctx, ());
    let meanwhile = async {
        world.scanning.notified().await;
        // Read by the scan already, and not yet.
        for n in [3, 590] {
            world.change(n, |thing| (thing.title, thing.version) = ("Purple hat".to_owned(), 2));
            shop.product_changed(n).await;
        }
        world.things.lock().unwrap().remove(&5);
        shop.product_changed(5).await;
        shop.refresh().await;
        assert_eq!(shop.total("purple").await, 2, "the index that answers goes on");
        assert_eq!(store::parked(&shop.db, "", 10).await.unwrap().len(), 3);
        assert!(search.rebuild(&ctx, ()).await.is_err(), "one at a time");
        world.go_on.notify_one();
    };
    let (report, ()) = futures::join!(rebuild, meanwhile);
    assert_eq!(report.unwrap().indexed, 599);
    assert_eq!(shop.total("purple").await, 2);
    assert_eq!(store::count_due(&shop.db, "").await.unwrap(), 0);
    let report = shop.search.check(&system(&shop.db), CheckIndex { repair: false }).await.unwrap();
    assert_eq!((report.expected, report.missing, report.extra, report.stale), (599, 0, 0, 0));
}

#[tokio::test]
async fn a_check_finds_what_no_event_told_and_repairs_it() {
    let shop = shop(4).await;
    shop.world.put(9, "Silent mug");
    shop.world.change(1, |thing| thing.price = 1);
    shop.world.change(2, |thing| thing.stock = 0);
    shop.world.change(3, |thing| thing.sold = false);
    let ctx = system(&shop.db);
    let found = shop.search.check(&ctx, CheckIndex { repair: false }).await.unwrap();
    assert_eq!((found.expected, found.indexed), (4, 4));
    assert_eq!((found.missing, found.extra, found.stale, found.repaired), (1, 1, 2, 0));
    let found = shop.search.check(&ctx, CheckIndex { repair: true }).await.unwrap();
    assert_eq!((found.missing, found.extra, found.stale, found.repaired), (1, 1, 2, 4));
    let found = shop.search.check(&ctx, CheckIndex { repair: false }).await.unwrap();
    assert_eq!((found.missing, found.extra, found.stale), (0, 0, 0));
}

#[tokio::test]
async fn a_second_process_hands_its_rebuild_over() {
    let mut shop = shop(3).await;
    let other = open(&shop.db, shop.folder.path(), &shop.world, SearchConfig::default());
    assert_eq!(other.search(&system(&shop.db), words("mug")).await.unwrap().total, 3);
    shop.world.put(4, "Silent mug");
    let ctx = system(&shop.db);
    let asked = other.rebuild(&ctx, ());
    let works = async {
        while store::open_rebuilds(&shop.db, "").await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        shop.search.rebuild_as_requested().await.unwrap();
    };
    let (report, ()) = futures::join!(asked, works);
    assert_eq!(report.unwrap().indexed, 4);
    shop.world.change(4, |thing| (thing.title, thing.version) = ("Loud cup".to_owned(), 2));
    shop.product_changed(4).await;
    assert!(other.refresh_once().await.unwrap_err().is(code::UNAVAILABLE), "one process writes");
    shop.refresh().await;
}
