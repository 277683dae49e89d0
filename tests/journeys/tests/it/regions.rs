//! A shop of three regions over one database.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use coordinator::{DatabaseJournal, Journal};
use kernel::{Region, Shard, SystemClock};
use platform_db::Db;
use serde_json::{Value, json};
use support::{Client, REGIONS, Shape, Shop, ShopBuilder};

use crate::shelf::{available, fill, sku, until};

/// What regions promise (`region.lease` and what comes before and after it); a busy machine may take longer.
const PROMISE: Duration = Duration::from_secs(6);

struct Three {
    shop: Shop,
    journal: DatabaseJournal,
}

/// Regions that take nobody for dead who is slow: who was killed refuses connections, which is seen as soon as ever.
fn patient() -> ShopBuilder {
    Shop::builder()
        .shape(Shape::Regions)
        .set("REGION__OBSERVE_TIMEOUT", "2s")
        .set("REGION__OBSERVE_STALE", "15s")
}

/// Where nobody dies: no lease runs out, either, while a busy machine keeps its holder from its turn.
pub(crate) fn unhurried() -> ShopBuilder {
    patient().set("REGION__LEASE", "15s")
}

impl Three {
    async fn start(builder: ShopBuilder) -> Result<Self> {
        let shop = builder.start().await?;
        fill(&shop)?;
        let db = Db::open(shop.database(), Arc::new(SystemClock)).await?;
        let three = Self { shop, journal: DatabaseJournal::new(db) };
        three.at_work(&REGIONS).await?;
        Ok(three)
    }

    /// Waits until these regions do the work of every shard, each that of its own where it is among them.
    async fn at_work(&self, regions: &[&str]) -> Result<()> {
        until(async || {
            let world = self.journal.read().await?.world;
            let held = |shard: &Shard| {
                let lease = world.observed.leases.get(shard)?;
                lease.held(world.observed.now).then_some(lease.holder.region.as_str())
            };
            let right = world.observed.shards.iter().all(|(shard, row)| {
                let home = row.home.as_str();
                held(shard).is_some_and(|by| {
                    if regions.contains(&home) { by == home } else { regions.contains(&by) }
                })
            });
            Ok(right.then_some(()))
        })
        .await
        .context("every shard's work is done")
    }

    /// A shopper whose account is made in a region.
    async fn shopper_of(&self, region: usize) -> Result<Client> {
        let email = format!("shopper-{:016x}@example.com", rand());
        let mut client = self.shop.guest().at(&self.shop.entrances()[region]);
        let account = json!({"email": email, "password": "correct horse battery", "name": "Test Shopper"});
        client.post("/api/v1/accounts", &account).await?.expect(201)?;
        client.log_in(&email, "correct horse battery").await?;
        Ok(client)
    }
}

fn rand() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::collections::hash_map::RandomState::new().build_hasher().finish()
}

fn id(value: &Value) -> Result<String> {
    value["id"].as_str().map(str::to_owned).context("an id")
}

/// A region that has just died is still asked by the others for a moment; they say to try again then.
fn again(status: u16) -> bool {
    matches!(status, 502..=504)
}

/// Pays an order.
async fn pay(shopper: &Client, order: &str) -> Result<()> {
    let (path, key) = (format!("/api/v1/orders/{order}/payments"), Client::key());
    let payment = until(async || {
        let answer = shopper.post_once(&path, &key, &json!({"channel": "sandbox"})).await?;
        if again(answer.status) { Ok(None) } else { answer.expect(201).map(Some) }
    })
    .await?;
    let path = format!("/api/v1/sandbox/payments/{}", id(&payment)?);
    until(async || {
        let answer = shopper.post(&path, &json!({"outcome": "succeed"})).await?;
        if again(answer.status) { Ok(None) } else { answer.expect(202).map(|_| Some(())) }
    })
    .await
}

