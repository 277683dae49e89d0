//! Ends orders that were not paid in time. Which those are is decided row by row, under the guard that the order still
//! waits: one that is being paid at the same moment is paid or expired, never both.

use contracts::order::OrderState;
use kernel::{Result, Shard};
use platform_runtime::JobRun;

use crate::{model::Order, moves::Moved, service::OrderService, store};

impl OrderService {
    /// Expires what is due on every shard; returns how many orders.
    pub(crate) async fn expire_all(&self, run: &JobRun) -> Result<u64> {
        let mut expired = 0;
        for shard in self.db.every_shard() {
            expired += self.expire_shard(shard, || run.stopping()).await?;
        }
        Ok(expired)
    }

    /// Expires what is due on a shard, a batch a transaction.
    pub(crate) async fn expire_shard(&self, shard: Shard, stopping: impl Fn() -> bool) -> Result<u64> {
        let limit = u64::from(self.config.expire_batch);
        let mut expired = 0;
        while !stopping() {
            let now = self.db.now();
            let due = store::due(self.db.read(), shard, now, limit).await?;
            let full = due.len() as u64 == limit;
            let moves: Vec<(Order, Moved)> =
                due.into_iter().filter_map(|order| order.expired(now).map(|moved| (order, moved))).collect();
            if moves.is_empty() {
                break;
            }
            let done = self.db.write(shard, moves, |tx, moves| Box::pin(save_all(tx, moves))).await?;
            expired += done;
            // A batch of which nothing could be saved is being moved by others: the next run looks again.
            if !full || done == 0 {
                break;
            }
        }
        metrics::counter!("orders_cancelled_total", "reason" => "expired").increment(expired);
        Ok(expired)
    }
}

async fn save_all(tx: &platform_db::Tx, moves: &[(Order, Moved)]) -> Result<u64> {
    let mut saved = 0;
    for (order, moved) in moves {
        debug_assert_eq!(order.state, OrderState::PendingPayment);
        saved += u64::from(store::save(tx, order, moved).await?);
    }
    Ok(saved)
}
