//! Whether what clients were told is true.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use support::{Client, Shop};

use crate::{
    catalog::{UNITS, on_hand},
    traffic::{Known, Traffic},
};

/// Every acknowledged order is there, whichever entrance is asked, and is its key's only one; the paid ones are settled and
/// were paid once, the others never; stock = initial − sold. Waits for what settles in the background.
pub(crate) async fn check(shop: &Shop, traffic: &Traffic) -> Result<()> {
    let known = traffic.known();
    let orders = known.len();
    let paid = known.values().filter(|order| order.paid).count();
    let admin = shop.admin().await?;
    // Payments settle in the background.
    let mut settled = 0;
    for _ in 0..600 {
        settled = list(&admin, "/api/v1/admin/orders?state=paid").await?.len();
        if settled == paid {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    ensure!(settled == paid, "{paid} orders were paid, {settled} are settled");
    let mut stored = 0;
    for buyer in &traffic.buyers {
        stored += list(&buyer.client, "/api/v1/orders").await?.len();
    }
    let distinct: BTreeSet<&str> = known.values().map(|known| known.order.as_str()).collect();
    ensure!(distinct.len() == orders, "{orders} keys were answered with {} orders", distinct.len());
    ensure!(stored == orders, "{orders} orders were acknowledged, {stored} are stored");
    for entrance in shop.entrances() {
        let admin = admin.clone().at(entrance);
        for order in &distinct {
            admin.get(&format!("/api/v1/admin/orders/{order}")).await?.expect(200)?;
        }
    }
    paid_once(&admin, known.values()).await?;
    let usual: Vec<&Known> = known.values().filter(|known| traffic.skus.contains(&known.sku)).collect();
    let (orders, paid) = (usual.len(), usual.iter().filter(|known| known.paid).count());
    let (mut on_hand_in_all, mut reserved_in_all) = (0, 0);
    for sku in &traffic.skus {
        let (here, reserved) = on_hand(&admin, sku).await?;
        on_hand_in_all += here;
        reserved_in_all += reserved;
    }
    let initial = UNITS * i64::try_from(traffic.skus.len())?;
    ensure!(
        on_hand_in_all == initial - i64::try_from(paid)?,
        "stock {on_hand_in_all} = {initial} - {paid} paid"
    );
    ensure!(
        reserved_in_all >= i64::try_from(orders - paid)?,
        "{reserved_in_all} units are held for unpaid orders"
    );
    Ok(())
}

/// Nobody paid twice: of the payments of a paid order one succeeded, of another order none did, and nothing went back. (That
/// what was captured is what was asked for, the online audit holds.)
async fn paid_once(admin: &Client, known: impl Iterator<Item = &Known>) -> Result<()> {
    let mut payments = BTreeMap::<String, usize>::new();
    for payment in list(admin, "/api/v1/admin/payments").await? {
        let order = payment["order_id"].as_str().context("a payment has an order")?;
        ensure!(payment["state"] != "conflicted", "a payment is conflicted: {payment}");
        ensure!(payment["refunded"]["amount"] == 0, "a payment went back: {payment}");
        if payment["state"] == "succeeded" {
            *payments.entry(order.to_owned()).or_default() += 1;
        }
    }
    for Known { order, paid, .. } in known {
        let times = payments.get(order).copied().unwrap_or_default();
        ensure!(times == usize::from(*paid), "{order} was paid {times} times");
    }
    Ok(())
}

/// A limited offer was not oversold: `units` there were, no more were acknowledged, and what is left is what was not paid
/// for. How many were sold, and how often a buyer heard that none is left.
pub(crate) async fn not_oversold(
    shop: &Shop,
    traffic: &Traffic,
    sku: &str,
    units: i64,
) -> Result<(i64, usize)> {
    let known = traffic.known();
    let its = || known.values().filter(|known| known.sku == sku);
    let (sold, paid) =
        (i64::try_from(its().count())?, i64::try_from(its().filter(|known| known.paid).count())?);
    ensure!(sold <= units, "{sold} of {units} units of {sku} were sold");
    let (on_hand, reserved) = on_hand(&shop.admin().await?, sku).await?;
    ensure!(on_hand == units - paid, "{on_hand} units of {sku} are left of {units}, {paid} were paid");
    ensure!(
        reserved >= sold - paid && reserved <= on_hand,
        "{reserved} units of {sku} are held: {on_hand} are left, {sold} were sold and {paid} paid"
    );
    Ok((sold, traffic.sold_out(sku)))
}

/// All items of a list, page by page.
async fn list(client: &Client, path: &str) -> Result<Vec<serde_json::Value>> {
    let mut items = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let joint = if path.contains('?') { '&' } else { '?' };
        let next = cursor.as_ref().map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page = client.get(&format!("{path}{joint}limit=100{next}")).await?.expect(200)?;
        items.extend(page["items"].as_array().cloned().unwrap_or_default());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = Some(next.to_owned()),
            None => return Ok(items),
        }
    }
}
