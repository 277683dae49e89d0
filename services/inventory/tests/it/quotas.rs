//! Stock that is divided over regions: each sells its own part, and borrows what it lacks.

use std::{sync::Arc, time::Duration};

use contracts::inventory::{
    AdjustReason, AvailabilityChanged, HoldState, InitialStock, Inventory, QuotaShort, SetSafetyStock,
    StockLow, WarehouseInput, code,
};
use inventory::InventoryConfig;
use kernel::{Shard, code as general};
use placement::State::{Active, Cordoned, Drained, Fenced};
use platform_db::{DbResult, Tx};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use tokio::sync::Notify;

use crate::{contention::all, fixture::*, three::*};

fn hot() -> contracts::catalog::SkuId {
    sku("hot")
}

#[tokio::test]
async fn what_comes_in_is_divided_by_weight_and_sold_where_it_lies() {
    let t =
        three_of([1, 1, 2], InventoryConfig { buckets_per_hot_sku: 2, ..InventoryConfig::default() }).await;
    t.stock(hot(), 101).await;
    assert_eq!(t.available(hot()).await, [25, 25, 51]);
    let first = vec![
        InitialStock { sku_id: sku("new"), quantity: 8 },
        InitialStock { sku_id: sku("none"), quantity: 0 },
    ];
    t.at[EU].set_initial(&t.f.ctx(), first).await.unwrap();
    assert_eq!(t.available(sku("new")).await, [2, 2, 4]);
    assert_eq!(t.available(sku("none")).await, [0, 0, 0]);
    t.at[EU].reserve(&t.f.ctx(), reserve(hold("h"), &[(hot(), 20), (sku("new"), 1)])).await.unwrap();
    assert_eq!(t.available(hot()).await, [25, 5, 51]);
    assert_eq!(t.available(sku("new")).await, [2, 1, 4]);
    let eu = &t.parts(hot()).await["eu"];
    assert_eq!((eu.available, eu.reserved), (5, 20));
    // Whoever releases it, it goes back to where it came from.
    t.at[US].release(&t.f.ctx(), hold("h")).await.unwrap();
    assert_eq!(t.available(hot()).await, [25, 25, 51]);
}

/// Keeps a region's rows locked until told; how many they are.
async fn keep_locked(tx: &Tx, locked: &Notify, go: &Notify) -> kernel::Result<usize> {
    let sql = "SELECT available FROM stock_bucket WHERE region = 'us' FOR UPDATE";
    loop {
        let statement = Statement::from_string(tx.get_database_backend(), sql);
        let rows = tx.query_all_raw(statement).await.db()?.len();
        locked.notify_one();
        // The database ends a transaction that is idle for a second.
        if tokio::time::timeout(Duration::from_millis(100), go.notified()).await.is_ok() {
            return Ok(rows);
        }
    }
}

/// Fails when a decision that this region's part suffices for reads a row of another's.
#[tokio::test(flavor = "multi_thread")]
async fn a_region_with_enough_reads_no_other_regions_rows() {
    let t = three(InventoryConfig::default()).await;
    t.stock(hot(), 30).await;
    let life = async |name: &str, sold: i64| {
        let ctx = t.f.ctx();
        t.at[EU].reserve(&ctx, reserve(hold(name), &[(hot(), 2)])).await.unwrap();
        t.at[EU].reserve(&ctx, reserve(hold(format!("{name} 2")), &[(hot(), 3)])).await.unwrap();
        t.at[EU].release(&ctx, hold(name)).await.unwrap();
        t.at[EU].confirm(&ctx, hold(format!("{name} 2"))).await.unwrap();
        t.at[EU].give_back(&ctx, hold(format!("{name} 2"))).await.unwrap();
        t.at[EU].reserve(&ctx, reserve(hold(format!("{name} 3")), &[(hot(), sold)])).await.unwrap();
    };
    if t.f.db.read().get_database_backend() == DbBackend::Sqlite {
        // Rows that nobody can read.
        let damage = |number: &'static str| {
            t.f.db.schema(move |connection| {
                let sql = format!("UPDATE stock_bucket SET available = {number} WHERE region = 'us'");
                Box::pin(async move { connection.execute_unprepared(&sql).await.map(drop) })
            })
        };
        damage("'much'").await.unwrap();
        life("sqlite", 9).await;
        let unread = t.at[EU].reserve(&t.f.ctx(), reserve(hold("more"), &[(hot(), 2)])).await.unwrap_err();
        assert!(unread.is(general::INTERNAL), "{unread:?}");
        damage("10").await.unwrap();
    } else {
        // Rows that somebody else keeps locked.
        let (locked, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (db, input) = (t.f.db.clone(), (Arc::clone(&locked), Arc::clone(&go)));
        #[expect(clippy::disallowed_methods, reason = "it is awaited here")]
        let keeper = tokio::spawn(async move {
            db.write(Shard::new(0), input, |tx, (locked, go)| Box::pin(keep_locked(tx, locked, go))).await
        });
        locked.notified().await;
        life("tidb", 9).await;
        go.notify_one();
        assert_eq!(keeper.await.unwrap().unwrap(), 1);
    }
    assert_eq!(t.available(hot()).await, [10, 1, 10]);
}

