//! Buyers who order and pay, and who come again with the same keys until they are answered. What is on limited offer
//! may be sold out; everything else is there.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use support::{Answer, Client};

use crate::catalog::Buyer;

/// Between two tries.
const AGAIN: Duration = Duration::from_millis(100);

const SOLD_OUT: &str = "inventory.out_of_stock";
const LATE: &str = "no answer in time";
/// One order of so many is for what is on limited offer, while something is.
pub(crate) const LIMITED: usize = 5;

/// How buyers behave.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// From one order to the next, of all buyers together, whatever became of the first; zero: as fast as they are answered.
    pub(crate) every: Duration,
    /// An answer is waited for so long; then the same request goes to the next entrance.
    pub(crate) answer: Duration,
    /// A buyer gives up after so long, and the proof has failed.
    pub(crate) patience: Duration,
}

/// What a buyer knows of an order.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) order: String,
    pub(crate) sku: String,
    pub(crate) paid: bool,
}

/// When an order was first asked for and when its 201 arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) asked: Instant,
    pub(crate) at: Instant,
}

/// A try that was no success.
#[derive(Clone, Debug)]
pub(crate) struct Miss {
    pub(crate) at: Instant,
    pub(crate) what: String,
}

impl Miss {
    /// Whether the buyer gave up waiting; otherwise the request failed.
    pub(crate) fn late(&self) -> bool {
        self.what == LATE
    }
}

/// What the buyers saw.
#[derive(Debug, Default)]
struct Seen {
    known: BTreeMap<usize, Known>,
    /// How often it was said of a SKU that it is sold out.
    sold_out: BTreeMap<String, usize>,
    acknowledged: Vec<Acknowledged>,
    misses: Vec<Miss>,
}

/// Buyers at their work.
pub(crate) struct Traffic {
    entrances: Vec<String>,
    /// The buyers.
    pub(crate) buyers: Vec<Buyer>,
    /// What they buy.
    pub(crate) skus: Vec<String>,
    /// What is on limited offer.
    limited: Mutex<Option<String>>,
    manner: Manner,
    seed: u64,
    next: AtomicUsize,
    orders: AtomicUsize,
    seen: Mutex<Seen>,
}

impl Traffic {
    /// Buyers who will place up to `orders` orders of one unit each, two of three paid.
    pub(crate) fn new(
        entrances: &[String],
        buyers: Vec<Buyer>,
        skus: Vec<String>,
        orders: usize,
        manner: Manner,
        seed: u64,
    ) -> Arc<Self> {
        Arc::new(Self {
            entrances: entrances.to_vec(),
            buyers,
            skus,
            limited: Mutex::default(),
            manner,
            seed,
            next: AtomicUsize::new(0),
            orders: AtomicUsize::new(orders),
            seen: Mutex::default(),
        })
    }

    /// Orders until all are placed. Fails at the first answer that no shop may give.
    pub(crate) async fn run(self: Arc<Self>) -> Result<()> {
        let begin = Instant::now();
        let workers: Vec<_> = (0..self.buyers.len())
            .map(|worker| {
                let traffic = Arc::clone(&self);
                tokio::spawn(async move { traffic.work(worker, begin).await })
            })
            .collect();
        for worker in workers {
            worker.await??;
        }
        Ok(())
    }

    /// No new orders; those that were begun are brought to their end.
    pub(crate) fn stop(&self) {
        self.orders.store(0, Ordering::Relaxed);
    }

    /// Whether every order was begun.
    pub(crate) fn is_over(&self) -> bool {
        self.next.load(Ordering::Relaxed) >= self.orders.load(Ordering::Relaxed)
    }

    /// What the buyers know of their orders.
    pub(crate) fn known(&self) -> BTreeMap<usize, Known> {
        self.seen().known.clone()
    }

    /// Puts a SKU on limited offer in place of the one before; none: nothing is.
    pub(crate) fn offer(&self, sku: Option<String>) {
        *self.limited.lock().unwrap_or_else(PoisonError::into_inner) = sku;
    }

    /// How often buyers heard that this SKU is sold out.
    pub(crate) fn sold_out(&self, sku: &str) -> usize {
        self.seen().sold_out.get(sku).copied().unwrap_or_default()
    }

    /// The orders that were acknowledged from `begin` on, in time's order.
    pub(crate) fn acknowledged(&self, begin: Instant) -> Vec<Acknowledged> {
        let mut found: Vec<_> =
            self.seen().acknowledged.iter().filter(|order| order.at >= begin).copied().collect();
        found.sort_unstable_by_key(|order| order.at);
        found
    }

