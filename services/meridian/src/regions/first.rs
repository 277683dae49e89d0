//! The map a shop begins with.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Region, Shard};
use placement::{Desired, Jurisdiction, Policy, RegionRow, RegionSpec, Role};

/// Whose law all data is under, until a shop says otherwise.
const ANY: &str = "any";

/// Equal regions with their entrances; shards have their homes in turn. Each region could take all shards, so that all but
/// one may die.
pub(crate) fn map(
    regions: &[(Region, String)],
    shards: Vec<Shard>,
) -> (Desired, BTreeMap<Shard, (Region, Jurisdiction)>) {
    let any = Jurisdiction::new(ANY);
    let capacity = u16::try_from(shards.len()).unwrap_or(u16::MAX);
    let spec = |endpoint: &str| RegionSpec {
        role: Role::Full,
        endpoint: endpoint.to_owned(),
        capacity,
        weight: 1,
        jurisdictions: BTreeSet::from([any.clone()]),
        failover_ready: true,
    };
    let homes = shards
        .into_iter()
        .zip(regions.iter().cycle())
        .map(|(shard, (region, _))| (shard, (region.clone(), any.clone())))
        .collect();
    let regions = regions.iter().map(|(region, url)| (region.clone(), RegionRow::new(spec(url)))).collect();
    (Desired { regions, policy: Policy::default() }, homes)
}
