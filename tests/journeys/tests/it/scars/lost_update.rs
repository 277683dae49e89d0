//! vendure 4152: lost updates between two changes of one order.

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use serde_json::json;
use support::{Client, Shop};

use super::unpaid::order_with_payment;
use crate::shelf::{available, fill, until};

/// Guard: `order/store.rs` saves a move only while state and version are those it was decided on. Without the version two
/// cancellations of one moment both succeed, and so may a cancellation and a payment.
#[tokio::test(flavor = "multi_thread")]
async fn changes_of_one_moment_follow_each_other() -> Result<()> {
    let shop = Shop::start().await?;
    fill(&shop)?;
    let admin = shop.admin().await?;
    let mut orders = Vec::new();
    for _ in 0..8 {
        orders.push(order_with_payment(&shop, "linen-shirt").await?);
    }
    try_join_all(orders.iter().map(|(shopper, order, payment)| {
        let admin = &admin;
        async move {
            let pay = format!("/api/v1/sandbox/payments/{payment}");
            shopper.post(&pay, &json!({"outcome": "duplicate"})).await?.expect(202)?;
            let (own, staff) =
                (format!("/api/v1/orders/{order}/cancel"), format!("/api/v1/admin/orders/{order}/cancel"));
            let cancel = |client: Client, path: String| async move {
                let answer = client.post_once(&path, &Client::key(), &json!({})).await?;
                ensure!(matches!(answer.status, 200 | 409), "{answer:?}");
                anyhow::Ok(answer.status)
            };
            // The capture comes meanwhile, by two callbacks at once.
            futures::try_join!(
                cancel(shopper.clone(), own.clone()),
                cancel(shopper.clone(), own),
                cancel(admin.clone(), staff.clone()),
                cancel(admin.clone(), staff),
            )?;
            anyhow::Ok(())
        }
    }))
    .await?;
    for (shopper, order, payment) in &orders {
        until(async || {
            let payment = admin.get(&format!("/api/v1/payments/{payment}")).await?.expect(200)?;
            let settled = payment["state"] == "cancelled" || payment["refunded"] == payment["amount"];
            Ok(settled.then_some(()))
        })
        .await?;
        let view = shopper.get(&format!("/api/v1/orders/{order}")).await?.expect(200)?;
        ensure!(view["state"] == "cancelled", "{view}");
        let history = shopper.get(&format!("/api/v1/orders/{order}/history")).await?.expect(200)?;
        let steps = history["items"].as_array().context("steps")?;
        for pair in steps.windows(2) {
            ensure!(pair[1]["from"] == pair[0]["to"], "a step began where none had led: {history}");
        }
        let cancelled =
            steps.iter().filter(|step| step["to"] == "cancelled" && step["from"] != "cancelled").count();
        ensure!(cancelled == 1, "cancelled {cancelled} times: {history}");
    }
    until(async || Ok((available(&shop, "linen-shirt").await? == 50).then_some(()))).await?;
    shop.finish().await
}
