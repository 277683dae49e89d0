//! After placing: payments, cancellations and expiry, in any order, cut off anywhere, at the same time.

use std::{sync::Arc, time::Duration};

use contracts::{
    Ctx,
    inventory::HoldState,
    order::{
        CancelOrder, OrderCancelled, OrderState, OrderView, Orders, PayOrder, PaymentState, PlaceOrder, code,
    },
    payment::{PaymentCaptured, PaymentConflicted, PaymentRefunded, RefundId},
};
use kernel::{Money, Result, Shard};

use crate::{
    OrderService,
    testing::{Cut, Shop, address_id, item, request, shop, system, user},
};

fn shopper(key: &str) -> Ctx {
    request(user(1), key)
}

async fn placed(shop: &Shop) -> OrderView {
    let command = PlaceOrder {
        address_id: address_id(),
        items: Some(vec![item(1, 4), item(2, 1)]),
        quote: None,
        remark: None,
    };
    shop.service.place(&shopper("place"), command).await.unwrap()
}

async fn captured(shop: &Shop, order: &OrderView, key: &str) -> PaymentCaptured {
    let pay = PayOrder { order_id: order.id, channel: "sandbox".to_owned() };
    let payment = shop.service.pay(&shopper(key), pay).await.unwrap();
    assert_eq!(payment.amount, order.totals.total, "the amount is the order's");
    shop.world.capture(payment.id)
}

async fn seen(shop: &Shop, order: &OrderView) -> OrderView {
    shop.service.order(&shopper("see"), order.id).await.unwrap()
}

async fn cancel(service: &OrderService, order: &OrderView) -> Result<OrderView> {
    service.cancel(&shopper("cancel"), CancelOrder { order_id: order.id, reason: None }).await
}

fn cancelled_event(order: &OrderView) -> OrderCancelled {
    OrderCancelled { order_id: order.id, user_id: user(1), reason: String::new(), was_paid: false }
}

async fn expire(shop: &Shop) -> u64 {
    shop.service.expire_shard(Shard::new(3), || false).await.unwrap()
}

/// Delivers what the bus would, until it is taken: the cancellation, where there is one, and the capture.
async fn deliver(shop: &Shop, order: &OrderView, event: &PaymentCaptured) {
    for _ in 0..2 {
        shop.service.captured(&system(), event).await.unwrap();
        if shop.events("order.cancelled.v1").await > 0 {
            shop.service.unwind(&system(), &cancelled_event(order)).await.unwrap();
        }
    }
}

/// However it came about: goods and money agree.
async fn agrees(shop: &Shop, order: &OrderView, story: &str) -> OrderView {
    let row = shop.service.known(order.id).await.unwrap().unwrap();
    let (captured, refunded) = shop.world.money(order.id);
    let (confirmed, reserved) =
        (shop.world.holds(HoldState::Confirmed), shop.world.holds(HoldState::Reserved));
    let sold = shop.events("order.paid.v1").await;
    if row.state == OrderState::Paid {
        assert_eq!(captured - refunded, order.totals.total.amount, "{story}: paid once");
        assert_eq!((confirmed, reserved), (1, 0), "{story}");
        assert_eq!(
            shop.world.hold_of(row.hold_id),
            Some(HoldState::Confirmed),
            "{story}: the order knows its hold"
        );
        assert_eq!((shop.world.stock(1), shop.world.stock(2)), (6, 9), "{story}");
        assert_eq!(sold, 1, "{story}");
    } else {
        assert_eq!(captured, refunded, "{story}: all money is back");
        assert_eq!((confirmed, reserved), (0, 0), "{story}: all stock is back");
        assert!(sold <= 1, "{story}");
    }
    row.view()
}

#[tokio::test]
async fn captured_money_pays_the_order_once() {
    let shop = shop().await;
    let order = placed(&shop).await;
    let event = captured(&shop, &order, "pay").await;
    for _ in 0..3 {
        shop.service.captured(&system(), &event).await.unwrap();
    }
    let paid = agrees(&shop, &order, "captured").await;
    assert_eq!((paid.state, paid.payment_state), (OrderState::Paid, PaymentState::Paid));
    assert_eq!(paid.payment_number, Some(event.number.clone()));
    let history = shop.service.history(&shopper("x"), order.id).await.unwrap();
    assert_eq!(
        history.iter().map(|step| step.to).collect::<Vec<_>>(),
        [OrderState::PendingPayment, OrderState::Paid]
    );
    let again = shop
        .service
        .pay(&shopper("other"), PayOrder { order_id: order.id, channel: "sandbox".to_owned() })
        .await;
    assert!(again.unwrap_err().is(code::STATE));
}

