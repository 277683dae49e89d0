//! vendure 2662, 3003, 3091: rounding drifts with quantity. medusa 4599: three-decimal JOD shown times ten.

use anyhow::{Result, ensure};
use serde_json::json;
use support::Shop;

use crate::shelf::{fill, sku};

/// Guard: a line's subtotal is unit price times quantity in whole minor units; tax is rounded once a line.
#[tokio::test(flavor = "multi_thread")]
async fn a_line_is_its_unit_price_times_its_quantity() -> Result<()> {
    let shop = Shop::start().await?;
    fill(&shop)?;
    let (shopper, lamp) = (shop.shopper().await?, sku(&shop, "phone-case").await?);
    let address = shopper.address("DE").await?;
    for quantity in [1, 2, 3, 7, 99] {
        let body = json!({"items": [{"sku_id": lamp, "quantity": quantity}], "address_id": address});
        let quote = shopper.post("/api/v1/quotes", &body).await?.expect(201)?;
        ensure!(quote["totals"]["subtotal"]["amount"] == 990 * quantity, "{quote}");
        ensure!(quote["lines"][0]["subtotal"]["amount"] == 990 * quantity, "{quote}");
        ensure!(quote["explanation"].as_array().is_some_and(|steps| !steps.is_empty()), "{quote}");
    }
    shop.finish().await
}

/// Guard: amounts are read and written with the currency's own number of digits.
#[tokio::test(flavor = "multi_thread")]
async fn a_currency_of_three_digits_keeps_them() -> Result<()> {
    let shop = Shop::start().await?;
    let csv = "Handle,Title,Vendor,Published,Option1 Name,Option1 Value,Variant Inventory Qty,Variant Price\n\
               oud,Oud,Amman,true,Title,Default Title,5,1.999\n";
    let file = shop.data().with_file_name("jod.csv");
    std::fs::write(&file, csv)?;
    shop.run_command(&["import", "products", &file.to_string_lossy(), "--currency", "JOD"], None)?;
    let product = shop.guest().get("/api/v1/products/oud").await?.expect(200)?;
    ensure!(product["skus"][0]["price"] == json!({"amount": 1_999, "currency": "JOD"}), "{product}");
    shop.finish().await
}
