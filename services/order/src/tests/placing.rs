//! Placing: one effect, whatever is cut off or repeated.

use std::time::Duration;

use contracts::{
    Ctx, Permission, cart, inventory,
    inventory::HoldState,
    order::{AskQuote, CancelOrder, ListOrders, OrderState, Orders, PlaceOrder},
    pricing::{self, LineInput},
};
use futures::{FutureExt, future::join_all};
use kernel::code;

use crate::testing::{AT, Cut, Shop, address_id, item, request, shop, user};

fn items(lines: &[LineInput]) -> PlaceOrder {
    PlaceOrder { address_id: address_id(), items: Some(lines.to_vec()), quote: None, remark: None }
}

fn shopper(key: &str) -> Ctx {
    request(user(1), key)
}

async fn placed_once(shop: &Shop) {
    for table in ["orders", "order_number", "order_history", "idempotency"] {
        assert_eq!(shop.number(&format!("SELECT COUNT(*) FROM {table}")).await, 1, "{table}");
    }
    assert_eq!(shop.number("SELECT COUNT(*) FROM order_line").await, 2);
    assert_eq!(shop.events("order.placed.v1").await, 1);
}

#[tokio::test]
async fn an_order_is_what_the_shop_says_it_is() {
    let shop = shop().await;
    let order =
        shop.service.place(&shopper("a"), items(&[item(1, 2), item(2, 1), item(1, 1)])).await.unwrap();
    assert_eq!(
        order.lines.iter().map(|line| line.quantity).collect::<Vec<_>>(),
        [3, 1],
        "two lines of a SKU are one"
    );
    assert_eq!(order.totals.total.amount, 4_000 + 400 + 700);
    assert_eq!(order.expires_at, AT.plus(Duration::from_secs(1_800)));
    assert_eq!(shop.service.order(&shopper("x"), order.id).await.unwrap(), order);
    assert_eq!((shop.world.stock(1), shop.world.stock(2)), (7, 9));
    placed_once(&shop).await;
    let history = shop.service.history(&shopper("x"), order.id).await.unwrap();
    assert_eq!((history[0].from, history[0].to), (None, OrderState::PendingPayment));
    assert_eq!(history[0].actor, "shopper");
}

#[tokio::test]
async fn the_same_key_gives_the_same_answer_even_when_the_order_has_moved_on() {
    let shop = shop().await;
    let first = shop.service.place(&shopper("a"), items(&[item(1, 1), item(2, 1)])).await.unwrap();
    shop.service.cancel(&shopper("x"), CancelOrder { order_id: first.id, reason: None }).await.unwrap();
    shop.world.set_unit_price(5_000);
    shop.clock.advance(Duration::from_secs(7_200));
    let again = shop.service.place(&shopper("a"), items(&[item(1, 1), item(2, 1)])).await.unwrap();
    assert_eq!(serde_json::to_string(&first).unwrap(), serde_json::to_string(&again).unwrap());
    let other = shop.service.place(&shopper("a"), items(&[item(1, 2), item(2, 1)])).await.unwrap_err();
    assert!(other.is(code::KEY_REUSED));
    let nobody_elses = shop.service.place(&request(user(2), "a"), items(&[item(3, 1)])).await.unwrap();
    assert_ne!(nobody_elses.id, first.id, "keys of different callers never meet");
    let mut keyless = shopper("a");
    keyless.idempotency_key = None;
    assert!(shop.service.place(&keyless, items(&[item(1, 1)])).await.unwrap_err().is(code::KEY_MISSING));
}

#[tokio::test(flavor = "multi_thread")]
async fn twins_place_one_order() {
    let shop = shop().await;
    let processes = join_all((0..5).map(|_| shop.another_process())).await;
    let tries = (0..20).map(|n| {
        let service = processes[n % processes.len()].clone();
        async move { service.place(&shopper("a"), items(&[item(1, 1), item(2, 2)])).await.unwrap() }
    });
    let answers = join_all(tries).await;
    assert!(answers.iter().all(|answer| answer == &answers[0]));
    placed_once(&shop).await;
    assert_eq!(shop.world.holds(HoldState::Reserved), 1);
    assert_eq!((shop.world.stock(1), shop.world.stock(2)), (9, 8));
}

