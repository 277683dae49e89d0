//! Search through the API: on tantivy, and on a stand-in for a Meilisearch server.

use anyhow::{Context, Result, ensure};
use support::{MeilisearchStandIn, Shape, Shop};

use crate::shelf::{fill, until};

/// A shop that searches on this server.
async fn shop_on(server: &MeilisearchStandIn, shape: Shape) -> Result<Shop> {
    Shop::builder()
        .shape(shape)
        .set("SEARCH__ENGINE", "meilisearch")
        .set("SEARCH__MEILISEARCH__URL", server.url())
        .set("SEARCH__MEILISEARCH__KEY", server.key())
        .start()
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn words_typos_chinese_filters_sorts_and_facets() -> Result<()> {
    searches(Shop::start().await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn words_typos_chinese_filters_sorts_and_facets_on_meilisearch() -> Result<()> {
    let server = MeilisearchStandIn::start()?;
    searches(shop_on(&server, Shape::Split).await?).await
}

/// Waits until every event has been heard and what it changed is in the index: a product may be found before all of it is.
async fn settled(shop: &Shop) -> Result<()> {
    until(async || Ok(shop.leftovers().await?.is_quiet().then_some(()))).await?;
    let marked = "SELECT count(*) FROM search_mark";
    until(async || Ok((shop.number(marked).await? == 0).then_some(())))
        .await
        .context("the index has everything")
}

async fn searches(shop: Shop) -> Result<()> {
    fill(&shop)?;
    let guest = shop.guest();
    let search = async |query: &str| guest.get(&format!("/api/v1/search?{query}")).await?.expect(200);
    until(async || Ok((search("").await?["total"] == 4).then_some(()))).await?;
    settled(&shop).await?;

    ensure!(search("q=lamps").await?["items"][0]["slug"] == "copper-lamp", "stemmed");
    ensure!(search("q=coper").await?["items"][0]["slug"] == "copper-lamp", "one letter short");
    ensure!(search("q=%E6%89%8B%E6%9C%BA").await?["items"][0]["slug"] == "phone-case", "手机");
    ensure!(search("q=xyzzyplugh").await?["total"] == 0);
    ensure!(search("q=hidden").await?["total"] == 0, "drafts are not found");
    ensure!(search("brand=lumen").await?["total"] == 1);
    ensure!(search("category=lighting").await?["total"] == 1);
    ensure!(search("category=no-such").await?["total"] == 0);
    ensure!(search("min_price=1000&max_price=5000").await?["total"] == 2);
    let sorted = search("sort=price_asc").await?;
    let prices: Vec<i64> = sorted["items"]
        .as_array()
        .context("items")?
        .iter()
        .filter_map(|item| item["price"]["amount"].as_i64())
        .collect();
    ensure!(prices.is_sorted() && prices.len() == 4, "{prices:?}");
    let facets = &sorted["facets"];
    ensure!(facets["brand"].as_array().is_some_and(|brands| brands.len() == 4), "{facets}");
    let lamp = search("q=copper").await?;
    ensure!(lamp["items"][0]["highlight"].as_str().is_some_and(|title| title.contains("<mark>")), "{lamp}");
    let suggestions = guest.get("/api/v1/search/suggestions?q=cop").await?.expect(200)?;
    ensure!(suggestions["items"].to_string().to_lowercase().contains("copper"), "{suggestions}");
    let wrong = guest.get("/api/v1/search?min_price=5&max_price=1").await?;
    ensure!(wrong.status == 422 && !wrong.pointers().is_empty(), "{wrong:?}");
    let wrong = guest.get("/api/v1/search?sort=sideways").await?;
    ensure!(wrong.status == 422 && wrong.pointers() == ["sort"], "{wrong:?}");

    let (first, mut seen) = (search("limit=3&sort=newest").await?, Vec::new());
    let cursor = first["next_cursor"].as_str().context("a second page")?;
    let second = search(&format!("limit=3&sort=newest&cursor={cursor}")).await?;
    for page in [&first, &second] {
        seen.extend(page["items"].as_array().context("items")?.iter().map(|item| item["slug"].to_string()));
    }
    seen.sort();
    seen.dedup();
    ensure!(seen.len() == 4, "{seen:?}");
    shop.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_brand_is_found_by_its_new_name() -> Result<()> {
    let shop = Shop::start().await?;
    fill(&shop)?;
    let (admin, guest) = (shop.admin().await?, shop.guest());
    let search = async |query: &str| guest.get(&format!("/api/v1/search?{query}")).await?.expect(200);
    until(async || Ok((search("q=lumen").await?["total"] == 1).then_some(()))).await?;
    let brands = admin.get("/api/v1/admin/brands").await?.expect(200)?;
    let brand = brands["items"].as_array().context("items")?.iter().find(|it| it["name"] == "Lumen");
    let id = brand.and_then(|it| it["id"].as_str()).context("Lumen")?;
    let name = serde_json::json!({"name": "Brightwork"});
    admin.put(&format!("/api/v1/admin/brands/{id}"), &name).await?.expect(200)?;
    until(async || Ok((search("q=brightwork").await?["total"] == 1).then_some(()))).await?;
    ensure!(search("q=lumen").await?["total"] == 0);
    shop.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_is_checked_and_rebuilt() -> Result<()> {
    checks_and_rebuilds(Shop::start().await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_is_checked_and_rebuilt_on_meilisearch() -> Result<()> {
    let server = MeilisearchStandIn::start()?;
    checks_and_rebuilds(shop_on(&server, Shape::AllInOne).await?).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shop_goes_on_while_meilisearch_is_away_and_fills_it_when_it_comes_back_empty() -> Result<()> {
    let mut server = MeilisearchStandIn::start()?;
    let shop = shop_on(&server, Shape::AllInOne).await?;
    fill(&shop)?;
    let guest = shop.guest();
    until(async || {
        let total = guest.get("/api/v1/search").await?.expect(200)?["total"] == 4;
        Ok(total.then_some(()))
    })
    .await?;
    server.stop();
    until(async || {
        let answer = guest.get("/api/v1/search?q=away").await?;
        Ok((answer.status == 503 && answer.text.contains("search server")).then_some(()))
    })
    .await?;
    until(async || {
        let ready = guest.get("/readyz").await?;
        let told =
            ready.text.contains("degraded") && ready.text.contains("the search server cannot be reached");
        Ok((ready.status == 200 && told).then_some(()))
    })
    .await
    .context("readiness tells of it, and serves")?;
    ensure!(guest.get("/api/v1/products/copper-lamp").await?.status == 200, "the shop goes on");
    ensure!(guest.get("/").await?.status == 200, "its pages too");
    server.wipe();
    server.resume()?;
    until(async || {
        let answer = guest.get("/api/v1/search?q=copper").await?;
        Ok((answer.status == 200 && answer.expect(200)?["total"] == 1).then_some(()))
    })
    .await?;
    until(async || Ok((!guest.get("/readyz").await?.text.contains("degraded")).then_some(()))).await?;
    shop.finish().await
}

async fn checks_and_rebuilds(shop: Shop) -> Result<()> {
    fill(&shop)?;
    let admin = shop.admin().await?;
    until(async || Ok((shop.guest().get("/api/v1/search").await?.expect(200)?["total"] == 4).then_some(())))
        .await?;
    settled(&shop).await?;
    // A look repairs nothing: what is right was made so by events, the last of which may be on its way.
    until(async || {
        let report = admin
            .post("/api/v1/admin/search/check", &serde_json::json!({"repair": false}))
            .await?
            .expect(200)?;
        ensure!(report["expected"] == 4, "{report}");
        let right = report["missing"] == 0 && report["extra"] == 0 && report["stale"] == 0;
        Ok(right.then_some(()))
    })
    .await
    .context("the index is right")?;
    let stale =
        admin.post("/api/v1/admin/search/check", &serde_json::json!({"repair": true})).await?.expect(200)?;
    ensure!(stale["stale"] == 0 && stale["repaired"] == 0, "{stale}");
    let rebuilt = admin.post("/api/v1/admin/search/rebuild", &serde_json::json!({})).await?;
    ensure!(rebuilt.status < 300, "{rebuilt:?}");
    ensure!(shop.guest().get("/api/v1/search").await?.expect(200)?["total"] == 4);
    shop.finish().await
}
