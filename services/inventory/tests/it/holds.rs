//! The life of a hold.

use std::time::Duration;

use contracts::inventory::{ExtendHold, HoldState, Inventory, Reserve, WarehouseInput, code};
use inventory::InventoryConfig;
use kernel::code as general;
use sea_orm::ConnectionTrait;

use crate::fixture::*;

#[tokio::test]
async fn all_lines_or_none() {
    let f = fixture().await;
    f.stock(sku("a"), 5).await;
    f.stock(sku("b"), 1).await;
    let demand = [(sku("a"), 2), (sku("b"), 2), (sku("nothing"), 1), (sku("b"), 1)];
    let refused = f.service.reserve(&f.ctx(), reserve(hold("h"), &demand)).await.unwrap_err();
    assert!(refused.is(code::OUT_OF_STOCK));
    let named: Vec<_> =
        refused.fields().iter().map(|field| (field.pointer.as_str(), field.detail.as_str())).collect();
    // Two lines of b are one demand, so both are named.
    assert_eq!(named, [("/lines/1", "1 available"), ("/lines/2", "sold out"), ("/lines/3", "1 available")]);
    assert_eq!(f.numbers(sku("a")).await, (5, 0, 0));
    assert_eq!(f.service.hold(&f.ctx(), hold("h")).await.unwrap_err().status(), 404);
}

#[tokio::test]
async fn the_same_id_is_the_same_hold() {
    let f = fixture().await;
    f.stock(sku("a"), 5).await;
    f.stock(sku("b"), 5).await;
    let ctx = f.ctx();
    let first = f.service.reserve(&ctx, reserve(hold("h"), &[(sku("a"), 2), (sku("b"), 1)])).await.unwrap();
    f.clock.advance(Duration::from_secs(60));
    let ctx2 = f.ctx();
    let again = f
        .service
        .reserve(&ctx2, reserve(hold("h"), &[(sku("b"), 1), (sku("a"), 1), (sku("a"), 1)]))
        .await
        .unwrap();
    assert_eq!((again.id, again.expires_at, again.lines), (first.id, first.expires_at, first.lines));
    let other = f.service.reserve(&ctx2, reserve(hold("h"), &[(sku("a"), 2)])).await.unwrap_err();
    assert!(other.is(code::HOLD_CONFLICT));
    assert_eq!(f.numbers(sku("a")).await, (3, 2, 0));

    f.service.release(&ctx2, hold("h")).await.unwrap();
    f.service.release(&ctx2, hold("h")).await.unwrap();
    f.service.release(&ctx2, hold("never")).await.unwrap();
    let gone =
        f.service.reserve(&ctx2, reserve(hold("h"), &[(sku("a"), 2), (sku("b"), 1)])).await.unwrap_err();
    assert!(gone.is(code::HOLD_GONE));
    assert!(f.service.confirm(&ctx2, hold("h")).await.unwrap_err().is(code::HOLD_GONE));
    assert_eq!(f.numbers(sku("a")).await, (5, 0, 0));
    let _ = ctx;
}

#[tokio::test]
async fn confirmed_stock_leaves_and_comes_back_once() {
    let f = fixture().await;
    f.stock(sku("a"), 5).await;
    let ctx = f.ctx();
    f.service.reserve(&ctx, reserve(hold("h"), &[(sku("a"), 2)])).await.unwrap();
    assert_eq!(f.service.confirm(&ctx, hold("h")).await.unwrap().state, HoldState::Confirmed);
    assert_eq!(f.numbers(sku("a")).await, (3, 0, 0));
    // Asked again, it is still the same hold.
    let again = f.service.reserve(&ctx, reserve(hold("h"), &[(sku("a"), 2)])).await.unwrap();
    assert_eq!(again.state, HoldState::Confirmed);
    assert!(f.service.release(&ctx, hold("h")).await.unwrap_err().is(general::CONFLICT));
    f.service.give_back(&ctx, hold("h")).await.unwrap();
    f.service.give_back(&ctx, hold("h")).await.unwrap();
    f.service.give_back(&ctx, hold("never")).await.unwrap();
    assert_eq!(f.numbers(sku("a")).await, (5, 0, 0));
    assert_eq!(f.service.hold(&ctx, hold("h")).await.unwrap().state, HoldState::Returned);
    assert_eq!(f.service.confirm(&ctx, hold("never")).await.unwrap_err().status(), 404);
}

