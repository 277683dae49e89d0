//! Many buyers at once.

use std::{sync::Arc, time::Duration};

use contracts::inventory::{AvailabilityChanged, HoldId, HoldState, Inventory, Reserve, code};
use futures::future::join_all;
use inventory::{InventoryConfig, InventoryService};
use kernel::{Failure, code as general};
use platform_db::{DbResult, Tx};
use sea_orm::{ConnectionTrait, Statement, Value};

use crate::fixture::*;

/// Runs `tasks` in parallel, and fails when they do not end: a deadlock.
#[expect(clippy::disallowed_methods, reason = "the runtime ends with the test")]
pub(crate) async fn all<T: Send + 'static>(
    tasks: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let running: Vec<_> = tasks.into_iter().map(tokio::task::spawn).collect();
    let ended = tokio::time::timeout(Duration::from_secs(120), join_all(running))
        .await
        .expect("they wait for each other");
    ended.into_iter().map(Result::unwrap).collect()
}

/// mall 353, 376, 885 and saleor 543: overselling. Fails when a request is decided on stock read outside its transaction.
#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_buyers_get_exactly_a_hundred_units() {
    let f = fixture().await;
    f.stock(sku("hot"), 100).await;
    let buyers = (0..2_000).map(|n| {
        let (service, ctx) = (Arc::clone(&f.service), f.ctx());
        async move { service.reserve(&ctx, reserve(hold(format!("buyer {n}")), &[(sku("hot"), 1)])).await }
    });
    let (won, lost): (Vec<_>, Vec<_>) = all(buyers).await.into_iter().partition(Result::is_ok);
    assert_eq!(won.len(), 100);
    for failure in lost.into_iter().map(|lost| lost.unwrap_err()) {
        assert!(failure.is(code::OUT_OF_STOCK), "{failure:?}");
        assert_eq!(failure.fields()[0].pointer, "/lines/0");
    }
    assert_eq!(f.numbers(sku("hot")).await, (0, 100, 0));
    // One event when it came in, one when it was gone, not one a buyer.
    let events: Vec<AvailabilityChanged> = f.events().await;
    let mut said: Vec<bool> = events.iter().map(|event| event.in_stock).collect();
    said.sort_unstable();
    assert_eq!(said, [false, true]);
}

