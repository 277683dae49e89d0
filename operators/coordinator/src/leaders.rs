//! The database's own placement follows the map: TiDB keeps the leaders of a shard's partitions where its home is, and those
//! of a region's stock in the region, for which it gets a partition of its own.
//!
//! Each partition is a change of the schema, so it is background work for a caller who keeps a pace. It remembers nothing: what
//! differs from the map is changed, however it came to differ. What is late costs milliseconds of distance.
//!
//! One policy a home and jurisdiction (TiDB's guidance is about ten in all), named `meridian_HOME_JURISDICTION`. Partitions
//! with a policy of another name are somebody else's decision and are left alone. Policies are the whole cluster's: those of a
//! shop in another database than `meridian` are named `meridian_DATABASE__HOME_JURISDICTION`, so that shops whose regions
//! differ do not undo each other's. A policy that no partition has any more stays: the shop that made it is not told.

mod stores;

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Failure, Region, Result};
use placement::{Seat, Seats, World, seats};
use platform_db::{Db, DbResult};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

/// What our policies' names begin with.
const OURS: &str = "meridian_";
/// The database whose policies' names do not tell it: the usual one.
const USUAL: &str = "meridian";
/// Longest name of a database that a policy's name tells as it is.
const TOLD: usize = 24;
/// TiDB's longest name of a policy.
const LONGEST: usize = 64;

/// What TiDB says without PD.
const NO_PD: &str = "pd http client unavailable";

/// Follows the map in a database.
#[derive(Clone)]
pub struct Leaders {
    db: Db,
}

/// A policy as the database has it.
#[derive(Debug, PartialEq, Eq)]
struct Policy {
    primary: String,
    regions: BTreeSet<String>,
}

/// A partition of a table that is cut by shard or by region.
#[derive(Debug)]
struct Partition {
    table: String,
    name: String,
    holds: Holds,
    policy: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum Holds {
    /// The shards `n` with `n % of == ordinal`.
    Shards { ordinal: u16, of: u16 },
    /// What a region owns.
    Region(Region),
    /// What regions own that have no partition.
    Rest,
}

/// A change of the database's placement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A policy is made, or made another.
    Policy {
        /// Its name.
        name: String,
        /// What it asks for.
        seat: Seat,
    },
    /// A region's rows get a partition of their own, with a policy.
    Split {
        /// Their table.
        table: String,
        /// Its partition of regions that have none.
        rest: String,
        /// The region.
        region: Region,
        /// The policy's name.
        policy: String,
    },
    /// A partition gets a policy.
    Partition {
        /// Its table.
        table: String,
        /// Its name in the table.
        name: String,
        /// The policy's name.
        policy: String,
    },
}

impl Leaders {
    /// Follows the map in `db`. None on SQLite, which places nothing.
    pub fn of(db: Db) -> Option<Self> {
        (db.read().get_database_backend() == DbBackend::MySql).then_some(Self { db })
    }

    /// The regions that the database has servers in, as their label `region` says. None where there is no PD to ask: a TiDB
    /// with its built-in store.
    pub async fn servers(&self) -> Result<BTreeSet<Region>> {
        let labels = match self.ask("SHOW PLACEMENT LABELS").await {
            Err(failure) if failure.cause().is_some_and(|cause| cause.to_string().contains(NO_PD)) => {
                return Ok(BTreeSet::new());
            }
            labels => labels?,
        };
        let mut servers = BTreeSet::new();
        for row in labels {
            let (label, values): (String, serde_json::Value) =
                (row.try_get_by_index(0).db()?, row.try_get_by_index(1).db()?);
            if label == "region" {
                let values = values.as_array().into_iter().flatten().filter_map(|value| value.as_str());
                servers.extend(values.filter(|value| is_plain(value)).map(Region::new));
            }
        }
        Ok(servers)
    }

    /// What in the database differs from the map, in the order in which it is to be changed.
    pub async fn changes(&self, world: &World, servers: &BTreeSet<Region>) -> Result<Vec<Change>> {
        let named = names_of(&self.database().await?);
        Ok(changes(&named, &seats(world, servers), &self.policies().await?, &self.partitions().await?))
    }

    /// The name of the database.
    async fn database(&self) -> Result<String> {
        let rows = self.ask("SELECT DATABASE()").await?;
        let name: Option<String> =
            rows.first().map(|row| row.try_get_by_index(0).db()).transpose()?.flatten();
        name.ok_or_else(|| Failure::internal("a connection to no database"))
    }

    /// Makes a change: one of the schema, which may take a second; a split lasts as long as the rows take to copy.
    pub async fn make(&self, change: &Change) -> Result<()> {
        let sql = change.sql();
        let outcome = self.db.schema(|session| {
            Box::pin(async move {
                session.execute_unprepared(&sql).await?;
                Ok::<(), DbErr>(())
            })
        });
        outcome.await?;
        tracing::debug!(?change, "the database's placement follows the map");
        Ok(())
    }

