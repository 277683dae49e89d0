//! The map a shop begins with.

use std::collections::BTreeMap;

use kernel::{Region, Shard};
use placement::{Degraded, Desired, Jurisdiction, Policy, RegionRow, RegionSpec, Role};

/// Equal regions with their entrances; shards have their homes in turn. Each region could take all shards, so that all but
/// one may die. `laws` are the regions that keep the data of a jurisdiction beside what may lie anywhere: the shards that
/// begin there are under the first that is named, and leave it for no region that does not keep it, too.
pub(crate) fn map(
    regions: &[(Region, String)],
    laws: &[(Region, Jurisdiction)],
    shards: Vec<Shard>,
) -> (Desired, BTreeMap<Shard, (Region, Jurisdiction)>) {
    let any = Jurisdiction::new(Jurisdiction::ANY);
    let kept = |region: &Region| {
        let of = region.clone();
        laws.iter().filter(move |(name, _)| *name == of).map(|(_, law)| law.clone())
    };
    let capacity = u16::try_from(shards.len()).unwrap_or(u16::MAX);
    let spec = |region: &Region, endpoint: &str| RegionSpec {
        role: Role::Full,
        endpoint: endpoint.to_owned(),
        capacity,
        weight: 1,
        jurisdictions: kept(region).chain([any.clone()]).collect(),
        failover_ready: true,
        degraded: Degraded::default(),
    };
    let homes = shards
        .into_iter()
        .zip(regions.iter().cycle())
        .map(|(shard, (region, _))| {
            (shard, (region.clone(), kept(region).next().unwrap_or_else(|| any.clone())))
        })
        .collect();
    let regions =
        regions.iter().map(|(region, url)| (region.clone(), RegionRow::new(spec(region, url)))).collect();
    (Desired { regions, policy: Policy::default() }, homes)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn shards_begin_under_the_law_of_their_region() {
        let regions = ["us", "eu", "ap"].map(|name| (Region::new(name), format!("http://{name}.test")));
        let law = |region: &str, law: &str| (Region::new(region), Jurisdiction::new(law));
        let laws = [law("eu", "eu"), law("eu", "uk"), law("ap", "eu")];
        let (desired, homes) = map(&regions, &laws, (0..6).map(Shard::new).collect());
        let keeps = |name: &str| -> BTreeSet<String> {
            let kept = &desired.regions[&Region::new(name)].spec.jurisdictions;
            kept.iter().map(|law| law.as_str().to_owned()).collect()
        };
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(keeps("us"), set(&["any"]));
        assert_eq!(keeps("eu"), set(&["any", "eu", "uk"]));
        assert_eq!(keeps("ap"), set(&["any", "eu"]));
        let of: Vec<_> = homes.values().map(|(region, law)| (region.as_str(), law.as_str())).collect();
        assert_eq!(of, [("us", "any"), ("eu", "eu"), ("ap", "eu")].repeat(2));
    }
}