#[tokio::test]
async fn what_a_region_lacks_it_borrows_and_the_last_unit_is_sold_from_any() {
    let t = three(InventoryConfig::default()).await;
    t.stock(hot(), 9).await;
    t.stock(sku("b"), 3).await;
    let ctx = t.f.ctx();
    // All lines or none, whichever regions they lie in.
    let too_much = [(hot(), 8), (sku("b"), 4)];
    let refused = t.at[US].reserve(&ctx, reserve(hold("too much"), &too_much)).await.unwrap_err();
    assert!(refused.is(code::OUT_OF_STOCK));
    assert_eq!(
        (refused.fields()[0].pointer.as_str(), refused.fields()[0].detail.as_str()),
        ("/lines/1", "3 available")
    );
    assert_eq!(t.available(hot()).await, [3, 3, 3]);
    t.at[US].reserve(&ctx, reserve(hold("h"), &[(hot(), 8), (sku("b"), 2)])).await.unwrap();
    assert_eq!(t.available(hot()).await.iter().sum::<i64>(), 1);
    assert_eq!(t.available(hot()).await[US], 0, "its own first");
    for region in [US, AP, EU] {
        let name = format!("last {region}");
        let asked = t.at[region].reserve(&ctx, reserve(hold(&name), &[(hot(), 2)])).await.unwrap_err();
        assert_eq!(asked.fields()[0].detail, "1 available");
        t.at[region].reserve(&ctx, reserve(hold(&name), &[(hot(), 1)])).await.unwrap();
        t.at[region].release(&ctx, hold(&name)).await.unwrap();
    }
    t.at[US].reserve(&ctx, reserve(hold("the last"), &[(hot(), 1)])).await.unwrap();
    assert!(
        t.at[AP]
            .reserve(&ctx, reserve(hold("none"), &[(hot(), 1)]))
            .await
            .unwrap_err()
            .is(code::OUT_OF_STOCK)
    );
    // Confirmed and given back, each unit lies where it was taken from.
    t.at[EU].confirm(&ctx, hold("h")).await.unwrap();
    t.at[AP].give_back(&ctx, hold("h")).await.unwrap();
    assert_eq!(t.at[AP].hold(&ctx, hold("h")).await.unwrap().state, HoldState::Returned);
    t.at[AP].release(&ctx, hold("the last")).await.unwrap();
    assert_eq!(t.available(hot()).await, [3, 3, 3]);
    assert_eq!(t.available(sku("b")).await, [1, 1, 1]);
}

#[tokio::test]
async fn it_is_gone_when_the_last_region_has_none_and_said_once() {
    let t = three(InventoryConfig::default()).await;
    t.stock(hot(), 6).await;
    let said = async || {
        let events: Vec<AvailabilityChanged> = t.f.events().await;
        let count = |there| events.iter().filter(|event| event.in_stock == there).count();
        (count(true), count(false))
    };
    assert!(t.buy(EU, "2", &[(hot(), 2)]).await);
    let short: Vec<QuotaShort> = t.f.events().await;
    assert_eq!(short.iter().map(|short| short.region.as_str()).collect::<Vec<_>>(), ["eu"]);
    assert!(t.buy(EU, "3", &[(hot(), 3)]).await);
    assert_eq!(said().await, (1, 0), "one is left elsewhere");
    assert!(t.buy(EU, "1", &[(hot(), 1)]).await);
    assert_eq!(said().await, (1, 1));
    assert!(!t.buy(AP, "0", &[(hot(), 1)]).await);
    t.at[US].give_back(&t.f.ctx(), hold("1")).await.unwrap();
    t.at[US].give_back(&t.f.ctx(), hold("3")).await.unwrap();
    assert_eq!(said().await, (2, 1), "back in stock, said once");
}

