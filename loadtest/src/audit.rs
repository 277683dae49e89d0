//! Whether what clients were told is true.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Result, ensure};
use support::{Client, Shop};

use crate::{
    catalog::{UNITS, on_hand},
    traffic::Traffic,
};

/// Every acknowledged order is there, whichever entrance is asked, and is its key's only one; the paid ones are settled, and
/// stock = initial − sold. Waits for what settles in the background.
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
