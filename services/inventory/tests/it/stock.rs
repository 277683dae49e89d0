//! Stock by hand: adjustments, first stock, safety stock, warehouses, the ledger.

use std::collections::BTreeMap;

use contracts::{
    Caller, Permission,
    inventory::{
        AdjustReason, AvailabilityChanged, InitialStock, Inventory, ListMovements, ReplaceWarehouse,
        SetSafetyStock, StockLow, WarehouseInput, code,
    },
};
use kernel::{Id, Shard, code as general};
use sea_orm::{ConnectionTrait, Statement};

use crate::fixture::*;

fn warehouse(code: &str) -> WarehouseInput {
    WarehouseInput {
        code: code.to_owned(),
        name: format!("{code} house"),
        country: "DE".to_owned(),
        priority: 5,
    }
}

#[tokio::test]
async fn adjustments_move_units_and_never_below_zero() {
    let f = fixture().await;
    let a = sku("a");
    let adjust = |reason, delta| {
        let (service, ctx) = (f.service.clone(), f.ctx());
        async move { service.adjust(&ctx, adjustment(a, reason, delta)).await }
    };
    let view = adjust(AdjustReason::Inbound, 10).await.unwrap();
    assert_eq!((view.on_hand, view.available), (10, 10));
    let view = adjust(AdjustReason::Damage, 4).await.unwrap();
    assert_eq!((view.on_hand, view.available, view.unavailable), (10, 6, 4));
    adjust(AdjustReason::Restore, 1).await.unwrap();
    adjust(AdjustReason::Scrap, 2).await.unwrap();
    assert_eq!(f.numbers(a).await, (7, 0, 1));
    adjust(AdjustReason::Count, -2).await.unwrap();
    for (reason, delta, left) in [
        (AdjustReason::Count, -6, 5),
        (AdjustReason::Damage, 6, 5),
        (AdjustReason::Restore, 2, 1),
        (AdjustReason::Scrap, 2, 1),
    ] {
        let refused = adjust(reason, delta).await.unwrap_err();
        assert!(refused.is(code::BELOW_ZERO), "{reason:?}");
        assert!(refused.message().contains(&format!("only {left} ")), "{refused}");
    }
    for (reason, delta) in [(AdjustReason::Inbound, 0), (AdjustReason::Damage, -1), (AdjustReason::Scrap, -1)]
    {
        assert_eq!(adjust(reason, delta).await.unwrap_err().fields()[0].pointer, "/delta");
    }
    assert_eq!(f.numbers(a).await, (5, 0, 1));
}

#[tokio::test]
async fn reserved_units_cannot_be_counted_away() {
    let f = fixture().await;
    f.stock(sku("a"), 5).await;
    f.service.reserve(&f.ctx(), reserve(hold("h"), &[(sku("a"), 4)])).await.unwrap();
    let refused =
        f.service.adjust(&f.ctx(), adjustment(sku("a"), AdjustReason::Count, -2)).await.unwrap_err();
    assert!(refused.is(code::BELOW_ZERO));
    assert_eq!(f.numbers(sku("a")).await, (1, 4, 0));
}

/// Fails when the most a warehouse holds keeps out what was set aside or sold from it.
#[tokio::test]
async fn what_was_sold_comes_back_whatever_came_in_meanwhile() {
    const MOST: i64 = 1_000_000_000_000;
    let (f, a) = (fixture().await, sku("a"));
    f.stock(a, MOST).await;
    for name in ["held", "sold"] {
        f.service.reserve(&f.ctx(), reserve(hold(name), &[(a, 5)])).await.unwrap();
    }
    f.service.confirm(&f.ctx(), hold("sold")).await.unwrap();
    let inbound = async |units| f.service.adjust(&f.ctx(), adjustment(a, AdjustReason::Inbound, units)).await;
    let refused = inbound(6).await.unwrap_err();
    assert!(refused.is(code::BELOW_ZERO));
    assert_eq!(refused.fields()[0].pointer, "/delta");
    inbound(5).await.unwrap();
    f.service.give_back(&f.ctx(), hold("sold")).await.unwrap();
    f.service.release(&f.ctx(), hold("held")).await.unwrap();
    assert_eq!(f.numbers(a).await, (MOST + 5, 0, 0));
}

