//! The writer's place of an index that any process could write: a lease. It saves work and keeps rebuilds and refreshes in one
//! process; that nothing is lost when it changes hands is `settle`'s and the check's business.

use std::time::{Duration, Instant};

use kernel::{Result, Shard};
use platform_db::Db;
use tokio::sync::Mutex;

/// The lease belongs to no owner's shard.
const NOWHERE: Shard = Shard::new(0);
/// Life of the lease.
const TTL: Duration = Duration::from_secs(15);
/// How often it is asked for or renewed.
const RENEW: Duration = Duration::from_secs(4);

/// Whether this process has the place.
#[derive(Debug)]
pub(crate) struct Place {
    name: String,
    holder: String,
    known: Mutex<Option<(Instant, bool)>>,
}

impl Place {
    /// The place of a region's index; the shop's where `region` is empty.
    pub(crate) fn new(db: &Db, region: &str) -> Self {
        let name =
            if region.is_empty() { "search/index".to_owned() } else { format!("search/index@{region}") };
        Self { name, holder: db.ids().uuid(NOWHERE).to_string(), known: Mutex::new(None) }
    }

    /// Takes the place when it is free, keeps it when it is ours. The answer is up to four seconds old, and the lease lives
    /// fifteen: a process that does not stand still never believes it has what another took.
    pub(crate) async fn take(&self, db: &Db) -> Result<bool> {
        let mut known = self.known.lock().await;
        if let Some((at, ours)) = *known
            && at.elapsed() < RENEW
        {
            return Ok(ours);
        }
        let asked = Instant::now();
        let ours = db.lease(&self.name, NOWHERE, &self.holder, TTL).await?.is_some();
        *known = Some((asked, ours));
        Ok(ours)
    }

    /// Gives the place back, so that the next process need not wait.
    pub(crate) async fn give_back(&self, db: &Db) -> Result<()> {
        let mut known = self.known.lock().await;
        *known = None;
        db.release_lease(&self.name, NOWHERE, &self.holder).await
    }
}
