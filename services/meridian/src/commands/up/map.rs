//! The map that the regions find.

use anyhow::{Result, bail, ensure};
use coordinator::{Applied, Journal};
use kernel::{Region, Shard};
use placement::{MapVersion, RegionSpec};

use super::{REGIONS, children::Place, tell};
use crate::regions::first;

/// Changes of addresses are tried this often: coordinators of an earlier start may still be changing the map.
const TRIES: usize = 20;

/// Founds the map where there is none: these regions, equal weights, shards in turn. Where there is one it must have the
/// same regions; those that listen elsewhere this time get their new addresses.
pub(super) async fn found(journal: &dyn Journal, places: &[Place], shards: Vec<Shard>) -> Result<()> {
    let scene = journal.read().await?;
    if scene.world.observed.version == MapVersion(0) {
        let entrances: Vec<_> = places.iter().map(|place| (place.region.clone(), place.url())).collect();
        let (desired, homes) = first::map(&entrances, &[], shards);
        let count = homes.len();
        if journal.found(&desired, &homes).await? == Applied::Yes {
            tell(format!("founded the map: {count} shards in {}", REGIONS.join(", ")));
            return Ok(());
        }
    }
    for place in places {
        settle(journal, place).await?;
    }
    let known = journal.read().await?.world.desired.regions;
    let others: Vec<&str> = known.keys().map(Region::as_str).filter(|name| !REGIONS.contains(name)).collect();
    ensure!(
        others.is_empty(),
        "the map of this database has other regions: {}. `meridian up` runs {}; run yours with `meridian serve` each, \
         with MERIDIAN__REGION__NAME set",
        others.join(", "),
        REGIONS.join(", ")
    );
    Ok(())
}

/// The address of a region that is in the map.
async fn settle(journal: &dyn Journal, place: &Place) -> Result<()> {
    for _ in 0..TRIES {
        let scene = journal.read().await?;
        let Some(row) = scene.world.desired.regions.get(&place.region) else {
            bail!(
                "the map of this database has no region {}: it was not founded by `meridian up`. Give another --data \
                 or --database",
                place.region
            );
        };
        if row.spec.endpoint == place.url() {
            return Ok(());
        }
        let spec = RegionSpec { endpoint: place.url(), ..row.spec.clone() };
        if journal.put_region(&place.region, Some(row.version), &spec).await? == Applied::Yes {
            return Ok(());
        }
    }
    bail!("the map changes all the time: is `meridian up` running on this database already?")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use coordinator::MemoryJournal;
    use kernel::{FakeClock, Timestamp};

    use super::*;

    fn places(base: u16) -> Vec<Place> {
        let place = |(name, port): (&str, u16)| Place {
            region: Region::new(name),
            address: ([127, 0, 0, 1], port).into(),
        };
        REGIONS.into_iter().zip(base..).map(place).collect()
    }

    #[tokio::test]
    async fn founds_once_and_then_only_moves_addresses() {
        let journal = MemoryJournal::new(Arc::new(FakeClock::new(Timestamp::from_micros(0))));
        let shards = || (0..16).map(Shard::new).collect();
        found(&journal, &places(8080), shards()).await.unwrap();
        let world = journal.read().await.unwrap().world;
        assert_eq!(world.observed.shards.len(), 16);
        for (name, homes) in REGIONS.into_iter().zip([6, 5, 5]) {
            let here = world.observed.shards.values().filter(|row| row.home.as_str() == name).count();
            assert_eq!(here, homes, "{name}");
        }
        let version = world.observed.version;

        found(&journal, &places(8080), shards()).await.unwrap();
        assert_eq!(journal.read().await.unwrap().world.observed.version, version, "nothing has changed");

        found(&journal, &places(9000), shards()).await.unwrap();
        let world = journal.read().await.unwrap().world;
        assert_eq!(world.desired.regions[&Region::new("eu-west")].spec.endpoint, "http://127.0.0.1:9001");
        assert_eq!(world.observed.shards.len(), 16);
    }

    #[tokio::test]
    async fn another_map_is_left_alone() {
        let journal = MemoryJournal::new(Arc::new(FakeClock::new(Timestamp::from_micros(0))));
        let entrances: Vec<_> =
            places(8080).iter().map(|place| (place.region.clone(), place.url())).collect();
        let (mut desired, homes) = first::map(&entrances, &[], vec![Shard::new(0)]);
        let row = desired.regions.remove(&Region::new("us-east")).unwrap();
        desired.regions.insert(Region::new("mars"), row);
        assert_eq!(journal.found(&desired, &homes).await, Ok(Applied::Yes));
        let before = journal.store();
        let error = found(&journal, &places(8080), vec![Shard::new(0)]).await.unwrap_err().to_string();
        assert!(error.contains("us-east") && error.contains("--data"), "{error}");
        assert_eq!(journal.store(), before);
    }
}
