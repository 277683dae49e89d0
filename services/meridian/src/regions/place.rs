//! The region of this process: what it knows of the others, and who keeps that up to date.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::Result;
use coordinator::{Agent, DatabaseJournal, RegionConfig, Snapshot};
use kernel::Shard;
use placement::Instance;
use platform_db::Db;
use platform_regions::Regions;
use platform_runtime::{Keys, Module};

/// How long a start waits for the map; it goes on with the one that is kept on disk, or without.
const FIRST_LOOK: Duration = Duration::from_secs(2);

/// A process' place among the regions.
pub(crate) struct Place {
    /// What is known; that of a shop without regions where none is configured.
    pub(crate) regions: Regions,
    /// The folder of what a region does not share with the others: the data folder where there are none.
    pub(crate) data: PathBuf,
    /// Follows the map while the process serves.
    pub(crate) module: Option<Module>,
}

/// Opens the place that is configured. New owners get shards that are at home here from now on.
pub(crate) fn open(config: RegionConfig, data: &Path, keys: &Keys, db: &Db) -> Result<Place> {
    config.validate().map_err(crate::commands::bus::told)?;
    let Some(region) = config.region() else {
        return Ok(Place { regions: Regions::single(), data: data.to_path_buf(), module: None });
    };
    let own = data.join("regions").join(region.as_str());
    let snapshot = Snapshot::new(region.clone(), &own, *keys.secret("region-map")?.expose());
    let known = snapshot.read().unwrap_or_else(|error| {
        tracing::error!(%error, "starting without a map of regions until the database gives one");
        None
    });
    let regions = Regions::of(region.clone(), known.unwrap_or_default());
    let homes = regions.clone();
    db.prefer_shards(move || homes.homed_here().unwrap_or_default());
    let me = Instance::new(region, db.ids().uuid(Shard::new(0)).to_string());
    let journal = Arc::new(DatabaseJournal::new(db.clone()));
    let mut agent = Agent::new(journal, regions.clone(), me, config, Some(snapshot));
    let module = Module::new("region-agent").on_start(move |tasks| async move {
        if tokio::time::timeout(FIRST_LOOK, agent.begin()).await.is_err() {
            tracing::warn!("the database has not told the map of regions yet");
        }
        tasks.spawn_essential("region-agent", agent.run(tasks.token()));
        Ok(())
    });
    Ok(Place { regions, data: own, module: Some(module) })
}
