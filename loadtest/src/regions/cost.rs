//! What regions cost where nothing goes wrong, in one run on SQLite: a shop without regions, a region alone, and the hop from
//! one region to the next. One client, one request after the other, the two kinds of a comparison by turns.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use hyper::Method;
use serde_json::json;
use support::{Client, REGIONS, Shape, Shop};

use super::site::Site;
use crate::{
    Proof,
    catalog::{Buyer, UNITS, buyers, stock},
    connection::Connection,
};

/// Requests of each kind.
const REQUESTS: usize = 400;
/// Before them, uncounted.
const WARM: usize = 50;

/// Measures and notes medians.
pub(super) async fn cost(proof: &mut Proof) -> Result<()> {
    let (without, alone) = (Till::open(Shape::AllInOne).await?, Till::open(Shape::OneRegion).await?);
    for (request, name) in [(Request::Order, "order"), (Request::Account, "read")] {
        let (plain, region) = compare(&without, 0, &alone, 0, request).await?;
        proof.figure(&format!("cost: {name} without regions, ms"), plain);
        proof.figure(&format!("cost: {name} in a region alone (map, leases, entrance), ms"), region);
    }
    without.close().await?;
    alone.close().await?;
    let three = Till::open(Shape::Regions).await?;
    let home = three.home().await?;
    for (request, name) in [(Request::Order, "order"), (Request::Account, "read")] {
        let (at_home, through) = compare(&three, home, &three, (home + 1) % REGIONS.len(), request).await?;
        proof.figure(&format!("cost: {name} at its home, ms"), at_home);
        proof.figure(&format!("cost: {name} through another region, ms"), through);
    }
    three.close().await
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Request {
    /// An order of one line.
    Order,
    /// The shopper's own account.
    Account,
}

/// A shopper in a shop.
struct Till {
    site: Site,
    buyer: Buyer,
    bearer: String,
    sku: String,
}

impl Till {
    async fn open(shape: Shape) -> Result<Self> {
        let shop = Shop::builder().as_shipped().set("HTTP__RATE_LIMIT__ENABLED", "false").shape(shape);
        let shop = shop.start().await?;
        let sku = stock(&shop, 1, UNITS).await?.pop().context("a SKU")?;
        let buyer = buyers(&shop, 1).await?.pop().context("a buyer")?;
        let bearer = format!("Bearer {}", buyer.client.token().context("logged in")?);
        Ok(Self { site: Site { shop }, buyer, bearer, sku })
    }

    /// The number of the shopper's home region.
    async fn home(&self) -> Result<usize> {
        let account = self.buyer.client.get("/api/v1/accounts/me").await?.expect(200)?;
        let id = account["id"].as_str().context("an account has an id")?;
        let home = self.site.home(shard(id).with_context(|| format!("no id: {id}"))?).await?;
        REGIONS.iter().position(|region| *region == home).with_context(|| format!("an unknown home: {home}"))
    }

    async fn close(self) -> Result<()> {
        self.site.shop.finish().await
    }

    /// A request, answered well; how long it took, in microseconds.
    async fn ask(&self, connection: &mut Connection, request: Request) -> Result<u64> {
        let key = Client::key();
        let headers = [
            ("Authorization", self.bearer.as_str()),
            ("Content-Type", "application/json"),
            ("Idempotency-Key", &key),
        ];
        let order = json!({"address_id": self.buyer.address, "items": [{"sku_id": self.sku, "quantity": 1}]});
        let (method, path, wanted, body) = match request {
            Request::Order => (Method::POST, "/api/v1/orders", 201, serde_json::to_vec(&order)?),
            Request::Account => (Method::GET, "/api/v1/accounts/me", 200, Vec::new()),
        };
        let start = Instant::now();
        let (status, answer) = connection.send(method, path, &headers, body).await?;
        let took = start.elapsed();
        ensure!(status == wanted, "{path}: {status}: {}", String::from_utf8_lossy(&answer));
        Ok(u64::try_from(took.as_micros())?)
    }
}

/// The medians of two ways, in milliseconds, asked by turns so that both see the same machine.
async fn compare(
    one: &Till,
    one_door: usize,
    other: &Till,
    other_door: usize,
    request: Request,
) -> Result<(f64, f64)> {
    let mut first = Connection::open(&one.site.shop.entrances()[one_door]).await?;
    let mut second = Connection::open(&other.site.shop.entrances()[other_door]).await?;
    let (mut a, mut b) = (Histogram::<u64>::new(3)?, Histogram::<u64>::new(3)?);
    for n in 0..WARM + REQUESTS {
        let (took, took_other) =
            (one.ask(&mut first, request).await?, other.ask(&mut second, request).await?);
        if n >= WARM {
            a.record(took)?;
            b.record(took_other)?;
        }
    }
    Ok((median(&a)?, median(&b)?))
}

/// The shard in an id: its last ten bits, two characters of Crockford's base 32 as TypeIDs write it.
fn shard(id: &str) -> Option<u16> {
    let mut last = id.chars().rev().map(|c| "0123456789abcdefghjkmnpqrstvwxyz".find(c));
    let (low, high) = (last.next()??, last.next()??);
    u16::try_from(high * 32 + low).ok()
}

/// In milliseconds.
fn median(latencies: &Histogram<u64>) -> Result<f64> {
    Ok(f64::from(u32::try_from(latencies.value_at_quantile(0.5))?) / 1_000.0)
}