#[tokio::test]
async fn a_retry_of_what_is_under_way_joins_it() {
    let shop = shop().await;
    let command = items(&[item(1, 1), item(2, 2)]);
    // After the first has its quote, its client loses patience again and again; so do others, with keys of their own.
    let (service, retried) = (shop.service.clone(), command.clone());
    let (retries, mut answers) = futures::channel::oneshot::channel();
    shop.world.between(
        1,
        Box::new(move || {
            Box::pin(async move {
                service.place(&shopper("b"), items(&[item(3, 1)])).await.unwrap();
                let again = (0..10).map(|_| {
                    let (service, retried) = (service.clone(), retried.clone());
                    async move { service.place(&shopper("a"), retried).await.unwrap() }
                });
                let mut again = Box::pin(join_all(again));
                assert!(again.as_mut().now_or_never().is_none(), "they wait");
                retries.send(again).ok().unwrap();
            })
        }),
    );
    let answer = shop.service.place(&shopper("a"), command).await.unwrap();
    assert!(shop.world.happened());
    let calls = shop.world.calls();
    let retries = answers.try_recv().unwrap().unwrap();
    assert!(retries.await.iter().all(|again| *again == answer));
    assert_eq!(shop.world.calls(), calls, "they asked nobody for anything");
}

#[tokio::test]
async fn every_call_cut_off_and_the_request_sent_again() {
    for cut in [Cut::Before, Cut::After] {
        for n in 0.. {
            let shop = shop().await;
            shop.world.set_cart(&[item(1, 1), item(2, 2)]);
            let command = PlaceOrder { items: None, ..items(&[]) };
            shop.world.cut(n, cut);
            let first = shop.service.place(&shopper("a"), command.clone()).await;
            if !shop.world.happened() {
                assert!(first.is_ok(), "call {n} is one too many");
                assert!(n >= 4, "cart, address, quote, reserve");
                break;
            }
            assert!(first.unwrap_err().is(code::UNAVAILABLE));
            let order = shop.service.place(&shopper("a"), command).await.unwrap();
            placed_once(&shop).await;
            assert_eq!(shop.world.holds(HoldState::Reserved), 1, "{cut:?} {n}");
            assert_eq!(shop.world.stock(2), 8);
            assert_eq!(order.state, OrderState::PendingPayment);
        }
    }
}

#[tokio::test]
async fn a_request_sent_again_long_after_its_hold_ended_is_no_dead_end() {
    let shop = shop().await;
    for round in 0..3 {
        // Address, quote, reserve (the holds of earlier rounds are gone): stock is held, then the process dies.
        shop.world.cut(2 + round, Cut::After);
        shop.service.place(&shopper("a"), items(&[item(1, 10), item(2, 1)])).await.unwrap_err();
        assert_eq!(shop.world.holds(HoldState::Reserved), 1);
        shop.clock.advance(Duration::from_secs(7_200));
        assert_eq!(shop.world.holds(HoldState::Reserved), 0, "freed by itself");
    }
    shop.service.place(&shopper("a"), items(&[item(1, 10), item(2, 1)])).await.unwrap();
    placed_once(&shop).await;
    assert_eq!((shop.world.holds(HoldState::Reserved), shop.world.holds(HoldState::Expired)), (1, 3));
}

#[tokio::test]
async fn a_hold_of_an_earlier_try_is_kept_long_enough() {
    let shop = shop().await;
    shop.world.cut(2, Cut::After);
    shop.service.place(&shopper("a"), items(&[item(1, 1), item(2, 1)])).await.unwrap_err();
    shop.clock.advance(Duration::from_secs(1_200));
    let order = shop.service.place(&shopper("a"), items(&[item(1, 1), item(2, 1)])).await.unwrap();
    shop.clock.advance(Duration::from_secs(1_799));
    assert!(order.expires_at > shop.db.now());
    assert_eq!(shop.world.holds(HoldState::Reserved), 1, "the order waits, and its stock with it");
}

