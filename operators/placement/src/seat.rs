//! Where the database should keep the rows of a shard, and those of a region.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Region, Shard};

use crate::{Jurisdiction, World};

/// Where the replicas of rows are, and which of them lead. Shards of one home and one jurisdiction share it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seat {
    /// Where the leaders sit: the shards' home.
    pub home: Region,
    /// Whose law the rows are under.
    pub jurisdiction: Jurisdiction,
    /// Where replicas may be: every region that keeps data of the jurisdiction and has servers; a witness too, if it keeps them.
    pub voters: BTreeSet<Region>,
}

/// The seats of all rows that have one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seats {
    /// Of what is cut by shard. A shard whose home has no servers, or does not serve, has no seat: its rows stay where they are.
    pub shards: BTreeMap<Shard, Seat>,
    /// Of what is cut by region, its stock: nobody's personal data, so any law lets it be anywhere.
    pub regions: BTreeMap<Region, Seat>,
}

/// The seats among the regions that the database has servers in.
pub fn seats(world: &World, servers: &BTreeSet<Region>) -> Seats {
    let seat = |home: &Region, jurisdiction: &Jurisdiction| {
        let keeps = |region: &Region| {
            let row = world.desired.regions.get(region);
            row.is_some_and(|row| row.spec.jurisdictions.contains(jurisdiction))
        };
        let voters: BTreeSet<Region> = servers.iter().filter(|region| keeps(region)).cloned().collect();
        (world.desired.serves(home) && voters.contains(home)).then(|| Seat {
            home: home.clone(),
            jurisdiction: jurisdiction.clone(),
            voters,
        })
    };
    let any = Jurisdiction::new(Jurisdiction::ANY);
    let shards = world.observed.shards.iter();
    Seats {
        shards: shards
            .filter_map(|(shard, row)| Some((*shard, seat(&row.home, &row.jurisdiction)?)))
            .collect(),
        regions: servers.iter().filter_map(|region| Some((region.clone(), seat(region, &any)?))).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MapVersion, Placing, RegionRow, RegionSpec, Role, ShardRow, State};

    fn regions(names: &[&str]) -> BTreeSet<Region> {
        names.iter().map(|name| Region::new(*name)).collect()
    }

    fn world() -> World {
        let mut world = World::default();
        let of = |role, jurisdictions: &[&str]| {
            RegionRow::new(RegionSpec {
                role,
                endpoint: String::new(),
                capacity: 16,
                weight: 1,
                jurisdictions: jurisdictions.iter().map(|name| Jurisdiction::new(*name)).collect(),
                failover_ready: true,
                degraded: crate::Degraded::default(),
            })
        };
        for (name, role, jurisdictions) in [
            ("us", Role::Full, &["any"][..]),
            ("eu", Role::Full, &["any", "eu"]),
            ("eu-two", Role::Witness, &["eu"]),
            ("ap", Role::Full, &["any"]),
        ] {
            world.desired.regions.insert(Region::new(name), of(role, jurisdictions));
        }
        for (n, home, jurisdiction) in
            [(0, "us", "any"), (1, "eu", "any"), (2, "eu", "eu"), (3, "ap", "any"), (4, "eu", "eu")]
        {
            let row = ShardRow {
                home: Region::new(home),
                jurisdiction: Jurisdiction::new(jurisdiction),
                placing: Placing::Settled,
                version: MapVersion(1),
            };
            world.observed.shards.insert(Shard::new(n), row);
        }
        world
    }

    #[test]
    fn leaders_sit_at_home_and_replicas_stay_under_their_law() {
        let seats = seats(&world(), &regions(&["us", "eu", "eu-two", "elsewhere"])).shards;
        assert_eq!(seats[&Shard::new(0)].voters, regions(&["eu", "us"]));
        assert_eq!(seats[&Shard::new(2)].voters, regions(&["eu", "eu-two"]));
        assert_eq!(seats[&Shard::new(1)].home, Region::new("eu"));
        assert_eq!(seats[&Shard::new(2)], seats[&Shard::new(4)]);
        assert_ne!(seats[&Shard::new(1)], seats[&Shard::new(2)]);
        assert!(!seats.contains_key(&Shard::new(3)), "its home has no servers");
    }

    #[test]
    fn rows_of_a_home_that_is_out_stay_where_they_are() {
        let mut world = world();
        world.desired.regions.get_mut(&Region::new("eu")).unwrap().state = State::Fenced;
        let Seats { shards: seats, regions: stock } = seats(&world, &regions(&["us", "eu", "eu-two", "ap"]));
        assert_eq!(seats.keys().copied().collect::<Vec<_>>(), [Shard::new(0), Shard::new(3)]);
        assert!(seats[&Shard::new(0)].voters.contains(&Region::new("eu")), "its servers may live");
        assert_eq!(stock.keys().cloned().collect::<BTreeSet<_>>(), regions(&["us", "ap"]));
        assert_eq!(stock[&Region::new("us")], seats[&Shard::new(0)], "one policy for both");
    }
}
