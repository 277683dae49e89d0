//! Takes stock back from holds whose time has run out.

use std::sync::Arc;

use kernel::Result;

use crate::{
    desk::{Request, What},
    gatherer::is_ill,
    group::Answer,
    model::Step,
    service::InventoryService,
    store,
};

/// Holds in one transaction.
const BATCH: u64 = 200;

impl InventoryService {
    /// Expires every hold whose time has run out; returns how many. Each is looked at again in the transaction: one that was
    /// confirmed, released or extended meanwhile is left alone. One that cannot be taken back is named in the log and keeps
    /// nobody else's stock. Ends after the current batch once `stopping` says so.
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
            for (hold, answer) in due.iter().zip(self.expire(requests).await?) {
                match answer {
                    Ok(answer) => progress += u64::from(answer.is_some()),
                    Err(failure) => {
                        tracing::error!(hold.id = %hold, ?failure, "a hold cannot be expired: a person must look");
                    }
                }
            }
            metrics::counter!("inventory_holds_expired_total").increment(progress);
            expired += progress;
            // What was found due and left alone is due no more, or the reader lags: the next run sees.
            if progress == 0 || (due.len() as u64) < BATCH || stopping() {
                return Ok(expired);
            }
        }
    }

    /// Decides a batch, one by one where it fails as a whole: a row that cannot be read fails its own hold only.
    async fn expire(&self, requests: Arc<[Request]>) -> Result<Vec<Answer>> {
        match self.desk.write(Arc::clone(&requests)).await {
            Err(failure) if !is_ill(&failure) => {
                tracing::warn!(?failure, requests = requests.len(), "a batch failed and runs one by one");
            }
            other => return other,
        }
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests.iter() {
            match self.desk.write(Arc::from([request.clone()])).await {
                Ok(its) => answers.extend(its),
                Err(failure) if is_ill(&failure) => return Err(failure),
                Err(failure) => answers.push(Err(failure)),
            }
        }
        Ok(answers)
    }
}
