//! Wrong input names its field and loses nothing.

use anyhow::{Result, bail, ensure};
use reqwest::Method;
use serde_json::json;
use support::{Answer, Client, Shop};

use crate::shelf::{fill, sku};

#[tokio::test(flavor = "multi_thread")]
async fn wrong_input_names_its_field() -> Result<()> {
    let shop = Shop::start().await?;
    fill(&shop)?;
    let (shopper, lamp) = (shop.shopper().await?, sku(&shop, "copper-lamp").await?);
    let address = shopper.address("US").await?;

    let no_mail = json!({"email": "nonsense", "password": "correct horse battery", "name": "X"});
    let answer = shopper.post("/api/v1/accounts", &no_mail).await?;
    ensure!(answer.status == 422 && answer.pointers() == ["/email"], "{answer:?}");
    let short = json!({"email": "a@example.com", "password": "short", "name": "X"});
    let answer = shopper.post("/api/v1/accounts", &short).await?;
    ensure!(
        answer.pointers() == ["/password"] && !answer.text.contains("short\""),
        "the password is not echoed: {answer:?}"
    );

    for (quantity, pointer) in [
        (json!(0), "/items/0/quantity"),
        (json!("one"), "/items/0/quantity"),
        (json!(1.5), "/items/0/quantity"),
    ] {
        let body = json!({"address_id": address, "items": [{"sku_id": lamp, "quantity": quantity}]});
        let answer = shopper.post_once("/api/v1/orders", &Client::key(), &body).await?;
        ensure!(answer.status == 422 && answer.pointers() == [pointer], "{quantity}: {answer:?}");
    }
    let body =
        json!({"address_id": "adr_00000000000000000000000001", "items": [{"sku_id": lamp, "quantity": 1}]});
    let answer = shopper.post_once("/api/v1/orders", &Client::key(), &body).await?;
    ensure!((400..500).contains(&answer.status), "{answer:?}");
    let body =
        json!({"address_id": address, "items": [{"sku_id": lamp, "quantity": 1}], "remark": "x".repeat(501)});
    let answer = shopper.post_once("/api/v1/orders", &Client::key(), &body).await?;
    ensure!(answer.status == 422 && answer.pointers() == ["/remark"], "{answer:?}");
    let many: Vec<_> = (0..101).map(|_| json!({"sku_id": lamp, "quantity": 1})).collect();
    let answer = shopper
        .post_once("/api/v1/orders", &Client::key(), &json!({"address_id": address, "items": many}))
        .await?;
    ensure!(answer.status == 422 && answer.pointers() == ["/items"], "{answer:?}");

    let answer = shopper.post("/api/v1/quotes", &json!({"items": [[lamp, 2]]})).await?;
    ensure!(answer.status == 422 && answer.pointers() == ["/items/0"], "{answer:?}");
    let huge = format!(r#"{{"items":[{{"sku_id":"{lamp}","quantity":1e400}}]}}"#);
    let huge = shopper
        .send(
            Method::POST,
            "/api/v1/quotes",
            &[("Content-Type", "application/json")],
            Some(huge.into_bytes()),
        )
        .await?;
    ensure!(huge.status == 422 && huge.pointers() == ["/items/0/quantity"], "{huge:?}");

    let answer = shopper.post("/api/v1/orders", &json!({"address_id": address})).await?;
    ensure!(answer.status == 400 && answer.code() == "idempotency_key_missing", "{answer:?}");
    let broken = shopper
        .send(Method::POST, "/api/v1/quotes", &[("Content-Type", "application/json")], Some(b"{".to_vec()))
        .await?;
    ensure!(broken.status == 400 && broken.code() == "request.malformed", "{broken:?}");
    let xml = shopper
        .send(Method::POST, "/api/v1/quotes", &[("Content-Type", "text/xml")], Some(b"<a/>".to_vec()))
        .await?;
    ensure!(xml.status == 415, "{xml:?}");
    let huge = format!("{{\"items\":\"{}\"}}", "x".repeat(2 << 20));
    let huge = shopper
        .send(
            Method::POST,
            "/api/v1/quotes",
            &[("Content-Type", "application/json")],
            Some(huge.into_bytes()),
        )
        .await?;
    ensure!(huge.status == 413, "{} {}", huge.status, huge.text);
    for query in ["limit=0", "limit=101", "limit=x", "cursor=%00"] {
        let answer = shopper.get(&format!("/api/v1/products?{query}")).await?;
        ensure!(answer.status == 422 || answer.status == 400, "{query}: {answer:?}");
    }
    ensure!(shopper.get("/api/v1/products/no-such-product").await?.status == 404);
    ensure!(shopper.get("/api/v1/nothing").await?.code() == "request.not_found");
    shop.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_answer_429_and_say_when() -> Result<()> {
    let shop = Shop::builder()
        .set("HTTP__RATE_LIMIT__ENABLED", "true")
        .set("HTTP__RATE_LIMIT__EXEMPT_LOOPBACK", "false")
        .set("HTTP__RATE_LIMIT__PER_ADDRESS", "10")
        .start()
        .await?;
    let guest = shop.guest();
    // Whoever is limited gets another request every few seconds, which may be any of these.
    let burst = async |path: &str, headers: &[(&str, &str)]| -> Result<Answer> {
        for _ in 0..200 {
            let answer = guest.send(Method::GET, path, headers, None).await?;
            if answer.status == 429 {
                return Ok(answer);
            }
        }
        bail!("200 requests of {path} in a burst passed a limit of 10")
    };
    let limited = burst("/api/v1/categories", &[]).await?;
    ensure!(
        limited.code() == "request.rate_limited" && limited.header("retry-after").is_some(),
        "{limited:?}"
    );
    for (language, words) in [("en", "That was a lot at once"), ("zh-CN", "lang=\"zh-CN\"")] {
        let accept = [("Accept", "text/html,*/*;q=0.8"), ("Accept-Language", language)];
        let page = burst("/cart", &accept).await?;
        ensure!(page.header("retry-after").is_some(), "{page:?}");
        let html = page.header("content-type").is_some_and(|media| media.starts_with("text/html"));
        ensure!(html && page.text.contains("<h1>") && page.text.contains(words), "{page:?}");
        ensure!(
            page.header("content-security-policy").is_some_and(|policy| policy.contains("script-src 'self'"))
        );
    }
    ensure!(
        burst("/cart", &[]).await?.code() == "request.rate_limited",
        "who does not ask for HTML gets a problem"
    );
    ensure!(guest.get("/healthz").await?.status == 200, "probes are not limited");
    shop.finish().await
}

/// Who may not do it hears that before what is missing.
#[tokio::test(flavor = "multi_thread")]
async fn an_adjustment_of_stock_takes_a_permission_and_a_key() -> Result<()> {
    let shop = Shop::start().await?;
    fill(&shop)?;
    let (admin, lamp) = (shop.admin().await?, sku(&shop, "copper-lamp").await?);
    let clerk = json!({"permissions": ["inventory.read"]});
    ensure!(admin.put("/api/v1/admin/roles/clerk", &clerk).await?.status < 300);
    let (email, password) = ("clerk@example.com", "correct horse battery");
    let account = json!({"email": email, "password": password, "roles": ["clerk"]});
    ensure!(admin.post("/api/v1/admin/users", &account).await?.status == 201);
    let mut clerk = shop.guest();
    clerk.log_in(email, password).await?;

    let path = "/api/v1/admin/stock/adjustments";
    let adjust = json!({"sku_id": lamp, "delta": 1, "reason": "inbound"});
    ensure!(clerk.post(path, &adjust).await?.status == 403);
    let answer = admin.post(path, &adjust).await?;
    ensure!(answer.status == 400 && answer.code() == "idempotency_key_missing", "{answer:?}");
    ensure!(admin.post_once(path, &Client::key(), &adjust).await?.status == 201);
    shop.finish().await
}
