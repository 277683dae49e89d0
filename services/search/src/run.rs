//! What runs in the background: the refresher and the writer of counted words.

use std::{sync::Arc, time::Duration};

use kernel::{Result, code};
use platform_runtime::Tasks;
use tokio::time::Instant;

use crate::{service::SearchService, store};

/// A failure is followed by a pause, longer with every one that follows at once, up to this.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// A process that does not write the index looks this often whether the place is free.
const STAND_BY: Duration = Duration::from_secs(1);

impl SearchService {
    /// Starts the work in the background.
    pub(crate) async fn start(self: Arc<Self>, tasks: &Tasks) -> Result<()> {
        // A second start finds the same tasks there.
        let _ = self.tasks.set(tasks.clone());
        // The one who writes is ready with an index, be it empty; one who reads waits for it (the readiness probe).
        // A server that cannot be reached now is waited for in the background: the shop starts without it.
        if let Err(failure) = self.may_write().await
            && !failure.is(code::UNAVAILABLE)
        {
            return Err(failure);
        }
        let (refresher, words, warming) = (Arc::clone(&self), Arc::clone(&self), self);
        let token = tasks.token();
        tasks.spawn_essential("search.refresh", async move {
            token.run_until_cancelled(refresher.keep_fresh()).await;
        });
        let token = tasks.token();
        tasks.spawn("search.words", async move {
            token.run_until_cancelled(words.keep_writing_words()).await;
        });
        tasks.spawn("search.warm", async move {
            warming.index.warm().await;
            if let Err(failure) = warming.hottest().await {
                tracing::warn!(?failure, "hot words could not be loaded");
            }
        });
        Ok(())
    }

    /// Indexes what is marked: at once after a quiet time, else with the configured time between two commits.
    async fn keep_fresh(&self) {
        let mut pause = self.config.refresh;
        let mut writes = false;
        loop {
            let started = Instant::now();
            match self.step(&mut writes).await {
                Ok(()) if writes => pause = self.config.refresh,
                Ok(()) => pause = STAND_BY,
                Err(failure) => {
                    // What was there may be gone when it is back: then it is built again.
                    writes &= !failure.is(code::UNAVAILABLE);
                    tracing::warn!(?failure, "the search index could not be brought up to date");
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
            // Marks made by other processes ring no bell here: look anyway after a while.
            let _ = tokio::time::timeout(self.config.refresh, self.wake.notified()).await;
            tokio::time::sleep_until(started + pause).await;
        }
    }

    /// One round: becomes the writer if the place is free, then works until nothing is marked.
    async fn step(&self, writes: &mut bool) -> Result<()> {
        if !self.may_write().await? {
            *writes = false;
            return Ok(());
        }
        if !*writes {
            *writes = true;
            self.begin_to_write().await?;
        }
        self.rebuild_as_requested().await?;
        while self.refresh_once().await? >= usize::try_from(self.config.batch).unwrap_or(usize::MAX) {}
        Ok(())
    }

    /// What the writer before left undone.
    async fn begin_to_write(&self) -> Result<()> {
        {
            let _turn = self.refreshing.lock().await;
            store::unpark(&self.db, &self.region).await?;
        }
        let Some(tasks) = self.tasks.get() else { return self.rebuild_if_empty().await };
        let Some(service) = self.me.upgrade() else { return Ok(()) };
        // Beside the refresher, which goes on meanwhile.
        tasks.spawn("search.first_build", async move {
            if let Err(failure) = service.rebuild_if_empty().await {
                tracing::error!(?failure, "the search index could not be built");
            }
        });
        Ok(())
    }

    async fn keep_writing_words(&self) {
        loop {
            tokio::time::sleep(self.config.flush_words).await;
            if let Err(failure) = self.flush_words().await {
                tracing::warn!(?failure, "counted words could not be written and are lost");
            }
        }
    }
}
