//! Turns buyers of what is sold out away before they queue: a hot SKU's last unit has thousands of them.
//!
//! Whoever read every bucket of a SKU under lock and had too little says so to all processes; whoever puts stock back says
//! that, too. Both carry the sum of the buckets' versions, which grows with every change, so that old news do not undo
//! newer ones, whatever clock or order they came by. Never says yes: the database decides. A no holds for
//! `inventory.admission` at most, also when the news of returning stock got lost. Only with a Redis: without, a process
//! would not hear of the stock that another puts back.

use std::{
    collections::HashMap,
    sync::{
        Arc, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use contracts::{catalog::SkuId, pricing::LineInput};
use platform_cache::Redis;

/// What the news are called.
const NEWS: &str = "inventory_doors";
/// SKUs kept; more are not told apart from those in stock.
const MOST: usize = 10_000;

/// What a decision found out about a SKU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) sku: SkuId,
    /// Units there were when somebody wanted more; none when there are more than before.
    pub(crate) left: Option<i64>,
    /// Sum of the versions of the SKU's buckets.
    pub(crate) version: i64,
}

/// The doors of this process.
#[derive(Clone)]
pub(crate) struct Admission(Option<Arc<Inner>>);

struct Inner {
    redis: Redis,
    doors: Arc<Doors>,
}

impl Admission {
    /// Doors that other processes tell about; without a Redis, or for no time, always open.
    pub(crate) fn new(redis: Option<&Redis>, holds: Duration) -> Self {
        Self(redis.filter(|_| !holds.is_zero()).map(|redis| {
            let doors = Arc::new(Doors::new(holds));
            let heard = Arc::clone(&doors);
            redis.listen(NEWS, move |line| {
                if let Some(finding) = parse(line) {
                    heard.note(finding, Instant::now());
                }
            });
            Arc::new(Inner { redis: redis.clone(), doors })
        }))
    }

    /// The SKUs of these of which there are too few, with what is left of each.
    pub(crate) fn short(&self, demand: &[LineInput]) -> Option<HashMap<SkuId, i64>> {
        self.0.as_ref().and_then(|inner| inner.doors.short(demand, Instant::now()))
    }

    /// Notes what was found out and committed, and tells others what is news to them.
    pub(crate) fn note(&self, findings: &[Finding]) {
        if let Some(inner) = &self.0 {
            let now = Instant::now();
            let news = findings.iter().filter(|finding| inner.doors.note(**finding, now)).map(line).collect();
            inner.redis.tell(NEWS, news);
        }
    }

    /// Whether buyers of this SKU may be turned away.
    pub(crate) fn is_shut(&self, sku: SkuId) -> bool {
        self.0.as_ref().is_some_and(|inner| inner.doors.is_shut(sku, Instant::now()))
    }
}

fn line(finding: &Finding) -> String {
    format!("{} {} {}", finding.sku, finding.version, finding.left.unwrap_or(-1))
}

fn parse(line: &str) -> Option<Finding> {
    let mut parts = line.split(' ');
    let sku = parts.next()?.parse().ok()?;
    let version = parts.next()?.parse().ok()?;
    let left: i64 = parts.next()?.parse().ok()?;
    Some(Finding { sku, left: (left >= 0).then_some(left), version })
}

/// What is known of SKUs, for a while.
struct Doors {
    holds: Duration,
    /// So that a process without sold-out SKUs pays nothing.
    count: AtomicUsize,
    known: RwLock<HashMap<SkuId, Door>>,
}

#[derive(Clone, Copy)]
struct Door {
    left: Option<i64>,
    version: i64,
    until: Instant,
}

impl Doors {
    fn new(holds: Duration) -> Self {
        Self { holds, count: AtomicUsize::new(0), known: RwLock::default() }
    }

    /// Keeps a finding unless a newer one is known; whether others should hear of it.
    fn note(&self, finding: Finding, now: Instant) -> bool {
        let Finding { sku, left, version } = finding;
        let Ok(mut known) = self.known.write() else { return false };
        let before = known.get(&sku).copied().filter(|door| door.until > now);
        if before.is_some_and(|door| door.version > version) || (before.is_none() && left.is_none()) {
            return false;
        }
        if known.len() >= MOST && !known.contains_key(&sku) {
            known.retain(|_, door| door.until > now);
            if known.len() >= MOST {
                return false;
            }
        }
        known.insert(sku, Door { left, version, until: now + self.holds });
        self.count.store(known.len(), Ordering::Release);
        // Said before, and it holds for a while yet.
        before.is_none_or(|door| {
            (door.left, door.version) != (left, version) || door.until < now + self.holds / 2
        })
    }

    fn short(&self, demand: &[LineInput], now: Instant) -> Option<HashMap<SkuId, i64>> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let known = self.known.read().ok()?;
        let short: HashMap<SkuId, i64> = demand
            .iter()
            .filter_map(|line| {
                let door = known.get(&line.sku_id).filter(|door| door.until > now)?;
                door.left.filter(|left| line.quantity > *left).map(|left| (line.sku_id, left))
            })
            .collect();
        (!short.is_empty()).then_some(short)
    }

    fn is_shut(&self, sku: SkuId, now: Instant) -> bool {
        self.count.load(Ordering::Acquire) > 0
            && self.known.read().is_ok_and(|known| {
                known.get(&sku).is_some_and(|door| door.until > now && door.left.is_some())
            })
    }
}

