//! The sequencer on TiDB: one optimistic transaction a batch.

use std::{collections::BTreeMap, sync::Mutex, time::Duration};

use contracts::Event;
use kernel::{Failure, Result, Shard};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Core, session::Again, transact::Effort};
use crate::{
    Error,
    error::cause,
    sequencer::{self, Batch},
};

/// Writers commit within this time of minting an id, in milliseconds, nearly always: they mint at the end of their
/// transactions. TiDB keeps deleted rows for minutes, and a scan steps over each: so it begins this long before the newest
/// id that was sequenced of a shard.
const WINDOW: u64 = 2_000;
/// For writers that took much longer, or whose clock is behind, at this pace a scan begins a minute before it.
const WIDE: (Duration, u64) = (Duration::from_secs(5), 60_000);
/// And at this pace at the very beginning.
const FULL: Duration = Duration::from_secs(60);
/// After so long in conflict with another sequencer the events are left to it.
const YIELD: Duration = Duration::from_millis(200);

/// Where scans of the outbox begin.
#[derive(Default)]
pub(super) struct Scan(Mutex<Hint>);

#[derive(Default)]
struct Hint {
    /// Milliseconds since 1970 in the newest id that was sequenced of a shard.
    newest: BTreeMap<Shard, u64>,
    wide_at: Option<Instant>,
    full_at: Option<Instant>,
    /// The shards of the last scan that was not partial.
    shards: Vec<Shard>,
}

impl Scan {
    /// The id to begin at of each shard, and whether these are the very beginnings. A partial scan looks for what was just
    /// written, and puts nothing off that the others look for.
    fn from(&self, shards: &[Shard], partial: bool) -> Result<(Vec<(Shard, Uuid)>, bool)> {
        let mut hint = self.0.lock().map_err(|_| Failure::internal("a sequencer panicked"))?;
        let now = Instant::now();
        if !partial && hint.shards != shards {
            // What the last holder of a shard left behind may be of any age.
            hint.shards = shards.to_vec();
            hint.full_at = None;
        }
        let full = !partial && hint.full_at.is_none_or(|at| at <= now);
        let wide = full || !partial && hint.wide_at.is_none_or(|at| at <= now);
        if full {
            hint.full_at = Some(now + FULL);
        }
        if wide {
            hint.wide_at = Some(now + WIDE.0);
        }
        let any = hint.newest.values().max().copied().unwrap_or(0);
        let from = |shard: &Shard| {
            let newest = hint.newest.get(shard).copied();
            let before = if wide || newest.is_none() { WIDE.1 } else { WINDOW };
            let millis = if full { 0 } else { newest.unwrap_or(any).saturating_sub(before) };
            Uuid::from_u128(u128::from(millis) << 80)
        };
        Ok((shards.iter().map(|shard| (*shard, from(shard))).collect(), full))
    }

    /// Nothing is left at and behind the ids of `batch`. After a full batch this is not known.
    fn drained(&self, batch: &Batch) {
        if let Ok(mut hint) = self.0.lock() {
            for (shard, millis) in batch.newest_millis() {
                let newest = hint.newest.entry(shard).or_default();
                *newest = millis.max(*newest);
            }
        }
    }

    /// What was found is still there.
    fn again(&self) {
        if let Ok(mut hint) = self.0.lock() {
            hint.full_at = None;
        }
    }
}

pub(super) async fn sequence(
    core: &Core,
    shards: Vec<Shard>,
    partial: bool,
    most: u32,
) -> Result<Option<Vec<Event>>> {
    let mut effort = Effort::until(Instant::now() + YIELD);
    let (from, full) = core.scan.from(&shards, partial)?;
    loop {
        let failure = match once(core, &from, full, most).await {
            Ok(moved) => return Ok(Some(moved)),
            Err(failure) => failure,
        };
        match cause(&failure).and_then(Again::after) {
            // Another sequencer was faster, and goes on.
            Some(again) if again != Again::Lost => {
                if !effort.another(Again::Conflict(9007)).await {
                    core.scan.again();
                    return Ok(None);
                }
            }
            _ => {
                core.scan.again();
                return Err(failure);
            }
        }
    }
}

async fn once(core: &Core, from: &[(Shard, Uuid)], full: bool, most: u32) -> Result<Vec<Event>> {
    let begun = |error| Failure::from(Error::from(error));
    let session = core.begin_inserting().await.map_err(begun)?;
    let batch = match sequencer::waiting(&session, from, most).await {
        Ok(batch) => batch,
        Err(failure) => {
            session.roll_back().await;
            return Err(failure);
        }
    };
    let mut events = Vec::new();
    if batch.len() == 0 {
        session.roll_back().await;
    } else {
        match batch.move_on(&session).await {
            Ok(moved) => events = moved,
            Err(failure) => {
                session.roll_back().await;
                return Err(failure);
            }
        }
        session.commit().await.map_err(begun)?;
    }
    if batch.len() < usize::try_from(most).unwrap_or(usize::MAX) {
        core.scan.drained(&batch);
    } else if full {
        // There is more from the beginning on.
        core.scan.again();
    }
    Ok(events)
}
