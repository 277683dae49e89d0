//! Payments, refunds, callbacks.

mod callbacks;

use std::slice;

use contracts::{
    Permission,
    order::OrderId,
    payment::{
        CancelPayments, IntentState, ListPayments, OpenPayment, PaymentId, RefundPayment, RefundState,
        SandboxOutcome, Simulate, code,
    },
};
use kernel::{Currency, Money, Result, Shard, code as general};

use super::{
    callers::{keyed, later, nobody, now, pages, refused, same, staff, system, until, usd},
    fixture::Fixture,
};

pub(crate) use callbacks::{
    a_callback_counts_once_however_often_it_comes, callbacks_of_strangers_are_refused,
};

fn unknown() -> PaymentId {
    PaymentId::derive(Shard::new(3), &[b"unknown"])
}

pub(crate) async fn a_payment_is_opened_once_an_order(shop: &Fixture) -> Result<()> {
    let payments = &shop.contracts.payments;
    let (_, payer) = shop.member("opener").await?;
    let (_, other) = shop.member("onlooker").await?;
    // Beyond what a floating-point number holds.
    let amount = Money::new((1 << 53) + 1, Currency::JPY);
    let open = OpenPayment {
        order_id: OrderId::derive(Shard::new(3), &[b"an order"]),
        order_number: "№ 1 – 订单".to_owned(),
        user_id: payer.user()?,
        amount,
        channel: "sandbox".to_owned(),
        expires_at: later(600),
    };
    let payment = payments.open(&system(), open.clone()).await?;
    assert_eq!((payment.amount, payment.refunded), (amount, Money::zero(Currency::JPY)));
    assert_eq!((payment.state, payment.expires_at), (IntentState::Pending, open.expires_at));
    assert!(payment.provider_number.is_some());
    assert_eq!(payments.open(&system(), open.clone()).await?, payment);
    assert_eq!(payments.payment(&payer, payment.id).await?, payment);
    assert_eq!(payments.payment(&staff(&[Permission::PaymentRead]), payment.id).await?, payment);
    assert_eq!(payments.of_order(&payer, open.order_id).await?, slice::from_ref(&payment));
    assert!(payments.of_order(&other, open.order_id).await?.is_empty());
    refused(payments.payment(&other, payment.id).await, general::NOT_FOUND, &[]);
    refused(payments.payment(&payer, unknown()).await, general::NOT_FOUND, &[]);

    let dearer = OpenPayment { amount: Money::new(i64::MAX, Currency::JPY), ..open.clone() };
    refused(payments.open(&system(), dearer).await, code::STATE, &[]);
    let nothing = OpenPayment { amount: Money::new(i64::MIN, Currency::JPY), ..open.clone() };
    refused(payments.open(&system(), nothing).await, general::INVALID, &["/amount"]);
    let cash = OpenPayment { channel: "cash".to_owned(), ..open.clone() };
    refused(payments.open(&system(), cash).await, code::CHANNEL_UNKNOWN, &["/channel"]);
    let late = OpenPayment { expires_at: now(), ..open.clone() };
    refused(payments.open(&system(), late).await, code::STATE, &[]);
    refused(payments.open(&payer, open.clone()).await, general::FORBIDDEN, &[]);
    refused(payments.open(&nobody(), open.clone()).await, general::UNAUTHENTICATED, &[]);

    let cancel = CancelPayments { order_id: open.order_id, reason: "nicht mehr nötig".to_owned() };
    refused(payments.cancel_order(&payer, cancel.clone()).await, general::FORBIDDEN, &[]);
    payments.cancel_order(&system(), cancel.clone()).await?;
    payments.cancel_order(&system(), cancel.clone()).await?;
    let ended = payments.payment(&payer, payment.id).await?;
    assert_eq!((ended.state, ended.redirect_url), (IntentState::Cancelled, None));
    assert_eq!(ended.reason.as_deref(), Some("nicht mehr nötig"));
    let never = CancelPayments { order_id: OrderId::derive(Shard::new(3), &[b"never"]), ..cancel };
    payments.cancel_order(&system(), never).await
}

pub(crate) async fn the_payer_makes_the_sandbox_answer(shop: &Fixture) -> Result<()> {
    let payments = &shop.contracts.payments;
    let tea = shop.goods("Tea", usd(1_000), 9).await?;
    let (shopper, other) = (shop.shopper("simulator").await?, shop.shopper("intruder").await?);
    let order = shop.order(&shopper, vec![tea.line(1)], "simulated").await?;
    let payment = shop.pay(&shopper, &order).await?;
    let fail = Simulate { payment_id: payment.id, outcome: SandboxOutcome::Fail };
    refused(payments.simulate(&other.ctx, fail).await, general::NOT_FOUND, &[]);
    refused(payments.simulate(&nobody(), fail).await, general::UNAUTHENTICATED, &[]);
    let nothing = Simulate { payment_id: unknown(), ..fail };
    refused(payments.simulate(&shopper.ctx, nothing).await, general::NOT_FOUND, &[]);
    payments.simulate(&shopper.ctx, fail).await?;
    let failed = until(async || {
        let seen = payments.payment(&shopper.ctx, payment.id).await?;
        Ok((seen.state == IntentState::Failed).then_some(seen))
    });
    assert_eq!(failed.await?.reason.as_deref(), Some("declined by the payer's bank"));
    refused(payments.simulate(&shopper.ctx, fail).await, code::STATE, &[]);
    Ok(())
}

