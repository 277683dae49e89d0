//! What a person says about what regions are: new ones, their roles, whose data they keep; and under whose law shards are.

use std::collections::BTreeSet;

use anyhow::Result;
use coordinator::{Applied, Scene};
use kernel::{Region, Shard};
use placement::{Degraded, Jurisdiction, RegionRow, RegionSpec, Role, World};
use serde_json::{Value, json};

use super::{Desk, changed, policy::existing, trouble};
use crate::{
    cli::{NewRegion, ShardRange, Share},
    exit::{Ended, Why},
};

/// A change is tried this often: somebody else may be changing the same map.
const TRIES: usize = 10;
/// The most regions: each has a policy or more of placement in the database, which takes about ten.
const MOST: usize = 8;

impl Desk {
    /// Adds a region. Being there already, as it is described, is success.
    pub(super) async fn add(
        &self,
        (region, endpoint): &(Region, String),
        place: &NewRegion,
        dry_run: bool,
    ) -> Result<()> {
        for _ in 0..TRIES {
            let world = self.scene().await?.world;
            let spec = new(&world, endpoint, place);
            let there = world.desired.regions.get(region);
            if there.is_some_and(|row| row.spec != spec) {
                let said = format!(
                    "there is a region {region} already: `meridian region set` changes it. Nothing was changed"
                );
                return Err(Ended::error(Why::Conflict, said));
            }
            let mut rows = world.desired.regions.iter().filter(|(name, _)| *name != region);
            if let Some((other, _)) = rows.find(|(_, row)| row.spec.endpoint == *endpoint) {
                let said = format!("{endpoint} is the entrance of {other}. Nothing was changed");
                return Err(Ended::error(Why::Failed, said));
            }
            if there.is_none() && world.desired.regions.len() >= MOST {
                return Err(Ended::error(
                    Why::Failed,
                    format!("there are {MOST} regions, which is the most"),
                ));
            }
            let put = self.journal.put_region(region, None, &spec);
            if there.is_some() || dry_run || put.await.map_err(trouble)? == Applied::Yes {
                return self.answer(&shown(region, &spec, dry_run), || told(region, &spec, dry_run));
            }
        }
        Err(changed())
    }

    /// Says under whose law shards are. Being so already is success.
    pub(super) async fn law(&self, ranges: &[ShardRange], under: &Jurisdiction, dry_run: bool) -> Result<()> {
        let shards: BTreeSet<Shard> = ranges.iter().flat_map(|range| range.shards()).collect();
        for _ in 0..TRIES {
            let world = self.scene().await?.world;
            let mut already = true;
            for shard in &shards {
                let row = existing(&world, *shard)?;
                already &= row.jurisdiction == *under;
                if !keeps(&world, &row.home, under) {
                    let said = format!(
                        "shard {shard} lives in {}, which keeps no data of {under}: `meridian region move` it first, or \
                         `meridian region set {} --keep {under}`. Nothing was changed",
                        row.home, row.home
                    );
                    return Err(Ended::error(Why::Failed, said));
                }
            }
            let put = self.journal.put_law(world.observed.version, &shards, under);
            if already || dry_run || put.await.map_err(trouble)? == Applied::Yes {
                return self.under(&world, &shards, under, dry_run);
            }
        }
        Err(changed())
    }

    /// Answers under whose law shards are, and where they may live.
    fn under(
        &self,
        world: &World,
        shards: &BTreeSet<Shard>,
        law: &Jurisdiction,
        dry_run: bool,
    ) -> Result<()> {
        let regions = world.desired.regions.keys();
        let kept_by: Vec<&str> =
            regions.filter(|region| keeps(world, region, law)).map(Region::as_str).collect();
        let numbers: Vec<u16> = shards.iter().map(|shard| shard.number()).collect();
        let said = json!({"shards": numbers, "under": law.as_str(), "kept_by": kept_by, "dry_run": dry_run});
        self.answer(&said, || {
            let are = if dry_run { "would be" } else { "are" };
            let (count, places) = (shards.len(), kept_by.join(", "));
            format!("{count} shards {are} under {law}: they live in {places} and nowhere else")
        })
    }
}

fn keeps(world: &World, region: &Region, law: &Jurisdiction) -> bool {
    let row = world.desired.regions.get(region);
    row.is_some_and(|row| row.spec.jurisdictions.contains(law))
}

/// A region as it is asked for.
fn new(world: &World, endpoint: &str, place: &NewRegion) -> RegionSpec {
    let all = u16::try_from(world.observed.shards.len()).unwrap_or(u16::MAX);
    let any = Jurisdiction::new(Jurisdiction::ANY);
    RegionSpec {
        role: if place.witness { Role::Witness } else { Role::Full },
        endpoint: endpoint.to_owned(),
        capacity: if place.witness { 0 } else { place.capacity.unwrap_or(all) },
        weight: if place.witness { 0 } else { place.weight.unwrap_or(1) },
        jurisdictions: place.jurisdiction.iter().cloned().chain([any]).collect(),
        // The others see it down until it runs, and would fence it.
        failover_ready: false,
        degraded: Degraded::default(),
    }
}