    async fn ask(&self, sql: &str) -> Result<Vec<sea_orm::QueryResult>> {
        self.db.read().query_all_raw(Statement::from_string(DbBackend::MySql, sql)).await.db()
    }

    async fn policies(&self) -> Result<BTreeMap<String, Policy>> {
        let sql = "SELECT POLICY_NAME, PRIMARY_REGION, REGIONS FROM information_schema.placement_policies";
        let mut policies = BTreeMap::new();
        for row in self.ask(sql).await? {
            let [name, primary, regions]: [Option<String>; 3] =
                [row.try_get_by_index(0).db()?, row.try_get_by_index(1).db()?, row.try_get_by_index(2).db()?];
            let regions = regions.unwrap_or_default();
            let regions = regions.split(',').map(str::trim).filter(|name| !name.is_empty());
            let policy = Policy {
                primary: primary.unwrap_or_default(),
                regions: regions.map(str::to_owned).collect(),
            };
            policies.insert(name.unwrap_or_default(), policy);
        }
        Ok(policies)
    }

    async fn partitions(&self) -> Result<Vec<Partition>> {
        let sql = "SELECT TABLE_NAME, PARTITION_NAME, CAST(PARTITION_ORDINAL_POSITION AS SIGNED), \
                   CAST(COUNT(*) OVER (PARTITION BY TABLE_NAME) AS SIGNED), PARTITION_METHOD, PARTITION_DESCRIPTION, \
                   TIDB_PLACEMENT_POLICY_NAME FROM information_schema.partitions \
                   WHERE TABLE_SCHEMA = DATABASE() AND PARTITION_METHOD IN ('HASH', 'LIST COLUMNS') \
                   ORDER BY TABLE_NAME, PARTITION_ORDINAL_POSITION";
        let mut partitions = Vec::new();
        for row in self.ask(sql).await? {
            let number = |index| {
                let number: i64 = row.try_get_by_index(index).db()?;
                u16::try_from(number).map_err(Failure::internal)
            };
            let (position, of) = (number(2)?, number(3)?);
            let method: String = row.try_get_by_index(4).db()?;
            let description: Option<String> = row.try_get_by_index(5).db()?;
            let holds = match description.as_deref().unwrap_or_default().trim_matches('\'') {
                _ if method == "HASH" => Holds::Shards { ordinal: position.saturating_sub(1), of },
                "DEFAULT" => Holds::Rest,
                region => Holds::Region(Region::new(region)),
            };
            partitions.push(Partition {
                table: row.try_get_by_index(0).db()?,
                name: row.try_get_by_index(1).db()?,
                holds,
                policy: row.try_get_by_index(6).db()?,
            });
        }
        Ok(partitions)
    }
}

impl std::fmt::Debug for Leaders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leaders").finish_non_exhaustive()
    }
}

impl Change {
    /// Names are quoted, and made of what [`is_plain`] lets through.
    fn sql(&self) -> String {
        match self {
            Self::Policy { name, seat } => {
                let voters: Vec<&str> = seat.voters.iter().map(Region::as_str).collect();
                format!(
                    "CREATE OR REPLACE PLACEMENT POLICY `{name}` PRIMARY_REGION = \"{}\" REGIONS = \"{}\"",
                    seat.home,
                    voters.join(",")
                )
            }
            Self::Split { table, rest, region, policy } => format!(
                "ALTER TABLE `{table}` REORGANIZE PARTITION `{rest}` INTO (PARTITION `at_{region}` VALUES IN \
                 ('{region}') PLACEMENT POLICY = `{policy}`, PARTITION `{rest}` DEFAULT)"
            ),
            Self::Partition { table, name, policy } => {
                format!("ALTER TABLE `{table}` PARTITION `{name}` PLACEMENT POLICY = `{policy}`")
            }
        }
    }
}

/// What the names of a database's policies begin with.
fn names_of(database: &str) -> String {
    let database = database.to_ascii_lowercase();
    if database == USUAL {
        return OURS.to_owned();
    }
    if is_plain(&database) && database.len() <= TOLD {
        return format!("{OURS}{database}__");
    }
    // FNV-1a, 64 bits: the same in every version of the program.
    let hash = database.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{OURS}{hash:016x}__")
}

/// The name of a seat's policy; none where it cannot be one. `named`: what names begin with.
fn policy_name(named: &str, seat: &Seat) -> Option<String> {
    let name = format!("{named}{}_{}", seat.home, seat.jurisdiction);
    (name.len() <= LONGEST && is_plain(&name)).then_some(name)
}

