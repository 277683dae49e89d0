//! A generation being filled: an index beside the one that answers, swapped with it in one step.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use kernel::{Failure, Result, code};
use meilisearch_sdk::{client::SwapIndexes, task_info::TaskInfo};
use tokio::sync::Mutex;

use super::Shared;
use crate::{Change, IndexRebuild};

/// Changes the server may have taken and not worked on yet.
const UNDER_WAY: usize = 8;

/// A generation being filled.
pub(crate) struct Filling {
    shared: Arc<Shared>,
    uid: String,
    /// When the server made the new index.
    made: Option<String>,
    tasks: Mutex<VecDeque<TaskInfo>>,
    finished: AtomicBool,
}

impl Filling {
    pub(crate) async fn begin(shared: Arc<Shared>) -> Result<Self> {
        if shared.filling.swap(true, Ordering::SeqCst) {
            return Err(Failure::new(code::CONFLICT).detail("another rebuild is under way"));
        }
        // From here on a failure gives the place back.
        let mut filling = Self {
            uid: shared.build_uid(),
            made: None,
            tasks: Mutex::default(),
            finished: AtomicBool::new(false),
            shared,
        };
        filling.shared.prepare().await?;
        filling.shared.remove_builds().await?;
        filling.shared.create(&filling.uid).await?;
        filling.made = filling.shared.made_at(&filling.uid).await?;
        Ok(filling)
    }

    /// Waits until at most so many changes are under way.
    async fn settle(&self, tasks: &mut VecDeque<TaskInfo>, most: usize) -> Result<()> {
        while tasks.len() > most {
            if let Some(task) = tasks.pop_front() {
                self.shared.finish(&task).await?;
            }
        }
        Ok(())
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        if !self.finished.load(Ordering::SeqCst) {
            // Nothing can wait here: whoever writes next removes what was begun.
            self.shared.abandoned.store(true, Ordering::SeqCst);
        }
        self.shared.filling.store(false, Ordering::SeqCst);
    }
}

#[async_trait]
impl IndexRebuild for Filling {
    async fn apply(&self, changes: Vec<Change>) -> Result<()> {
        let mut tasks = self.tasks.lock().await;
        for task in self.shared.send(&self.uid, changes).await? {
            tasks.push_back(task);
        }
        self.settle(&mut tasks, UNDER_WAY).await
    }

    async fn finish(self: Box<Self>) -> Result<()> {
        self.settle(&mut *self.tasks.lock().await, 0).await?;
        let shared = &self.shared;
        // A server that lost it makes one by itself for the next document, without what came before.
        if shared.made_at(&self.uid).await? != self.made {
            return Err(Failure::new(code::UNAVAILABLE).detail("the search server lost what was built"));
        }
        let swap = SwapIndexes { indexes: (shared.uid.clone(), self.uid.clone()), rename: None };
        let task = shared.client.swap_indexes([&swap]).await.map_err(|error| shared.failed(error))?;
        shared.finish(&task).await?;
        shared.adopt().await?;
        shared.revision.fetch_add(1, Ordering::SeqCst);
        // What answered before is now under the other name. When it cannot be removed now, the next writer does it.
        if let Err(failure) = shared.remove_builds().await {
            tracing::warn!(?failure, "the index that answered before could not be removed yet");
            shared.abandoned.store(true, Ordering::SeqCst);
        }
        self.finished.store(true, Ordering::SeqCst);
        Ok(())
    }
}
