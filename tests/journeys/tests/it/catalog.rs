//! The catalog, as staff write it and shoppers see it.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use support::Shop;

use crate::shelf::{fill, product};

#[tokio::test(flavor = "multi_thread")]
async fn a_product_goes_from_draft_to_the_shelf_and_back() -> Result<()> {
    let shop = Shop::start().await?;
    let (admin, guest) = (shop.admin().await?, shop.guest());
    let input = json!({"title": "Oak Bench", "brand": "Hollis", "description": "<p onclick=\"x()\">Sit.</p>", "skus": [{"code": "BENCH"}]});
    let draft = admin.post("/api/v1/admin/products", &input).await?.expect(201)?;
    let id = draft["id"].as_str().context("an id")?;
    ensure!(
        draft["state"] == "draft" && !draft["description"].as_str().unwrap_or_default().contains("onclick"),
        "{draft}"
    );
    ensure!(guest.get("/api/v1/products/oak-bench").await?.status == 404, "drafts are not shown");
    let publish = admin.post(&format!("/api/v1/admin/products/{id}/publish"), &json!({})).await?;
    ensure!(publish.status == 200, "{publish:?}");
    crate::shelf::until(async || {
        Ok((guest.get("/api/v1/products/oak-bench").await?.status == 200).then_some(()))
    })
    .await?;
    ensure!(admin.post(&format!("/api/v1/admin/products/{id}/unshelve"), &json!({})).await?.status == 200);
    crate::shelf::until(async || {
        Ok((guest.get("/api/v1/products/oak-bench").await?.status == 404).then_some(()))
    })
    .await?;
    let taken = json!({"title": "Another", "slug": "oak-bench", "skus": [{}]});
    let answer = admin.post("/api/v1/admin/products", &taken).await?;
    ensure!(answer.status == 409 && answer.code() == "catalog.slug_taken", "{answer:?}");
    shop.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_from_an_old_copy_is_refused() -> Result<()> {
    let shop = Shop::start().await?;
    fill(&shop)?;
    let admin = shop.admin().await?;
    let id = product(&shop, "copper-lamp").await?["id"].as_str().context("an id")?.to_owned();
    let path = format!("/api/v1/admin/products/{id}");
    let answer = admin.get(&path).await?;
    let etag = answer.header("etag").context("an ETag")?.to_owned();
    let input = json!({"title": "Copper Lamp II", "slug": "copper-lamp-ii", "skus": [{"code": "LAMP"}]})
        .to_string()
        .into_bytes();
    let headers = [("Content-Type", "application/json"), ("If-Match", etag.as_str())];
    let put = async || admin.send(reqwest::Method::PUT, &path, &headers, Some(input.clone())).await;
    ensure!(put().await?.status == 200);
    let stale = put().await?;
    ensure!(stale.status == 412 && stale.code() == "request.precondition_failed", "{stale:?}");
    crate::shelf::until(async || {
        let old = shop.guest().get("/api/v1/products/copper-lamp").await?;
        // The old address still finds it: as a redirect or directly.
        Ok((old.status == 200 || (300..400).contains(&old.status)).then_some(()))
    })
    .await?;
    shop.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_category_is_never_moved_below_itself() -> Result<()> {
    let shop = Shop::start().await?;
    let admin = shop.admin().await?;
    let add = async |name: &str, parent: Option<&str>| {
        let body = admin
            .post("/api/v1/admin/categories", &json!({"name": name, "parent_id": parent}))
            .await?
            .expect(201)?;
        body["id"].as_str().map(str::to_owned).context("an id")
    };
    let home = add("Home", None).await?;
    let kitchen = add("Kitchen", Some(&home)).await?;
    let knives = add("Knives", Some(&kitchen)).await?;
    let answer = admin
        .put(&format!("/api/v1/admin/categories/{home}"), &json!({"name": "Home", "parent_id": knives}))
        .await?;
    ensure!(answer.status == 409 && answer.code() == "catalog.category_cycle", "{answer:?}");
    let answer = admin.delete(&format!("/api/v1/admin/categories/{kitchen}")).await?;
    ensure!(answer.status == 409 && answer.code() == "catalog.category_not_empty", "{answer:?}");
    ensure!(admin.delete(&format!("/api/v1/admin/categories/{knives}")).await?.status == 204);
    shop.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_products_neither_repeat_nor_skip() -> Result<()> {
    let shop = Shop::start().await?;
    let mut csv = String::from(
        "Handle,Title,Published,Option1 Name,Option1 Value,Variant Price,Variant Inventory Qty\n",
    );
    for n in 0..45 {
        csv.push_str(&format!("thing-{n},Thing {n},true,Title,Default Title,1.00,1\n"));
    }
    shop.import_products(&csv)?;
    let (mut seen, mut cursor) = (std::collections::BTreeSet::new(), String::new());
    loop {
        let page = shop.guest().get(&format!("/api/v1/products?limit=10{cursor}")).await?.expect(200)?;
        for item in page["items"].as_array().context("items")? {
            ensure!(seen.insert(item["slug"].as_str().unwrap_or_default().to_owned()), "{item} came twice");
        }
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    ensure!(seen.len() == 45, "{} of 45", seen.len());
    shop.finish().await
}