async fn is(shopper: &Client, order: &str, state: &str) -> Result<()> {
    until(async || {
        let answer = shopper.get(&format!("/api/v1/orders/{order}")).await?;
        if again(answer.status) {
            return Ok(None);
        }
        Ok((answer.expect(200)?["state"] == state).then_some(()))
    })
    .await
    .with_context(|| format!("the order is {state}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_in_one_region_is_so_in_all_and_happens_once() -> Result<()> {
    let three = Three::start(unhurried()).await?;
    let lamp = sku(&three.shop, "copper-lamp").await?;
    let world = three.journal.read().await?.world;
    for (region, name) in REGIONS.iter().enumerate() {
        let here = three.shop.entrances()[region].clone();
        ensure!(world.desired.regions[&Region::new(*name)].spec.endpoint == here, "{name} told where it is");
        let shopper = three.shopper_of(region).await?;
        let address = shopper.address("US").await?;
        let order = id(&shopper.place(&address, &lamp, 1).await?.expect(201)?)?;
        pay(&shopper, &order).await?;
        for there in three.shop.entrances() {
            let elsewhere = shopper_at(&shopper, there);
            is(&elsewhere, &order, "paid")
                .await
                .with_context(|| format!("placed in {name}, seen at {there}"))?;
            let history = elsewhere.get(&format!("/api/v1/orders/{order}/history")).await?.expect(200)?;
            ensure!(history["items"].as_array().is_some_and(|steps| steps.len() == 2), "{history}");
        }
    }
    ensure!(available(&three.shop, "copper-lamp").await? == 17);
    for name in REGIONS {
        let homed = world.observed.shards.iter().filter(|(_, row)| row.home.as_str() == name);
        let shards: Vec<String> = homed.map(|(shard, _)| shard.to_string()).collect();
        let sql = format!("SELECT COUNT(*) FROM account WHERE shard IN ({})", shards.join(","));
        ensure!(three.shop.number(&sql).await? >= 1, "who registers in {name} is at home there");
    }
    every_index_hears(&three, &lamp).await?;
    three.shop.finish().await
}

fn shopper_at(shopper: &Client, base: &str) -> Client {
    Client::new(base).with_token(shopper.token())
}

/// Each region has an index and caches of its own, and hears of what changed in another.
async fn every_index_hears(three: &Three, lamp: &str) -> Result<()> {
    let admin = three.shop.admin().await?;
    let price =
        json!({"prices": [{"sku_id": lamp, "kind": "list", "price": {"amount": 6_100, "currency": "USD"}}]});
    ensure!(admin.put("/api/v1/admin/prices", &price).await?.status < 300);
    for base in three.shop.entrances() {
        let guest = Client::new(base);
        until(async || {
            let product = guest.get("/api/v1/products/copper-lamp").await?.expect(200)?;
            let found = guest.get("/api/v1/search?q=copper").await?.expect(200)?;
            let shown = found.to_string().contains("6100");
            Ok((product["skus"][0]["price"]["amount"] == 6_100 && shown).then_some(()))
        })
        .await
        .with_context(|| format!("the new price at {base}"))?;
    }
    for name in REGIONS {
        let own = three.shop.data().join("regions").join(name);
        ensure!(
            own.join("index").is_dir() && own.join("map.json").is_file(),
            "{name} has a folder of its own"
        );
    }
    Ok(())
}

/// `meridian region degrade`, while the regions serve.
#[tokio::test(flavor = "multi_thread")]
async fn a_region_changes_nothing_for_as_long_as_a_person_says() -> Result<()> {
    let three = Three::start(unhurried()).await?;
    let shopper = three.shopper_of(1).await?;
    let cart = |n: usize| shopper_at(&shopper, &three.shop.entrances()[n]);
    let degrade = |what: &str| three.shop.run_command(&["region", "degrade", REGIONS[1], what], None);
    let line = format!("/api/v1/cart/items/{}", sku(&three.shop, "copper-lamp").await?);
    let adds = async |n: usize| cart(n).put(&line, &json!({"quantity": 1})).await;
    ensure!(adds(1).await?.status < 300);
    degrade("--read-only")?;
    let refused = until(async || {
        let answer = adds(1).await?;
        Ok((answer.code() == "edge.read_only").then_some(answer))
    })
    .await
    .context("the region hears of it")?;
    ensure!(refused.status == 503, "{}", refused.text);
    cart(1).get("/api/v1/cart").await?.expect(200)?;
    // The others serve what is at home there.
    until(async || Ok((adds(0).await?.status < 300).then_some(())))
        .await
        .context("another region serves it")?;
    degrade("--off")?;
    until(async || Ok((adds(1).await?.status < 300).then_some(()))).await.context("it hears of that, too")?;
    three.shop.finish().await
}

/// `meridian region drill`, `add`, `law` and `policy --drills`, while the regions serve.
#[tokio::test(flavor = "multi_thread")]
async fn a_drill_reports_what_it_can_know_and_a_map_can_grow() -> Result<()> {
    let three = Three::start(unhurried()).await?;
    let run = |args: &[&str]| -> Result<Value> {
        let all: Vec<&str> =
            ["region"].into_iter().chain(args.iter().copied()).chain(["-o", "json"]).collect();
        let text = three.shop.run_command(&all, None)?;
        // What happened meanwhile comes behind it.
        let mut answers = serde_json::Deserializer::from_str(&text).into_iter();
        Ok(answers.next().context("an answer")??)
    };
    let drill = run(&["drill", REGIONS[2]])?;
    let report = &drill["report"];
    ensure!(drill["outcome"] == "done" && report["rto_seconds"].is_number(), "{drill}");
    ensure!(report["events"]["waited"].is_u64() && report["replayed_events"].is_u64(), "{drill}");
    ensure!(report["failed_requests"].is_null() && report["lost_writes"].is_null(), "{drill}");
    ensure!(run(&["timeline"])?["report"]["taken_seconds"] == report["taken_seconds"]);
    let staff = three.shop.admin().await?;
    let path = format!("/api/v1/admin/region-operations/{}", drill["id"]);
    let told = staff.get(&path).await?.expect(200)?;
    ensure!(told["report"]["rto_seconds"] == report["rto_seconds"], "staff are told the same: {told}");
    ensure!(told["report"]["lost_writes"].is_null(), "{told}");
    ensure!(run(&["policy", "--drills", "sat@3"])?["drills"]["next"].is_string());
    let map = staff.get("/api/v1/admin/regions").await?.expect(200)?;
    ensure!(map["drills"]["day"] == "saturday" && map["drills"]["hour"] == 3, "{map}");
    ensure!(run(&["policy", "--no-drills"])?["drills"].is_null());

    let added = run(&["add", "spare=http://127.0.0.1:9", "--weight", "0", "--jurisdiction", "eu"])?;
    ensure!(added["jurisdictions"] == json!(["any", "eu"]), "{added}");
    ensure!(run(&["law", "0", "--under", "eu"]).is_err(), "its home keeps no such data");
    ensure!(run(&["set", "spare", "--role", "witness"])?["capacity"] == 0);
    let wrong = run(&["verify"])?;
    ensure!(wrong.as_array().is_some_and(|rules| rules.iter().all(|rule| rule["wrong"] == 0)), "{wrong}");
    three.shop.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn work_goes_on_when_a_region_is_killed() -> Result<()> {
    let mut three = Three::start(patient()).await?;
    let lamp = sku(&three.shop, "copper-lamp").await?;
    // Their shards are at home in the region that dies; they buy in another.
    let dies = 0;
    let shopper = three.shopper_of(dies).await?;
    let elsewhere = shopper_at(&shopper, &three.shop.entrances()[1]);
    let address = elsewhere.address("US").await?;
    let items = json!({"address_id": address, "items": [{"sku_id": lamp, "quantity": 1}]});
    let key = Client::key();
    three.shop.kill_group(dies)?;
    let killed = Instant::now();
    let placed = until(async || {
        let answer = elsewhere.post_once("/api/v1/orders", &key, &items).await?;
        if answer.status >= 500 { Ok(None) } else { answer.expect(201).map(Some) }
    })
    .await?;
    let order = id(&placed)?;
    eprintln!("an order was placed {:?} after the kill", killed.elapsed());
    pay(&elsewhere, &order).await?;
    is(&elsewhere, &order, "paid").await?;
    let took = killed.elapsed();
    eprintln!(
        "events of the dead region's shards were consumed {took:?} after the kill; promised: {PROMISE:?}"
    );
    three.at_work(&REGIONS[1..]).await?;
    eprintln!("every lease was taken over {:?} after the kill", killed.elapsed());
    until(async || {
        let product = three.shop.guest().get("/api/v1/products/copper-lamp").await?;
        if again(product.status) {
            return Ok(None);
        }
        Ok((product.expect(200)?["skus"][0]["available"] == 19).then_some(()))
    })
    .await?;
    // It comes back, fenced by now or not, and hears what it missed.
    three.shop.start_group(dies).await?;
    three.shop.finish().await
}
