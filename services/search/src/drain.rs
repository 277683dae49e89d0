//! Waits until nothing is marked.

use std::time::Duration;

use contracts::Ctx;
use kernel::{Failure, Result, code};

use crate::{service::SearchService, store};

/// How often to look whether the process that writes the index is done.
const LOOK: Duration = Duration::from_millis(200);

impl SearchService {
    /// Works on marks, or waits for the process that does, until none is left or `ctx`'s time is up.
    pub(crate) async fn drain(&self, ctx: &Ctx) -> Result<()> {
        while store::count_due(&self.db, &self.region).await? > 0 {
            if self.db.now() >= ctx.deadline {
                return Err(Failure::new(code::TIMEOUT).detail("the index is still being brought up to date"));
            }
            let worked = self.may_write().await? && self.refresh_once().await? > 0;
            if !worked {
                tokio::time::sleep(LOOK).await;
            }
        }
        Ok(())
    }
}
