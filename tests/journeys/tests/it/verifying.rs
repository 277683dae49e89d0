//! `meridian region verify`: says that all is right of a shop that is, and names what is not.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use support::{Client, Parts, Shop};

use crate::shelf::{fill, sku, until};

/// A rule, and a change of the rows behind the shop's back that breaks it.
const DAMAGE: [(&str, &str); 9] = [
    ("order.sums", "UPDATE orders SET subtotal = subtotal + 1 WHERE state = 'paid'"),
    ("order.history", "UPDATE order_history SET to_state = 'shipped' WHERE version = 1"),
    ("order.payment", "UPDATE orders SET refunded = total + 1 WHERE state = 'paid'"),
    ("order.hold", "UPDATE orders SET hold_id = (SELECT hold_id FROM orders ORDER BY id LIMIT 1)"),
    ("payment.sums", "UPDATE payment_intent SET refunded = refunded + 1"),
    ("stock.ledger", "UPDATE stock_bucket SET available = available + 1"),
    (
        "events.log",
        "DELETE FROM event_log WHERE pos = (SELECT max(l.pos) - 1 FROM event_log l WHERE l.shard = event_log.shard) \
        ",
    ),
    (
        "events.sequenced",
        "INSERT INTO outbox (shard, id, topic, aggregate, at, body) VALUES (0, x'00', 'a.b.v1', 'c', 0, x'7b7d') \
        ",
    ),
    (
        "events.dead",
        "INSERT INTO retry (subscription, shard, pos, attempts, next_at, error, dead) \
         VALUES ('nobody', 0, 1, 20, 0, 'e', 1)",
    ),
];

async fn order(shop: &Shop, shopper: &Client, key: &str) -> Result<String> {
    let (address, lamp) = (shopper.address("US").await?, sku(shop, "copper-lamp").await?);
    let body = json!({"items": [{"sku_id": lamp, "quantity": 2}], "address_id": address});
    let placed = shopper.post_once("/api/v1/orders", key, &body).await?.expect(201)?;
    placed["id"].as_str().map(str::to_owned).context("an id")
}

/// What `verify` found, by rule: how many were looked at. An error when something is wrong.
fn verify(shop: &Shop) -> Result<Vec<(String, u64)>> {
    let answer: Value = serde_json::from_str(&shop.run_command(&["region", "verify", "-o", "json"], None)?)?;
    let lines = answer.as_array().context("a list")?;
    lines
        .iter()
        .map(|line| {
            let rule = line["rule"].as_str().context("a rule")?.to_owned();
            Ok((rule, line["looked_at"].as_u64().context("a number")?))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_named_and_nothing_else() -> Result<()> {
    // Embedded: the damage is done in SQLite's words.
    let mut shop = Shop::builder().on(Parts::default()).start().await?;
    fill(&shop)?;
    let shopper = shop.shopper().await?;
    let paid = order(&shop, &shopper, "one").await?;
    order(&shop, &shopper, "two").await?;
    let path = format!("/api/v1/orders/{paid}/payments");
    let payment = shopper.post_once(&path, "pay", &json!({"channel": "sandbox"})).await?.expect(201)?;
    let path = format!("/api/v1/sandbox/payments/{}", payment["id"].as_str().context("an id")?);
    shopper.post(&path, &json!({"outcome": "succeed"})).await?.expect(202)?;
    until(async || {
        let now = shopper.get(&format!("/api/v1/orders/{paid}")).await?.expect(200)?;
        Ok((now["state"] == "paid").then_some(()))
    })
    .await?;
    until(async || Ok(shop.leftovers().await?.is_quiet().then_some(()))).await?;

    let right = verify(&shop)?;
    for (rule, least) in [("order.sums", 2), ("order.payment", 2), ("payment.sums", 1), ("stock.ledger", 1)] {
        let looked = right.iter().find(|(name, _)| name == rule).context(rule)?.1;
        ensure!(looked >= least, "{rule}: looked at {looked}");
    }
    // Stopped: what is broken now is not put right, or found, by anybody else.
    shop.kill()?;
    let mut broken: Vec<&str> = Vec::new();
    for (rule, damage) in DAMAGE {
        shop.damage(damage).await.with_context(|| rule)?;
        broken.push(rule);
        let Err(told) = verify(&shop) else { bail!("{rule} is broken, and nothing is said") };
        let told = told.to_string();
        let (_, wrong) = told.rsplit_once("wrong: ").with_context(|| told.clone())?;
        for rule in &broken {
            ensure!(wrong.contains(rule), "{rule} is not among what is wrong: {told}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_schema_is_told_and_left_as_it_is() -> Result<()> {
    let mut shop = Shop::builder().on(Parts::default()).start().await?;
    until(async || Ok(shop.leftovers().await?.is_quiet().then_some(()))).await?;
    shop.kill()?;
    let (told, keys) = (verify(&shop)?, shop.data().join("keys"));
    ensure!(!told.is_empty());
    std::fs::rename(&keys, shop.data().join("away"))?;
    verify(&shop)?;
    ensure!(!keys.exists(), "a look made keys");

    let later = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('of_a_later_day', 0)";
    let earlier = "DELETE FROM seaql_migrations WHERE version IN ('of_a_later_day', 'm0001_intake')";
    for (damage, said) in [(later, "newer than this"), (earlier, "older than this")] {
        shop.damage(damage).await?;
        let noted = shop.number("SELECT count(*) FROM seaql_migrations").await?;
        let Err(told) = verify(&shop) else { bail!("a schema that is {said}: nothing is said") };
        ensure!(told.to_string().contains(said), "{told}");
        ensure!(shop.number("SELECT count(*) FROM seaql_migrations").await? == noted, "a look migrated it");
    }

    // A database without a shop, and no database.
    let folder = tempfile::tempdir()?;
    for _ in 0..2 {
        let Err(told) = shop.run_command_on(folder.path(), &["region", "verify"], None) else {
            bail!("there is no shop, and nothing is said")
        };
        ensure!(told.to_string().contains("exit status: 3"), "{told}");
        std::fs::File::create(folder.path().join("meridian.db"))?;
    }
    Ok(())
}