/// saleor 18203, 14885: deadlocks between buyers who name SKUs in different order.
#[tokio::test(flavor = "multi_thread")]
async fn skus_in_any_order_neither_deadlock_nor_leave_units_behind() {
    let f = with(InventoryConfig { buckets_per_hot_sku: 3, ..InventoryConfig::default() }).await;
    let skus: Vec<_> = ["a", "b", "c", "d", "e"].map(sku).into();
    for &sku in &skus {
        f.stock(sku, 150).await;
    }
    let buyers = (0..900_usize).map(|n| {
        let (service, ctx, skus) = (Arc::clone(&f.service), f.ctx(), skus.clone());
        async move {
            // Three different SKUs in an order of its own.
            let order = [n % 5, (n / 5 + n + 1) % 5, (n * 3 + 2) % 5];
            let demand: Vec<_> =
                order.iter().map(|&i| (skus[i], 1 + i64::try_from(n % 2).unwrap())).collect();
            service.reserve(&ctx, reserve(hold(format!("{n}")), &demand)).await
        }
    });
    let outcomes = all(buyers).await;
    assert!(outcomes.iter().all(|o| o.as_ref().err().is_none_or(|failure| failure.is(code::OUT_OF_STOCK))));
    for &sku in &skus {
        // What is left can be bought to the last unit.
        let left = f.available(sku).await;
        for unit in 0..left {
            let name = format!("last {sku} {unit}");
            f.service.reserve(&f.ctx(), reserve(hold(name), &[(sku, 1)])).await.unwrap();
        }
        assert_eq!(f.numbers(sku).await, (0, 150, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demand_that_does_not_fit_does_not_block_a_smaller_one_behind_it() {
    let f = fixture().await;
    f.stock(sku("a"), 10).await;
    let asked = [(7, "first"), (4, "too many"), (3, "last")].map(|(quantity, name)| {
        let (service, ctx) = (Arc::clone(&f.service), f.ctx());
        async move { service.reserve(&ctx, reserve(hold(name), &[(sku("a"), quantity)])).await }
    });
    let outcomes = join_all(asked).await;
    assert_eq!(outcomes.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true]);
    let refused = outcomes[1].as_ref().unwrap_err();
    assert_eq!(refused.fields()[0].detail, "3 available");
    assert_eq!(f.numbers(sku("a")).await, (0, 10, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_twins_make_one_hold() {
    let f = fixture().await;
    f.stock(sku("a"), 10).await;
    let twins = (0..50).map(|_| {
        let (service, ctx) = (Arc::clone(&f.service), f.ctx());
        async move { service.reserve(&ctx, reserve(hold("twin"), &[(sku("a"), 3)])).await }
    });
    for outcome in all(twins).await {
        assert_eq!(outcome.unwrap().id, hold("twin"));
    }
    assert_eq!(f.numbers(sku("a")).await, (7, 3, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_sell_the_same_stock_once() {
    let f = fixture().await;
    f.stock(sku("a"), 60).await;
    let other =
        InventoryService::new(open(f.folder.path(), f.clock.clone()).await, None, InventoryConfig::default())
            .unwrap();
    let buyers = (0..200).map(|n| {
        let service = if n % 2 == 0 { Arc::clone(&f.service) } else { Arc::clone(&other) };
        let ctx = f.ctx();
        async move {
            let outcome = service.reserve(&ctx, reserve(hold(format!("{n}")), &[(sku("a"), 1)])).await;
            if outcome.is_ok() && n % 3 == 0 {
                service.confirm(&ctx, hold(format!("{n}"))).await.unwrap();
            }
            outcome.is_ok()
        }
    });
    assert_eq!(all(buyers).await.into_iter().filter(|won| *won).count(), 60);
    let (available, reserved, _) = f.numbers(sku("a")).await;
    assert_eq!(available, 0);
    assert!(reserved <= 60);
}

async fn stray_line(tx: &Tx, hold: HoldId) -> kernel::Result<()> {
    let sql = "INSERT INTO hold_line (shard, hold_id, position, sku_id, region, warehouse_id, n, quantity) \
               VALUES (?, ?, 0, ?, 'nowhere', ?, 0, 1)";
    let values: [Value; 4] =
        [i32::from(hold.shard().number()).into(), hold.uuid().into(), hold.uuid().into(), hold.uuid().into()];
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, values);
    tx.execute_raw(statement).await.db().map(drop)
}

/// Fails when a group's failure is passed on to all its members.
#[tokio::test(flavor = "multi_thread")]
async fn one_bad_request_cannot_fail_the_others_of_its_group() {
    let f = fixture().await;
    f.stock(sku("a"), 100).await;
    // A line of it is there already, without its hold: writing it fails.
    f.db.write(hold("bad").shard(), hold("bad"), |tx, &bad| Box::pin(stray_line(tx, bad))).await.unwrap();
    let buyers = (0..40).map(|n| {
        let (service, ctx) = (Arc::clone(&f.service), f.ctx());
        let name = if n == 20 { "bad".to_owned() } else { format!("good {n}") };
        async move { service.reserve(&ctx, reserve(hold(name), &[(sku("a"), 1)])).await }
    });
    let outcomes = join_all(buyers).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 39);
    assert!(outcomes[20].as_ref().unwrap_err().is(general::CONFLICT));
    assert_eq!(f.numbers(sku("a")).await, (61, 39, 0));
}

#[tokio::test]
async fn the_queue_is_bounded() {
    let f = with(InventoryConfig { queue: 4, ..InventoryConfig::default() }).await;
    f.stock(sku("a"), 100).await;
    let buyers = (0..30).map(|n| {
        let (service, ctx) = (Arc::clone(&f.service), f.ctx());
        async move { service.reserve(&ctx, reserve(hold(format!("{n}")), &[(sku("a"), 1)])).await }
    });
    let refused: Vec<Failure> = join_all(buyers).await.into_iter().filter_map(Result::err).collect();
    assert_eq!(refused.len(), 26);
    for failure in refused {
        assert!(failure.is(general::UNAVAILABLE));
        assert_eq!(failure.problem().retry_after, Some(1));
    }
    assert_eq!(f.numbers(sku("a")).await, (96, 4, 0));
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_is_not_done() {
    let f = fixture().await;
    f.stock(sku("a"), 1).await;
    let mut ctx = f.ctx();
    ctx.deadline = f.db.now();
    let late = f.service.reserve(&ctx, reserve(hold("late"), &[(sku("a"), 1)])).await.unwrap_err();
    assert!(late.is(general::TIMEOUT));
    assert_eq!(f.numbers(sku("a")).await, (1, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn confirmations_and_releases_share_the_queue() {
    let f = fixture().await;
    f.stock(sku("a"), 300).await;
    let orders = (0..300).map(|n| {
        let (service, ctx) = (Arc::clone(&f.service), f.ctx());
        async move {
            let id = hold(format!("{n}"));
            let command = Reserve { hold_id: id, lines: lines(&[(sku("a"), 1)]), expires_at: None };
            service.reserve(&ctx, command).await.unwrap();
            if n % 3 == 0 {
                service.release(&ctx, id).await.unwrap();
            } else {
                assert_eq!(service.confirm(&ctx, id).await.unwrap().state, HoldState::Confirmed);
                assert_eq!(service.confirm(&ctx, id).await.unwrap().state, HoldState::Confirmed);
            }
        }
    });
    all(orders).await;
    assert_eq!(f.numbers(sku("a")).await, (100, 0, 0));
}
