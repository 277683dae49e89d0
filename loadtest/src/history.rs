//! Histories of registers that are written in one region and read in the next, held against what may be seen.
//!
//! A shopper's name is a register with one writer: a read that carries the token of the last acknowledged write sees that
//! write or one whose answer never came, which may happen at any later time; anything else is a *stale read*. A product's
//! description is a counter with a writer a region, each of whom changes the version that it read: two acknowledged changes
//! of one version, or a counter smaller than its acknowledged changes, are a *lost update*.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};
use support::{Answer, Client, Shop};
use tokio::task::JoinSet;

/// Registers of shoppers.
const REGISTERS: usize = 6;
/// Between two writes of one writer.
const EVERY: Duration = Duration::from_millis(500);
/// A write without an answer after this long is one that may have happened.
const ANSWER: Duration = Duration::from_secs(2);
/// Anomalies that are told one by one.
const SHOWN: usize = 5;
const NAME: &str = "/api/v1/accounts/me";
const COUNTER: &str = "/api/v1/products/counter";
const TOKEN: &str = "x-consistency-token";

/// What the histories hold.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    written: usize,
    refused: usize,
    unknown: usize,
    read: usize,
}

/// Writers at their work.
pub(crate) struct Histories {
    entrances: Vec<String>,
    over: AtomicBool,
    seen: Mutex<Seen>,
    begun: Instant,
    /// What was seen and may not be, with when and where.
    anomalies: Mutex<Vec<String>>,
    /// The versions of the counter that an acknowledged change was made from.
    changed: Mutex<BTreeSet<String>>,
}

impl Histories {
    /// Begins to write; what the writers end with.
    pub(crate) async fn begin(shop: &Shop) -> Result<(Arc<Self>, JoinSet<Result<()>>)> {
        let histories = Arc::new(Self {
            entrances: shop.entrances().to_vec(),
            over: AtomicBool::new(false),
            seen: Mutex::default(),
            begun: Instant::now(),
            anomalies: Mutex::default(),
            changed: Mutex::default(),
        });
        let admin = shop.admin().await?;
        let product =
            json!({"title": "Counter", "slug": "counter", "description": "0", "skus": [{"code": "COUNTER"}]});
        let product = admin.post("/api/v1/admin/products", &product).await?.expect(201)?;
        let path =
            format!("/api/v1/admin/products/{}", product["id"].as_str().context("a product has an id")?);
        admin.post(&format!("{path}/publish"), &json!({})).await?.expect(200)?;
        let mut writers = JoinSet::new();
        for writer in 0..REGISTERS {
            let shopper = shop.shopper().await?;
            let histories = Arc::clone(&histories);
            writers.spawn(async move { histories.register(shopper, writer).await });
        }
        for writer in 0..histories.entrances.len() {
            let (histories, admin, path) = (Arc::clone(&histories), admin.clone(), path.clone());
            writers.spawn(async move { histories.counter(admin, &path, writer).await });
        }
        Ok((histories, writers))
    }

