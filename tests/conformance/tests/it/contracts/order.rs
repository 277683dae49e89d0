//! Orders, from the quote to their end.

use contracts::{
    Ctx, Permission, cart,
    inventory::code as inventory_code,
    order::{
        AskQuote, CancelOrder, FulfilmentState, ListOrders, OrderState, OrderView, PayOrder, PaymentState,
        PlaceOrder, code,
    },
    payment::{IntentState, code as payment_code},
    pricing::{LineInput, code as pricing_code},
};
use kernel::{Result, code as general};

use super::{
    callers::{keyed, nobody, pages, refused, staff, system, until, usd},
    fixture::Fixture,
    goods::{Shopper, price},
};

fn of_items(shopper: &Shopper, items: Vec<LineInput>) -> PlaceOrder {
    PlaceOrder { address_id: shopper.address, items: Some(items), quote: None, remark: None }
}

fn cancel(order: &OrderView, reason: Option<&str>) -> CancelOrder {
    CancelOrder { order_id: order.id, reason: reason.map(str::to_owned) }
}

pub(crate) async fn an_order_is_placed_once_a_key(shop: &Fixture) -> Result<()> {
    let orders = &shop.contracts.orders;
    let mug = shop.goods("Mug 杯", usd(1_999), 20).await?;
    let shopper = shop.shopper("buyer").await?;
    let place = PlaceOrder {
        remark: Some("Bitte klingeln 🔔 “2x”".to_owned()),
        ..of_items(&shopper, vec![mug.line(1), mug.line(1)])
    };
    refused(orders.place(&shopper.ctx, place.clone()).await, general::KEY_MISSING, &[]);
    let ctx = keyed(&shopper.ctx, "one");
    let order = orders.place(&ctx, place.clone()).await?;
    assert_eq!((order.state, order.payment_state), (OrderState::PendingPayment, PaymentState::Unpaid));
    assert_eq!(order.fulfilment_state, FulfilmentState::Unfulfilled);
    assert_eq!((order.paid_at, &order.cancel_reason, &order.payment_number), (None, &None, &None));
    assert_eq!((order.totals.tax, order.totals.total), (usd(290), usd(4_887)));
    assert_eq!((order.lines[0].quantity, order.lines[0].title.as_str()), (2, "Mug 杯"));
    assert_eq!(
        (order.remark.as_deref(), order.address.city.as_str()),
        (Some("Bitte klingeln 🔔 “2x”"), "San José")
    );
    assert_eq!(orders.place(&ctx, place).await?, order);
    let other = of_items(&shopper, vec![mug.line(3)]);
    refused(orders.place(&ctx, other).await, general::KEY_REUSED, &[]);
    assert_eq!(shop.available(mug.sku).await?, 18);

    assert_eq!(orders.order(&shopper.ctx, order.id).await?, order);
    let history = orders.history(&shopper.ctx, order.id).await?;
    assert_eq!((history.len(), history[0].from, history[0].to), (1, None, OrderState::PendingPayment));
    assert_eq!(history[0].actor, "shopper");
    Ok(())
}

pub(crate) async fn what_cannot_be_ordered_is_named(shop: &Fixture) -> Result<()> {
    let orders = &shop.contracts.orders;
    let (cup, jar) = (shop.goods("Cup", usd(500), 9).await?, shop.goods("Jar", usd(700), 1).await?);
    let (shopper, other) = (shop.shopper("namer").await?, shop.shopper("neighbour").await?);
    let ctx = keyed(&shopper.ctx, "refused");
    let place = async |command| orders.place(&ctx, command).await;
    let short = of_items(&shopper, vec![cup.line(1), jar.line(1), jar.line(1)]);
    refused(place(short).await, inventory_code::OUT_OF_STOCK, &["/items/1"]);
    refused(place(of_items(&shopper, Vec::new())).await, general::INVALID, &["/items"]);
    let many = of_items(&shopper, vec![cup.line(1), cup.line(i64::MAX)]);
    refused(place(many).await, general::INVALID, &["/items/1/quantity"]);
    refused(place(of_items(&other, vec![cup.line(1)])).await, general::INVALID, &["/address_id"]);
    let from_cart = PlaceOrder { items: None, ..of_items(&shopper, Vec::new()) };
    refused(place(from_cart).await, cart::code::EMPTY, &[]);
    let theirs = orders.place(&keyed(&nobody(), "nobody"), of_items(&shopper, vec![cup.line(1)])).await;
    refused(theirs, general::UNAUTHENTICATED, &[]);
    assert_eq!((shop.available(cup.sku).await?, shop.available(jar.sku).await?), (9, 1));
    Ok(())
}