#[cfg(test)]
mod tests {
    use kernel::{Id, Shard};

    use super::*;

    const HOLDS: Duration = Duration::from_secs(1);

    fn sku() -> SkuId {
        Id::derive(Shard::new(1), &[b"hot"])
    }

    fn finding(left: Option<i64>, version: i64) -> Finding {
        Finding { sku: sku(), left, version }
    }

    fn wants(quantity: i64) -> Vec<LineInput> {
        vec![LineInput { sku_id: sku(), quantity }]
    }

    #[test]
    fn says_no_for_a_while_and_never_yes() {
        let (doors, now) = (Doors::new(HOLDS), Instant::now());
        assert!(doors.short(&wants(1), now).is_none());
        assert!(doors.note(finding(Some(3), 7), now));
        assert!(doors.short(&wants(3), now).is_none(), "three may still be there");
        assert_eq!(doors.short(&wants(4), now).unwrap()[&sku()], 3);
        assert!(doors.short(&wants(4), now + HOLDS).is_none(), "no longer than it holds");
    }

    #[test]
    fn old_news_do_not_undo_newer_ones() {
        let (doors, now) = (Doors::new(HOLDS), Instant::now());
        doors.note(finding(Some(0), 7), now);
        assert!(doors.note(finding(None, 8), now), "stock came back");
        assert!(doors.short(&wants(1), now).is_none());
        assert!(!doors.note(finding(Some(0), 7), now), "said before that");
        assert!(doors.short(&wants(1), now).is_none());
        assert!(doors.note(finding(Some(0), 9), now));
        assert!(doors.is_shut(sku(), now));
    }

    #[test]
    fn tells_only_what_is_news() {
        let (doors, now) = (Doors::new(HOLDS), Instant::now());
        assert!(!doors.note(finding(None, 1), now), "nobody thinks it is sold out");
        assert!(doors.note(finding(Some(0), 2), now));
        assert!(!doors.note(finding(Some(0), 2), now + HOLDS / 4));
        assert!(doors.note(finding(Some(0), 2), now + HOLDS), "the others' doors are about to open");
    }

    #[test]
    fn news_are_read_as_they_were_told() {
        for told in [finding(Some(0), 7), finding(None, 8)] {
            assert_eq!(parse(&line(&told)), Some(told));
        }
        assert_eq!(parse("nonsense"), None);
    }
}
