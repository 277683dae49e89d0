//! Deletes guests' carts that nobody came back to.

use kernel::Result;
use platform_runtime::JobRun;

use crate::{service::CartService, store};

impl CartService {
    /// Deletes what is too old on every shard, a batch a transaction; returns how many carts.
    pub(crate) async fn prune(&self, run: &JobRun) -> Result<u64> {
        self.prune_while(|| !run.stopping()).await
    }

    pub(crate) async fn prune_while(&self, go_on: impl Fn() -> bool) -> Result<u64> {
        let before = self.db.now().minus(self.config.guest_kept);
        let limit = u64::from(self.config.prune_batch);
        let mut pruned = 0;
        for shard in self.db.every_shard() {
            while go_on() {
                let stale = store::stale(self.db.read(), shard, before, limit).await?;
                let full = stale.len() as u64 == limit;
                if stale.is_empty() {
                    break;
                }
                let deleted = self
                    .db
                    .write(shard, stale, move |tx, stale| {
                        Box::pin(async move {
                            let mut deleted = 0_u64;
                            for id in stale {
                                deleted += u64::from(store::delete_stale(tx, *id, before).await?);
                            }
                            Ok(deleted)
                        })
                    })
                    .await?;
                pruned += deleted;
                if !full || deleted == 0 {
                    break;
                }
            }
        }
        Ok(pruned)
    }
}