    /// Ends the writers and looks at what is left; the figures. Fails at a stale read and at a lost update.
    pub(crate) async fn end(&self, mut writers: JoinSet<Result<()>>, shop: &Shop) -> Result<Value> {
        self.over.store(true, Ordering::Relaxed);
        while let Some(writer) = writers.join_next().await {
            writer??;
        }
        let anomalies = self.anomalies.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner).len();
        let seen = *self.seen();
        ensure!(
            anomalies.is_empty(),
            "{} anomalies in {} writes and {} reads: {}",
            anomalies.len(),
            seen.written,
            seen.read,
            anomalies.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join("; ")
        );
        for entrance in &self.entrances {
            // What a shopper is shown lives for a while; the staff's view is the row itself.
            let admin = shop.admin().await?.at(entrance);
            let shown = admin.get(COUNTER).await?.expect(200)?;
            let id = shown["id"].as_str().context("a product has an id")?;
            let row = admin.get(&format!("/api/v1/admin/products/{id}")).await?.expect(200)?;
            let count = count(&row)?;
            ensure!(
                (changed..=changed + seen.unknown).contains(&count),
                "lost updates: the counter says {count} after {changed} acknowledged changes, {} unknown",
                seen.unknown
            );
        }
        Ok(json!({
            "writes": seen.written, "of versions that had moved on": seen.refused,
            "of unknown end": seen.unknown, "reads with a token elsewhere": seen.read,
        }))
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what may not be; the writers go on, so that all of it is counted.
    fn anomaly(&self, at: usize, what: &str) {
        let entrance = &self.entrances[at % self.entrances.len()];
        let note = format!(
            "{what} (at {entrance}, {:.1} s after the beginning)",
            self.begun.elapsed().as_secs_f64()
        );
        eprintln!("{note}");
        self.anomalies.lock().unwrap_or_else(PoisonError::into_inner).push(note);
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// A client at the entrance of a turn.
    fn at(&self, client: &Client, turn: usize) -> Client {
        client.clone().at(&self.entrances[turn % self.entrances.len()])
    }

    /// One shopper's name, written and read.
    async fn register(&self, shopper: Client, writer: usize) -> Result<()> {
        // What a read may show: the last acknowledged write, and those whose end is unknown.
        let mut may = BTreeSet::new();
        let mut unknown = BTreeSet::new();
        let mut token = None;
        for n in 0.. {
            if self.is_over() {
                return Ok(());
            }
            tokio::time::sleep(EVERY).await;
            let name = format!("Shopper {n}");
            let body = serde_json::to_vec(&json!({"name": name}))?;
            let door = self.at(&shopper, writer + n);
            match ask(&door, Method::PATCH, NAME, &[("content-type", "application/json")], Some(body)).await {
                Some(answer) => {
                    answer.expect(200)?;
                    token = answer.header(TOKEN).map(str::to_owned);
                    ensure!(token.is_some(), "a write is answered without a token");
                    self.seen().written += 1;
                    may = BTreeSet::from([name]);
                }
                None => {
                    self.seen().unknown += 1;
                    unknown.insert(name);
                }
            }
            let Some(token) = &token else { continue };
            let door = self.at(&shopper, writer + n + 1);
            if let Some(answer) = ask(&door, Method::GET, NAME, &[(TOKEN, token)], None).await {
                let read = answer.expect(200)?;
                let name = read["name"].as_str().unwrap_or_default();
                if !may.contains(name) && !unknown.contains(name) {
                    let stale = format!("a stale read: {name:?} after {may:?}, of unknown end {unknown:?}");
                    self.anomaly(writer + n + 1, &stale);
                }
                self.seen().read += 1;
            }
        }
        Ok(())
    }

    /// One writer of the counter.
    async fn counter(&self, admin: Client, path: &str, writer: usize) -> Result<()> {
        for n in writer.. {
            if self.is_over() {
                return Ok(());
            }
            tokio::time::sleep(EVERY).await;
            let door = self.at(&admin, n);
            let Some(answer) = ask(&door, Method::GET, path, &[], None).await else { continue };
            let version = answer.header("etag").context("a product has a version")?.to_owned();
            let next = count(&answer.expect(200)?)? + 1;
            let product = json!({"title": "Counter", "slug": "counter", "description": next.to_string(), "skus": [{"code": "COUNTER"}]});
            let headers = [("content-type", "application/json"), ("if-match", version.as_str())];
            let Some(answer) =
                ask(&door, Method::PUT, path, &headers, Some(serde_json::to_vec(&product)?)).await
            else {
                self.seen().unknown += 1;
                continue;
            };
            if answer.status == 412 {
                self.seen().refused += 1;
                continue;
            }
            answer.expect(200)?;
            self.seen().written += 1;
            let first = self.changed.lock().unwrap_or_else(PoisonError::into_inner).insert(version.clone());
            if !first {
                self.anomaly(
                    n,
                    &format!("a lost update: two changes of the version {version} were acknowledged"),
                );
            }
            let token = answer.header(TOKEN).context("a write is answered without a token")?;
            let door = self.at(&admin, n + 1);
            if let Some(answer) = ask(&door, Method::GET, COUNTER, &[(TOKEN, token)], None).await {
                let read = count(&answer.expect(200)?)?;
                if read < next {
                    self.anomaly(n + 1, &format!("a stale read: the counter says {read} after {next}"));
                }
                self.seen().read += 1;
            }
        }
        Ok(())
    }
}

/// An answer; none when none came in time, the region was away, or it said that it does not know.
async fn ask(
    door: &Client,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<Vec<u8>>,
) -> Option<Answer> {
    let asked = tokio::time::timeout(ANSWER, door.send(method, path, headers, body)).await;
    asked.ok()?.ok().filter(|answer| answer.status < 500 && answer.status != 308)
}

fn count(product: &Value) -> Result<usize> {
    let text = product["description"].as_str().context("a product has a description")?;
    text.parse().with_context(|| format!("the counter says {text:?}"))
}
