//! The first map.

use std::collections::BTreeSet;

use anyhow::Result;
use coordinator::Applied;
use kernel::{Region, Shard};
use placement::{Jurisdiction, MapVersion};
use serde_json::json;

use super::{Desk, trouble};
use crate::{
    exit::{Ended, Why},
    regions::first,
};

impl Desk {
    /// Founds the map, or says which it would; a conflict when there is one.
    pub(super) async fn found(
        &self,
        regions: &[(Region, String)],
        laws: &[(Region, Jurisdiction)],
        shards: Vec<Shard>,
        dry_run: bool,
    ) -> Result<()> {
        let count = shards.len();
        let (desired, homes) = first::map(regions, laws, shards);
        if let Some((unknown, _)) = laws.iter().find(|(region, _)| !desired.regions.contains_key(region)) {
            let said = format!("{unknown} has a jurisdiction and is not among the regions");
            return Err(Ended::error(Why::Usage, said));
        }
        if desired.regions.len() < regions.len() {
            return Err(Ended::error(Why::Usage, "a region is named twice"));
        }
        let mut entrances = BTreeSet::new();
        if let Some((_, twice)) = regions.iter().find(|(_, entrance)| !entrances.insert(entrance)) {
            return Err(Ended::error(Why::Usage, format!("{twice} is the entrance of two regions")));
        }
        let there = match dry_run {
            true => self.journal.read().await.map_err(trouble)?.world.observed.version != MapVersion(0),
            false => self.journal.found(&desired, &homes).await.map_err(trouble)? == Applied::Stale,
        };
        if there {
            return Err(Ended::error(
                Why::Conflict,
                "this database has a map: `meridian region status` shows it. Nothing was changed",
            ));
        }
        let names: Vec<&str> = regions.iter().map(|(region, _)| region.as_str()).collect();
        self.answer(&json!({"regions": names, "shards": count, "dry_run": dry_run}), || {
            let founded = if dry_run { "would found" } else { "founded" };
            format!("{founded} the map: {count} shards in {}", names.join(", "))
        })
    }
}