#[tokio::test]
async fn a_twin_that_held_other_stock_gives_it_back() {
    let shop = shop().await;
    shop.world.set_cart(&[item(1, 1), item(2, 1)]);
    let command = PlaceOrder { items: None, ..items(&[]) };
    // While the first is between its hold and its order, the cart changes and a twin places.
    let (service, world, twin) = (shop.another_process().await, shop.world.clone(), command.clone());
    shop.world.between(
        3,
        Box::new(move || {
            Box::pin(async move {
                world.set_cart(&[item(3, 4), item(4, 1)]);
                service.place(&shopper("a"), twin).await.unwrap();
            })
        }),
    );
    let answer = shop.service.place(&shopper("a"), command).await.unwrap();
    assert!(shop.world.happened());
    assert_eq!(answer.lines[0].sku_id, item(3, 4).sku_id, "the winner's answer");
    placed_once(&shop).await;
    assert_eq!((shop.world.holds(HoldState::Reserved), shop.world.holds(HoldState::Released)), (1, 1));
    assert_eq!((shop.world.stock(1), shop.world.stock(3)), (10, 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_units_are_sold_once() {
    let shop = shop().await;
    let tries = (0..40_u8).map(|n| {
        let service = shop.service.clone();
        async move { service.place(&request(user(n), "a"), items(&[item(1, 1)])).await }
    });
    let outcomes = join_all(tries).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 10);
    assert!(
        outcomes
            .iter()
            .filter_map(|outcome| outcome.as_ref().err())
            .all(|f| f.is(inventory::code::OUT_OF_STOCK))
    );
    assert_eq!(shop.number("SELECT COUNT(*) FROM orders").await, 10);
    assert_eq!(shop.number("SELECT COUNT(DISTINCT number) FROM orders").await, 10);
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let shop = shop().await;
    let refused =
        |command: PlaceOrder| async { shop.service.place(&shopper("k"), command).await.unwrap_err() };
    let out = refused(items(&[item(1, 1), item(1, 1), item(2, 11)])).await;
    assert!(out.is(inventory::code::OUT_OF_STOCK));
    assert_eq!(out.fields()[0].pointer, "/items/2");
    let address = refused(PlaceOrder {
        address_id: kernel::Id::derive(kernel::Shard::new(3), &[b"x"]),
        ..items(&[item(1, 1)])
    })
    .await;
    assert_eq!((address.status(), address.fields()[0].pointer.as_str()), (422, "/address_id"));
    assert!(refused(PlaceOrder { items: None, ..items(&[]) }).await.is(cart::code::EMPTY));
    assert_eq!(refused(items(&[])).await.fields()[0].pointer, "/items");
    assert_eq!(shop.number("SELECT COUNT(*) FROM idempotency").await, 0, "only final outcomes are stored");
}

#[tokio::test]
async fn a_quote_binds_the_shop() {
    let shop = shop().await;
    let lines = [item(1, 1), item(2, 1)];
    let later = AT.plus(Duration::from_secs(60));
    let with = |quote: String| PlaceOrder { quote: Some(quote), ..items(&lines) };
    let (fits, other) =
        (shop.world.promise(&lines, 2_900, later), shop.world.promise(&lines[..1], 2_900, later));
    let refused = |key: &'static str, quote: &str| {
        let command = with(quote.to_owned());
        let service = shop.service.clone();
        async move { service.place(&shopper(key), command).await.unwrap_err() }
    };
    assert!(refused("a", &other).await.is(pricing::code::QUOTE_INVALID));
    assert!(refused("b", "forged").await.is(pricing::code::QUOTE_INVALID));
    shop.world.set_unit_price(1_100);
    assert!(refused("c", &fits).await.is(pricing::code::PRICE_ROSE));
    shop.world.set_unit_price(900);
    let order = shop.service.place(&shopper("d"), with(fits.clone())).await.unwrap();
    assert_eq!(order.totals.total.amount, 1_800 + 180 + 700, "a fall passes through");
    shop.clock.advance(Duration::from_secs(61));
    assert!(refused("e", &fits).await.is(pricing::code::QUOTE_EXPIRED));
}

#[tokio::test]
async fn a_stranger_gets_a_quote_without_an_address_only() {
    let shop = shop().await;
    let stranger = Ctx { caller: contracts::Caller::Anonymous, ..shopper("a") };
    let ask = |address_id| AskQuote { items: vec![item(1, 1)], address_id };
    assert_eq!(shop.service.quote(&stranger, ask(None)).await.unwrap().totals.total.amount, 1_800);
    assert_eq!(shop.service.quote(&stranger, ask(Some(address_id()))).await.unwrap_err().status(), 401);
    assert!(shop.service.quote(&shopper("a"), ask(Some(address_id()))).await.is_ok());
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_list_alone() {
    let shop = shop().await;
    for n in 0..3_u8 {
        shop.service.place(&shopper(&n.to_string()), items(&[item(n, 1)])).await.unwrap();
    }
    let mut staff = request(user(7), "s");
    let contracts::Caller::User { permissions, .. } = &mut staff.caller else { panic!() };
    permissions.insert(Permission::OrderRead);
    let ask = |cursor: &Option<String>, state| ListOrders { cursor: cursor.clone(), state, limit: Some(1) };
    let own = shop.service.orders(&shopper("x"), ask(&None, None)).await.unwrap().next_cursor;
    let all = shop.service.all_orders(&staff, ask(&None, None)).await.unwrap().next_cursor;
    assert!(own.is_some() && all.is_some() && own != all);
    assert!(shop.service.orders(&shopper("x"), ask(&own, None)).await.is_ok());
    assert!(shop.service.all_orders(&staff, ask(&all, None)).await.is_ok());
    let paid = Some(OrderState::Paid);
    for refused in [
        shop.service.orders(&shopper("x"), ask(&all, None)).await,
        shop.service.orders(&shopper("x"), ask(&own, paid)).await,
        shop.service.orders(&request(user(2), "x"), ask(&own, None)).await,
        shop.service.all_orders(&staff, ask(&own, None)).await,
        shop.service.all_orders(&staff, ask(&all, paid)).await,
    ] {
        let refused = refused.unwrap_err();
        assert_eq!((refused.status(), refused.fields()[0].pointer.as_str()), (422, "cursor"));
    }
}

#[tokio::test]
async fn lists_are_the_callers_own_in_pages_newest_first() {
    let shop = shop().await;
    let mut placed = Vec::new();
    for n in 0..5_u8 {
        // Two at the same moment: the id decides.
        if n % 2 == 0 {
            shop.clock.advance(Duration::from_secs(1));
        }
        placed.push(shop.service.place(&shopper(&n.to_string()), items(&[item(n, 1)])).await.unwrap());
    }
    shop.service.place(&request(user(2), "a"), items(&[item(9, 1)])).await.unwrap();
    shop.service.cancel(&shopper("x"), CancelOrder { order_id: placed[0].id, reason: None }).await.unwrap();
    placed.sort_by_key(|order| std::cmp::Reverse((order.placed_at, order.id)));

    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let ask = ListOrders { cursor, limit: Some(2), ..ListOrders::default() };
        let page = shop.service.orders(&shopper("x"), ask).await.unwrap();
        seen.extend(page.items.iter().map(|order| order.id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, placed.iter().map(|order| order.id).collect::<Vec<_>>());
    let cancelled = ListOrders { state: Some(OrderState::Cancelled), ..ListOrders::default() };
    assert_eq!(shop.service.orders(&shopper("x"), cancelled.clone()).await.unwrap().items.len(), 1);
    let odd = ListOrders { cursor: Some("odd".to_owned()), ..ListOrders::default() };
    assert_eq!(shop.service.orders(&shopper("x"), odd).await.unwrap_err().fields()[0].pointer, "cursor");

    assert_eq!(
        shop.service.all_orders(&shopper("x"), ListOrders::default()).await.unwrap_err().status(),
        403
    );
    let mut staff = request(user(7), "s");
    let contracts::Caller::User { permissions, .. } = &mut staff.caller else { panic!() };
    permissions.insert(Permission::OrderRead);
    let page = shop
        .service
        .all_orders(&staff, ListOrders { limit: Some(4), ..ListOrders::default() })
        .await
        .unwrap();
    let rest = shop
        .service
        .all_orders(&staff, ListOrders { cursor: page.next_cursor, ..ListOrders::default() })
        .await
        .unwrap();
    assert_eq!((page.items.len(), rest.items.len()), (4, 2));
    let stranger = request(user(2), "x");
    assert_eq!(shop.service.order(&stranger, placed[0].id).await.unwrap_err().status(), 404);
    assert_eq!(
        shop.service
            .cancel(&stranger, CancelOrder { order_id: placed[0].id, reason: None })
            .await
            .unwrap_err()
            .status(),
        404
    );
    assert!(shop.service.order(&staff, placed[0].id).await.is_ok());
    assert_eq!(
        shop.service
            .cancel(&staff, CancelOrder { order_id: placed[0].id, reason: None })
            .await
            .unwrap_err()
            .status(),
        403
    );
}
