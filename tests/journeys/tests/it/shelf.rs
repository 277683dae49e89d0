//! Products the journeys buy.

use anyhow::{Context, Result};
use serde_json::Value;
use support::Shop;

/// A small catalog: a shirt in two sizes, a lamp on sale, a book with one unit.
pub(crate) const CATALOG: &str = "\
Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Variant SKU,Variant Grams,Variant Inventory Qty,Variant Price,Variant Compare At Price,Image Src,Image Position\n\
linen-shirt,Linen Shirt,<p>Cool in <b>summer</b>.</p><script>alert(1)</script>,Harbour,Clothing,\"linen, summer\",true,Size,S,SHIRT-S,200,50,49.00,,,\n\
linen-shirt,,,,,,,,M,SHIRT-M,210,50,49.00,,,\n\
copper-lamp,Copper Lamp,<p>Warm light.</p>,Lumen,Lighting,copper,true,Title,Default Title,LAMP,900,20,59.99,75.00,,\n\
last-book,The Last Book,<p>There is one.</p>,Saltworks,Books,paper,true,Title,Default Title,BOOK,300,1,12.50,,,\n\
phone-case,手机壳 Phone Case,<p>柔软的硅胶手机壳</p>,Mado,Accessories,phone,true,Title,Default Title,CASE,50,200,9.90,,,\n\
hidden-thing,Hidden Thing,<p>A draft.</p>,Mado,Accessories,,false,Title,Default Title,HIDDEN,50,5,1.00,,,\n";

/// Imports [`CATALOG`].
pub(crate) fn fill(shop: &Shop) -> Result<()> {
    shop.import_products(CATALOG).map(|_| ())
}

/// A product's JSON by slug.
pub(crate) async fn product(shop: &Shop, slug: &str) -> Result<Value> {
    shop.guest().get(&format!("/api/v1/products/{slug}")).await?.expect(200)
}

/// The id of a product's first SKU.
pub(crate) async fn sku(shop: &Shop, slug: &str) -> Result<String> {
    let product = product(shop, slug).await?;
    product["skus"][0]["id"].as_str().map(str::to_owned).context("a product has a SKU")
}

/// Units of a product's first SKU that can be bought.
pub(crate) async fn available(shop: &Shop, slug: &str) -> Result<i64> {
    product(shop, slug).await?["skus"][0]["available"].as_i64().context("available is a number")
}

/// How often it is asked, a tenth of a second apart: two minutes at least, as long as a busy machine may want.
const TURNS: usize = 1_200;

/// Asks again until `done` says so: background work is asynchronous by design.
pub(crate) async fn until<T, F>(mut ask: F) -> Result<T>
where
    F: AsyncFnMut() -> Result<Option<T>>,
{
    for _ in 0..TURNS {
        if let Some(value) = ask().await? {
            return Ok(value);
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    anyhow::bail!("it did not come to pass: asked {TURNS} times")
}
