//! Browse, search, cart, checkout, pay, follow the order: the whole way, in both shapes.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use support::{Client, Shape, Shop, ShopBuilder};

use crate::shelf::{available, fill, product, sku, until};

#[expect(clippy::cognitive_complexity, reason = "a story, read from top to bottom")]
pub(crate) async fn whole_way(shop: ShopBuilder) -> Result<()> {
    let shop = shop.start().await?;
    fill(&shop)?;

    // Browse.
    let guest = shop.guest();
    let tree = guest.get("/api/v1/categories").await?.expect(200)?;
    ensure!(tree.to_string().contains("Lighting"), "{tree}");
    let page = guest.get("/api/v1/products?limit=2").await?.expect(200)?;
    ensure!(
        page["items"].as_array().is_some_and(|items| items.len() == 2) && page["next_cursor"].is_string(),
        "{page}"
    );
    let lamp = product(&shop, "copper-lamp").await?;
    ensure!(lamp["skus"][0]["price"] == json!({"amount": 5_999, "currency": "USD"}), "{lamp}");
    ensure!(lamp["skus"][0]["compare_at"] == json!({"amount": 7_500, "currency": "USD"}), "{lamp}");
    ensure!(lamp["skus"][0]["available"] == 20, "{lamp}");

    // Search.
    until(async || {
        let found = guest.get("/api/v1/search?q=lamp").await?.expect(200)?;
        Ok((found["total"] == 1).then_some(()))
    })
    .await?;

    // A guest's cart, merged on login.
    let lamp_sku = sku(&shop, "copper-lamp").await?;
    let cart =
        guest.put(&format!("/api/v1/cart/items/{lamp_sku}"), &json!({"quantity": 2})).await?.expect(200)?;
    let token = cart["token"].as_str().context("a guest gets a token")?.to_owned();
    let shopper = shop.shopper().await?;
    let merged = shopper.post("/api/v1/cart/merge", &json!({"token": token})).await?.expect(200)?;
    ensure!(merged["quantity"] == 2, "{merged}");

    // Quote and order.
    let address = shopper.address("US").await?;
    let items = json!([{"sku_id": lamp_sku, "quantity": 2}]);
    let quote =
        shopper.post("/api/v1/quotes", &json!({"items": items, "address_id": address})).await?.expect(201)?;
    let placed = shopper
        .post_once(
            "/api/v1/orders",
            "first",
            &json!({"address_id": address, "quote": quote["quote"], "remark": "ring twice"}),
        )
        .await?
        .expect(201)?;
    ensure!(placed["state"] == "pending_payment" && placed["payment_state"] == "unpaid", "{placed}");
    ensure!(placed["totals"] == quote["totals"], "{placed} {quote}");
    let totals = &placed["totals"];
    let amount = |name: &str| totals[name]["amount"].as_i64().unwrap_or_default();
    ensure!(amount("subtotal") == 2 * 5_999, "{totals}");
    ensure!(
        amount("total") == amount("subtotal") - amount("discount") + amount("shipping") + amount("tax"),
        "{totals}"
    );
    ensure!(available(&shop, "copper-lamp").await? == 18, "two are held");
    until(async || {
        let cart = shopper.get("/api/v1/cart").await?.expect(200)?;
        Ok((cart["quantity"] == 0).then_some(()))
    })
    .await?;

    // Pay.
    let order = placed["id"].as_str().context("an id")?;
    let payment = shopper
        .post_once(&format!("/api/v1/orders/{order}/payments"), "pay", &json!({"channel": "sandbox"}))
        .await?
        .expect(201)?;
    ensure!(payment["state"] == "pending" && payment["redirect_url"].is_string(), "{payment}");
    let id = payment["id"].as_str().context("an id")?;
    shopper
        .post(&format!("/api/v1/sandbox/payments/{id}"), &json!({"outcome": "succeed"}))
        .await?
        .expect(202)?;
    let paid = until(async || {
        let now = shopper.get(&format!("/api/v1/orders/{order}")).await?.expect(200)?;
        Ok((now["state"] == "paid").then_some(now))
    })
    .await?;
    ensure!(paid["payment_state"] == "paid" && paid["paid_at"].is_string(), "{paid}");

    // Follow.
    let history = shopper.get(&format!("/api/v1/orders/{order}/history")).await?.expect(200)?;
    ensure!(history["items"].as_array().is_some_and(|steps| steps.len() == 2), "{history}");
    let listed = shopper.get("/api/v1/orders?state=paid").await?.expect(200)?;
    ensure!(listed["items"][0]["number"] == paid["number"], "{listed}");
    ensure!(
        shop.shopper().await?.get(&format!("/api/v1/orders/{order}")).await?.status == 404,
        "others see nothing"
    );

    // The first answer is still the first answer.
    let again = shopper
        .post_once(
            "/api/v1/orders",
            "first",
            &json!({"address_id": address, "quote": quote["quote"], "remark": "ring twice"}),
        )
        .await?
        .expect(201)?;
    ensure!(again == placed, "{again}");
    let other =
        shopper.post_once("/api/v1/orders", "first", &json!({"address_id": address, "items": items})).await?;
    ensure!(other.status == 422 && other.code() == "idempotency_key_reused", "{other:?}");

    let key = Client::key();
    let none = shopper.post_once("/api/v1/orders", &key, &json!({"address_id": address})).await?;
    ensure!(none.status == 409 && none.code() == "cart.empty", "{none:?}");
    shop.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn all_in_one() -> Result<()> {
    whole_way(Shop::builder().shape(Shape::AllInOne)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn split_into_three_process_groups() -> Result<()> {
    whole_way(Shop::builder().shape(Shape::Split)).await
}
