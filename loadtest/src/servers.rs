//! The real parts, for one proof.

use anyhow::Result;
use stack::{Pulsar, Redis, Tidb};
use support::Parts;

/// A TiDB, a Pulsar and a Redis of this proof's own; they end with it.
pub struct Servers {
    /// The database.
    pub tidb: Tidb,
    /// The broker.
    pub pulsar: Pulsar,
    /// The cache that processes share.
    pub redis: Redis,
}

impl Servers {
    /// Starts all three and waits until they are ready.
    pub async fn start() -> Result<Self> {
        let start = || Ok(Self { tidb: Tidb::start()?, pulsar: Pulsar::start()?, redis: Redis::start()? });
        tokio::task::spawn_blocking(start).await?
    }

    /// Where a shop finds them.
    pub fn parts(&self) -> Parts {
        Parts {
            pulsar: Some((self.pulsar.url(), self.pulsar.admin_url())),
            redis: Some(self.redis.address()),
            tidb: Some(self.tidb.address()),
        }
    }
}