    /// The tries from `begin` on that were no success.
    pub(crate) fn misses(&self, begin: Instant) -> Vec<Miss> {
        self.seen().misses.iter().filter(|miss| miss.at >= begin).cloned().collect()
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn work(&self, worker: usize, begin: Instant) -> Result<()> {
        let buyer = &self.buyers[worker];
        // Each has an entrance of its own, and then the others in turn.
        let mut doors: Vec<Client> =
            self.entrances.iter().map(|base| buyer.client.clone().at(base)).collect();
        doors.rotate_left(worker % self.entrances.len());
        loop {
            let n = self.next.fetch_add(1, Ordering::Relaxed);
            if n >= self.orders.load(Ordering::Relaxed) {
                return Ok(());
            }
            let due = begin + self.manner.every * u32::try_from(n)?;
            tokio::time::sleep_until(due.into()).await;
            if self.orders.load(Ordering::Relaxed) == 0 {
                return Ok(());
            }
            if let Some(known) = self.place_and_pay(&doors, &buyer.address, n).await? {
                self.seen().known.insert(n, known);
            }
        }
    }

    /// An order, paid or not; none where what was wanted is sold out.
    async fn place_and_pay(&self, doors: &[Client], address: &str, n: usize) -> Result<Option<Known>> {
        let limited = self.limited.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let limited = limited.filter(|_| n.is_multiple_of(LIMITED));
        let (sku, wanted) = match limited {
            Some(sku) => (sku, &[201, 409][..]),
            None => (self.skus[n % self.skus.len()].clone(), &[201][..]),
        };
        let body = json!({"address_id": address, "items": [{"sku_id": sku, "quantity": 1}]});
        let asked = Instant::now();
        let placed = self.retry(doors, "/api/v1/orders", &self.key("place", n), &body, wanted).await?;
        if placed.status == 409 {
            ensure!(placed.code() == SOLD_OUT, "unexpected answer: {}", placed.text);
            *self.seen().sold_out.entry(sku).or_default() += 1;
            return Ok(None);
        }
        self.seen().acknowledged.push(Acknowledged { asked, at: Instant::now() });
        let order = placed.json()?["id"].as_str().context("an order has an id")?.to_owned();
        self.read_elsewhere(doors, &order).await?;
        // Two of three pay.
        let paid = !n.is_multiple_of(3);
        if paid {
            self.pay(doors, &order, n).await?;
        }
        Ok(Some(Known { order, sku, paid }))
    }

    /// Whoever was told of an order finds it at the next entrance, if that answers.
    async fn read_elsewhere(&self, doors: &[Client], order: &str) -> Result<()> {
        let Some(next) = doors.get(1) else { return Ok(()) };
        let path = format!("/api/v1/orders/{order}");
        match tokio::time::timeout(self.manner.answer, next.get(&path)).await {
            Ok(Ok(answer)) if answer.status != 200 && answer.status < 500 => {
                bail!("{path} is acknowledged and not to be read: {} {}", answer.status, answer.text)
            }
            _ => Ok(()),
        }
    }

    async fn pay(&self, doors: &[Client], order: &str, n: usize) -> Result<()> {
        let path = format!("/api/v1/orders/{order}/payments");
        let body = json!({"channel": "sandbox"});
        let opened = self.retry(doors, &path, &self.key("pay", n), &body, &[201]).await?.json()?;
        let payment = opened["id"].as_str().context("a payment has an id")?;
        let path = format!("/api/v1/sandbox/payments/{payment}");
        let outcome = if n.is_multiple_of(7) { "duplicate" } else { "succeed" };
        // A 409 says that the answer of a try before was lost on its way: the payment has moved on.
        let body = json!({"outcome": outcome});
        self.retry(doors, &path, &self.key("simulate", n), &body, &[202, 409]).await.map(|_| ())
    }

    fn key(&self, what: &str, n: usize) -> String {
        format!("{what}-{}-{n}", self.seed)
    }

    /// The same request with the same key, at one entrance after the other.
    async fn retry(
        &self,
        doors: &[Client],
        path: &str,
        key: &str,
        body: &Value,
        wanted: &[u16],
    ) -> Result<Answer> {
        let begin = Instant::now();
        for door in doors.iter().cycle() {
            let at = Instant::now();
            let what = match tokio::time::timeout(self.manner.answer, door.post_once(path, key, body)).await {
                Ok(Ok(answer)) if wanted.contains(&answer.status) => return Ok(answer),
                Ok(Ok(answer)) if answer.status < 500 => {
                    bail!("{path}: unexpected answer {}: {}", answer.status, answer.text)
                }
                Ok(Ok(answer)) => format!("{} {}", answer.status, answer.code()),
                Ok(Err(_)) => "not reached".to_owned(),
                Err(_) => LATE.to_owned(),
            };
            self.seen().misses.push(Miss { at, what });
            if begin.elapsed() > self.manner.patience {
                break;
            }
            tokio::time::sleep((at + AGAIN).saturating_duration_since(Instant::now())).await;
        }
        bail!("{path}: no answer within {:?}", self.manner.patience)
    }
}

/// The longest time from `begin` to `end` in which no order was acknowledged.
pub(crate) fn longest_gap(acknowledged: &[Acknowledged], begin: Instant, end: Instant) -> Duration {
    let mut last = begin;
    let mut gap = Duration::ZERO;
    for at in acknowledged.iter().map(|order| order.at).chain([end]) {
        gap = gap.max(at.saturating_duration_since(last));
        last = last.max(at);
    }
    gap
}

/// The longest time that one buyer tried, and when that began.
pub(crate) fn longest_wait(acknowledged: &[Acknowledged]) -> Option<(Duration, Instant)> {
    acknowledged.iter().map(|order| (order.at - order.asked, order.asked)).max()
}

/// Whether somebody places orders still; otherwise what follows would prove nothing.
pub(crate) fn goes_on(traffic: &Traffic, during: &str) -> Result<()> {
    ensure!(!traffic.is_over(), "the orders ended before: {during}");
    Ok(())
}
