//! Decides groups of requests: reads what they need, decides in memory, writes the result, in one transaction.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    future::ready,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use contracts::{
    catalog::SkuId,
    inventory::{HoldId, HoldView},
};
use kernel::{Failure, Result, Shard};
use platform_db::{Db, Tx};
use platform_regions::Regions;

use crate::{
    admission::{Admission, Finding},
    desk::{Desk, Order, Request, Taken, What},
    model::Hold,
    store,
    warehouses::Priorities,
};

/// The answer to a request: the hold, where there is one.
pub(crate) type Answer = Result<Option<HoldView>>;

/// What a group is decided with.
#[derive(Clone)]
pub(crate) struct GroupDesk {
    pub(crate) db: Db,
    pub(crate) region: Arc<str>,
    pub(crate) regions: Regions,
    pub(crate) priorities: Arc<Priorities>,
    pub(crate) admission: Admission,
    pub(crate) scarce: Scarce,
}

/// Widened so often, a group reads everything of its SKUs.
const MOST_TURNS: u32 = 3;
/// Readers have so long for what a group asks them beside its write.
const PATIENCE: Duration = Duration::from_millis(100);

impl GroupDesk {
    /// Decides the requests in their order. A request that cannot be met has its failure among the answers; the failure
    /// of the whole means that nothing was written.
    ///
    /// Where stock is divided over regions, the first turn reads this region's part. What that is too little for is decided
    /// in a turn of its own that reads, and locks, every region's at once: nobody holds one region's and waits for another's.
    ///
    /// A hold that is asked for is new, but for requests that come again: so TiDB is not asked for it at first. Where it is there
    /// its insert fails, the transaction runs again, and then it is read.
    pub(crate) async fn write(&self, requests: Arc<[Request]>) -> Result<Vec<Answer>> {
        let order = self.order().await?;
        let shard = requests.first().map_or(store::WAREHOUSES, |request| request.hold.shard());
        let mut reach = Reach::Part(BTreeSet::new());
        let again = Arc::new(AtomicBool::new(false));
        for turn in 1.. {
            let input =
                (self.clone(), order.clone(), Arc::clone(&requests), reach.clone(), Arc::clone(&again));
            let outcome = self
                .db
                .write(shard, input, |tx, (desk, order, requests, reach, again)| {
                    Box::pin(async {
                        let look = again.swap(true, Ordering::Relaxed) || store::is_cheap_to_ask(tx);
                        decide(tx, desk, order, requests, reach, look).await
                    })
                })
                .await?;
            let short = match outcome {
                Outcome::Saved(decided) => return Ok(self.tell(decided)),
                Outcome::Short(skus) => skus,
            };
            reach = match reach {
                Reach::Part(whole) if turn < MOST_TURNS => {
                    Reach::Part(whole.into_iter().chain(short).collect())
                }
                Reach::All | Reach::Part(_) => Reach::All,
            };
        }
        Err(Failure::internal("a group without an end"))
    }

    /// Tells others what was decided and committed.
    fn tell(&self, decided: Decided) -> Vec<Answer> {
        self.db.outbox().wrote(decided.published);
        self.admission.note(&decided.findings);
        for (sku, scarce) in decided.scarce {
            self.scarce.note(sku, scarce);
        }
        for (from, units) in [("local", decided.taken.local), ("borrowed", decided.taken.borrowed)] {
            if units > 0 {
                metrics::counter!("inventory_quota_units_total", "from" => from)
                    .increment(units.unsigned_abs());
            }
        }
        decided.answers
    }

    /// In which order buckets are sold from now.
    pub(crate) async fn order(&self) -> Result<Order> {
        let priorities = self.priorities.now(&self.db).await?;
        Ok(Order { region: Arc::clone(&self.region), priorities, divided: self.regions.me().is_some() })
    }
}

/// Of which SKUs a turn reads every region's buckets.
#[derive(Clone, Debug)]
enum Reach {
    All,
    /// Of these; of others this region's, and those that holds name.
    Part(BTreeSet<SkuId>),
}

/// How a turn ended.
enum Outcome {
    /// It is written.
    Saved(Decided),
    /// Nothing is: every bucket of these SKUs must be read.
    Short(BTreeSet<SkuId>),
}

/// What was decided, and what was found out on the way.
struct Decided {
    answers: Vec<Answer>,
    published: BTreeSet<Shard>,
    findings: Vec<Finding>,
    /// Whether SKUs of which everything was read are scarce here.
    scarce: Vec<(SkuId, bool)>,
    taken: Taken,
}