pub(crate) async fn a_quote_binds_the_order(shop: &Fixture) -> Result<()> {
    let orders = &shop.contracts.orders;
    let vase = shop.goods("Vase", usd(4_000), 9).await?;
    let shopper = shop.shopper("asker").await?;
    let ask = |address_id| AskQuote { items: vec![vase.line(2)], address_id };
    let quote = orders.quote(&shopper.ctx, ask(Some(shopper.address))).await?;
    assert_eq!(quote.totals.total, usd(8_000 + 580 + 599));
    assert_eq!(orders.quote(&nobody(), ask(None)).await?.totals.total, usd(8_000 + 599));
    refused(orders.quote(&nobody(), ask(Some(shopper.address))).await, general::UNAUTHENTICATED, &[]);
    let nothing = AskQuote { items: Vec::new(), address_id: None };
    refused(orders.quote(&nobody(), nothing).await, general::INVALID, &["/items"]);

    let place = async |key: &str, quote: &str, units| {
        let command =
            PlaceOrder { quote: Some(quote.to_owned()), ..of_items(&shopper, vec![vase.line(units)]) };
        orders.place(&keyed(&shopper.ctx, key), command).await
    };
    refused(place("forged", "q1.x.y", 2).await, pricing_code::QUOTE_INVALID, &["/quote"]);
    refused(place("other", &quote.quote, 3).await, pricing_code::QUOTE_INVALID, &["/quote"]);
    assert_eq!(place("bound", &quote.quote, 2).await?.totals, quote.totals);
    shop.contracts.pricing.set_prices(&system(), vec![price(vase.sku, usd(4_001))]).await?;
    refused(place("risen", &quote.quote, 2).await, pricing_code::PRICE_ROSE, &[]);
    Ok(())
}

