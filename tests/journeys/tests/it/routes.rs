//! Every route with its 401, 403 and 404. The list is checked against the served document: a route that is not in it
//! fails the test.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::Value;
use support::{Client, Shop};

/// Who may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// Anybody.
    Public,
    /// Who is logged in.
    Member,
    /// Staff with a permission.
    Staff,
}
use Access::{Member, Public, Staff};

const ATTRIBUTES: &str = r#"{"name":"N","attributes":[]}"#;
const ADDRESS: &str = r#"{"recipient":"A","phone":"123","country":"US","city":"B","line1":"C"}"#;
const ORDER: &str = r#"{"address_id":"adr_00000000000000000000000001","items":[{"sku_id":"sku_00000000000000000000000001","quantity":1}]}"#;
const PRODUCT: &str = r#"{"title":"T","skus":[{}]}"#;
const REFUND: &str = r#"{"amount":{"amount":1,"currency":"USD"},"reason":"r"}"#;
const OPERATION: &str = r#"{"kind":"drill","region":"eu-west"}"#;
const STAFF: &str = r#"{"email":"s@example.com","password":"a long password","roles":["admin"]}"#;
const WAREHOUSE: &str = r#"{"code":"w","name":"W","country":"US"}"#;
const ADJUST: &str = r#"{"sku_id":"sku_00000000000000000000000001","delta":1,"reason":"inbound"}"#;
const PRICES: &str = r#"{"prices":[{"sku_id":"sku_00000000000000000000000001","kind":"list","price":{"amount":1,"currency":"USD"}}]}"#;