#[tokio::test]
async fn the_safety_stock_is_that_of_all_regions_together() {
    let t = three(InventoryConfig::default()).await;
    t.stock(hot(), 30).await;
    t.at[EU].set_safety_stock(&t.f.ctx(), SetSafetyStock { sku_id: hot(), safety_stock: 12 }).await.unwrap();
    let alerts = async || t.f.events::<StockLow>().await;
    for (n, region) in [EU, US, AP, EU, US, AP].into_iter().enumerate() {
        assert!(t.buy(region, &format!("{n}"), &[(hot(), 3)]).await);
        assert!((n < 5) == alerts().await.is_empty(), "{} are left", 30 - 3 * (n + 1));
    }
    assert!(t.buy(EU, "more", &[(hot(), 7)]).await);
    let alerts = alerts().await;
    assert_eq!(alerts.iter().map(|low| (low.available, low.safety_stock)).collect::<Vec<_>>(), [(12, 12)]);
}

#[tokio::test]
async fn stock_follows_its_buyers() {
    let t = three(InventoryConfig { buckets_per_hot_sku: 3, ..InventoryConfig::default() }).await;
    t.stock(hot(), 300).await;
    assert_eq!(t.rebalance().await, 0, "nobody bought yet");
    for n in 0..14 {
        assert!(t.buy(EU, &format!("eu {n}"), &[(hot(), 10)]).await);
    }
    // 100 of its own, 40 borrowed.
    assert_eq!(t.available(hot()).await.iter().sum::<i64>(), 160);
    assert!(t.rebalance().await > 0);
    assert_eq!(t.available(hot()).await, [27, 107, 26], "a sixth by weight, the half by sales");
    assert_eq!(t.rebalance().await, 0);
    // Its sales count half by now: other regions' weigh more.
    for n in 0..14 {
        assert!(t.buy(US, &format!("us {n}"), &[(hot(), 5)]).await);
    }
    assert!(t.rebalance().await > 0);
    assert_eq!(t.available(hot()).await, [15, 37, 38]);
}

#[tokio::test]
async fn what_lies_in_a_region_that_is_out_is_borrowed_and_then_moved() {
    let t = three(InventoryConfig::default()).await;
    t.stock(hot(), 30).await;
    // A process without a region put some aside before there were regions; some are damaged.
    t.f.service.adjust(&t.f.ctx(), adjustment(hot(), AdjustReason::Inbound, 9)).await.unwrap();
    t.at[AP].reserve(&t.f.ctx(), reserve(hold("held"), &[(hot(), 4)])).await.unwrap();
    t.hear([Fenced, Active, Active]);
    assert!(t.buy(EU, "borrowed", &[(hot(), 12)]).await);
    t.hear([Fenced, Active, Cordoned]);
    let left = t.available(hot()).await;
    assert!(t.rebalance().await > 0);
    let now = t.parts(hot()).await;
    assert_eq!((now["ap"].available, now["ap"].reserved, now["local"].available), (0, 4, 0));
    assert_eq!(now["us"].available, left[US], "a cordoned region keeps what it has");
    // What was held goes back where it was, can be bought from there, and is moved in its turn.
    t.at[EU].release(&t.f.ctx(), hold("held")).await.unwrap();
    assert_eq!(t.available(hot()).await[AP], 4);
    t.hear([Drained, Active, Active]);
    assert!(t.rebalance().await > 0);
    assert_eq!(t.available(hot()).await[AP], 0);
    assert_eq!(t.f.numbers(hot()).await, (27, 0, 0));
    assert!(t.buy(US, "the rest", &[(hot(), 27)]).await);
}

/// What a migration brought can be taken back though quotas moved: nobody but the rebalancer touched it.
#[tokio::test]
async fn stock_that_only_changed_its_region_has_not_lived() {
    let (t, brought) = (three(InventoryConfig::default()).await, sku("brought"));
    let ctx = t.f.ctx();
    let first = InitialStock { sku_id: brought, quantity: 30 };
    t.at[EU].set_initial(&ctx, vec![first]).await.unwrap();
    t.hear([Fenced, Active, Active]);
    assert!(t.rebalance().await > 0);
    let stock = t.at[EU].forgetting();
    assert!(stock.lived(&ctx, &[brought]).await.unwrap().is_empty());
    assert!(t.buy(EU, "one", &[(brought, 1)]).await);
    assert_eq!(stock.lived(&ctx, &[brought]).await.unwrap(), [brought]);
}