#[tokio::test]
async fn every_call_of_every_story_cut_off_and_the_event_delivered_again() {
    // (the hold is lost before, the stock too, the order is cancelled before, expired before)
    let stories = [
        (false, false, false, false),
        (true, false, false, false),
        (true, true, false, false),
        (false, false, true, false),
        (false, false, false, true),
        (true, true, false, true),
    ];
    for story in stories {
        for cut in [Cut::Before, Cut::After] {
            for n in 0..30 {
                let shop = shop().await;
                let order = placed(&shop).await;
                let event = captured(&shop, &order, "pay").await;
                let (lose, sell, cancelled, expired) = story;
                if cancelled {
                    cancel(&shop.service, &order).await.unwrap();
                }
                if expired {
                    shop.clock.advance(Duration::from_secs(1_801));
                    assert_eq!(expire(&shop).await, 1);
                    shop.service.unwind(&system(), &cancelled_event(&order)).await.unwrap();
                }
                if lose {
                    shop.world.lose_hold(shop.service.known(order.id).await.unwrap().unwrap().hold_id);
                }
                if sell {
                    shop.world.set_stock(1, 0);
                }
                shop.world.cut(n, cut);
                let first = shop.service.captured(&system(), &event).await;
                let happened = shop.world.happened();
                assert_eq!(first.is_err(), happened, "{story:?} {cut:?} {n}");
                deliver(&shop, &order, &event).await;
                if sell {
                    // Somebody else has it; what comes back of ours is ours only.
                    assert!(shop.world.stock(1) <= 4);
                }
                let after = agrees(&shop, &order, &format!("{story:?} {cut:?} {n}")).await;
                let expected = if sell || cancelled { OrderState::Cancelled } else { OrderState::Paid };
                assert_eq!(after.state, expected, "{story:?} {cut:?} {n}");
                if sell {
                    assert_eq!(after.cancel_reason.as_deref(), Some("out_of_stock"));
                }
                if !happened {
                    break;
                }
                assert!(n < 29, "the story has an end");
            }
        }
    }
}

#[tokio::test]
async fn anything_at_the_same_time_as_a_capture() {
    type Meanwhile =
        fn(Arc<OrderService>, OrderView, PaymentCaptured) -> futures::future::BoxFuture<'static, ()>;
    let meanwhile: [(&str, Meanwhile); 4] = [
        ("the shopper cancels", |service, order, _| {
            Box::pin(async move {
                cancel(&service, &order).await.unwrap();
            })
        }),
        ("the shopper cancels and it is unwound", |service, order, _| {
            Box::pin(async move {
                cancel(&service, &order).await.unwrap();
                service.unwind(&system(), &cancelled_event(&order)).await.unwrap();
            })
        }),
        ("it expires and is unwound", |service, order, _| {
            Box::pin(async move {
                service.expire_shard(Shard::new(3), || false).await.unwrap();
                service.unwind(&system(), &cancelled_event(&order)).await.unwrap();
            })
        }),
        ("a twin takes the same event", |service, _, event| {
            Box::pin(async move { service.captured(&system(), &event).await.unwrap() })
        }),
    ];
    for lost in [false, true] {
        for (story, happens) in meanwhile {
            for n in 0..30 {
                let shop = shop().await;
                let order = placed(&shop).await;
                let event = captured(&shop, &order, "pay").await;
                if lost {
                    shop.world.lose_hold(shop.service.known(order.id).await.unwrap().unwrap().hold_id);
                }
                // Due, so that expiry may come in between; the hold still stands for its grace.
                shop.clock.advance(Duration::from_secs(1_801));
                let (service, other, same) = (shop.service.clone(), order.clone(), event.clone());
                shop.world.between(n, Box::new(move || happens(service, other, same)));
                shop.service.captured(&system(), &event).await.unwrap();
                let happened = shop.world.happened();
                deliver(&shop, &order, &event).await;
                agrees(&shop, &order, &format!("{story}, hold lost {lost}, after call {n}")).await;
                if !happened {
                    break;
                }
                assert!(n < 29, "the story has an end");
            }
        }
    }
}