/// What settles a commit that was not heard of is written whether the caller gave a key or not.
#[tokio::test]
async fn a_change_without_a_key_is_settled_by_one_of_its_own() {
    let (f, a) = (fixture().await, sku("a"));
    for _ in 0..2 {
        f.service.adjust(&f.ctx(), adjustment(a, AdjustReason::Inbound, 3)).await.unwrap();
    }
    assert_eq!(f.available(a).await, 6, "two are two");
    f.service.add_warehouse(&f.ctx(), warehouse("far")).await.unwrap();
    for (route, keys) in [("inventory.adjust", 2), ("inventory.add_warehouse", 1)] {
        let sql = format!("SELECT request_key FROM idempotency WHERE route = '{route}'");
        let found = Statement::from_string(f.db.read().get_database_backend(), sql);
        assert_eq!(f.db.read().query_all_raw(found).await.unwrap().len(), keys, "{route}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_adjustment_with_a_key_happens_once() {
    let f = fixture().await;
    let mut ctx = f.staff(&[Permission::InventoryWrite]);
    ctx.idempotency_key = Some("k1".to_owned());
    let command = adjustment(sku("a"), AdjustReason::Inbound, 3);
    let asked = (0..10).map(|_| {
        let (service, ctx, command) = (f.service.clone(), ctx.clone(), command.clone());
        async move { service.adjust(&ctx, command).await }
    });
    for outcome in futures::future::join_all(asked).await {
        assert_eq!(outcome.unwrap().available, 3);
    }
    assert_eq!(f.numbers(sku("a")).await, (3, 0, 0));
    let other = f.service.adjust(&ctx, adjustment(sku("a"), AdjustReason::Inbound, 4)).await.unwrap_err();
    assert!(other.is(general::KEY_REUSED));
}

#[tokio::test]
async fn first_stock_is_set_once() {
    let f = fixture().await;
    let stock = |quantity| {
        [("a", quantity), ("b", 0), ("c", -3)]
            .map(|(name, quantity)| InitialStock { sku_id: sku(name), quantity })
    };
    f.service.set_initial(&f.ctx(), stock(7).to_vec()).await.unwrap();
    f.service.set_initial(&f.ctx(), stock(9).to_vec()).await.unwrap();
    let more = ["b", "d", "d"].map(|name| InitialStock { sku_id: sku(name), quantity: 2 });
    f.service.set_initial(&f.ctx(), more.to_vec()).await.unwrap();
    assert_eq!(f.numbers(sku("a")).await, (7, 0, 0));
    assert_eq!(f.numbers(sku("b")).await, (0, 0, 0), "known to have none");
    assert_eq!(f.numbers(sku("d")).await, (2, 0, 0), "named twice, set once");
    let events: Vec<AvailabilityChanged> = f.events().await;
    let said: BTreeMap<_, _> = events.iter().map(|event| (event.sku_id, event.in_stock)).collect();
    assert_eq!((events.len(), said), (2, BTreeMap::from([(sku("a"), true), (sku("d"), true)])));
    let many = vec![InitialStock { sku_id: sku("a"), quantity: 1 }; 1_001];
    assert_eq!(f.service.set_initial(&f.ctx(), many).await.unwrap_err().status(), 422);
    assert!(f.service.reconcile_all().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_sku_of_a_shard_that_is_not_there_is_refused() {
    let f = fixture().await;
    let sku_id = Id::derive(Shard::new(f.db.shards()), &[b"a"]);
    let command = adjustment(sku_id, AdjustReason::Inbound, 1);
    assert_eq!(f.service.adjust(&f.ctx(), command).await.unwrap_err().fields()[0].pointer, "/sku_id");
    let level = SetSafetyStock { sku_id, safety_stock: 1 };
    assert_eq!(f.service.set_safety_stock(&f.ctx(), level).await.unwrap_err().fields()[0].pointer, "/sku_id");
    let first = [sku("a"), sku_id].map(|sku_id| InitialStock { sku_id, quantity: 1 }).to_vec();
    assert_eq!(f.service.set_initial(&f.ctx(), first).await.unwrap_err().fields()[0].pointer, "/1/sku_id");
    assert_eq!(f.available(sku("a")).await, 0, "all or none");
}

#[tokio::test]
async fn availability_is_answered_in_the_order_asked() {
    let f = fixture().await;
    f.stock(sku("a"), 3).await;
    f.stock(sku("b"), 5).await;
    let asked = vec![sku("b"), sku("none"), sku("a"), sku("b")];
    let answer = f.service.availability(&f.ctx(), asked.clone()).await.unwrap();
    assert_eq!(answer.iter().map(|a| a.sku_id).collect::<Vec<_>>(), asked);
    assert_eq!(answer.iter().map(|a| a.available).collect::<Vec<_>>(), [5, 0, 3, 5]);
    assert!(f.service.availability(&f.ctx(), vec![]).await.unwrap().is_empty());
    assert_eq!(f.service.availability(&f.ctx(), vec![sku("a"); 1_001]).await.unwrap_err().status(), 422);
}

#[tokio::test]
async fn an_alert_comes_when_the_safety_stock_is_reached_not_on_each_sale() {
    let f = fixture().await;
    let a = sku("a");
    f.stock(a, 10).await;
    f.service.set_safety_stock(&f.ctx(), SetSafetyStock { sku_id: a, safety_stock: 5 }).await.unwrap();
    for n in 0..8 {
        f.service.reserve(&f.ctx(), reserve(hold(format!("{n}")), &[(a, 1)])).await.unwrap();
    }
    let alerts: Vec<StockLow> = f.events().await;
    assert_eq!(
        alerts.iter().map(|alert| (alert.available, alert.safety_stock)).collect::<Vec<_>>(),
        [(5, 5)]
    );
    // Raised above what is there: low from now on.
    f.service.set_safety_stock(&f.ctx(), SetSafetyStock { sku_id: a, safety_stock: 1 }).await.unwrap();
    f.service.set_safety_stock(&f.ctx(), SetSafetyStock { sku_id: a, safety_stock: 3 }).await.unwrap();
    f.service.set_safety_stock(&f.ctx(), SetSafetyStock { sku_id: a, safety_stock: 4 }).await.unwrap();
    assert_eq!(f.events::<StockLow>().await.len(), 2);
    assert_eq!(f.service.stock(&f.ctx(), a).await.unwrap()[0].safety_stock, 4);
    let wrong = f
        .service
        .set_safety_stock(&f.ctx(), SetSafetyStock { sku_id: a, safety_stock: -1 })
        .await
        .unwrap_err();
    assert_eq!(wrong.fields()[0].pointer, "/safety_stock");
}

#[tokio::test]
async fn the_ledger_is_paged_newest_first() {
    let f = fixture().await;
    let a = sku("a");
    f.stock(a, 50).await;
    for n in 0..9 {
        f.clock.advance(std::time::Duration::from_secs(1));
        f.service.reserve(&f.ctx(), reserve(hold(format!("{n}")), &[(a, 1)])).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let page =
            f.service.movements(&f.ctx(), ListMovements { sku_id: a, cursor, limit: Some(4) }).await.unwrap();
        seen.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen.len(), 10);
    assert!(seen.windows(2).all(|pair| pair[0].at > pair[1].at));
    assert_eq!(seen[0].reference, hold("8").to_string());
    assert_eq!((seen[0].kind.as_str(), seen[0].available, seen[0].reserved), ("reserve", -1, 1));
    assert_eq!((seen[9].kind.as_str(), seen[9].available), ("initial", 50));
    assert_eq!(seen.iter().map(|movement| movement.available).sum::<i64>(), 41);
    let first = ListMovements { sku_id: a, cursor: None, limit: Some(4) };
    let of_a = f.service.movements(&f.ctx(), first).await.unwrap().next_cursor;
    assert!(of_a.is_some());
    for (sku_id, cursor) in [(a, Some("%".to_owned())), (sku("b"), of_a)] {
        let wrong = ListMovements { sku_id, cursor, limit: None };
        assert_eq!(f.service.movements(&f.ctx(), wrong).await.unwrap_err().fields()[0].pointer, "cursor");
    }
}

#[tokio::test]
async fn warehouses_are_added_and_changed() {
    let f = fixture().await;
    let mut ctx = f.staff(&[Permission::InventoryWrite, Permission::InventoryRead]);
    ctx.idempotency_key = Some("w1".to_owned());
    let berlin = f.service.add_warehouse(&ctx, warehouse("berlin")).await.unwrap();
    assert_eq!(f.service.add_warehouse(&ctx, warehouse("berlin")).await.unwrap().id, berlin.id);
    ctx.idempotency_key = Some("w2".to_owned());
    assert!(
        f.service.add_warehouse(&ctx, warehouse("berlin")).await.unwrap_err().is(code::WAREHOUSE_CODE_TAKEN)
    );
    let bonn = f.service.add_warehouse(&ctx, warehouse("bonn")).await.unwrap();
    let taken = ReplaceWarehouse { id: bonn.id, warehouse: warehouse("berlin") };
    assert!(f.service.replace_warehouse(&ctx, taken).await.unwrap_err().is(code::WAREHOUSE_CODE_TAKEN));
    let moved = WarehouseInput { priority: -1, ..warehouse("bonn") };
    f.service.replace_warehouse(&ctx, ReplaceWarehouse { id: bonn.id, warehouse: moved }).await.unwrap();
    let listed = f.service.warehouses(&ctx, ()).await.unwrap();
    assert_eq!(listed.iter().map(|w| w.code.as_str()).collect::<Vec<_>>(), ["bonn", "berlin"]);
    let blank = WarehouseInput { name: " \u{200b}".to_owned(), ..warehouse("c") };
    let refused = f.service.add_warehouse(&f.ctx(), blank.clone()).await.unwrap_err();
    assert_eq!(refused.fields()[0].pointer, "/name");
    let blank = ReplaceWarehouse { id: bonn.id, warehouse: blank };
    assert_eq!(f.service.replace_warehouse(&ctx, blank).await.unwrap_err().fields()[0].pointer, "/name");
    let unknown = ReplaceWarehouse { id: Id::derive(Shard::new(0), &[b"x"]), warehouse: warehouse("x") };
    assert_eq!(f.service.replace_warehouse(&ctx, unknown).await.unwrap_err().status(), 404);
    let mut nowhere = adjustment(sku("a"), AdjustReason::Inbound, 1);
    nowhere.warehouse_id = Some(Id::derive(Shard::new(0), &[b"x"]));
    ctx.idempotency_key = None;
    assert_eq!(f.service.adjust(&ctx, nowhere).await.unwrap_err().fields()[0].pointer, "/warehouse_id");
}

#[tokio::test]
async fn a_warehouse_called_main_is_the_default_one() {
    let f = fixture().await;
    let main = f.service.add_warehouse(&f.ctx(), warehouse("main")).await.unwrap();
    let view = f.service.adjust(&f.ctx(), adjustment(sku("a"), AdjustReason::Inbound, 1)).await.unwrap();
    assert_eq!(view.warehouse_id, main.id);
}

#[tokio::test]
async fn staff_need_permissions() {
    let f = fixture().await;
    let reader = f.staff(&[Permission::InventoryRead]);
    let command = || adjustment(sku("a"), AdjustReason::Inbound, 1);
    assert!(f.service.adjust(&reader, command()).await.unwrap_err().is(general::FORBIDDEN));
    assert!(f.service.add_warehouse(&reader, warehouse("w")).await.unwrap_err().is(general::FORBIDDEN));
    assert!(f.service.set_initial(&reader, vec![]).await.unwrap_err().is(general::FORBIDDEN));
    let writer = f.staff(&[Permission::InventoryWrite]);
    assert!(f.service.stock(&writer, sku("a")).await.unwrap_err().is(general::FORBIDDEN));
    let mut nobody = f.ctx();
    nobody.caller = Caller::Anonymous;
    assert!(f.service.warehouses(&nobody, ()).await.unwrap_err().is(general::UNAUTHENTICATED));
    let list = ListMovements { sku_id: sku("a"), cursor: None, limit: None };
    assert!(f.service.movements(&nobody, list).await.unwrap_err().is(general::UNAUTHENTICATED));
}
