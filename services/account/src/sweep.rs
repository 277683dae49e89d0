//! Removes what nobody needs any more: sessions long over, failures long past.

use std::time::Duration;

use kernel::{Result, Shard};

use crate::{AccountService, store};

/// Sessions are kept this long after their end, so that it can be seen how they ended.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
/// Rows of one write.
const BATCH: u64 = 500;
/// Writes of one run.
const MOST_BATCHES: u32 = 100;

impl AccountService {
    /// One run; says what it did.
    pub(crate) async fn sweep(&self) -> Result<String> {
        let mut sessions = 0;
        for _ in 0..MOST_BATCHES {
            let before = self.db.now().minus(KEPT);
            let gone = self
                .db
                .write(Shard::new(0), before, |tx, before| {
                    Box::pin(async move { store::sweep_sessions(tx, *before, BATCH).await })
                })
                .await?;
            sessions += gone;
            if gone < BATCH {
                break;
            }
        }
        let before = self.db.now().minus(self.config.lockout.window.max(self.config.lockout.duration) * 2);
        let failures = self
            .db
            .write(Shard::new(0), before, |tx, before| {
                Box::pin(async move { store::sweep_failures(tx, *before).await })
            })
            .await?;
        Ok(format!("{sessions} sessions and {failures} counts of failures removed"))
    }
}