#[tokio::test]
async fn a_second_payment_goes_back() {
    let shop = shop().await;
    let order = placed(&shop).await;
    let (first, second) = (captured(&shop, &order, "pay").await, captured(&shop, &order, "pay again").await);
    assert_ne!(first.payment_id, second.payment_id);
    shop.service.captured(&system(), &first).await.unwrap();
    for _ in 0..2 {
        shop.service.captured(&system(), &second).await.unwrap();
        shop.service.captured(&system(), &first).await.unwrap();
    }
    agrees(&shop, &order, "two payments").await;
    // Its refund is not the order's.
    let refund = refund_of(&shop, &second, order.totals.total);
    shop.service.refunded(&system(), &refund).await.unwrap();
    assert_eq!(seen(&shop, &order).await.payment_state, PaymentState::Paid);
}

/// So much of a payment went back.
fn refund_of(shop: &Shop, event: &PaymentCaptured, in_all: Money) -> PaymentRefunded {
    shop.world.set_money(event.payment_id, event.amount.amount, in_all.amount);
    PaymentRefunded {
        payment_id: event.payment_id,
        order_id: event.order_id,
        refund_id: RefundId::derive(Shard::new(3), &[b"refund"]),
        amount: in_all,
        refunded_in_all: in_all,
        captured: event.amount,
    }
}

#[tokio::test]
async fn a_paid_order_that_is_cancelled_gives_money_and_stock_back() {
    let shop = shop().await;
    let order = placed(&shop).await;
    let event = captured(&shop, &order, "pay").await;
    shop.service.captured(&system(), &event).await.unwrap();
    let cancelled = cancel(&shop.service, &order).await.unwrap();
    assert_eq!(
        (cancelled.state, cancelled.cancel_reason.as_deref()),
        (OrderState::Cancelled, Some("shopper"))
    );
    assert_eq!(cancel(&shop.service, &order).await.unwrap(), cancelled, "again is harmless");
    for n in 0..3 {
        shop.world.cut(n, Cut::After);
        let _ = shop.service.unwind(&system(), &cancelled_event(&order)).await;
        shop.world.happened();
    }
    deliver(&shop, &order, &event).await;
    agrees(&shop, &order, "cancelled after it was paid").await;
    shop.service.refunded(&system(), &refund_of(&shop, &event, order.totals.total)).await.unwrap();
    let after = seen(&shop, &order).await;
    assert_eq!((after.state, after.payment_state), (OrderState::Cancelled, PaymentState::Refunded));
    assert_eq!(shop.events("order.cancelled.v1").await, 1);
}

#[tokio::test]
async fn a_paid_order_refunded_whole_is_closed_and_its_stock_goes_back() {
    for n in 0..3 {
        let shop = shop().await;
        let order = placed(&shop).await;
        let event = captured(&shop, &order, "pay").await;
        shop.service.captured(&system(), &event).await.unwrap();
        let half = Money::new(1_000, order.totals.total.currency);
        shop.service.refunded(&system(), &refund_of(&shop, &event, half)).await.unwrap();
        assert_eq!(seen(&shop, &order).await.payment_state, PaymentState::PartiallyRefunded);
        let whole = refund_of(&shop, &event, order.totals.total);
        shop.world.cut(n, Cut::Before);
        let first = shop.service.refunded(&system(), &whole).await;
        assert_eq!(first.is_err(), n < 2, "the payment is asked, and the stock goes back");
        shop.world.happened();
        shop.service.refunded(&system(), &whole).await.unwrap();
        let after = seen(&shop, &order).await;
        assert_eq!((after.state, after.payment_state), (OrderState::Closed, PaymentState::Refunded));
        assert_eq!((shop.world.stock(1), shop.world.holds(HoldState::Confirmed)), (10, 0));
        assert!(cancel(&shop.service, &order).await.unwrap_err().is(code::STATE));
    }
}

