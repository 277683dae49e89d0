//! Forgetting events that are old.

use std::collections::BTreeMap;

use kernel::{Result, Shard, Timestamp};
use platform_db::Db;

use crate::{
    BusConfig, Pruned,
    store::{self, Range},
};

/// Positions in one write: the writer is not kept from others for long.
const SLICE: u32 = 500;

/// Deletes what is older than `keep` and seen by all, and what is older than `keep_at_most` in any case.
pub(crate) async fn prune(db: &Db, config: &BusConfig) -> Result<Pruned> {
    let seen = store::least_cursors(db).await?;
    prune_behind(db, config, &seen, &BTreeMap::new()).await
}

/// The same; what lies behind `kept` stays, however old it is.
pub(crate) async fn prune_behind(
    db: &Db,
    config: &BusConfig,
    seen: &BTreeMap<Shard, i64>,
    kept: &BTreeMap<Shard, i64>,
) -> Result<Pruned> {
    let now = db.now();
    let (old, ancient) = (now.minus(config.keep), now.minus(config.keep_at_most));
    let subscriptions = store::subscriptions(db).await?;
    let mut pruned = Pruned::default();
    for shard in db.every_shard() {
        let seen = seen.get(&shard).copied().unwrap_or(i64::MAX);
        let kept = kept.get(&shard).copied().unwrap_or(i64::MAX);
        let limits = Limits { old, ancient, seen, kept };
        prune_shard(db, shard, &limits, &subscriptions, &mut pruned).await?;
    }
    Ok(pruned)
}

struct Limits {
    old: Timestamp,
    ancient: Timestamp,
    /// What every subscription has seen.
    seen: i64,
    /// What lies behind it stays in any case.
    kept: i64,
}

async fn prune_shard(
    db: &Db,
    shard: Shard,
    limits: &Limits,
    subscriptions: &[String],
    pruned: &mut Pruned,
) -> Result<()> {
    let first = store::first_position(db, shard).await?;
    for subscription in subscriptions {
        let before = (shard, first.unwrap_or(i64::MAX));
        pruned.inbox += forget_notes(db, subscription, before, limits.old).await?;
    }
    let Some(first) = first else { return Ok(()) };
    let mut from = first - 1;
    loop {
        let page = store::aged(db, shard, from, SLICE).await?;
        let gone = |(pos, at): &(i64, Timestamp)| {
            *pos <= limits.kept && (*at < limits.ancient || (*at < limits.old && *pos <= limits.seen))
        };
        let Some((to, _)) = page.iter().take_while(|event| gone(event)).last().copied() else {
            return Ok(());
        };
        let ancient = page
            .iter()
            .take_while(|(_, at)| *at < limits.ancient)
            .last()
            .map_or(from, |(pos, _)| *pos)
            .min(to);
        let slice = Slice {
            range: Range { shard, from, to },
            ancient: Range { shard, from, to: ancient },
            subscriptions: subscriptions.to_vec(),
        };
        let done = db.write(shard, slice, |tx, slice| Box::pin(slice.delete(tx))).await?;
        pruned.events += done.events;
        pruned.inbox += done.inbox;
        if page.last().is_none_or(|(last, _)| *last != to) {
            return Ok(());
        }
        from = to;
    }
}

/// Deletes what a subscription noted, long enough ago, of events that are no longer in the log: a broker keeps them for longer,
/// and who comes late consumes them then.
async fn forget_notes(
    db: &Db,
    subscription: &str,
    (shard, before): (Shard, i64),
    old: Timestamp,
) -> Result<u64> {
    let mut gone = 0;
    loop {
        let page = store::noted(db, subscription, (shard, before), old, SLICE).await?;
        let Some(last) = page.last().copied() else { return Ok(gone) };
        gone += db
            .write(shard, (subscription.to_owned(), (shard, last), old), |tx, (subscription, last, old)| {
                Box::pin(store::delete_noted(tx, subscription, *last, *old))
            })
            .await?;
        if u32::try_from(page.len()).is_ok_and(|found| found < SLICE) {
            return Ok(gone);
        }
    }
}

struct Slice {
    range: Range,
    /// Where dead letters go too.
    ancient: Range,
    subscriptions: Vec<String>,
}

impl Slice {
    async fn delete(&self, tx: &platform_db::Tx) -> Result<Pruned> {
        if self.ancient.to > self.ancient.from {
            let letters = store::delete_retries(tx, self.ancient).await?;
            if letters > 0 {
                tracing::warn!(letters, "dead letters went with their events");
            }
        }
        let events = store::delete_events(tx, self.range).await?;
        let mut inbox = 0;
        for subscription in &self.subscriptions {
            inbox += store::delete_inbox(tx, subscription, self.range).await?;
        }
        Ok(Pruned { events, inbox })
    }
}