/// Whether a name needs no thought about quotes.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// What differs from the map: first the policies, then the partitions.
fn changes(
    named: &str,
    seats: &Seats,
    policies: &BTreeMap<String, Policy>,
    partitions: &[Partition],
) -> Vec<Change> {
    let all = seats.shards.values().chain(seats.regions.values());
    let wanted: BTreeMap<String, &Seat> =
        all.filter_map(|seat| Some((policy_name(named, seat)?, seat))).collect();
    let as_wanted = |name: &String, seat: &Seat| {
        policies.get(name).is_some_and(|policy| {
            policy.primary == seat.home.as_str()
                && policy.regions.iter().map(String::as_str).eq(seat.voters.iter().map(Region::as_str))
        })
    };
    let new = wanted.iter().filter(|(name, seat)| !as_wanted(name, seat));
    let new = new.map(|(name, seat)| Change::Policy { name: name.clone(), seat: (*seat).clone() });
    let split = partitions
        .iter()
        .filter(|partition| partition.holds == Holds::Rest)
        .flat_map(|rest| splits(named, seats, rest, partitions));
    let moved = partitions.iter().filter_map(|partition| {
        let policy = policy_name(named, seat_of(seats, partition)?)?;
        let others = partition.policy.as_ref().is_some_and(|known| !known.starts_with(OURS));
        (!others && partition.policy.as_ref() != Some(&policy)).then(|| Change::Partition {
            table: partition.table.clone(),
            name: partition.name.clone(),
            policy,
        })
    });
    new.chain(split).chain(moved).collect()
}

/// The regions that have a seat and share the partition `rest`.
fn splits(named: &str, seats: &Seats, rest: &Partition, partitions: &[Partition]) -> Vec<Change> {
    let has_one = |region: &Region| {
        let mut own = partitions.iter().filter(|partition| partition.table == rest.table);
        own.any(|partition| matches!(&partition.holds, Holds::Region(known) if known == region))
    };
    let split = |(region, seat): (&Region, &Seat)| {
        Some(Change::Split {
            table: rest.table.clone(),
            rest: rest.name.clone(),
            region: region.clone(),
            policy: policy_name(named, seat)?,
        })
    };
    seats.regions.iter().filter(|(region, _)| !has_one(region)).filter_map(split).collect()
}

/// The seat of a partition's region, or of most of its shards.
fn seat_of<'a>(seats: &'a Seats, partition: &Partition) -> Option<&'a Seat> {
    let (ordinal, of) = match &partition.holds {
        Holds::Shards { ordinal, of } => (*ordinal, *of),
        Holds::Region(region) => return seats.regions.get(region),
        Holds::Rest => return None,
    };
    let mut votes: BTreeMap<&Seat, usize> = BTreeMap::new();
    for (_, seat) in seats.shards.iter().filter(|(shard, _)| shard.number() % of == ordinal) {
        *votes.entry(seat).or_default() += 1;
    }
    votes.into_iter().max_by_key(|(_, votes)| *votes).map(|(seat, _)| seat)
}

#[cfg(test)]
mod tests {
    use kernel::Shard;
    use placement::Jurisdiction;

    use super::*;

    fn seat(home: &str) -> Seat {
        let voters = ["ap", "eu", "us"].into_iter().map(Region::new).collect();
        Seat { home: Region::new(home), jurisdiction: Jurisdiction::new(Jurisdiction::ANY), voters }
    }

    fn partition(ordinal: u16, policy: Option<&str>) -> Partition {
        let policy = policy.map(str::to_owned);
        let holds = Holds::Shards { ordinal, of: 3 };
        Partition { table: "orders".to_owned(), name: format!("p{ordinal}"), holds, policy }
    }

    #[test]
    fn only_what_differs_is_changed_and_policies_first() {
        let shards = [(0, "us"), (1, "eu"), (2, "us"), (3, "us"), (4, "us")];
        let seats =
            Seats { shards: shards.map(|(n, home)| (Shard::new(n), seat(home))).into(), ..Seats::default() };
        let regions: BTreeSet<String> = ["ap", "eu", "us"].map(str::to_owned).into();
        let policies = [
            ("meridian_us_any".to_owned(), Policy { primary: "us".to_owned(), regions }),
            // A region came.
            (
                "meridian_eu_any".to_owned(),
                Policy { primary: "eu".to_owned(), regions: ["eu".to_owned()].into() },
            ),
        ]
        .into();
        let partitions = [
            partition(0, Some("meridian_us_any")),
            partition(1, Some("meridian_us_any")),
            partition(2, None),
        ];
        let changes = changes(OURS, &seats, &policies, &partitions);
        let assigned = |name: &str, policy: &str| Change::Partition {
            table: "orders".to_owned(),
            name: name.to_owned(),
            policy: policy.to_owned(),
        };
        let eu = Change::Policy { name: "meridian_eu_any".to_owned(), seat: seat("eu") };
        // Partition 1 holds shards 1 (eu) and 4 (us): a draw, which always goes the same way.
        assert_eq!(changes, [eu.clone(), assigned("p2", "meridian_us_any")]);
        assert_eq!(
            eu.sql(),
            "CREATE OR REPLACE PLACEMENT POLICY `meridian_eu_any` PRIMARY_REGION = \"eu\" REGIONS = \"ap,eu,us\""
        );
        assert_eq!(
            changes[1].sql(),
            "ALTER TABLE `orders` PARTITION `p2` PLACEMENT POLICY = `meridian_us_any`"
        );
    }