/// What came too late or twice: wrong money went back, and then the order was paid by the same payment.
#[tokio::test]
async fn what_is_told_of_money_before_changes_nothing() {
    let shop = shop().await;
    let order = placed(&shop).await;
    let right = captured(&shop, &order, "pay").await;
    for wrong in [right.amount.amount + 1, 500] {
        shop.world.set_money(right.payment_id, wrong, 0);
        let wrong = PaymentCaptured { amount: Money::new(wrong, right.amount.currency), ..right.clone() };
        let conflicted = PaymentConflicted {
            payment_id: right.payment_id,
            order_id: order.id,
            reason: "another amount".to_owned(),
        };
        shop.service.conflicted(&system(), &conflicted).await.unwrap();
        assert_eq!(seen(&shop, &order).await.payment_state, PaymentState::Conflicted);
        let back = refund_of(&shop, &wrong, wrong.amount);
        shop.service.refunded(&system(), &back).await.unwrap();
        assert_eq!(seen(&shop, &order).await.payment_state, PaymentState::Unpaid);
        // All of it is back; then the payment begins anew.
        shop.service.conflicted(&system(), &conflicted).await.unwrap();
        shop.world.set_money(right.payment_id, 0, 0);
        shop.service.conflicted(&system(), &conflicted).await.unwrap();
        assert_eq!(seen(&shop, &order).await.payment_state, PaymentState::Unpaid);
        // The same again, while other money waits for a person.
        shop.world.set_money(right.payment_id, 700, 0);
        shop.service.conflicted(&system(), &conflicted).await.unwrap();
        shop.service.refunded(&system(), &back).await.unwrap();
        assert_eq!(seen(&shop, &order).await.payment_state, PaymentState::Conflicted);
        let seven = Money::new(700, right.amount.currency);
        let other = PaymentCaptured { amount: seven, ..right.clone() };
        shop.service.refunded(&system(), &refund_of(&shop, &other, seven)).await.unwrap();
        assert_eq!(seen(&shop, &order).await.payment_state, PaymentState::Unpaid);
    }
    let before = PaymentCaptured { amount: Money::new(500, right.amount.currency), ..right.clone() };
    let before = refund_of(&shop, &before, before.amount);
    shop.world.set_money(right.payment_id, 0, 0);
    shop.service.captured(&system(), &shop.world.capture(right.payment_id)).await.unwrap();
    for refunded in [0, 600] {
        shop.world.set_money(right.payment_id, right.amount.amount, refunded);
        shop.service.refunded(&system(), &before).await.unwrap();
        let after = seen(&shop, &order).await;
        assert_eq!((after.state, after.payment_state), (OrderState::Paid, PaymentState::Paid));
    }
    assert_eq!(shop.world.holds(HoldState::Confirmed), 1);
}

#[tokio::test]
async fn money_that_is_back_already_pays_nothing() {
    for expired in [false, true] {
        let shop = shop().await;
        let order = placed(&shop).await;
        let event = captured(&shop, &order, "pay").await;
        shop.service.refunded(&system(), &refund_of(&shop, &event, event.amount)).await.unwrap();
        if expired {
            shop.clock.advance(Duration::from_secs(1_801));
            assert_eq!(expire(&shop).await, 1);
        }
        // It failed too often, and a person has it tried again.
        shop.service.captured(&system(), &event).await.unwrap();
        let expected = if expired { OrderState::Cancelled } else { OrderState::PendingPayment };
        assert_eq!(seen(&shop, &order).await.state, expected);
        assert_eq!((shop.events("order.paid.v1").await, shop.world.holds(HoldState::Confirmed)), (0, 0));
    }
}

#[tokio::test]
async fn money_does_not_wait_for_stock_that_cannot_go_back() {
    let shop = shop().await;
    let order = placed(&shop).await;
    let event = captured(&shop, &order, "pay").await;
    shop.service.captured(&system(), &event).await.unwrap();
    cancel(&shop.service, &order).await.unwrap();
    shop.world.cut(0, Cut::Before);
    let unwound = shop.service.unwind(&system(), &cancelled_event(&order)).await;
    assert!(unwound.is_err(), "the stock is still to go back");
    let (captured, refunded) = shop.world.money(order.id);
    assert_eq!((captured, refunded), (order.totals.total.amount, order.totals.total.amount));
    deliver(&shop, &order, &event).await;
    agrees(&shop, &order, "the stock went back later").await;
}

