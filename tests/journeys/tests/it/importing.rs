//! Imports: real quirks, honest errors, the second time nothing.

use anyhow::{Context, Result, ensure};
use support::Shop;

use crate::shelf::{CATALOG, available, fill, product, sku, until};

#[tokio::test(flavor = "multi_thread")]
async fn the_second_import_changes_nothing_and_stock_is_set_once() -> Result<()> {
    let shop = Shop::start().await?;
    fill(&shop)?;
    let before = product(&shop, "linen-shirt").await?;
    ensure!(before["skus"].as_array().is_some_and(|skus| skus.len() == 2), "{before}");
    ensure!(!before["description"].as_str().unwrap_or_default().contains("script"), "{before}");
    let restocked = CATALOG.replace(",50,49.00", ",9999,49.00");
    let report = shop.import_products(&restocked)?;
    let after = product(&shop, "linen-shirt").await?;
    ensure!(before == after, "{report}\n{before}\n{after}");
    ensure!(available(&shop, "linen-shirt").await? == 50);
    shop.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn prices_count_and_those_that_staff_set_stay() -> Result<()> {
    let shop = Shop::start().await?;
    fill(&shop)?;
    let dearer = CATALOG.replace(",59.99,75.00", ",64.99,75.00");
    let report = shop.import_products(&dearer)?;
    ensure!(report.contains("0 created, 1 updated, 4 unchanged"), "{report}");
    let price = async || -> Result<Option<i64>> {
        Ok(product(&shop, "copper-lamp").await?["skus"][0]["price"]["amount"].as_i64())
    };
    ensure!(price().await? == Some(6_499));
    let list = serde_json::json!({"prices": [{
        "sku_id": sku(&shop, "copper-lamp").await?, "kind": "list", "price": {"amount": 4_999, "currency": "USD"},
    }]});
    let set = shop.admin().await?.put("/api/v1/admin/prices", &list).await?;
    ensure!(set.status == 204, "{set:?}");
    let report = shop.import_products(&dearer)?;
    ensure!(report.contains("0 created, 0 updated, 5 unchanged"), "{report}");
    ensure!(price().await? == Some(4_999));
    shop.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_row_of_a_product_that_is_in_takes_nothing_off_sale() -> Result<()> {
    let shop = Shop::start().await?;
    fill(&shop)?;
    let before = product(&shop, "linen-shirt").await?;
    let wrong = CATALOG.replace("SHIRT-M,210,50,49.00", "SHIRT-M,210,50,\"49,00\"");
    let report = shop.import_products(&wrong)?;
    ensure!(report.contains("1 updated, 4 unchanged; 1 of 6 rows with errors"), "{report}");
    let after = product(&shop, "linen-shirt").await?;
    ensure!(after["skus"] == before["skus"], "{before}\n{after}");
    shop.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_row_is_named_with_its_line_and_the_others_are_in() -> Result<()> {
    let shop = Shop::start().await?;
    let admin = shop.admin().await?;
    // Line 3 is inside a quoted cell: the bad price stands on line 5 of the file.
    let csv = "Handle,Title,Body (HTML),Published,Option1 Name,Option1 Value,Variant Price,Variant Inventory Qty\n\
               good,Good,\"<p>two\nlines</p>\",true,Title,Default Title,5.00,1\n\
               fine,Fine,,true,Title,Default Title,6.00,1\n\
               bad,Bad,,true,Title,Default Title,cheap,1\n\
               last,Last,,true,Title,Default Title,7.00,1\n";
    let answer = admin
        .send(
            reqwest::Method::POST,
            "/api/v1/admin/imports?kind=products&currency=USD&file_name=bad.csv",
            &[("Content-Type", "text/csv")],
            Some(csv.as_bytes().to_vec()),
        )
        .await?;
    let import = answer.expect(202)?;
    let path = format!("/api/v1/admin/imports/{}", import["id"].as_str().context("an id")?);
    let done = until(async || {
        let import = admin.get(&path).await?.expect(200)?;
        Ok((import["state"] == "done").then_some(import))
    })
    .await?;
    ensure!(done["created"] == 3 && done["failed"] == 1, "{done}");
    let errors = admin.get(&format!("{path}/errors")).await?.expect(200)?;
    let error = &errors["items"][0];
    ensure!(error["line"] == 5 && error["key"] == "bad" && error["column"] == "Variant Price", "{errors}");
    for slug in ["good", "fine", "last"] {
        product(&shop, slug).await?;
    }
    ensure!(shop.guest().get("/api/v1/products/bad").await?.status == 404);
    shop.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn categories_come_from_paths_and_listed_children_are_ignored() -> Result<()> {
    let shop = Shop::start().await?;
    let file = shop.data().with_file_name("categories.json");
    std::fs::write(
        &file,
        r#"[
          {"id": "b", "name": "Lamps &amp; Lights", "path": [{"id": "a", "name": "Home"}, {"id": "b", "name": "Lamps &amp; Lights"}],
           "subCategories": [{"id": "zzz", "name": "Nowhere"}]},
          {"id": "c", "name": "Garden", "path": [{"id": "c", "name": "Garden"}], "subCategories": [{"id": "b", "name": "Lamps"}]},
          {"name": "no id"}
        ]"#,
    )?;
    let name = file.to_string_lossy().into_owned();
    for counts in ["3 created, 0 updated, 0 unchanged", "0 created, 0 updated, 3 unchanged"] {
        let report = shop.import("categories", &name)?;
        ensure!(report.contains(&format!("{counts}; 1 of 3 rows with errors")), "{report}");
    }
    let tree = until(async || {
        let tree = shop.guest().get("/api/v1/categories").await?.expect(200)?;
        Ok((tree["items"].as_array().is_some_and(|top| top.len() == 2)).then_some(tree))
    })
    .await?;
    let home = tree["items"]
        .as_array()
        .context("items")?
        .iter()
        .find(|node| node["name"] == "Home")
        .context("Home")?;
    ensure!(home["children"][0]["name"] == "Lamps & Lights", "{tree}");
    ensure!(!tree.to_string().contains("Nowhere"), "{tree}");
    shop.finish().await
}

fn fixture(name: &str) -> String {
    format!("{}/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A whole file of that format beside the checkout, where there is one, on top of its cut in our fixtures.
fn import_whole(shop: &Shop, kind: &str, file: &str, counts: &str) -> Result<()> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data").join(file);
    if path.is_file() {
        let report = shop.import(kind, &path.to_string_lossy())?;
        ensure!(report.contains(counts), "{file}: {report}");
    }
    Ok(())
}

/// Rows as Shopify exports them: rows that continue a product, a row that only adds an image, blank cells, HTML over
/// several lines, a draft.
#[tokio::test(flavor = "multi_thread")]
async fn products_as_shopify_exports_them() -> Result<()> {
    let shop = Shop::start().await?;
    let csv = std::fs::read_to_string(fixture("products.csv"))?;
    for counts in ["4 created, 0 updated, 0 unchanged", "0 created, 0 updated, 4 unchanged"] {
        let report = shop.import_products(&csv)?;
        ensure!(report.contains(&format!("{counts}; 0 of 8 rows with errors")), "{report}");
    }
    let jug = product(&shop, "stoneware-jug").await?;
    ensure!(jug["skus"].as_array().is_some_and(|skus| skus.len() == 2), "{jug}");
    ensure!(jug["images"].as_array().is_some_and(|images| images.len() == 3), "{jug}");
    ensure!(jug["images"][2]["alt"] == "The handle, close", "{jug}");
    ensure!(
        jug["description"].as_str().is_some_and(|html| html.trim() == "<p>Holds <b>a litre</b>.</p>"),
        "{jug}"
    );
    ensure!(jug["brand"]["name"] == "Saltworks & Co", "{jug}");
    ensure!(jug["skus"][0]["price"]["amount"] == 2_450 && jug["skus"][0]["available"] == 4, "{jug}");
    ensure!(jug["skus"][1]["compare_at"]["amount"] == 3_100 && jug["skus"][1]["available"] == 0, "{jug}");
    let blanket = product(&shop, "wool-blanket").await?;
    let values: Vec<_> = blanket["options"]
        .as_array()
        .context("options")?
        .iter()
        .map(|option| option["values"].as_array().map_or(0, Vec::len))
        .collect();
    ensure!(values == [2, 2] && blanket["skus"].as_array().is_some_and(|skus| skus.len() == 3), "{blanket}");
    ensure!(blanket["brand"]["name"] == "Harbour", "a brand is one, however it is written: {blanket}");
    ensure!(product(&shop, "oak-stool").await?["skus"][0]["options"] == serde_json::json!([]));
    ensure!(shop.guest().get("/api/v1/products/paper-lantern").await?.status == 404, "a draft");
    import_whole(&shop, "products", "apparel.csv", "20 created, 0 updated, 0 unchanged; 0 of ")?;
    import_whole(
        &shop,
        "products",
        "home-and-garden.csv",
        "20 created, 0 updated, 0 unchanged; 0 of 21 rows",
    )?;
    shop.finish().await
}

/// A cut of a real tree (Best Buy's, CC0): ancestors that have no entry of their own, a child listed under two parents, an
/// entry without a name.
#[tokio::test(flavor = "multi_thread")]
async fn categories_of_a_real_tree() -> Result<()> {
    let shop = Shop::start().await?;
    let file = fixture("categories.json");
    for counts in ["9 created, 0 updated, 0 unchanged", "0 created, 0 updated, 9 unchanged"] {
        let report = shop.import("categories", &file)?;
        ensure!(report.contains(&format!("{counts}; 1 of 7 rows with errors")), "{report}");
        ensure!(report.contains("pcmcat748300293073"), "the entry without a name is named: {report}");
    }
    let tree = until(async || {
        let tree = shop.guest().get("/api/v1/categories").await?.expect(200)?;
        Ok(tree["items"].as_array().is_some_and(|top| top.len() == 2).then_some(tree))
    })
    .await?;
    let below = |path: &[&str]| {
        let mut nodes = tree["items"].as_array().cloned().unwrap_or_default();
        for name in path {
            let found = nodes.into_iter().find(|node| node["name"] == *name);
            nodes = found.and_then(|node| node["children"].as_array().cloned()).unwrap_or_default();
        }
        let mut names: Vec<_> =
            nodes.iter().filter_map(|node| node["name"].as_str().map(str::to_owned)).collect();
        names.sort();
        names
    };
    ensure!(below(&["Gift Ideas", "Kids", "Toys"]) == ["DVD Games", "Learning Toys"], "{tree}");
    ensure!(below(&["Musical Instruments"]) == ["Amps & Effects", "Keyboards"], "{tree}");
    ensure!(below(&["Musical Instruments", "Amps & Effects"]) == ["Keyboard Amps"], "{tree}");
    ensure!(below(&["Musical Instruments", "Keyboards"]).is_empty(), "its own path counts: {tree}");
    import_whole(&shop, "categories", "categories.json.gz", "; 1 of 4584 rows with errors")?;
    shop.finish().await
}
