//! Paying over the sandbox: every outcome its provider knows.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use support::{Client, Shop};

use crate::shelf::{available, fill, sku, until};

struct Pending {
    shop: Shop,
    shopper: Client,
    order: String,
    payment: String,
}

/// A shop with an order of one lamp that waits to be paid.
async fn pending(variables: &[(&str, &str)]) -> Result<Pending> {
    let mut builder = Shop::builder();
    for (name, value) in variables {
        builder = builder.set(name, value);
    }
    let shop = builder.start().await?;
    fill(&shop)?;
    let (shopper, lamp) = (shop.shopper().await?, sku(&shop, "copper-lamp").await?);
    let address = shopper.address("US").await?;
    let placed = shopper.place(&address, &lamp, 1).await?.expect(201)?;
    let order = placed["id"].as_str().context("an id")?.to_owned();
    let path = format!("/api/v1/orders/{order}/payments");
    let payment =
        shopper.post_once(&path, &Client::key(), &json!({"channel": "sandbox"})).await?.expect(201)?;
    let payment = payment["id"].as_str().context("an id")?.to_owned();
    Ok(Pending { shop, shopper, order, payment })
}

impl Pending {
    async fn simulate(&self, outcome: &str) -> Result<()> {
        let path = format!("/api/v1/sandbox/payments/{}", self.payment);
        self.shopper.post(&path, &json!({"outcome": outcome})).await?.expect(202).map(|_| ())
    }

    async fn order_when(&self, field: &str, value: &str) -> Result<Value> {
        until(async || {
            let order = self.shopper.get(&format!("/api/v1/orders/{}", self.order)).await?.expect(200)?;
            Ok((order[field] == value).then_some(order))
        })
        .await
        .with_context(|| format!("{field} = {value}"))
    }

    async fn payment_when(&self, state: &str) -> Result<Value> {
        until(async || {
            let payment =
                self.shopper.get(&format!("/api/v1/payments/{}", self.payment)).await?.expect(200)?;
            Ok((payment["state"] == state).then_some(payment))
        })
        .await
        .with_context(|| format!("payment is {state}"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_duplicate_callback_pays_once() -> Result<()> {
    let p = pending(&[]).await?;
    p.simulate("duplicate").await?;
    p.order_when("state", "paid").await?;
    ensure!(available(&p.shop, "copper-lamp").await? == 19);
    let history = p.shopper.get(&format!("/api/v1/orders/{}/history", p.order)).await?.expect(200)?;
    ensure!(history["items"].as_array().is_some_and(|steps| steps.len() == 2), "{history}");
    p.shop.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_attempt_can_be_followed_by_another() -> Result<()> {
    let p = pending(&[]).await?;
    p.simulate("fail").await?;
    p.payment_when("failed").await?;
    let path = format!("/api/v1/orders/{}/payments", p.order);
    let again =
        p.shopper.post_once(&path, &Client::key(), &json!({"channel": "sandbox"})).await?.expect(201)?;
    let path = format!("/api/v1/sandbox/payments/{}", again["id"].as_str().context("an id")?);
    p.shopper.post(&path, &json!({"outcome": "succeed"})).await?.expect(202)?;
    p.order_when("state", "paid").await?;
    p.shop.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_callback_is_found_by_asking() -> Result<()> {
    let p = pending(&[]).await?;
    p.simulate("lost").await?;
    p.order_when("state", "paid").await?;
    p.shop.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_amount_goes_to_a_person_and_pays_nothing() -> Result<()> {
    let p = pending(&[]).await?;
    p.simulate("wrong_amount").await?;
    p.payment_when("conflicted").await?;
    let order = p.order_when("payment_state", "conflicted").await?;
    ensure!(order["state"] == "pending_payment", "{order}");
    ensure!(available(&p.shop, "copper-lamp").await? == 19, "its stock stays set aside until it expires");
    p.shop.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_never_exceeds_what_was_captured() -> Result<()> {
    let p = pending(&[]).await?;
    p.simulate("succeed").await?;
    let order = p.order_when("state", "paid").await?;
    let total = order["totals"]["total"]["amount"].as_i64().context("an amount")?;
    let admin = p.shop.admin().await?;
    let path = format!("/api/v1/payments/{}/refunds", p.payment);
    let refund =
        |amount: i64| json!({"amount": {"amount": amount, "currency": "USD"}, "reason": "scratched"});
    ensure!(
        p.shopper.post_once(&path, &Client::key(), &refund(1)).await?.status == 403,
        "shoppers do not refund"
    );
    let key = Client::key();
    let first = admin.post_once(&path, &key, &refund(1_000)).await?.expect(201)?;
    ensure!(admin.post_once(&path, &key, &refund(1_000)).await?.expect(201)?["id"] == first["id"]);
    p.order_when("payment_state", "partially_refunded").await?;
    let most = futures::future::try_join_all((0..5).map(|_| {
        let (admin, path, body) = (admin.clone(), path.clone(), refund(total - 1_000));
        async move { admin.post_once(&path, &Client::key(), &body).await }
    }))
    .await?;
    ensure!(most.iter().filter(|answer| answer.status == 201).count() == 1, "{most:?}");
    for answer in most.iter().filter(|answer| answer.status != 201) {
        ensure!(answer.status == 409 && answer.code() == "payment.refund_too_large", "{answer:?}");
    }
    let order = p.order_when("payment_state", "refunded").await?;
    ensure!(order["state"] == "closed", "{order}");
    until(async || Ok((available(&p.shop, "copper-lamp").await? == 20).then_some(()))).await?;
    p.shop.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_callback_is_refused() -> Result<()> {
    let p = pending(&[]).await?;
    let guest = p.shop.guest();
    let body = json!({"type": "charge.captured", "number": "x", "amount": 1, "currency": "USD"})
        .to_string()
        .into_bytes();
    #[expect(clippy::disallowed_methods, reason = "a forger has no clock of ours")]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs().to_string();
    let headers = [
        ("Content-Type", "application/json"),
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", now.as_str()),
        ("webhook-signature", "v1,AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
    ];
    let answer = guest
        .send(reqwest::Method::POST, "/api/v1/payments/callbacks/sandbox", &headers, Some(body.clone()))
        .await?;
    ensure!(answer.status == 401 && answer.code() == "payment.signature", "{answer:?}");
    let answer =
        guest.send(reqwest::Method::POST, "/api/v1/payments/callbacks/nobody", &headers, Some(body)).await?;
    ensure!((400..500).contains(&answer.status), "{answer:?}");
    p.shop.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sandbox_obeys_the_owner_only() -> Result<()> {
    let p = pending(&[]).await?;
    let path = format!("/api/v1/sandbox/payments/{}", p.payment);
    let body = json!({"outcome": "succeed"});
    ensure!(p.shop.guest().post(&path, &body).await?.status == 401);
    ensure!(p.shop.shopper().await?.post(&path, &body).await?.status == 404);
    ensure!(p.shopper.post(&path, &json!({"outcome": "explode"})).await?.status == 422);
    p.shop.finish().await
}