/// An order cancelled between its payment and its confirmation.
#[tokio::test]
async fn giving_back_what_is_only_reserved_releases_it() {
    let f = fixture().await;
    f.stock(sku("a"), 5).await;
    f.service.reserve(&f.ctx(), reserve(hold("h"), &[(sku("a"), 2)])).await.unwrap();
    f.service.give_back(&f.ctx(), hold("h")).await.unwrap();
    assert_eq!(f.numbers(sku("a")).await, (5, 0, 0));
    assert!(f.service.confirm(&f.ctx(), hold("h")).await.unwrap_err().is(code::HOLD_GONE));
}

#[tokio::test]
async fn a_hold_expires() {
    let f = fixture().await;
    f.stock(sku("a"), 10).await;
    for name in ["default", "late", "extended", "confirmed"] {
        f.service.reserve(&f.ctx(), reserve(hold(name), &[(sku("a"), 1)])).await.unwrap();
    }
    let expires_at = f.db.now().plus(Duration::from_secs(3_600));
    let long = Reserve { expires_at: Some(expires_at), ..reserve(hold("long"), &[(sku("a"), 1)]) };
    assert_eq!(f.service.reserve(&f.ctx(), long).await.unwrap().expires_at, expires_at);
    f.service.confirm(&f.ctx(), hold("confirmed")).await.unwrap();
    let extended = ExtendHold { hold_id: hold("extended"), expires_at };
    assert_eq!(f.service.extend(&f.ctx(), extended).await.unwrap().expires_at, expires_at);

    f.clock.advance(Duration::from_secs(15 * 60 - 1));
    assert_eq!(f.service.expire_due(|| false).await.unwrap(), 0);
    f.clock.advance(Duration::from_secs(1));
    // Its time has run out, but its stock is still set aside: a confirmation is only a little late.
    f.service.confirm(&f.ctx(), hold("late")).await.unwrap();
    assert_eq!(f.service.expire_due(|| false).await.unwrap(), 1);
    assert_eq!(f.service.hold(&f.ctx(), hold("default")).await.unwrap().state, HoldState::Expired);
    assert!(f.service.confirm(&f.ctx(), hold("default")).await.unwrap_err().is(code::HOLD_GONE));
    let gone =
        f.service.extend(&f.ctx(), ExtendHold { hold_id: hold("default"), expires_at }).await.unwrap_err();
    assert!(gone.is(code::HOLD_GONE));
    assert_eq!(f.numbers(sku("a")).await, (6, 2, 0));
    f.clock.advance(Duration::from_secs(3_600));
    assert_eq!(f.service.expire_due(|| false).await.unwrap(), 2);
    assert_eq!(f.numbers(sku("a")).await, (8, 0, 0));
}

#[tokio::test]
async fn a_repeated_reservation_outlives_its_first_time() {
    let f = fixture().await;
    f.stock(sku("a"), 1).await;
    f.service.reserve(&f.ctx(), reserve(hold("h"), &[(sku("a"), 1)])).await.unwrap();
    f.clock.advance(Duration::from_secs(16 * 60));
    let again = f.service.reserve(&f.ctx(), reserve(hold("h"), &[(sku("a"), 1)])).await.unwrap();
    assert_eq!(again.expires_at, f.db.now().plus(Duration::from_secs(15 * 60)));
    assert_eq!(f.service.expire_due(|| false).await.unwrap(), 0);
}

#[tokio::test]
async fn a_thousand_holds_expire_in_batches() {
    let f = fixture().await;
    f.stock(sku("a"), 1_000).await;
    let ctx = f.ctx();
    let asked = (0..450).map(|n| f.service.reserve(&ctx, reserve(hold(format!("{n}")), &[(sku("a"), 2)])));
    futures::future::try_join_all(asked).await.unwrap();
    f.clock.advance(Duration::from_secs(3_600));
    assert_eq!(f.service.expire_due(|| false).await.unwrap(), 450);
    assert_eq!(f.numbers(sku("a")).await, (1_000, 0, 0));
}