/// Method, path as in the document, who may, a body that passes validation, whether an unknown id in the path is a 404.
const ROUTES: &[(&str, &str, Access, &str, bool)] = &[
    ("POST", "/api/v1/accounts", Public, "", false),
    ("GET", "/api/v1/accounts/me", Member, "", false),
    ("PATCH", "/api/v1/accounts/me", Member, "{}", false),
    ("POST", "/api/v1/sessions", Public, "", false),
    ("POST", "/api/v1/sessions/refresh", Public, "", false),
    ("DELETE", "/api/v1/sessions/current", Member, "", false),
    ("GET", "/api/v1/addresses", Member, "", false),
    ("POST", "/api/v1/addresses", Member, ADDRESS, false),
    ("GET", "/api/v1/addresses/{id}", Member, "", true),
    ("PUT", "/api/v1/addresses/{id}", Member, ADDRESS, true),
    ("PATCH", "/api/v1/addresses/{id}", Member, "{}", true),
    ("DELETE", "/api/v1/addresses/{id}", Member, "", true),
    ("GET", "/api/v1/admin/users", Staff, "", false),
    ("POST", "/api/v1/admin/users", Staff, STAFF, false),
    ("GET", "/api/v1/admin/users/{id}", Staff, "", true),
    ("PUT", "/api/v1/admin/users/{id}/roles", Staff, r#"{"roles":["admin"]}"#, true),
    ("GET", "/api/v1/admin/roles", Staff, "", false),
    ("PUT", "/api/v1/admin/roles/{name}", Staff, r#"{"permissions":[]}"#, false),
    ("DELETE", "/api/v1/admin/roles/{name}", Staff, "", true),
    ("GET", "/api/v1/admin/audit", Staff, "", false),
    ("GET", "/api/v1/categories", Public, "", false),
    ("GET", "/api/v1/brands", Public, "", false),
    ("GET", "/api/v1/products", Public, "", false),
    ("GET", "/api/v1/products/{id_or_slug}", Public, "", true),
    ("GET", "/media/{image_id}", Public, "", true),
    ("GET", "/api/v1/admin/categories", Staff, "", false),
    ("POST", "/api/v1/admin/categories", Staff, r#"{"name":"N"}"#, false),
    ("PUT", "/api/v1/admin/categories/{id}", Staff, r#"{"name":"N"}"#, true),
    ("DELETE", "/api/v1/admin/categories/{id}", Staff, "", true),
    ("GET", "/api/v1/admin/brands", Staff, "", false),
    ("POST", "/api/v1/admin/brands", Staff, r#"{"name":"N"}"#, false),
    ("PUT", "/api/v1/admin/brands/{id}", Staff, r#"{"name":"N"}"#, true),
    ("DELETE", "/api/v1/admin/brands/{id}", Staff, "", true),
    ("GET", "/api/v1/admin/attribute-sets", Staff, "", false),
    ("POST", "/api/v1/admin/attribute-sets", Staff, ATTRIBUTES, false),
    ("PUT", "/api/v1/admin/attribute-sets/{id}", Staff, ATTRIBUTES, true),
    ("DELETE", "/api/v1/admin/attribute-sets/{id}", Staff, "", true),
    ("GET", "/api/v1/admin/categories/{id}/attributes", Staff, "", true),
    ("PUT", "/api/v1/admin/categories/{id}/attribute-sets", Staff, r#"{"set_ids":[]}"#, true),
    ("GET", "/api/v1/admin/products", Staff, "", false),
    ("POST", "/api/v1/admin/products", Staff, PRODUCT, false),
    ("GET", "/api/v1/admin/products/{id}", Staff, "", true),
    ("PUT", "/api/v1/admin/products/{id}", Staff, PRODUCT, true),
    ("POST", "/api/v1/admin/products/{id}/publish", Staff, "", true),
    ("POST", "/api/v1/admin/products/{id}/unpublish", Staff, "", true),
    ("POST", "/api/v1/admin/products/{id}/shelve", Staff, "", true),
    ("POST", "/api/v1/admin/products/{id}/unshelve", Staff, "", true),
    ("POST", "/api/v1/admin/products/{id}/images", Staff, "png", false),
    ("PUT", "/api/v1/admin/prices", Staff, PRICES, false),
    ("GET", "/api/v1/admin/prices/{sku_id}", Staff, "", false),
    ("GET", "/api/v1/admin/warehouses", Staff, "", false),
    ("POST", "/api/v1/admin/warehouses", Staff, WAREHOUSE, false),
    ("PUT", "/api/v1/admin/warehouses/{id}", Staff, WAREHOUSE, true),
    ("GET", "/api/v1/admin/stock/{sku_id}", Staff, "", false),
    ("POST", "/api/v1/admin/stock/adjustments", Staff, ADJUST, false),
    ("PUT", "/api/v1/admin/stock/{sku_id}/safety-stock", Staff, r#"{"safety_stock":1}"#, true),
    ("GET", "/api/v1/admin/stock/{sku_id}/movements", Staff, "", false),
    ("GET", "/api/v1/cart", Public, "", false),
    ("PUT", "/api/v1/cart/items/{sku_id}", Public, r#"{"quantity":1}"#, true),
    ("DELETE", "/api/v1/cart/items/{sku_id}", Public, "", false),
    ("POST", "/api/v1/cart/merge", Member, "{}", false),
    ("POST", "/api/v1/quotes", Public, "", false),
    ("POST", "/api/v1/orders", Member, ORDER, false),
    ("GET", "/api/v1/orders", Member, "", false),
    ("GET", "/api/v1/orders/{id}", Member, "", true),
    ("GET", "/api/v1/orders/{id}/history", Member, "", true),
    ("POST", "/api/v1/orders/{id}/cancel", Member, "{}", true),
    ("POST", "/api/v1/orders/{id}/payments", Member, r#"{"channel":"sandbox"}"#, true),
    ("GET", "/api/v1/orders/{id}/payments", Member, "", true),
    ("GET", "/api/v1/admin/orders", Staff, "", false),
    ("GET", "/api/v1/admin/orders/{id}", Staff, "", true),
    ("POST", "/api/v1/admin/orders/{id}/cancel", Staff, "{}", true),
    ("GET", "/api/v1/payments/{id}", Member, "", true),
    ("GET", "/api/v1/payments/{id}/refunds", Member, "", true),
    ("POST", "/api/v1/payments/{id}/refunds", Staff, REFUND, true),
    ("POST", "/api/v1/payments/callbacks/{channel}", Public, "", false),
    ("POST", "/api/v1/sandbox/payments/{id}", Member, r#"{"outcome":"succeed"}"#, true),
    ("GET", "/api/v1/admin/payments", Staff, "", false),
    ("GET", "/api/v1/search", Public, "", false),
    ("GET", "/api/v1/search/suggestions", Public, "", false),
    ("POST", "/api/v1/admin/search/rebuild", Staff, "{}", false),
    ("POST", "/api/v1/admin/search/check", Staff, "{}", false),
    ("POST", "/api/v1/admin/imports", Staff, "Handle,Title\n", false),
    ("GET", "/api/v1/admin/imports", Staff, "", false),
    ("GET", "/api/v1/admin/imports/{id}", Staff, "", true),
    ("GET", "/api/v1/admin/imports/{id}/errors", Staff, "", true),
    ("GET", "/api/v1/admin/imports/{id}/errors.csv", Staff, "", true),
    ("GET", "/api/v1/admin/jobs", Staff, "", false),
    ("POST", "/api/v1/admin/jobs/{name}/runs", Staff, "", true),
    ("GET", "/api/v1/admin/dead-letters", Staff, "", false),
    ("GET", "/api/v1/admin/regions", Staff, "", false),
    ("POST", "/api/v1/admin/region-operations", Staff, OPERATION, false),
    ("GET", "/api/v1/admin/region-operations/{id}", Staff, "", true),
    ("POST", "/api/v1/admin/region-operations/{id}/abort", Staff, r#"{"why":"w"}"#, true),
    ("POST", "/api/v1/admin/dead-letters/replay", Staff, r#"{"subscription":"none"}"#, false),
];

/// The path with ids that nothing has.
fn unknown(path: &str) -> String {
    let id = match path {
        p if p.contains("addresses") => "adr_00000000000000000000000001",
        p if p.contains("users") => "usr_00000000000000000000000001",
        p if p.contains("categories") => "cat_00000000000000000000000001",
        p if p.contains("/attribute-sets/") => "ats_00000000000000000000000001",
        p if p.contains("brands") => "brd_00000000000000000000000001",
        p if p.contains("products") => "prd_00000000000000000000000001",
        p if p.contains("warehouses") => "whs_00000000000000000000000001",
        p if p.contains("orders") => "ord_00000000000000000000000001",
        p if p.contains("imports") => "imp_00000000000000000000000001",
        p if p.contains("region-operations") => "999999999",
        p if p.contains("media") => "img_00000000000000000000000001",
        _ => "pay_00000000000000000000000001",
    };
    path.replace("{id}", id)
        .replace("{id_or_slug}", id)
        .replace("{image_id}", id)
        .replace("{sku_id}", "sku_00000000000000000000000001")
        .replace("{name}", "nobody")
        .replace("{channel}", "nobody")
}

async fn call(client: &Client, (method, path, _, body, _): (&str, &str, Access, &str, bool)) -> Result<u16> {
    let path = match path {
        "/api/v1/admin/imports" if method == "POST" => {
            "/api/v1/admin/imports?kind=products&currency=USD&file_name=a.csv".into()
        }
        path => unknown(path),
    };
    let key = Client::key();
    let media = match body {
        body if body.starts_with('{') => "application/json",
        "png" => "image/png",
        _ => "text/csv",
    };
    let mut headers = vec![("Idempotency-Key", key.as_str())];
    if !body.is_empty() {
        headers.push(("Content-Type", media));
    }
    let body = (!body.is_empty()).then(|| body.as_bytes().to_vec());
    Ok(client.send(Method::from_bytes(method.as_bytes())?, &path, &headers, body).await?.status)
}

/// References in `part` that lead to nothing in `document`.
fn dangling<'a>(document: &Value, part: &'a Value) -> Vec<&'a str> {
    match part {
        Value::Array(parts) => parts.iter().flat_map(|part| dangling(document, part)).collect(),
        Value::Object(parts) => match parts.get("$ref").and_then(Value::as_str) {
            Some(name) if document.pointer(name.trim_start_matches('#')).is_none() => vec![name],
            Some(_) => Vec::new(),
            None => parts.values().flat_map(|part| dangling(document, part)).collect(),
        },
        _ => Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_says_401_403_and_404() -> Result<()> {
    let shop = Shop::start().await?;
    let (guest, shopper, admin) = (shop.guest(), shop.shopper().await?, shop.admin().await?);

    let document = guest.get("/api/openapi.json").await?.expect(200)?;
    let nowhere = dangling(&document, &document);
    ensure!(nowhere.is_empty(), "the document names what it does not have: {nowhere:?}");
    let served: BTreeSet<(String, String)> = document["paths"]
        .as_object()
        .into_iter()
        .flatten()
        .flat_map(|(path, item)| {
            item.as_object().into_iter().flatten().map(move |(m, _)| (m.to_uppercase(), path.clone()))
        })
        .filter(|(_, path)| path.starts_with("/api/v1") || path.starts_with("/media"))
        .collect();
    let listed: BTreeSet<(String, String)> =
        ROUTES.iter().map(|(method, path, ..)| ((*method).to_owned(), (*path).to_owned())).collect();
    let missing: Vec<_> = served.symmetric_difference(&listed).collect();
    ensure!(missing.is_empty(), "routes served and listed differ: {missing:?}");

    let mut wrong = Vec::new();
    for route in ROUTES {
        let (method, path, access, _, not_found) = *route;
        let mut expect = |who: &str, status: u16, wanted: u16| {
            if status != wanted {
                wrong.push(format!("{method} {path} as {who}: {status} instead of {wanted}"));
            }
        };
        if access != Public {
            expect("guest", call(&guest, *route).await?, 401);
            let forged = guest.clone().with_token(Some("eyJhbGciOiJub25lIn0.e30."));
            expect("forger", call(&forged, *route).await?, 401);
        }
        if access == Staff {
            expect("shopper", call(&shopper, *route).await?, 403);
        }
        if not_found {
            let client = if access == Staff { &admin } else { &shopper };
            expect("one who may", call(client, *route).await?, 404);
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    shop.finish().await
}