/// A region with what was asked for; why not, where shards would lose their home or their law. What an operation moves there
/// at the same moment is no danger: it looks at role and law with each step, and shards without a home are evacuated.
pub(super) fn changed_by(
    share: &Share,
    scene: &Scene,
    region: &Region,
    row: &RegionRow,
) -> Result<RegionSpec> {
    let mut spec = RegionSpec {
        role: share.role.unwrap_or(row.spec.role),
        weight: share.weight.unwrap_or(row.spec.weight),
        capacity: share.capacity.unwrap_or(row.spec.capacity),
        failover_ready: share.failover_ready.unwrap_or(row.spec.failover_ready),
        ..row.spec.clone()
    };
    spec.jurisdictions.extend(share.keep.iter().cloned());
    spec.jurisdictions.retain(|law| !share.drop.contains(law));
    if let Some(both) = share.keep.iter().find(|law| share.drop.contains(*law)) {
        return Err(Ended::error(Why::Usage, format!("{both} is to be kept and dropped")));
    }
    if spec.jurisdictions.is_empty() {
        return Err(Ended::error(Why::Usage, "a region keeps the data of one jurisdiction at least"));
    }
    match spec.role {
        Role::Witness if share.capacity.max(share.weight).is_some_and(|given| given > 0) => {
            let said = "a witness has no capacity and no weight: leave --capacity and --weight away";
            return Err(Ended::error(Why::Usage, said));
        }
        Role::Witness if share.failover_ready == Some(true) => {
            let said = "a witness has no shards to fail over: leave --failover-ready away";
            return Err(Ended::error(Why::Usage, said));
        }
        Role::Witness => (spec.capacity, spec.weight, spec.failover_ready) = (0, 0, false),
        Role::Full if row.spec.role == Role::Witness => {
            if share.capacity.is_none_or(|capacity| capacity == 0) {
                let said =
                    "a witness has no capacity: say with --capacity how many shards may live there now";
                return Err(Ended::error(Why::Usage, said));
            }
            spec.weight = share.weight.unwrap_or(1);
        }
        Role::Full => {}
    }
    leaves_nobody(scene, region, row, &spec)?;
    Ok(spec)
}

/// Refuses what would leave a shard without a home that may have it.
fn leaves_nobody(scene: &Scene, region: &Region, row: &RegionRow, spec: &RegionSpec) -> Result<()> {
    let world = &scene.world;
    let demoted = spec.role == Role::Witness && row.spec.role == Role::Full;
    let dropped = |law: &Jurisdiction| !spec.jurisdictions.contains(law);
    if !demoted && !row.spec.jurisdictions.iter().any(dropped) {
        return Ok(());
    }
    if let Some(running) = &scene.operation {
        let (kind, id) = (running.spec.kind.name(), running.id);
        let said =
            format!("{kind} {id} runs, and may send shards to {region}: wait for its end, or abort it");
        return Err(Ended::error(Why::Conflict, said));
    }
    let bound = |home: &Region, law: &Jurisdiction| *home == *region && (demoted || dropped(law));
    let shards = world.observed.shards.iter();
    let live: Vec<String> = shards
        .filter(|(_, shard)| bound(&shard.home, &shard.jurisdiction))
        .map(|(number, _)| number.to_string())
        .collect();
    if !live.is_empty() {
        let said = format!(
            "shards {} live in {region}: `meridian region move` them first. Nothing was changed",
            live.join(", ")
        );
        return Err(Ended::error(Why::Failed, said));
    }
    let mut pins = world.desired.policy.pins.iter();
    let pinned = pins.find(|(shard, home)| {
        let row = world.observed.shards.get(*shard);
        row.is_some_and(|row| bound(home, &row.jurisdiction))
    });
    match pinned {
        None => Ok(()),
        Some((shard, _)) => Err(Ended::error(
            Why::Failed,
            format!("shard {shard} is pinned to {region}: `meridian region policy --unpin {shard}` first"),
        )),
    }
}

/// A region for programs.
pub(super) fn shown(region: &Region, spec: &RegionSpec, dry_run: bool) -> Value {
    let laws: Vec<&str> = spec.jurisdictions.iter().map(Jurisdiction::as_str).collect();
    json!({
        "region": region.as_str(),
        "role": role(spec),
        "endpoint": spec.endpoint,
        "weight": spec.weight,
        "capacity": spec.capacity,
        "jurisdictions": laws,
        "failover_ready": spec.failover_ready,
        "dry_run": dry_run,
    })
}

/// The same for people.
pub(super) fn told(region: &Region, spec: &RegionSpec, dry_run: bool) -> String {
    let (is, has) = if dry_run { ("would be", "would have") } else { ("is", "has") };
    let laws: Vec<&str> = spec.jurisdictions.iter().map(Jurisdiction::as_str).collect();
    let laws = laws.join(", ");
    if spec.role == Role::Witness {
        return format!("{region} {is} a witness, no home to any shard; it keeps data of {laws}");
    }
    let failover =
        if spec.failover_ready { "a failover begins by itself" } else { "a person begins a failover" };
    let (weight, room) = (spec.weight, spec.capacity);
    format!("{region} {has} weight {weight} and room for {room} shards; {failover}; it keeps data of {laws}")
}

fn role(spec: &RegionSpec) -> &'static str {
    match spec.role {
        Role::Full => "full",
        Role::Witness => "witness",
    }
}
