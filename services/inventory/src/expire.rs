//! Takes stock back from holds whose time has run out.

use std::sync::Arc;

use kernel::Result;

use crate::{
    desk::{Request, What},
    model::Step,
    service::InventoryService,
    store,
};

/// Holds in one transaction.
const BATCH: u64 = 200;

impl InventoryService {
    /// Expires every hold whose time has run out; returns how many. Each is looked at again in the transaction: one that was
    /// confirmed, released or extended meanwhile is left alone. Ends after the current batch once `stopping` says so.
    pub async fn expire_due(&self, stopping: impl Fn() -> bool + Send) -> Result<u64> {
        let actor: Arc<str> = Arc::from("system");
        let mut expired = 0;
        loop {
            let due = store::due(self.db.read(), self.db.now(), BATCH).await?;
            let requests: Arc<[Request]> = due
                .iter()
                .map(|&hold| Request { hold, what: What::Step(Step::Expire), actor: Arc::clone(&actor) })
                .collect();
            if requests.is_empty() {
                return Ok(expired);
            }
            let mut progress = 0;
            for answer in self.desk.write(requests).await? {
                progress += u64::from(answer?.is_some());
            }
            metrics::counter!("inventory_holds_expired_total").increment(progress);
            expired += progress;
            // What was found due and left alone is due no more, or the reader lags: the next run sees.
            if progress == 0 || (due.len() as u64) < BATCH || stopping() {
                return Ok(expired);
            }
        }
    }
}
