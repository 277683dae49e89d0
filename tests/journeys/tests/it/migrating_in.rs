//! Migration in: an old MySQL shop's rows, dirt included, come in once, whatever is killed meanwhile, and go again.

mod later;
mod source;

use std::{
    process::{Child, Output, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use support::{Parts, Shop};

use self::source::{DIRT, Legacy, ORDERS, PASSWORD, PRODUCTS, USERS};
use crate::shelf::{fill, product, until};

/// How long a debug build on a busy machine may take for a part of a run.
const PATIENCE: Duration = Duration::from_secs(240);

/// Tables in which a migration leaves nothing when it was given back.
const TABLES: [&str; 23] = [
    "account",
    "account_email",
    "account_taken",
    "address",
    "brand",
    "category",
    "product",
    "product_taken",
    "sku",
    "sku_code",
    "product_slug",
    "product_image",
    "price",
    "stock_bucket",
    "stock_movement",
    "orders",
    "order_line",
    "order_history",
    "order_number",
    "order_taken",
    "payment_intent",
    "payment_attempt",
    "refund",
];

/// Runs `meridian migrate-in`; its exit status and what it printed.
fn migrate_in(shop: &Shop, arguments: &[&str]) -> Result<(i32, String)> {
    let Output { status, stdout, stderr } = command(shop, arguments)?.output()?;
    let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    Ok((status.code().context("it was killed")?, text))
}

/// The same with an answer in JSON.
fn asked(shop: &Shop, arguments: &[&str]) -> Result<(i32, Value)> {
    let output = command(shop, arguments)?.args(["-o", "json"]).output()?;
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let answer = serde_json::from_str(&stdout).with_context(|| format!("{arguments:?}: {stdout}{stderr}"))?;
    Ok((output.status.code().context("it was killed")?, answer))
}

fn command(shop: &Shop, arguments: &[&str]) -> Result<std::process::Command> {
    let mut command = shop.command(&[&["migrate-in"], arguments].concat())?;
    command.env("MERIDIAN_MIGRATE_IN_PASSWORD", "");
    Ok(command)
}

fn started(shop: &Shop, arguments: &[&str]) -> Result<Child> {
    Ok(command(shop, arguments)?.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
}

async fn counts(shop: &Shop) -> Result<Vec<(&'static str, i64)>> {
    let mut counts = Vec::new();
    for table in TABLES {
        counts.push((table, shop.number(&format!("SELECT count(*) FROM {table}")).await?));
    }
    Ok(counts)
}

fn of<'a>(report: &'a Value, table: &str) -> Result<&'a Value> {
    let tables = report["tables"].as_array().context("tables")?;
    tables.iter().find(|it| it["table"] == table).with_context(|| format!("{table} in {report}"))
}

/// Kills a run with -9 as soon as `table` has more than `rows`; whether it was still running.
async fn killed_at(shop: &Shop, run: &[&str], table: &str, rows: i64) -> Result<bool> {
    let mut child = started(shop, run)?;
    let sql = format!("SELECT count(*) FROM {table}");
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            ensure!(status.code() == Some(6), "the run ended by itself: {status}");
            return Ok(false);
        }
        if shop.number(&sql).await? > rows {
            child.kill()?;
            child.wait()?;
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    child.kill()?;
    child.wait()?;
    bail!("{table} does not grow")
}

async fn everything(legacy: &Legacy, parts: Parts) -> Result<()> {
    let shop = Shop::builder().on(parts).start().await?;
    fill(&shop)?;
    let before = counts(&shop).await?;
    let from = legacy.from();
    let source = ["--from", from.as_str(), "--tls", "off"];
    let with = |words: &[&'static str]| -> Vec<&str> { words.iter().copied().chain(source).collect() };
    let (plan, run, verify) = (with(&["plan"]), with(&["run", "--batch", "25"]), with(&["verify"]));

    // A look changes nothing.
    let (status, planned) = asked(&shop, &plan)?;
    ensure!(status == 0, "{planned}");
    ensure!(
        of(&planned, "users")?["rows"] == USERS && of(&planned, "orders")?["rows"] == ORDERS,
        "{planned}"
    );
    ensure!(counts(&shop).await? == before);

    kill_and_go_on(&shop, &run).await?;
    told(&shop, &verify).await?;
    twice(&shop, legacy, &run, &verify).await?;
    as_before(&shop).await?;
    changed(&shop, legacy, &run, &verify).await?;
    shop.run_command(&["region", "verify"], None)?;
    give_back(&shop, &before).await?;
    shop.run_command(&["region", "verify"], None)?;
    shop.finish().await
}

/// Killed in each table, it goes on; at the end everything is there once.
async fn kill_and_go_on(shop: &Shop, run: &[&str]) -> Result<()> {
    let mut killed = 0;
    for (table, rows) in [
        ("account_taken", 200),
        ("product_taken", 60),
        ("migrate_in_offer", 100),
        ("order_taken", 300),
        ("order_taken", 1_100),
        ("payment_taken", 250),
    ] {
        killed += u32::from(killed_at(shop, run, table, rows).await?);
    }
    ensure!(killed >= 4, "only {killed} runs were killed: they are too quick for this test");
    let (status, report) = asked(shop, run)?;
    ensure!(status == 6, "dirt is told: {report}");
    for table in ["users", "products", "skus", "orders", "payments"] {
        ensure!(of(&report, table)?["finished"] == true, "{report}");
    }
    Ok(())
}

/// What is not in is told, row by row; all else is in, and the same on both sides.
async fn told(shop: &Shop, verify: &[&str]) -> Result<()> {
    let (status, verification) = asked(shop, verify)?;
    ensure!(status == 0 && verification["same"] == true, "{verification:#}");
    for (table, rows) in [("users", USERS), ("products", PRODUCTS), ("orders", ORDERS)] {
        let of = of(&verification, table)?;
        let (refused, here) =
            (of["refused"].as_u64().context("refused")?, of["here"].as_u64().context("here")?);
        ensure!(of["rows"] == rows && refused + here == u64::from(rows), "{of}");
        ensure!((4..40).contains(&refused) || table == "products" && refused == 3, "{of}");
        ensure!(of["source_checksum"] == of["here_checksum"] && of["extra"] == 0, "{of}");
    }
    let (_, errors) = migrate_in(shop, &["errors"])?;
    for (table, key, reason) in DIRT {
        let line = errors.lines().find(|line| line.starts_with(&format!("\"{table}\",\"{key}\",")));
        let line = line.with_context(|| format!("{table} {key} is not told:\n{errors}"))?;
        ensure!(line.contains(reason), "{line}");
    }
    Ok(())
}

/// Again, nothing changes: no row and no event.
async fn twice(shop: &Shop, legacy: &Legacy, run: &[&str], verify: &[&str]) -> Result<()> {
    let events = "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM event_log)";
    let (before, told) = (counts(shop).await?, shop.number(events).await?);
    let (status, report) = asked(shop, run)?;
    ensure!(status == 6, "{report}");
    for table in ["users", "products", "skus", "orders", "payments"] {
        let of = of(&report, table)?;
        ensure!(of["pass"] == 2 && of["created"] == 0 && of["updated"] == 0, "{of}");
        ensure!(of["unchanged"] == of["here"], "{of}");
    }
    ensure!(counts(shop).await? == before && shop.number(events).await? == told);
    let orders = shop.number("SELECT count(DISTINCT id) FROM orders").await?;
    let theirs = legacy.number("SELECT count(*) FROM orders").await?;
    ensure!(orders > 1_900 && orders < theirs, "{orders} of {theirs}");
    ensure!(asked(shop, verify)?.0 == 0);
    Ok(())
}

/// A user logs in with the old password and finds the old orders; products are found and sold.
async fn as_before(shop: &Shop) -> Result<()> {
    let mut person = shop.guest();
    person.log_in("user1@old.example", PASSWORD).await.context("user 1")?;
    let hash = "SELECT count(*) FROM account WHERE email_key = 'user101@old.example' AND password_hash LIKE '$argon2id$%'";
    ensure!(shop.number(hash).await? == 0);
    for _ in 0..2 {
        person.log_in("USER101@old.example", PASSWORD).await?;
    }
    ensure!(shop.number(hash).await? == 1, "bcrypt gives way at the first log-in");
    let wrong = json!({"email": "user102@old.example", "password": "not this one"});
    shop.guest().post("/api/v1/sessions", &wrong).await?.expect(401)?;
    let orders = person.get("/api/v1/orders?limit=100").await?.expect(200)?;
    let orders = orders["items"].as_array().context("items")?;
    // Orders 1, 901 and 1801 are user 101's.
    ensure!(orders.len() == 3, "{orders:?}");
    let first =
        orders.iter().find(|it| it["number"] == "20240000000000000001").context("the number people know")?;
    ensure!(first["state"] == "paid" && first["payment_state"] == "paid", "{first}");
    // (2 × (101 × 37 + 199) + (102 × 37 + 199)) − 10 + 800, in fen.
    ensure!(first["totals"]["total"] == json!({"amount": 12_635, "currency": "CNY"}), "{first}");
    let path = format!("/api/v1/orders/{}", first["id"].as_str().context("an id")?);
    let history = person.get(&format!("{path}/history")).await?.expect(200)?;
    ensure!(history.to_string().contains("in the shop it came from"), "{history}");
    let cancelled = person.post(&format!("{path}/cancel"), &json!({})).await?;
    ensure!(cancelled.status == 409 || cancelled.status == 422, "{}", cancelled.text);
    let addresses = person.get("/api/v1/addresses").await?.expect(200)?;
    ensure!(addresses.to_string().contains("West Lake"), "{addresses}");

    let thing = product(shop, "thing-33-hao-wu-legacy-33").await?;
    ensure!(thing["skus"][0]["price"]["amount"] == 65 * 37 + 199, "{thing}");
    ensure!(thing["skus"][0]["available"] == 65 % 50, "{thing}");
    ensure!(!thing["description"].as_str().unwrap_or_default().contains("script"), "{thing}");
    until(async || {
        let found = shop.guest().get("/api/v1/search?q=Thing%2033").await?.expect(200)?;
        Ok(found.to_string().contains("thing-33-hao-wu-legacy-33").then_some(()))
    })
    .await
    .context("search finds it")
}

/// What the source changed is seen, and brought up.
async fn changed(shop: &Shop, legacy: &Legacy, run: &[&str], verify: &[&str]) -> Result<()> {
    for change in [
        "UPDATE users SET nickname = 'New Name' WHERE id = 200",
        "UPDATE products SET name = 'Other Thing' WHERE id = 33",
        "UPDATE skus SET price = 9.99, stock = 77 WHERE id = 65",
        "UPDATE orders SET status = 4, completed_at = '2024-12-31 00:00:00' WHERE id = 1",
        "INSERT INTO users (id, username, email, status, created_at) VALUES (5000, 'late', 'late@old.example', 1, NOW())",
    ] {
        legacy.run(change).await?;
    }
    let (status, verification) = asked(shop, verify)?;
    ensure!(status == 1 && verification["same"] == false, "{verification:#}");
    for (table, missing, changed) in [("users", 1, 1), ("products", 0, 1), ("skus", 0, 1), ("orders", 0, 1)] {
        let of = of(&verification, table)?;
        ensure!(of["missing"] == missing && of["changed_there"] == changed, "{of}");
        ensure!(of["source_checksum"] != of["here_checksum"], "{of}");
    }
    let (status, report) = asked(shop, run)?;
    ensure!(status == 6, "{report}");
    ensure!(of(&report, "users")?["created"] == 1 && of(&report, "users")?["updated"] == 1, "{report}");
    ensure!(of(&report, "skus")?["updated"] == 1 && of(&report, "orders")?["updated"] == 1, "{report}");
    let (status, verification) = asked(shop, verify)?;
    ensure!(status == 0, "{verification:#}");
    let thing = until(async || {
        let thing = product(shop, "other-thing-legacy-33").await;
        Ok(thing
            .ok()
            .filter(|it| it["skus"][0]["available"] == 77 && it["skus"][0]["price"]["amount"] == 999))
    })
    .await?;
    ensure!(thing["title"] == "Other Thing", "{thing}");
    Ok(())
}

/// What has lived stays until it is said that it goes, too; then everything is as it was.
async fn give_back(shop: &Shop, before: &[(&'static str, i64)]) -> Result<()> {
    ensure!(migrate_in(shop, &["revert", "--confirm", "another"])?.0 == 2);
    let priced = "UPDATE price SET created_by = 'somebody' WHERE sku_id = (SELECT id FROM migrate_in_offer \
                  WHERE source_key = '101')";
    shop.damage(priced).await?;
    // Killed in the middle it goes on, too.
    let revert = ["revert", "--confirm", "legacy", "--batch", "25"];
    let mut child = started(shop, &revert)?;
    let deadline = Instant::now() + PATIENCE;
    while shop.number("SELECT count(*) FROM order_taken").await? >= 1_500 {
        ensure!(Instant::now() < deadline, "nothing is given back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    child.kill()?;
    child.wait()?;
    let (status, report) = asked(shop, &revert)?;
    ensure!(status == 6 && report["complete"] == false, "{report:#}");
    // Users 1 and 101 have logged in; SKU 101 got another price, so product 51 stays, and what it is in.
    ensure!(of(&report, "users")?["kept"] == 2 && of(&report, "orders")?["kept"] == 0, "{report:#}");
    ensure!(of(&report, "skus")?["kept"] == 1 && of(&report, "products")?["kept"] == 1, "{report:#}");
    let reason = of(&report, "users")?["examples"].to_string();
    ensure!(reason.contains("has logged in here"), "{reason}");
    ensure!(shop.number("SELECT count(*) FROM account_taken").await? == 2);

    let (status, report) = asked(shop, &[&revert[..], &["--changed-too"]].concat())?;
    ensure!(status == 0 && report["complete"] == true, "{report:#}");
    let after = counts(shop).await?;
    ensure!(after == before, "{before:?}\n{after:?}");
    until(async || {
        let found = shop.guest().get("/api/v1/search?q=Thing%2033").await?.expect(200)?;
        Ok((!found.to_string().contains("legacy-33")).then_some(()))
    })
    .await
    .context("search does not find it any more")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts TiDB for the old shop: cargo xtask test --real"]
async fn an_old_shop_moves_in_and_out_on_the_embedded_database() -> Result<()> {
    let legacy = Legacy::fill().await?;
    everything(&legacy, Parts::default()).await?;
    legacy.remove().await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts TiDB for both shops: cargo xtask test --real"]
async fn an_old_shop_moves_in_and_out_on_tidb() -> Result<()> {
    let legacy = Legacy::fill().await?;
    everything(&legacy, legacy.parts()).await?;
    legacy.remove().await
}