async fn decide(
    tx: &Tx,
    group: &GroupDesk,
    order: &Order,
    requests: &[Request],
    reach: &Reach,
    look: bool,
) -> Result<Outcome> {
    let asked = |request: &&Request| look || !matches!(request.what, What::Reserve { .. });
    let mut ids: Vec<HoldId> = requests.iter().filter(asked).map(|request| request.hold).collect();
    ids.sort_unstable();
    ids.dedup();
    let holds = store::holds(tx, &ids).await?;
    let known: HashSet<HoldId> = holds.iter().map(|hold| hold.id).collect();
    let parts = holds.iter().flat_map(|hold| hold.parts.iter().map(|(place, _)| place.sku));
    let mut skus: Vec<SkuId> = requests.iter().flat_map(Request::skus).chain(parts).collect();
    skus.sort_unstable();
    skus.dedup();
    let mut desk = match reach {
        Reach::Part(widened) if order.divided => {
            let known = |sku: &&SkuId| {
                widened.contains(*sku) || group.scarce.has(**sku) || group.admission.is_shut(**sku)
            };
            let whole: BTreeSet<SkuId> = skus.iter().filter(known).copied().collect();
            let parts = parts_of(order, &skus, &holds, &whole);
            let buckets = store::parts(tx, &parts).await?;
            Desk::open(tx.now(), order.clone(), buckets, holds).knowing(whole)
        }
        Reach::All | Reach::Part(_) => {
            let buckets = store::buckets(tx, &skus).await?;
            Desk::open(tx.now(), order.clone(), buckets, holds)
        }
    };
    let answers: Vec<Answer> = requests.iter().map(|request| desk.run(request)).collect();
    if !desk.lacking().is_empty() {
        return Ok(Outcome::Short(desk.lacking().clone()));
    }
    if made_by_a_twin(tx, requests, &answers, &known).await? {
        return Ok(Outcome::Short(BTreeSet::new()));
    }
    let (published, scarce) = if order.divided {
        let levels = levels(tx, &desk).await?;
        let unread = desk.unread(&levels);
        if !unread.is_empty() {
            return Ok(Outcome::Short(unread));
        }
        let scarce = desk.scarce(&skus, &levels);
        (store::save(tx, &group.db, &desk, ready(Ok(levels))).await?, scarce)
    } else {
        (store::save(tx, &group.db, &desk, undivided_levels(tx, group, &desk)).await?, Vec::new())
    };
    Ok(Outcome::Saved(Decided { answers, published, findings: desk.findings(), scarce, taken: desk.tally() }))
}

/// Whether a hold that was refused is there by now: it was not looked for, or the same request in another process took the
/// units, and committed after this turn had looked and before it had the locks of the stock.
async fn made_by_a_twin(
    tx: &Tx,
    requests: &[Request],
    answers: &[Answer],
    known: &HashSet<HoldId>,
) -> Result<bool> {
    let reserves = |request: &Request| matches!(request.what, What::Reserve { .. });
    let refused =
        requests.iter().zip(answers).filter(|(request, answer)| reserves(request) && answer.is_err());
    let refused: Vec<HoldId> =
        refused.map(|(request, _)| request.hold).filter(|hold| !known.contains(hold)).collect();
    store::made_meanwhile(tx, &refused).await
}

/// The parts of these SKUs' stock that a turn reads: this region's and those that holds name, or every region's.
fn parts_of(
    order: &Order,
    skus: &[SkuId],
    holds: &[Hold],
    whole: &BTreeSet<SkuId>,
) -> BTreeSet<(SkuId, Option<Arc<str>>)> {
    let held = holds.iter().flat_map(|hold| &hold.parts).map(|(place, _)| (place.sku, &place.region));
    let own = skus.iter().map(|sku| (*sku, &order.region));
    own.chain(held).map(|(sku, region)| (sku, (!whole.contains(&sku)).then(|| Arc::clone(region)))).collect()
}

/// The safety stock of what fell. Where only a part was read the row is not locked: regions would wait for each other there.
/// What a change of it that commits at the same moment makes low, that change finds out.
async fn levels(tx: &Tx, desk: &Desk) -> Result<HashMap<SkuId, i64>> {
    let (whole, part): (Vec<SkuId>, Vec<SkuId>) =
        desk.fell().into_iter().partition(|sku| desk.is_whole(*sku));
    let mut levels = store::levels(tx, &whole).await?;
    levels.extend(store::levels(&tx.unlocked(), &part).await?);
    Ok(levels)
}

/// The same where stock is not divided. On TiDB they are read beside the write: whoever changes one locks the buckets first,
/// which are locked here by now, so that what is committed is what holds. Where readers are slow nobody waits for them with the
/// stock locked: then the transaction reads them itself.
async fn undivided_levels(tx: &Tx, group: &GroupDesk, desk: &Desk) -> Result<store::Levels> {
    let fell = desk.fell();
    if store::is_cheap_to_ask(tx) {
        return store::levels(tx, &fell).await;
    }
    match tokio::time::timeout(PATIENCE, store::levels(group.db.read(), &fell)).await {
        Ok(Ok(levels)) => Ok(levels),
        Ok(Err(_)) | Err(_) => store::levels(tx, &fell).await,
    }
}

/// SKUs of which this region has too little for most decisions: all regions' are read at once, not after a first turn.
#[derive(Clone, Default)]
pub(crate) struct Scarce(Arc<RwLock<HashSet<SkuId>>>);

impl Scarce {
    /// SKUs remembered; when there are more, all are forgotten.
    const MOST: usize = 10_000;

    fn has(&self, sku: SkuId) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(&sku)
    }

    fn note(&self, sku: SkuId, scarce: bool) {
        if self.has(sku) == scarce {
            return;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if !scarce {
            known.remove(&sku);
        } else {
            if known.len() >= Self::MOST {
                known.clear();
            }
            known.insert(sku);
        }
    }
}