#[tokio::test]
async fn another_amount_waits_for_a_person() {
    let shop = shop().await;
    let order = placed(&shop).await;
    let right = captured(&shop, &order, "pay").await;
    let wrong = PaymentCaptured { amount: Money::new(1, right.amount.currency), ..right.clone() };
    for _ in 0..2 {
        shop.service.captured(&system(), &wrong).await.unwrap();
    }
    let after = seen(&shop, &order).await;
    assert_eq!((after.state, after.payment_state), (OrderState::PendingPayment, PaymentState::Conflicted));
    assert_eq!(shop.events("order.paid.v1").await, 0);
    assert_eq!(shop.service.history(&shopper("x"), order.id).await.unwrap().len(), 2);
}

#[tokio::test]
async fn an_order_expires_in_time_and_only_then() {
    let shop = shop().await;
    let order = placed(&shop).await;
    shop.clock.advance(Duration::from_secs(1_799));
    assert_eq!(expire(&shop).await, 0);
    shop.clock.advance(Duration::from_secs(1));
    let pay = || PayOrder { order_id: order.id, channel: "sandbox".to_owned() };
    assert!(
        shop.service.pay(&shopper("late"), pay()).await.unwrap_err().is(code::EXPIRED),
        "due but not yet swept"
    );
    assert_eq!((expire(&shop).await, expire(&shop).await), (1, 0));
    for _ in 0..2 {
        shop.service.unwind(&system(), &cancelled_event(&order)).await.unwrap();
    }
    let after = seen(&shop, &order).await;
    assert_eq!((after.state, after.cancel_reason.as_deref()), (OrderState::Cancelled, Some("expired")));
    assert_eq!((shop.world.stock(1), shop.world.holds(HoldState::Released)), (10, 1));
    assert!(shop.service.pay(&shopper("later"), pay()).await.unwrap_err().is(code::EXPIRED));
    assert_eq!(shop.events("order.cancelled.v1").await, 1);
}

#[tokio::test]
async fn a_late_payment_revives_an_expired_order_for_a_day_and_goes_back_after_that() {
    for (days, state) in [(0, OrderState::Paid), (2, OrderState::Cancelled)] {
        let shop = shop().await;
        let order = placed(&shop).await;
        let event = captured(&shop, &order, "pay").await;
        shop.clock.advance(Duration::from_secs(1_801));
        expire(&shop).await;
        shop.service.unwind(&system(), &cancelled_event(&order)).await.unwrap();
        shop.clock.advance(Duration::from_secs(days * 86_400));
        deliver(&shop, &order, &event).await;
        let after = agrees(&shop, &order, "late").await;
        assert_eq!(after.state, state);
        assert_eq!(after.cancelled_at.is_some(), state == OrderState::Cancelled);
    }
}

#[tokio::test]
async fn more_orders_than_a_batch_expire() {
    let shop = shop().await;
    for n in 0..10_u8 {
        let command =
            PlaceOrder { address_id: address_id(), items: Some(vec![item(n, 1)]), quote: None, remark: None };
        shop.service.place(&shopper(&n.to_string()), command).await.unwrap();
    }
    shop.clock.advance(Duration::from_secs(3_600));
    let config = crate::OrderConfig { expire_batch: 3, ..crate::OrderConfig::default() };
    let small = OrderService::new(
        shop.db.clone(),
        shop.service.pricing.clone(),
        shop.service.inventory.clone(),
        shop.service.payments.clone(),
        shop.service.accounts.clone(),
        shop.service.carts.clone(),
        config,
    )
    .unwrap();
    assert_eq!(small.expire_shard(Shard::new(3), || false).await.unwrap(), 10);
    assert_eq!(shop.events("order.cancelled.v1").await, 10);
}

#[tokio::test]
async fn the_same_key_opens_the_same_payment() {
    let shop = shop().await;
    let order = placed(&shop).await;
    let pay = |channel: &str| PayOrder { order_id: order.id, channel: channel.to_owned() };
    let first = shop.service.pay(&shopper("p"), pay("sandbox")).await.unwrap();
    assert_eq!(shop.service.pay(&shopper("p"), pay("sandbox")).await.unwrap(), first);
    assert!(shop.service.pay(&shopper("p"), pay("other")).await.unwrap_err().is(kernel::code::KEY_REUSED));
    let stranger = request(user(2), "p");
    assert_eq!(shop.service.pay(&stranger, pay("sandbox")).await.unwrap_err().status(), 404);
    let mut keyless = shopper("p");
    keyless.idempotency_key = None;
    assert!(shop.service.pay(&keyless, pay("sandbox")).await.unwrap_err().is(kernel::code::KEY_MISSING));
}