/// Fails when a hold that cannot be taken back ends the run for all others.
#[tokio::test]
async fn a_damaged_hold_keeps_nobody_elses_stock() {
    let (f, a) = (fixture().await, sku("a"));
    f.stock(a, 9).await;
    let mut made = Vec::new();
    for name in ["torn", "garbled", "whole"] {
        f.clock.advance(Duration::from_secs(1));
        made.push(f.db.now().micros());
        f.service.reserve(&f.ctx(), reserve(hold(name), &[(a, 2)])).await.unwrap();
    }
    let (torn, garbled) = (made[0], made[1]);
    for damage in [
        // It names a bucket that is not there.
        format!(
            "UPDATE hold_line SET n = 9 WHERE hold_id IN (SELECT id FROM hold WHERE created_at = {torn})"
        ),
        // What it is for cannot be read.
        format!("UPDATE hold SET `lines` = x'00' WHERE created_at = {garbled}"),
    ] {
        f.db.schema(move |connection| {
            Box::pin(async move { connection.execute_unprepared(&damage).await.map(drop) })
        })
        .await
        .unwrap();
    }
    f.clock.advance(Duration::from_secs(16 * 60));
    assert_eq!(f.service.expire_due(|| false).await.unwrap(), 1);
    assert_eq!(f.service.hold(&f.ctx(), hold("whole")).await.unwrap().state, HoldState::Expired);
    assert_eq!(f.service.hold(&f.ctx(), hold("torn")).await.unwrap().state, HoldState::Reserved);
    assert_eq!(f.available(a).await, 5);
    assert_eq!(f.service.expire_due(|| false).await.unwrap(), 0);
}

#[tokio::test]
async fn a_hold_spans_warehouses_in_their_order() {
    let f = with(InventoryConfig { buckets_per_hot_sku: 2, ..InventoryConfig::default() }).await;
    let ctx = f.ctx();
    let mut ids = Vec::new();
    for (code, priority) in [("far", 20), ("near", 10)] {
        let warehouse = WarehouseInput {
            code: code.to_owned(),
            name: code.to_owned(),
            country: "DE".to_owned(),
            priority,
        };
        let id = f.service.add_warehouse(&ctx, warehouse).await.unwrap().id;
        let mut inbound = adjustment(sku("a"), contracts::inventory::AdjustReason::Inbound, 5);
        inbound.warehouse_id = Some(id);
        f.service.adjust(&ctx, inbound).await.unwrap();
        ids.push(id);
    }
    f.service.reserve(&ctx, reserve(hold("h"), &[(sku("a"), 7)])).await.unwrap();
    let stock = f.service.stock(&ctx, sku("a")).await.unwrap();
    let seen: Vec<_> = stock.iter().map(|s| (s.warehouse_id, s.available, s.reserved, s.on_hand)).collect();
    assert_eq!(seen, [(ids[1], 0, 5, 5), (ids[0], 3, 2, 5)], "the nearer one is emptied first");
    f.service.confirm(&ctx, hold("h")).await.unwrap();
    f.service.give_back(&ctx, hold("h")).await.unwrap();
    let stock = f.service.stock(&ctx, sku("a")).await.unwrap();
    assert_eq!(
        stock.iter().map(|s| s.available).collect::<Vec<_>>(),
        [5, 5],
        "each unit goes back where it came from"
    );
    assert_eq!(f.numbers(sku("a")).await, (10, 0, 0));
}

#[tokio::test]
async fn bad_input_is_named() {
    let f = fixture().await;
    let pointer = |demand: Vec<(contracts::catalog::SkuId, i64)>| {
        let (service, ctx) = (f.service.clone(), f.ctx());
        async move {
            service.reserve(&ctx, reserve(hold("h"), &demand)).await.unwrap_err().fields()[0].pointer.clone()
        }
    };
    assert_eq!(pointer(vec![]).await, "/lines");
    assert_eq!(pointer(vec![(sku("a"), 1); 101]).await, "/lines");
    assert_eq!(pointer(vec![(sku("a"), 1), (sku("b"), -1)]).await, "/lines/1/quantity");
    for expires_at in [f.db.now(), f.db.now().plus(Duration::from_secs(8 * 24 * 3600))] {
        let command = Reserve { expires_at: Some(expires_at), ..reserve(hold("h"), &[(sku("a"), 1)]) };
        assert_eq!(
            f.service.reserve(&f.ctx(), command).await.unwrap_err().fields()[0].pointer,
            "/expires_at"
        );
    }
}
