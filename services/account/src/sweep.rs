//! Removes what nobody needs any more: sessions long over, failures long past, lines of the audit log whose time is over.

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
        let (mut sessions, mut lines) = (0, 0);
        for _ in 0..MOST_BATCHES {
            let before = (self.db.now().minus(KEPT), self.db.now().minus(self.config.audit_kept));
            let gone = self
                .db
                .write(Shard::new(0), before, |tx, &(sessions, lines)| {
                    Box::pin(async move {
                        let sessions = store::sweep_sessions(tx, sessions, BATCH).await?;
                        Ok((sessions, store::sweep_audit(tx, lines, BATCH).await?))
                    })
                })
                .await?;
            sessions += gone.0;
            lines += gone.1;
            if gone.0 < BATCH && gone.1 < BATCH {
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
        Ok(format!(
            "{sessions} sessions, {failures} counts of failures and {lines} lines of the audit log removed"
        ))
    }
}
