//! Attribute sets, by the API and on the product's page, in a split shop.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use support::{Shape, Shop};

fn id(value: &Value) -> Result<&str> {
    value["id"].as_str().context("an id")
}

#[tokio::test(flavor = "multi_thread")]
async fn attributes_are_asked_for_and_shown() -> Result<()> {
    let shop = Shop::builder().shape(Shape::Split).start().await?;
    let admin = shop.admin().await?;
    let top = admin.post("/api/v1/admin/categories", &json!({"name": "Lamps"})).await?.expect(201)?;
    let desk = json!({"name": "Desk lamps", "parent_id": top["id"]});
    let desk = admin.post("/api/v1/admin/categories", &desk).await?.expect(201)?;
    let set = json!({"name": "Light", "attributes": [
        {"name": "Power", "kind": "number", "unit": "W", "required": true, "filterable": true},
        {"name": "Dimmable", "kind": "boolean"},
    ]});
    let set = admin.post("/api/v1/admin/attribute-sets", &set).await?.expect(201)?;
    let assigned = format!("/api/v1/admin/categories/{}/attribute-sets", id(&top)?);
    admin.put(&assigned, &json!({"set_ids": [set["id"]]})).await?.expect(200)?;
    let inherited = format!("/api/v1/admin/categories/{}/attributes", id(&desk)?);
    let inherited = admin.get(&inherited).await?.expect(200)?;
    ensure!(inherited["items"][0]["attribute"]["name"] == "Power", "{inherited}");
    ensure!(inherited["items"][0]["category_id"] == top["id"], "{inherited}");

    let product = |attributes: Value| json!({"title": "Reading Light", "category_id": desk["id"], "attributes": attributes, "skus": [{}]});
    let wrong = product(json!([{"name": "power", "value": "bright"}]));
    let wrong = admin.post("/api/v1/admin/products", &wrong).await?;
    ensure!(wrong.status == 422 && wrong.pointers() == ["/attributes/0/value"], "{wrong:?}");
    let draft = product(json!([{"name": "Dimmable", "value": "True"}]));
    let draft = admin.post("/api/v1/admin/products", &draft).await?.expect(201)?;
    let publish = format!("/api/v1/admin/products/{}/publish", id(&draft)?);
    let refused = admin.post(&publish, &json!({})).await?;
    ensure!(refused.status == 422 && refused.pointers() == ["/attributes"], "{refused:?}");
    let whole = product(json!([{"name": "Dimmable", "value": "true"}, {"name": "Power", "value": "7.5 W"}]));
    admin.put(&format!("/api/v1/admin/products/{}", id(&draft)?), &whole).await?.expect(200)?;
    admin.post(&publish, &json!({})).await?.expect(200)?;

    let shown = shop.guest().get("/api/v1/products/reading-light").await?.expect(200)?;
    ensure!(
        shown["attributes"][0]
            == json!({"name": "Power", "value": "7.5", "kind": "number", "unit": "W", "filterable": true}),
        "{shown}"
    );
    let page = shop.guest().get("/p/reading-light").await?;
    ensure!(page.status == 200, "{page:?}");
    ensure!(page.text.contains("7.5\u{a0}W") || page.text.contains("7.5&#160;W"), "{}", page.text);
    ensure!(page.text.contains("<th scope=\"row\">Dimmable</th><td>Yes</td>"), "{}", page.text);
    let removed = admin.delete(&format!("/api/v1/admin/attribute-sets/{}", id(&set)?)).await?;
    ensure!(removed.status == 409 && removed.code() == "catalog.attribute_set_in_use", "{removed:?}");
    shop.finish().await
}
