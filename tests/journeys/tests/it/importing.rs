//! Imports: real quirks, honest errors, the second time nothing.

use anyhow::{Context, Result, ensure};
use support::Shop;

use crate::shelf::{CATALOG, available, fill, product, until};

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
    let _ = shop.run_command(&["import", "categories", &name], None);
    let _ = shop.run_command(&["import", "categories", &name], None);
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

/// The files beside the checkout, where they are.
#[tokio::test(flavor = "multi_thread")]
async fn the_real_files_are_imported_where_they_are() -> Result<()> {
    let shared = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    if !shared.is_dir() {
        eprintln!("no shared data beside this checkout: tried with our own fixtures only");
        return Ok(());
    }
    let shop = Shop::start().await?;
    for (file, products) in [("apparel.csv", 20), ("home-and-garden.csv", 20)] {
        let path = shared.join(file).to_string_lossy().into_owned();
        let report = shop.run_command(&["import", "products", &path], None)?;
        ensure!(report.contains(&products.to_string()), "{report}");
    }
    let path = shared.join("categories.json.gz").to_string_lossy().into_owned();
    shop.run_command(&["import", "categories", &path], None)?;
    let pot = product(&shop, "clay-plant-pot").await?;
    ensure!(pot["skus"].as_array().is_some_and(|skus| skus.len() == 2), "{pot}");
    ensure!(pot["images"].as_array().is_some_and(|images| images.len() == 2), "{pot}");
    shop.finish().await
}