    #[test]
    fn somebody_elses_policy_and_rows_without_a_seat_are_left_alone() {
        let seats = Seats { shards: [(Shard::new(0), seat("us"))].into(), ..Seats::default() };
        let policies = BTreeMap::new();
        let partitions = [partition(0, Some("cheap_disks")), partition(1, Some("meridian_eu_any"))];
        let changes = changes(OURS, &seats, &policies, &partitions);
        assert_eq!(changes.len(), 1, "{changes:?}");
        assert!(matches!(changes[0], Change::Policy { .. }));
    }

    #[test]
    fn a_regions_stock_gets_a_partition_once() {
        let of = |name: &str, holds, policy: Option<&str>| Partition {
            table: "stock_bucket".to_owned(),
            name: name.to_owned(),
            holds,
            policy: policy.map(str::to_owned),
        };
        let regions = ["eu", "us"].map(|name| (Region::new(name), seat(name))).into();
        let seats = Seats { regions, ..Seats::default() };
        let shared = [of("elsewhere", Holds::Rest, None)];
        let both = changes(OURS, &seats, &BTreeMap::new(), &shared);
        assert_eq!(both.len(), 4, "{both:?}");
        assert_eq!(
            both[2].sql(),
            "ALTER TABLE `stock_bucket` REORGANIZE PARTITION `elsewhere` INTO (PARTITION `at_eu` VALUES IN ('eu') \
             PLACEMENT POLICY = `meridian_eu_any`, PARTITION `elsewhere` DEFAULT)"
        );
        let own = Holds::Region(Region::new("eu"));
        let one = [of("at_eu", own, Some("meridian_us_any")), of("elsewhere", Holds::Rest, None)];
        let rest = changes(OURS, &seats, &BTreeMap::new(), &one);
        assert!(matches!(&rest[2], Change::Split { region, .. } if region.as_str() == "us"), "{rest:?}");
        assert_eq!(
            rest[3].sql(),
            "ALTER TABLE `stock_bucket` PARTITION `at_eu` PLACEMENT POLICY = `meridian_eu_any`"
        );
        assert_eq!(rest.len(), 4);
    }

    #[test]
    fn a_name_that_is_none_is_not_used() {
        let odd = Seat { jurisdiction: Jurisdiction::new("e`u"), ..seat("us") };
        assert_eq!(policy_name(OURS, &odd), None);
        assert_eq!(
            policy_name(OURS, &Seat { jurisdiction: Jurisdiction::new("x".repeat(64)), ..seat("us") }),
            None
        );
    }

    #[test]
    fn shops_of_one_cluster_have_policies_of_their_own() {
        assert_eq!(names_of("meridian"), "meridian_");
        assert_eq!(names_of("shop2"), "meridian_shop2__");
        assert_eq!(names_of("Shop2"), names_of("shop2"), "TiDB tells neither apart");
        let odd = ["a shop", "läden", "a_name_that_is_longer_than_what_is_told"].map(names_of);
        assert!(odd.iter().all(|name| name.len() == 27 && is_plain(name)), "{odd:?}");
        assert_ne!(odd[0], odd[1]);
        // One that had the usual names goes over to its own, and leaves the other shop's as they are.
        let seats = Seats { shards: [(Shard::new(0), seat("us"))].into(), ..Seats::default() };
        let usual = Policy { primary: "eu".to_owned(), regions: BTreeSet::new() };
        let policies = [("meridian_us_any".to_owned(), usual)].into();
        let changes =
            changes("meridian_shop2__", &seats, &policies, &[partition(0, Some("meridian_us_any"))]);
        let policy = "meridian_shop2__us_any".to_owned();
        let own = Change::Policy { name: policy.clone(), seat: seat("us") };
        let moved = Change::Partition { table: "orders".to_owned(), name: "p0".to_owned(), policy };
        assert_eq!(changes, [own, moved]);
    }
}
