//! Fetches images that wait, in the background.

use std::{
    collections::{HashMap, HashSet},
    sync::Mutex,
};

use contracts::catalog::ImageId;
use futures::{StreamExt, stream};
use kernel::Result;
use platform_db::Tx;

use crate::{
    brands::REFERENCE,
    fetch::{FetchError, Fetched},
    service::CatalogService,
    store::images::{self, ImageRow},
};

/// What an attempt came to.
#[derive(Clone, Debug)]
enum Attempt {
    Stored(&'static str),
    Failed { attempts: i32, last: bool },
}

impl CatalogService {
    /// Fetches the images whose turn it is, until none is left, all of a batch failed, or `stopping`. Says how many.
    pub(crate) async fn fetch_images(&self, stopping: impl Fn() -> bool + Send) -> Result<String> {
        let (mut stored, mut failed) = (0, 0);
        while !stopping() {
            let due = images::due(self.db.read(), self.db.now(), self.config.images.batch).await?;
            let full = due.len() as u64 == self.config.images.batch;
            let attempts = self.attempt_all(due).await;
            let fetched = attempts.values().filter(|attempt| matches!(attempt, Attempt::Stored(_))).count();
            stored += fetched;
            failed += attempts.len() - fetched;
            self.note(attempts).await?;
            if !full || fetched == 0 {
                break;
            }
        }
        Ok(format!("{stored} fetched, {failed} failed"))
    }

    async fn attempt_all(&self, due: Vec<ImageRow>) -> HashMap<ImageId, Attempt> {
        // A host that does not answer is asked once a batch.
        let silent: Mutex<HashSet<String>> = Mutex::default();
        let silent = &silent;
        stream::iter(due)
            .map(|row| async move { (ImageId::from_uuid(row.id), self.attempt(&row, silent).await) })
            .buffer_unordered(self.config.images.concurrency)
            .collect()
            .await
    }

    async fn attempt(&self, row: &ImageRow, silent: &Mutex<HashSet<String>>) -> Attempt {
        let id = ImageId::from_uuid(row.id);
        let host = url::Url::parse(&row.src)
            .ok()
            .and_then(|url| url.host_str().map(str::to_owned))
            .unwrap_or_default();
        let is_silent = silent.lock().is_ok_and(|hosts| hosts.contains(&host));
        let outcome = if is_silent {
            Err(FetchError::Unreachable("the host did not answer just now".to_owned()))
        } else {
            self.fetcher.fetch(&row.src).await
        };
        let refused = matches!(outcome, Err(FetchError::Refused(_)));
        let error = match outcome {
            Ok(Fetched { bytes, content_type }) => match self.media.put(id, bytes).await {
                Ok(()) => return Attempt::Stored(content_type),
                Err(failure) => {
                    tracing::error!(image.id = %id, ?failure, "an image cannot be stored");
                    FetchError::Unreachable("it cannot be stored".to_owned())
                }
            },
            Err(error) => {
                if !refused && let Ok(mut hosts) = silent.lock() {
                    hosts.insert(host);
                }
                error
            }
        };
        tracing::debug!(image.id = %id, %error, "an image cannot be fetched");
        let attempts = row.attempts + 1;
        Attempt::Failed { attempts, last: refused || attempts >= self.config.images.attempts }
    }

    async fn note(&self, attempts: HashMap<ImageId, Attempt>) -> Result<()> {
        if attempts.is_empty() {
            return Ok(());
        }
        let backoff = self.config.images.backoff;
        let outcomes: Vec<(ImageId, Attempt)> = attempts.into_iter().collect();
        let gone = self.db.write(REFERENCE, (outcomes.clone(), backoff), |tx, (outcomes, backoff)| {
            Box::pin(async move {
                let mut gone = Vec::new();
                for (id, attempt) in outcomes {
                    if !write(tx, *id, attempt, *backoff).await? {
                        gone.push(*id);
                    }
                }
                Ok(gone)
            })
        });
        // Removed while it was being fetched: its file has no owner.
        for id in gone.await? {
            self.media.remove(id).await;
        }
        for (id, _) in outcomes {
            self.pictures.invalidate(&id).await;
        }
        Ok(())
    }
}

/// False for an image that was stored but is not wanted any more.
async fn write(tx: &Tx, id: ImageId, attempt: &Attempt, backoff: std::time::Duration) -> Result<bool> {
    match attempt {
        Attempt::Stored(content_type) => images::stored(tx, id, content_type).await,
        Attempt::Failed { attempts, last } => {
            let doubled = 2_u32.saturating_pow(u32::try_from(attempts - 1).unwrap_or(0).min(10));
            images::postponed(tx, id, *attempts, tx.now().plus(backoff * doubled), *last).await.map(|()| true)
        }
    }
}
