//! Where data lies that a law keeps in some regions.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use support::{Client, REGIONS, Shop};

use crate::regions::unhurried;

/// Registers at a region, and logs in there.
async fn register(shop: &Shop, region: usize, country: Option<&str>) -> Result<Client> {
    let mut client = shop.guest().at(&shop.entrances()[region]);
    let email = format!("{}-{region}@example.com", country.unwrap_or("nowhere"));
    let mut account = json!({"email": email, "password": "correct horse battery", "name": "Test Shopper"});
    if let Some(country) = country {
        account["country"] = country.into();
    }
    client.post("/api/v1/accounts", &account).await?.expect(201)?;
    client.log_in(&email, "correct horse battery").await?;
    Ok(client)
}

/// The jurisdiction of the shard that an account lies on, and its home.
fn place_of(map: &Value, shard: i64) -> Result<(String, String)> {
    let shards = map["shards"].as_array().with_context(|| map.to_string())?;
    let row = shards.iter().find(|row| row["shard"] == shard).context("the shard is in the map")?;
    let text = |name: &str| row[name].as_str().map(str::to_owned).with_context(|| row.to_string());
    Ok((text("jurisdiction")?, text("home")?))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_lies_under_the_law_of_its_country_wherever_it_is_opened() -> Result<()> {
    let shop = unhurried()
        .found_with(&["--jurisdiction", "eu-west=eu"])
        .set("ACCOUNT__JURISDICTIONS__DE", "eu")
        .start()
        .await?;
    let map: Value =
        serde_json::from_str(&shop.run_command(&["region", "status", "--shards", "-o", "json"], None)?)?;
    let [us, eu, ap] = [0, 1, 2];
    for (region, country, laws, homes) in [
        (us, Some("DE"), &["eu"][..], &[REGIONS[eu]][..]),
        (ap, Some("DE"), &["eu"], &[REGIONS[eu]]),
        (eu, Some("DE"), &["eu"], &[REGIONS[eu]]),
        (us, Some("JP"), &["any"], &[REGIONS[us]]),
        (eu, Some("JP"), &["any"], &[REGIONS[us], REGIONS[ap]]),
        (ap, None, &["any"], &[REGIONS[ap]]),
        (eu, None, &["eu"], &[REGIONS[eu]]),
    ] {
        let email = format!("{}-{region}@example.com", country.unwrap_or("nowhere"));
        let client = register(&shop, region, country).await?;
        let shard = shop.number(&format!("SELECT shard FROM account WHERE email = '{email}'")).await?;
        let (law, home) = place_of(&map, shard)?;
        let right = laws.contains(&law.as_str()) && homes.contains(&home.as_str());
        ensure!(right, "{email}, opened in {}: under {law} in {home}", REGIONS[region]);
        // Every region serves it: its own data by its home.
        client.address("US").await?;
        for base in shop.entrances() {
            let me =
                Client::new(base).with_token(client.token()).get("/api/v1/accounts/me").await?.expect(200)?;
            ensure!(me["email"] == email.as_str(), "{me}");
        }
    }
    let wrong =
        json!({"email": "x@example.com", "password": "correct horse battery", "name": "X", "country": "de"});
    ensure!(shop.guest().post("/api/v1/accounts", &wrong).await?.status == 422);
    let laws: BTreeSet<String> = (0..16).map(|shard| Ok(place_of(&map, shard)?.0)).collect::<Result<_>>()?;
    ensure!(laws == BTreeSet::from(["any".to_owned(), "eu".to_owned()]), "{laws:?}");
    shop.finish().await
}
