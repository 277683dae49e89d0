//! vendure 1529: replica lag gives "not found" right after creation.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use support::{Client, Shape, Shop};

use crate::shelf::{fill, sku};

/// Guard: what was created is read from the database it was written to, and the creating process drops what it had noted
/// as missing (`catalog/service.rs: forget`). Ten of each, read at once after the 201, over the entrance of a split shop.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_created_is_there_at_once() -> Result<()> {
    let shop = Shop::builder().shape(Shape::Split).start().await?;
    fill(&shop)?;
    let lamp = sku(&shop, "copper-lamp").await?;
    let admin = shop.admin().await?;
    let id = |value: &Value| value["id"].as_str().map(str::to_owned).context("an id");
    for n in 0..10 {
        let shopper = shop.shopper().await?;
        shopper.get("/api/v1/accounts/me").await?.expect(200)?;
        let address = shopper.address("US").await?;
        shopper.get(&format!("/api/v1/addresses/{address}")).await?.expect(200)?;
        let order = id(&shopper.place(&address, &lamp, 1).await?.expect(201)?)?;
        shopper.get(&format!("/api/v1/orders/{order}")).await?.expect(200)?;
        let pay = format!("/api/v1/orders/{order}/payments");
        let payment = id(&shopper
            .post_once(&pay, &Client::key(), &json!({"channel": "sandbox"}))
            .await?
            .expect(201)?)?;
        shopper.get(&format!("/api/v1/payments/{payment}")).await?.expect(200)?;

        let path = format!("/api/v1/products/new-{n}");
        ensure!(shop.guest().get(&path).await?.status == 404, "asked for before it exists");
        let product = json!({"title": "New", "slug": format!("new-{n}"), "skus": [{}]});
        let product = id(&admin.post("/api/v1/admin/products", &product).await?.expect(201)?)?;
        admin.get(&format!("/api/v1/admin/products/{product}")).await?.expect(200)?;
        admin.post(&format!("/api/v1/admin/products/{product}/publish"), &json!({})).await?.expect(200)?;
        shop.guest().get(&path).await?.expect(200)?;
        shop.guest().get(&format!("/api/v1/products/{product}")).await?.expect(200)?;
    }
    shop.finish().await
}
