//! What a run begins with.

use std::{collections::BTreeMap, time::Duration};

use kernel::{Region, Shard, Timestamp};
use placement::{Day, Degraded, Desired, Drills, Jurisdiction, Movement, RegionRow, RegionSpec, Role};

use crate::seed::Seed;

/// The regions, in the order in which they come.
pub(super) const NAMES: [&str; 7] = ["ap", "eu", "eu-north", "us", "us-west", "af", "sa"];
/// The most of them that are there from the beginning.
const AT_FIRST: u16 = 5;
/// The longest time, in seconds, from the beginning to the hour of the drill.
const SOON: u16 = 8;
/// So long into its hour, in seconds, little of it is left.
const LATE: u64 = 3_590;

/// Regions of two laws, one of them perhaps a witness, and shards that are lawful where they are.
pub(super) fn first_map(seed: &mut Seed) -> (Desired, BTreeMap<Shard, (Region, Jurisdiction)>) {
    let count = usize::from(seed.between(3, AT_FIRST));
    let shards = seed.between(2, 10);
    let witness = seed.one_in(4).then_some(count - 1);
    let mut desired = Desired::default();
    for (at, name) in NAMES.iter().enumerate().take(count) {
        let laws: &[&str] = if seed.one_in(3) { &["eu"] } else { &["eu", "any"] };
        let spec = RegionSpec {
            endpoint: String::new(),
            role: if witness == Some(at) { Role::Witness } else { Role::Full },
            capacity: if seed.one_in(4) { shards.div_ceil(2) } else { shards },
            weight: seed.between(0, 3),
            jurisdictions: laws.iter().copied().map(Jurisdiction::new).collect(),
            failover_ready: !seed.one_in(4),
            degraded: Degraded::default(),
        };
        desired.regions.insert(Region::new(*name), RegionRow::new(spec));
    }
    desired.policy.movement = Movement {
        batch: seed.between(1, 4),
        per_minute: *seed.pick(&[30, 600, 6_000]),
        patience: Duration::from_secs(20),
        ..Movement::default()
    };
    let mut homes = BTreeMap::new();
    for number in 0..shards {
        let law = Jurisdiction::new(if seed.one_in(3) { "eu" } else { "any" });
        let fits: Vec<&Region> = desired
            .regions
            .iter()
            .filter(|(_, row)| row.spec.role == Role::Full && row.spec.jurisdictions.contains(&law))
            .map(|(name, _)| name)
            .collect();
        if !fits.is_empty() {
            homes.insert(Shard::new(number), ((*seed.pick(&fits)).clone(), law));
        }
    }
    (desired, homes)
}

/// Drills by schedule, and the moment at which the run begins: shortly before an hour of theirs, or shortly before its end.
pub(super) fn schedule(desired: &mut Desired, seed: &mut Seed) -> Timestamp {
    let hour = u8::try_from(seed.below(24)).unwrap_or_default();
    let mut drills = Drills { day: *seed.pick(&Day::ALL), hour, regions: Vec::new() };
    if seed.one_in(3) {
        let names: Vec<Region> = desired.regions.keys().cloned().collect();
        drills.regions = vec![seed.pick(&names).clone(), seed.pick(&names).clone()];
    }
    let days = Duration::from_secs(86_400) * u32::from(seed.between(1, 20_000));
    let (_, begins) = drills.next(Timestamp::from_micros(0).plus(days));
    desired.policy.drills = Some(drills);
    if seed.one_in(6) {
        return begins.plus(Duration::from_secs(LATE));
    }
    begins.minus(Duration::from_secs(u64::from(seed.between(0, SOON))))
}