#[tokio::test]
async fn each_warehouse_is_divided_for_itself() {
    let t = three(InventoryConfig::default()).await;
    let input =
        WarehouseInput { code: "near".into(), name: "Near".into(), country: "DE".into(), priority: -1 };
    let near = t.at[EU].add_warehouse(&t.f.ctx(), input).await.unwrap().id;
    let mut inbound = adjustment(hot(), AdjustReason::Inbound, 12);
    inbound.warehouse_id = Some(near);
    t.at[EU].adjust(&t.f.ctx(), inbound).await.unwrap();
    t.stock(hot(), 6).await;
    assert!(t.buy(EU, "from both", &[(hot(), 6)]).await);
    let stock = async || {
        let views = t.at[US].stock(&t.f.ctx(), hot()).await.unwrap();
        let parts = |view: &contracts::inventory::StockView| {
            view.regions.iter().map(|part| (part.region.clone(), part.available)).collect::<Vec<_>>()
        };
        (views.iter().map(|view| view.on_hand).collect::<Vec<_>>(), parts(&views[0]))
    };
    let of = |units: [i64; 3]| {
        NAMES.iter().zip(units).map(|(name, n)| ((*name).to_owned(), n)).collect::<Vec<_>>()
    };
    assert_eq!(stock().await, (vec![8, 4], of([4, 0, 4])), "the nearer one first");
    assert!(t.rebalance().await > 0);
    let (on_hand, _) = stock().await;
    assert_eq!(on_hand, [8, 4], "no unit changes its warehouse");
    assert_eq!(t.available(hot()).await[EU], 8, "two thirds: all sales were here");
}

/// mall 353, 376, 885, and regions: overselling, and units nobody can buy.
#[tokio::test(flavor = "multi_thread")]
async fn buyers_in_three_regions_get_exactly_what_there_is() {
    let t = three(InventoryConfig::default()).await;
    t.stock(hot(), 100).await;
    let buyers = (0..600).map(|n| {
        let (service, ctx) = (Arc::clone(&t.at[n % 3]), t.f.ctx());
        async move { service.reserve(&ctx, reserve(hold(format!("buyer {n}")), &[(hot(), 1)])).await }
    });
    let (won, lost): (Vec<_>, Vec<_>) = all(buyers).await.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 100);
    assert!(lost.iter().all(|lost| lost.as_ref().is_err_and(|failure| failure.is(code::OUT_OF_STOCK))));
    assert_eq!(t.f.numbers(hot()).await, (0, 100, 0));
    let gone: Vec<AvailabilityChanged> = t.f.events().await;
    assert_eq!(gone.iter().filter(|event| !event.in_stock).count(), 1);
}

/// Each borrows from the others while the others borrow from it, and stock is moved between them: nobody waits in a circle.
#[tokio::test(flavor = "multi_thread")]
async fn regions_that_borrow_from_each_other_neither_deadlock_nor_leave_units_behind() {
    let t = three(InventoryConfig { buckets_per_hot_sku: 2, ..InventoryConfig::default() }).await;
    let skus: Vec<_> = ["a", "b", "c", "d", "e"].map(sku).into();
    for &sku in &skus {
        t.stock(sku, 90).await;
    }
    let buyers = (0..600_usize).map(|n| {
        let (service, ctx, skus) = (Arc::clone(&t.at[n % 3]), t.f.ctx(), skus.clone());
        async move {
            let order = [n % 5, (n / 5 + n + 1) % 5, (n * 3 + 2) % 5];
            let demand: Vec<_> =
                order.iter().map(|&i| (skus[i], 1 + i64::try_from(n % 2).unwrap())).collect();
            let name = format!("{n}");
            if n % 50 == 0 {
                service.rebalance_all().await.unwrap();
            }
            match service.reserve(&ctx, reserve(hold(&name), &demand)).await {
                Ok(_) if n % 4 == 0 => service.release(&ctx, hold(&name)).await.map(drop),
                Ok(_) if n % 4 == 1 => service.confirm(&ctx, hold(&name)).await.map(drop),
                other => other.map(drop),
            }
        }
    });
    let outcomes = all(buyers).await;
    assert!(
        outcomes.iter().all(|o| o.as_ref().err().is_none_or(|failure| failure.is(code::OUT_OF_STOCK))),
        "{outcomes:?}"
    );
    for &sku in &skus {
        let left = t.f.available(sku).await;
        for unit in 0..left {
            let region = usize::try_from(unit).unwrap() % 3;
            let last = reserve(hold(format!("last {sku} {unit}")), &[(sku, 1)]);
            t.at[region].reserve(&t.f.ctx(), last).await.unwrap();
        }
        assert_eq!(t.f.numbers(sku).await.0, 0);
    }
}
