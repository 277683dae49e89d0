//! What persons change.

use std::collections::BTreeSet;

use kernel::{Region, Shard};
use placement::{Jurisdiction, MapVersion, Placing, Policy, RegionRow, RegionSpec, State, World};

use super::Store;
use crate::{Applied, JournalError, Result};

impl Store {
    /// See [`crate::Journal::set_state`].
    pub fn set_state(&mut self, region: &Region, expect: u64, to: State) -> Result<Applied> {
        let row = self.region(region)?;
        if row.version != expect {
            return Ok(Applied::Stale);
        }
        if !row.state.may_become(to) {
            let from = row.state;
            return Err(JournalError::Forbidden(format!(
                "{region} is {from:?}: it comes back through Cordoned"
            )));
        }
        self.change_region(region, |row| (row.state, row.held_by) = (to, None))?;
        Ok(Applied::Yes)
    }

    /// See [`crate::Journal::put_region`].
    pub fn put_region(&mut self, region: &Region, expect: Option<u64>, spec: &RegionSpec) -> Applied {
        let there = self.scene.world.desired.regions.get(region).map(|row| row.version);
        if there != expect {
            return Applied::Stale;
        }
        let rows = &mut self.scene.world.desired.regions;
        let row = rows.entry(region.clone()).or_insert_with(|| RegionRow::new(spec.clone()));
        row.spec = spec.clone();
        row.version += 1;
        self.grow();
        Applied::Yes
    }

    /// See [`crate::Journal::put_policy`].
    pub fn put_policy(&mut self, expect: MapVersion, policy: &Policy) -> Applied {
        if expect != self.version() {
            return Applied::Stale;
        }
        self.scene.world.desired.policy = policy.clone();
        self.grow();
        Applied::Yes
    }

    /// See [`crate::Journal::put_law`].
    pub fn put_law(
        &mut self,
        expect: MapVersion,
        shards: &BTreeSet<Shard>,
        law: &Jurisdiction,
    ) -> Result<Applied> {
        if expect != self.version() {
            return Ok(Applied::Stale);
        }
        let World { desired, observed } = &self.scene.world;
        for shard in shards {
            let Some(row) = observed.shards.get(shard) else {
                return Err(JournalError::Forbidden(format!("there is no shard {shard}")));
            };
            let next = match &row.placing {
                Placing::Settled => None,
                Placing::Moving { target } => Some(target),
            };
            let keeps = |region: &Region| {
                let row = desired.regions.get(region);
                row.is_some_and(|row| row.spec.jurisdictions.contains(law))
            };
            let mut places = std::iter::once(&row.home).chain(next).chain(desired.policy.pins.get(shard));
            if let Some(place) = places.find(|place| !keeps(place)) {
                let why = format!("{place}, where shard {shard} lives or is to live, keeps no data of {law}");
                return Err(JournalError::Forbidden(why));
            }
        }
        let version = self.grow();
        for shard in shards {
            if let Some(row) = self.scene.world.observed.shards.get_mut(shard) {
                (row.jurisdiction, row.version) = (law.clone(), version);
            }
        }
        Ok(Applied::Yes)
    }
}