pub(crate) async fn money_goes_back_once_a_key(shop: &Fixture) -> Result<()> {
    let payments = &shop.contracts.payments;
    let pot = shop.goods("Pot", usd(2_000), 9).await?;
    let (shopper, other) = (shop.shopper("refunded").await?, shop.shopper("envious").await?);
    let order = shop.order(&shopper, vec![pot.line(2)], "refunded").await?;
    let payment = shop.pay(&shopper, &order).await?;
    let clerk = staff(&[Permission::PaymentRead, Permission::PaymentRefund]);
    let back = |amount: Option<i64>| RefundPayment {
        payment_id: payment.id,
        amount: amount.map(usd),
        reason: "Sprung in der Schüssel 碗".to_owned(),
    };
    let early = payments.refund(&keyed(&clerk, "early"), back(None)).await;
    refused(early, code::STATE, &[]);
    shop.capture(&shopper, &payment).await?;
    assert!(payments.refunds(&shopper.ctx, payment.id).await?.is_empty());

    let ctx = keyed(&clerk, "part");
    let part = payments.refund(&ctx, back(Some(1_000))).await?;
    assert_eq!((part.payment_id, part.amount, part.state), (payment.id, usd(1_000), RefundState::Pending));
    assert_eq!(payments.refund(&ctx, back(Some(1_000))).await?, part);
    refused(payments.refund(&ctx, back(Some(1_001))).await, general::KEY_REUSED, &[]);
    refused(payments.refund(&clerk, back(None)).await, general::KEY_MISSING, &[]);
    for amount in [order.totals.total.amount, (1 << 53) + 1, i64::MAX] {
        let large = payments.refund(&keyed(&clerk, &amount.to_string()), back(Some(amount))).await;
        refused(large, code::REFUND_TOO_LARGE, &[]);
    }
    let ctx = keyed(&clerk, "odd");
    refused(payments.refund(&ctx, back(Some(0))).await, general::INVALID, &["/amount/amount"]);
    let unreasoned = RefundPayment { reason: " ".to_owned(), ..back(None) };
    refused(payments.refund(&ctx, unreasoned).await, general::INVALID, &["/reason"]);
    let foreign = RefundPayment { amount: Some(Money::new(1, Currency::JPY)), ..back(None) };
    refused(payments.refund(&ctx, foreign).await, general::INVALID, &["/amount/currency"]);
    let nothing = RefundPayment { payment_id: unknown(), ..back(None) };
    refused(payments.refund(&ctx, nothing).await, general::NOT_FOUND, &[]);
    refused(payments.refund(&shopper.ctx, back(None)).await, general::FORBIDDEN, &[]);
    refused(payments.refund(&nobody(), back(None)).await, general::UNAUTHENTICATED, &[]);

    let rest = payments.refund(&keyed(&clerk, "rest"), back(None)).await?;
    assert_eq!(rest.amount, usd(order.totals.total.amount - 1_000));
    until(async || {
        let refunds = payments.refunds(&shopper.ctx, payment.id).await?;
        Ok((refunds.len() == 2 && refunds.iter().all(|it| it.state == RefundState::Succeeded)).then_some(()))
    })
    .await?;
    same(&payments.refunds(&clerk, payment.id).await?, &payments.refunds(&shopper.ctx, payment.id).await?);
    refused(payments.refunds(&other.ctx, payment.id).await, general::NOT_FOUND, &[]);
    assert_eq!(payments.payment(&clerk, payment.id).await?.refunded, order.totals.total);
    Ok(())
}

pub(crate) async fn payments_are_listed_for_staff(shop: &Fixture) -> Result<()> {
    let payments = &shop.contracts.payments;
    let (_, payer) = shop.member("listed").await?;
    let mut ids = Vec::new();
    for n in ["1", "2", "3"] {
        let open = OpenPayment {
            order_id: OrderId::derive(Shard::new(4), &[b"listed", n.as_bytes()]),
            order_number: n.to_owned(),
            user_id: payer.user()?,
            amount: usd(1),
            channel: "sandbox".to_owned(),
            expires_at: later(600),
        };
        ids.push(payments.open(&system(), open).await?.id);
    }
    let reader = staff(&[Permission::PaymentRead]);
    let list = |state, cursor, limit| ListPayments { state, cursor, limit: Some(limit) };
    let found =
        pages(async |cursor| payments.payments(&reader, list(Some(IntentState::Pending), cursor, 1)).await);
    let found = found.await?.concat();
    assert!(found.is_sorted_by_key(|payment| std::cmp::Reverse((payment.created_at, payment.id))));
    assert!(ids.iter().all(|id| found.iter().any(|payment| payment.id == *id)));
    assert!(found.iter().all(|payment| payment.state == IntentState::Pending));
    refused(payments.payments(&reader, list(None, None, 101)).await, general::INVALID, &["limit"]);
    let odd = list(None, Some("none of ours".to_owned()), 1);
    refused(payments.payments(&reader, odd).await, general::INVALID, &["cursor"]);
    refused(payments.payments(&payer, list(None, None, 1)).await, general::FORBIDDEN, &[]);
    refused(payments.payments(&nobody(), list(None, None, 1)).await, general::UNAUTHENTICATED, &[]);
    Ok(())
}