pub(crate) async fn orders_are_their_shoppers_own(shop: &Fixture) -> Result<()> {
    let orders = &shop.contracts.orders;
    let plate = shop.goods("Plate", usd(900), 50).await?;
    let (shopper, other) = (shop.shopper("owner").await?, shop.shopper("stranger").await?);
    let mut ids = Vec::new();
    for key in ["1", "2", "3"] {
        ids.push(shop.order(&shopper, vec![plate.line(1)], key).await?.id);
    }
    let last = orders.order(&shopper.ctx, ids[2]).await?;
    ids.reverse();
    let list = |state, cursor, limit| ListOrders { state, cursor, limit: Some(limit) };
    let own = pages(async |cursor| orders.orders(&shopper.ctx, list(None, cursor, 2)).await).await?;
    assert_eq!(own.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(own.concat().iter().map(|order| order.id).collect::<Vec<_>>(), ids, "newest first");
    assert!(orders.orders(&other.ctx, ListOrders::default()).await?.items.is_empty());
    let reader = staff(&[Permission::OrderRead]);
    let all = pages(async |cursor| orders.all_orders(&reader, list(None, cursor, 2)).await).await?.concat();
    assert!(all.is_sorted_by_key(|order| std::cmp::Reverse((order.placed_at, order.id))));
    assert!(ids.iter().all(|id| all.iter().any(|order| order.id == *id)));
    assert_eq!(orders.order(&reader, last.id).await?, last);
    assert_eq!(orders.history(&reader, last.id).await?.len(), 1);

    let pay = PayOrder { order_id: last.id, channel: "sandbox".to_owned() };
    refused(orders.order(&other.ctx, last.id).await, general::NOT_FOUND, &[]);
    refused(orders.history(&other.ctx, last.id).await, general::NOT_FOUND, &[]);
    refused(orders.cancel(&other.ctx, cancel(&last, None)).await, general::NOT_FOUND, &[]);
    refused(orders.pay(&keyed(&other.ctx, "pay"), pay.clone()).await, general::NOT_FOUND, &[]);
    refused(orders.order(&nobody(), last.id).await, general::NOT_FOUND, &[]);
    refused(orders.cancel(&reader, cancel(&last, None)).await, general::FORBIDDEN, &[]);
    refused(orders.all_orders(&shopper.ctx, list(None, None, 1)).await, general::FORBIDDEN, &[]);
    refused(orders.orders(&nobody(), list(None, None, 1)).await, general::UNAUTHENTICATED, &[]);
    let odd = list(None, Some("none of ours".to_owned()), 1);
    refused(orders.orders(&shopper.ctx, odd).await, general::INVALID, &["cursor"]);

    let clerk = staff(&[Permission::OrderRead, Permission::OrderWrite]);
    let cancelled = orders.cancel(&clerk, cancel(&last, Some("vergriffen 缺货"))).await?;
    assert_eq!((cancelled.state, cancelled.cancel_reason.as_deref()), (OrderState::Cancelled, Some("staff")));
    assert!(cancelled.cancelled_at.is_some());
    let history = orders.history(&shopper.ctx, last.id).await?;
    assert_eq!((history[1].actor.as_str(), history[1].from), ("staff", Some(OrderState::PendingPayment)));
    let mine = list(Some(OrderState::Cancelled), None, 100);
    assert_eq!(orders.orders(&shopper.ctx, mine).await?.items, [cancelled]);
    refused(orders.pay(&keyed(&shopper.ctx, "late"), pay).await, code::STATE, &[]);
    until(async || Ok((shop.available(plate.sku).await? == 48).then_some(()))).await
}

pub(crate) async fn a_cart_is_ordered_paid_and_given_back(shop: &Fixture) -> Result<()> {
    let orders = &shop.contracts.orders;
    let bowl = shop.goods("Bowl", usd(2_000), 5).await?;
    let shopper = shop.shopper("payer").await?;
    shop.contracts.carts.put(&shopper.ctx, bowl.line(2)).await?;
    let from_cart = PlaceOrder { items: None, ..of_items(&shopper, Vec::new()) };
    let order = orders.place(&keyed(&shopper.ctx, "cart"), from_cart).await?;
    let emptied =
        async || Ok(shop.contracts.carts.cart(&shopper.ctx, ()).await?.items.is_empty().then_some(()));
    until(emptied).await?;

    let pay = |channel: &str| PayOrder { order_id: order.id, channel: channel.to_owned() };
    refused(orders.pay(&shopper.ctx, pay("sandbox")).await, general::KEY_MISSING, &[]);
    let cash = orders.pay(&keyed(&shopper.ctx, "cash"), pay("cash")).await;
    refused(cash, payment_code::CHANNEL_UNKNOWN, &["/channel"]);
    let ctx = Ctx { idempotency_key: Some("pay".to_owned()), ..shopper.ctx.clone() };
    let payment = orders.pay(&ctx, pay("sandbox")).await?;
    assert_eq!((payment.state, payment.amount), (IntentState::Pending, order.totals.total));
    assert_eq!((payment.order_id, payment.paid_at), (order.id, None));
    assert!(payment.redirect_url.as_ref().is_some_and(|url| url.ends_with(&format!("/pay/{}", payment.id))));
    assert_eq!(orders.pay(&ctx, pay("sandbox")).await?, payment);
    let paid = shop.capture(&shopper, &payment).await?;
    assert_eq!(paid.payment_state, PaymentState::Paid);
    assert_eq!(
        (paid.payment_number.as_deref(), paid.paid_at.is_some()),
        (Some(payment.number.as_str()), true)
    );
    refused(orders.pay(&keyed(&shopper.ctx, "again"), pay("sandbox")).await, code::STATE, &[]);

    let long = cancel(&order, Some(&"ä".repeat(501)));
    refused(orders.cancel(&shopper.ctx, long).await, general::INVALID, &["/reason"]);
    let cancelled = orders.cancel(&shopper.ctx, cancel(&order, Some("anders überlegt"))).await?;
    assert_eq!(cancelled.cancel_reason.as_deref(), Some("shopper"));
    assert_eq!(orders.cancel(&shopper.ctx, cancel(&order, None)).await?.state, OrderState::Cancelled);
    let refunded = async || {
        let state = orders.order(&shopper.ctx, order.id).await?.payment_state;
        Ok((state == PaymentState::Refunded && shop.available(bowl.sku).await? == 5).then_some(()))
    };
    until(refunded).await
}
