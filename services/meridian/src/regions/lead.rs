//! The database's own placement follows the map, a little at a time.

use std::{sync::Arc, time::Duration};

use coordinator::{Journal, Leaders};
use kernel::Result;
use platform_db::Db;
use platform_runtime::{Job, JobRun};

/// How often it looks.
const EVERY: Duration = Duration::from_secs(30);
/// Between two changes: eight a second were measured to triple the p99 of live transactions.
const PACE: Duration = Duration::from_millis(500);

/// The job; none where the database places nothing.
pub(super) fn job(db: &Db, journal: Arc<dyn Journal>) -> Option<Job> {
    let leaders = Leaders::of(db.clone())?;
    Some(Job::every("region.lead", EVERY, move |run| {
        let (leaders, journal) = (leaders.clone(), Arc::clone(&journal));
        async move { lead(&leaders, &*journal, &run).await }
    }))
}

async fn lead(leaders: &Leaders, journal: &dyn Journal, run: &JobRun) -> Result<String> {
    let scene = journal.read().await.map_err(super::failure)?;
    let servers = leaders.servers().await?;
    if servers.is_empty() {
        return Ok("no server of the database is labelled with a region".to_owned());
    }
    let changes = leaders.changes(&scene.world, &servers).await?;
    let mut made = 0;
    for change in &changes {
        // Recovery and planned moves have the database to themselves; what they change is looked at again.
        let now = journal.read().await.map_err(super::failure)?;
        let moved = now.world.observed.version != scene.world.observed.version;
        if run.stopping() || now.operation.is_some() || moved {
            break;
        }
        leaders.make(change).await?;
        made += 1;
        tokio::time::sleep(PACE).await;
    }
    Ok(format!("{made} changed, {} left", changes.len() - made))
}
