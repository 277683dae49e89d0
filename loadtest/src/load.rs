//! How fast one machine is. The clients share its cores with the server.

use std::{
    fmt::Write as _,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use actix_web::{App, HttpResponse, HttpServer, web};
use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use hyper::Method;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};
use support::{Client, Shop};

use crate::{
    Proof,
    catalog::{Buyer, buyers, stock},
    clients::{self, Pace, milliseconds},
    connection::Connection,
    holds,
};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Import, search and start with the large catalog.
    Catalog,
    /// Cached product JSON against a bare actix handler.
    Json,
    /// Orders.
    Orders,
    /// Holds on one hot SKU, at the contract.
    Holds,
}

/// How much.
#[derive(Clone, Debug)]
pub struct Size {
    /// What is measured; everything when empty.
    pub only: Vec<Part>,
    /// Products in the catalog for import, search and start.
    pub products: usize,
    /// Keep-alive clients.
    pub clients: usize,
    /// How long each measurement lasts.
    pub duration: Duration,
    /// Searches a second.
    pub searches: u32,
}

/// Measures everything in one run.
pub async fn run(size: Size, proof: &mut Proof, seed: u64) -> Result<()> {
    proof.figure("clients", size.clients);
    let wanted = |part| size.only.is_empty() || size.only.contains(&part);
    if wanted(Part::Catalog) {
        catalog(&size, proof, seed).await?;
    }
    if wanted(Part::Json) || wanted(Part::Orders) {
        let shop = self::shop().await?;
        if wanted(Part::Json) {
            json(&shop, &size, proof).await?;
        }
        if wanted(Part::Orders) {
            orders(&shop, size.clients, size.duration, "orders", proof).await?;
            proof.figure("orders: synchronous", "full");
        }
        shop.finish().await?;
    }
    if wanted(Part::Holds) {
        holds::run(size.clients, size.duration, proof).await?;
    }
    Ok(())
}

async fn catalog(size: &Size, proof: &mut Proof, seed: u64) -> Result<()> {
    let shop = shop().await?;
    let file = shop.data().with_file_name("load.csv");
    std::fs::write(&file, csv(size.products)?)?;
    let path = file.to_str().context("UTF-8 path")?.to_owned();
    let start = Instant::now();
    shop.run_command(&["import", "products", &path], None)?;
    proof.figure("import: products", size.products);
    proof.figure("import: seconds", round(start.elapsed().as_secs_f64()));
    search(&shop, size, proof, seed).await?;
    restart(shop, proof).await
}

/// A shop as in production, but without rate limits: sixty-four clients stand for many more people.
async fn shop() -> Result<Shop> {
    Shop::builder()
        .as_shipped()
        .set("HTTP__RATE_LIMIT__ENABLED", "false")
        .set("DATABASE__SYNCHRONOUS", "full")
        .set("TELEMETRY__FILTER", "warn")
        .start()
        .await
}

const WORDS: &[&str] = &[
    "oak", "linen", "copper", "wool", "cotton", "steel", "ceramic", "leather", "bamboo", "glass", "lamp",
    "chair", "table", "jacket", "shirt", "kettle", "bench", "notebook", "pen", "train", "kite", "speaker",
    "camera", "boots", "mug", "bowl",
];

fn csv(products: usize) -> Result<String> {
    let mut rng = StdRng::seed_from_u64(7);
    let mut csv = String::from(
        "Handle,Title,Body (HTML),Vendor,Type,Tags,Published,Option1 Name,Option1 Value,Variant SKU,Variant Inventory Qty,Variant Price\n",
    );
    for n in 0..products {
        let mut word = || WORDS[rng.random_range(0..WORDS.len())];
        let (a, b, c) = (word(), word(), word());
        let price = rng.random_range(500..50_000);
        writeln!(
            csv,
            "{a}-{b}-{c}-{n},{a} {b} {c} {n},<p>A {a} {b} for the {c}.</p>,Brand {},Type {},\"{a}, {b}\",true,Title,Default Title,,{},{}.{:02}",
            n % 97,
            n % 23,
            n % 50,
            price / 100,
            price % 100,
        )?;
    }
    Ok(csv)
}

fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Open-loop searches: each begins when it is due, whether the one before has ended or not.
async fn search(shop: &Shop, size: &Size, proof: &mut Proof, seed: u64) -> Result<()> {
    let guest = shop.guest();
    // The import ran beside the shop: wait until the index has caught up.
    let start = Instant::now();
    loop {
        let total =
            guest.get("/api/v1/search?limit=1").await?.expect(200)?["total"].as_u64().unwrap_or_default();
        if usize::try_from(total)? == size.products {
            break;
        }
        ensure!(
            start.elapsed() < Duration::from_secs(600),
            "the index has {total} of {} products",
            size.products
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    proof.figure("search: seconds until the import is searchable", round(start.elapsed().as_secs_f64()));
    let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
    let pool = Arc::new(tokio::sync::Mutex::new(Vec::new()));
    for _ in 0..size.clients {
        pool.lock().await.push(Connection::open(shop.base()).await?);
    }
    let mut rng = StdRng::seed_from_u64(seed);
    let every = Duration::from_secs(1) / size.searches;
    let count = u32::try_from(size.duration.as_millis())? * size.searches / 1_000;
    let begin = tokio::time::Instant::now();
    for n in 0..count {
        let due = begin + every * n;
        tokio::time::sleep_until(due).await;
        let words = (WORDS[rng.random_range(0..WORDS.len())], WORDS[rng.random_range(0..WORDS.len())]);
        let path = match n % 4 {
            0 => format!("/api/v1/search?q={}", words.0),
            1 => format!("/api/v1/search?q={}%20{}&sort=price_asc", words.0, words.1),
            2 => format!(
                "/api/v1/search?q={}&in_stock=true&min_price={}",
                words.0,
                rng.random_range(500..9_000)
            ),
            _ => format!("/api/v1/search?q={}&brand=brand-{}", words.0, rng.random_range(0..97)),
        };
        let (pool, sender) = (pool.clone(), sender.clone());
        tokio::spawn(async move {
            let outcome = async {
                let mut connection =
                    pool.lock().await.pop().context("more searches under way than clients")?;
                let (status, body) = connection.send(Method::GET, &path, &[], vec![]).await?;
                pool.lock().await.push(connection);
                ensure!(status == 200, "{path}: {status} {}", String::from_utf8_lossy(&body));
                Ok(due.elapsed())
            };
            let _ = sender.send(outcome.await);
        });
    }
    drop(sender);
    let mut latencies = Histogram::<u64>::new(3)?;
    while let Some(outcome) = receiver.recv().await {
        latencies.record(u64::try_from(outcome?.as_micros())?)?;
    }
    proof.figure("search: requests a second", size.searches);
    proof.figure("search: p50 ms", milliseconds(&latencies, 0.5));
    proof.figure("search: p99 ms", milliseconds(&latencies, 0.99));
    Ok(())
}

/// Start time and memory with the large catalog.
async fn restart(mut shop: Shop, proof: &mut Proof) -> Result<()> {
    shop.kill()?;
    let start = Instant::now();
    shop.restart().await?;
    proof.figure("start: seconds until ready, large catalog", round(start.elapsed().as_secs_f64()));
    proof.figure("memory: MiB after start", shop.memory_mib()?);
    Ok(())
}

/// One that asks for the same page.
struct Reader {
    connection: Connection,
    path: &'static str,
}

impl clients::Client for Reader {
    async fn act(&mut self) -> Result<()> {
        let (status, _) = self.connection.send(Method::GET, self.path, &[], vec![]).await?;
        ensure!(status == 200, "{}: {status}", self.path);
        Ok(())
    }
}

/// Requests a second of as many readers as there are clients.
async fn throughput(base: &str, path: &'static str, size: &Size) -> Result<f64> {
    let mut readers = Vec::with_capacity(size.clients);
    for _ in 0..size.clients {
        readers.push(Reader { connection: Connection::open(base).await?, path });
    }
    Ok(Pace::of(readers, size.duration).await?.rate)
}

/// The cached product against the same JSON from a bare actix handler in a process of its own.
async fn json(shop: &Shop, size: &Size, proof: &mut Proof) -> Result<()> {
    stock(shop, 1, 1_000_000).await?;
    let path = "/api/v1/products/load-0";
    let product = shop.guest().get(path).await?.expect(200)?;
    let raw = Raw::start(&product)?;
    // Alternating, so that both see the same machine.
    let (mut ours, mut bare) = (0.0, 0.0);
    for _ in 0..3 {
        ours += throughput(shop.base(), path, size).await? / 3.0;
        bare += throughput(&raw.base, "/", size).await? / 3.0;
    }
    proof.figure("product JSON: requests a second", ours.round());
    proof.figure("raw actix JSON: requests a second", bare.round());
    proof.figure("product JSON: ratio", round(ours / bare));
    Ok(())
}

struct Raw {
    child: Child,
    base: String,
}

impl Raw {
    fn start(product: &Value) -> Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut child = Command::new(std::env::current_exe()?)
            .args(["raw-json", "--port", &port.to_string()])
            .stdin(Stdio::piped())
            .spawn()?;
        serde_json::to_writer(child.stdin.take().context("piped")?, product)?;
        let base = format!("http://127.0.0.1:{port}");
        let start = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            ensure!(start.elapsed() < Duration::from_secs(10), "the raw server does not listen");
        }
        Ok(Self { child, base })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A bare actix server that answers `/` with `product` as JSON, serialised each time.
pub async fn raw_json(port: u16, product: Value) -> Result<()> {
    let product = web::Data::new(product);
    let server = HttpServer::new(move || {
        App::new().app_data(product.clone()).route(
            "/",
            web::get()
                .to(|product: web::Data<Value>| async move { HttpResponse::Ok().json(product.get_ref()) }),
        )
    });
    server.bind(("127.0.0.1", port))?.run().await?;
    Ok(())
}

/// A shopper who orders one unit of one SKU after the other.
struct Shopper {
    connection: Connection,
    buyer: Buyer,
    bearer: String,
    skus: Arc<[String]>,
    next: usize,
}

impl clients::Client for Shopper {
    async fn act(&mut self) -> Result<()> {
        let sku = &self.skus[self.next % self.skus.len()];
        self.next += 1;
        let body = json!({"address_id": self.buyer.address, "items": [{"sku_id": sku, "quantity": 1}]});
        let key = Client::key();
        let headers = [
            ("Authorization", self.bearer.as_str()),
            ("Content-Type", "application/json"),
            ("Idempotency-Key", &key),
        ];
        let (status, answer) = self
            .connection
            .send(Method::POST, "/api/v1/orders", &headers, serde_json::to_vec(&body)?)
            .await?;
        ensure!(status == 201, "{status}: {}", String::from_utf8_lossy(&answer));
        Ok(())
    }
}

/// Orders of one line by `clients` shoppers. An order counts when its 201 arrived: hold, order, idempotency and event
/// rows are committed then.
pub(crate) async fn orders(
    shop: &Shop,
    clients: usize,
    duration: Duration,
    name: &str,
    proof: &mut Proof,
) -> Result<()> {
    let skus: Arc<[String]> = stock(shop, 100, 1_000_000).await?.into();
    let mut shoppers = Vec::with_capacity(clients);
    for (next, buyer) in buyers(shop, clients).await?.into_iter().enumerate() {
        let connection = Connection::open(shop.base()).await?;
        let bearer = format!("Bearer {}", buyer.client.token().context("logged in")?);
        shoppers.push(Shopper { connection, buyer, bearer, skus: Arc::clone(&skus), next });
    }
    Pace::of(shoppers, duration).await?.tell(name, proof);
    Ok(())
}
