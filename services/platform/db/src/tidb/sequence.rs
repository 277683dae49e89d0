//! The sequencer on TiDB: one optimistic transaction a batch.

use std::{sync::Mutex, time::Duration};

use kernel::{Failure, Result, Shard};
use tokio::time::Instant;
use uuid::Uuid;

use super::{Core, session::Again, transact::Effort};
use crate::{
    Error,
    error::cause,
    sequencer::{self, Batch},
};

/// TiDB keeps deleted rows for minutes, and a scan steps over each: so it begins a little before the last id that was
/// sequenced, and at this pace at the very beginning, for writers that minted an id and committed much later.
const FULL: Duration = Duration::from_secs(5);
/// Writers commit within this time of minting an id, nearly always; in milliseconds.
const WINDOW: u64 = 10_000;
/// After so long in conflict with another sequencer the events are left to it.
const YIELD: Duration = Duration::from_millis(200);

/// Where scans of the outbox begin.
#[derive(Default)]
pub(super) struct Scan(Mutex<Hint>);

#[derive(Default)]
struct Hint {
    /// Milliseconds since 1970 in the newest id sequenced.
    newest: u64,
    full_at: Option<Instant>,
    /// The shards of the last scan.
    shards: Vec<Shard>,
}

impl Scan {
    /// The id to begin at.
    fn from(&self, shards: &[Shard]) -> Result<Uuid> {
        let mut hint = self.0.lock().map_err(|_| Failure::internal("a sequencer panicked"))?;
        let now = Instant::now();
        if hint.shards != shards {
            // What the last holder of a shard left behind may be of any age.
            hint.shards = shards.to_vec();
            hint.full_at = None;
        }
        if hint.full_at.is_none_or(|at| at <= now) {
            hint.full_at = Some(now + FULL);
            return Ok(Uuid::nil());
        }
        Ok(Uuid::from_u128(u128::from(hint.newest.saturating_sub(WINDOW)) << 80))
    }

    /// Nothing is left at and behind the ids of `batch`. After a full batch this is not known.
    fn drained(&self, batch: &Batch) {
        if let Ok(mut hint) = self.0.lock() {
            hint.newest = hint.newest.max(batch.newest_millis());
        }
    }

    /// What was found is still there.
    fn again(&self) {
        if let Ok(mut hint) = self.0.lock() {
            hint.full_at = None;
        }
    }
}

pub(super) async fn sequence(core: &Core, shards: Vec<Shard>, most: u32) -> Result<Option<usize>> {
    let mut effort = Effort::until(Instant::now() + YIELD);
    let from = core.scan.from(&shards)?;
    loop {
        let failure = match once(core, &shards, from, most).await {
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

async fn once(core: &Core, shards: &[Shard], from: Uuid, most: u32) -> Result<usize> {
    let begun = |error| Failure::from(Error::from(error));
    let session = core.begin_inserting().await.map_err(begun)?;
    let batch = match sequencer::waiting(&session, shards, from, most).await {
        Ok(batch) => batch,
        Err(failure) => {
            session.roll_back().await;
            return Err(failure);
        }
    };
    let moved = batch.len();
    if moved > 0
        && let Err(failure) = batch.move_on(&session).await
    {
        session.roll_back().await;
        return Err(failure);
    }
    if moved == 0 {
        session.roll_back().await;
    } else {
        session.commit().await.map_err(begun)?;
    }
    if moved < usize::try_from(most).unwrap_or(usize::MAX) {
        core.scan.drained(&batch);
    } else if from.is_nil() {
        // There is more from the beginning on.
        core.scan.again();
    }
    Ok(moved)
}
