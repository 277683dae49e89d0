//! What a person says about shares of the map: a region's, and the policy of the map as a whole.

use anyhow::Result;
use coordinator::Applied;
use kernel::{Region, Shard};
use placement::{Policy, RegionSpec, ShardRow, World};
use serde_json::{Value, json};

use super::{Desk, changed, known, trouble};
use crate::{
    cli::{PolicyChange, Share},
    exit::{Ended, Why},
};

/// A change is tried this often: somebody else may be changing the same row.
const TRIES: usize = 10;

impl Desk {
    /// Changes a region's share. Shards move with the next rebalance.
    pub(super) async fn set(&self, region: &Region, share: &Share, dry_run: bool) -> Result<()> {
        for _ in 0..TRIES {
            let scene = self.scene().await?;
            let Some(row) = scene.world.desired.regions.get(region) else {
                return known(&scene.world, region);
            };
            let spec = RegionSpec {
                weight: share.weight.unwrap_or(row.spec.weight),
                capacity: share.capacity.unwrap_or(row.spec.capacity),
                failover_ready: share.failover_ready.unwrap_or(row.spec.failover_ready),
                ..row.spec.clone()
            };
            let put = self.journal.put_region(region, Some(row.version), &spec);
            if spec == row.spec || dry_run || put.await.map_err(trouble)? == Applied::Yes {
                let said = json!({
                    "region": region.as_str(),
                    "weight": spec.weight,
                    "capacity": spec.capacity,
                    "failover_ready": spec.failover_ready,
                    "dry_run": dry_run,
                });
                return self.answer(&said, || share_of(region, &spec, dry_run));
            }
        }
        Err(changed())
    }

    /// Shows the policy of the map, or changes it.
    pub(super) async fn policy(&self, change: &PolicyChange, dry_run: bool) -> Result<()> {
        for _ in 0..TRIES {
            let world = self.scene().await?.world;
            let policy = changed_by(change, &world)?;
            let put = self.journal.put_policy(world.observed.version, &policy);
            if policy == world.desired.policy || dry_run || put.await.map_err(trouble)? == Applied::Yes {
                return self.answer(&shown(&policy, dry_run), || told(&policy, dry_run));
            }
        }
        Err(changed())
    }
}

/// The policy with what was asked for. Pins name shards and regions of this map.
fn changed_by(change: &PolicyChange, world: &World) -> Result<Policy> {
    let mut policy = world.desired.policy.clone();
    for (shard, region) in &change.pin {
        known(world, region)?;
        let row = existing(world, *shard)?;
        if !world.lawful(row, region) {
            let law = row.jurisdiction.as_str();
            return Err(Ended::error(
                Why::Failed,
                format!("shard {shard} is under {law}, whose data {region} does not keep"),
            ));
        }
        policy.pins.insert(*shard, region.clone());
    }
    for shard in &change.unpin {
        existing(world, *shard)?;
        policy.pins.remove(shard);
    }
    if let Some(batch) = change.at_once {
        policy.movement.batch = batch;
    }
    if let Some(per_minute) = change.per_minute {
        policy.movement.per_minute = per_minute;
    }
    policy.paused = change.pause || policy.paused && !change.resume;
    Ok(policy)
}

fn existing(world: &World, shard: Shard) -> Result<&ShardRow> {
    world.observed.shards.get(&shard).ok_or_else(|| {
        let last = world.observed.shards.len().saturating_sub(1);
        Ended::error(Why::NotFound, format!("there is no shard {shard}; there are 0 to {last}"))
    })
}

fn share_of(region: &Region, spec: &RegionSpec, dry_run: bool) -> String {
    let has = if dry_run { "would have" } else { "has" };
    let failover =
        if spec.failover_ready { "a failover begins by itself" } else { "a person begins a failover" };
    format!("{region} {has} weight {} and room for {} shards; {failover}", spec.weight, spec.capacity)
}

fn shown(policy: &Policy, dry_run: bool) -> Value {
    let pins = policy
        .pins
        .iter()
        .map(|(shard, region)| json!({ "shard": shard.number(), "region": region.as_str() }));
    json!({
        "pins": pins.collect::<Vec<_>>(),
        "at_once": policy.movement.batch,
        "per_minute": policy.movement.per_minute,
        "paused": policy.paused,
        "dry_run": dry_run,
    })
}

fn told(policy: &Policy, dry_run: bool) -> String {
    let (would, movement) = (if dry_run { "would be: " } else { "" }, &policy.movement);
    let pace = format!("{would}{} shards at once, {} a minute", movement.batch, movement.per_minute);
    let paused = policy.paused.then(|| "paused: nothing planned begins or goes on".to_owned());
    let pins = policy.pins.iter().map(|(shard, region)| format!("shard {shard} stays in {region}"));
    [pace].into_iter().chain(paused).chain(pins).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world() -> World {
        let mut world = World::default();
        for region in ["us-east", "eu-west"] {
            let spec = RegionSpec {
                role: placement::Role::Full,
                endpoint: String::new(),
                capacity: 16,
                weight: 1,
                jurisdictions: Default::default(),
                failover_ready: true,
                degraded: Default::default(),
            };
            world.desired.regions.insert(Region::new(region), placement::RegionRow::new(spec));
        }
        world
    }

    #[test]
    fn what_is_not_named_stays() {
        let mut world = world();
        world.desired.policy.paused = true;
        world.desired.policy.pins.insert(Shard::new(3), Region::new("us-east"));
        let faster = PolicyChange { per_minute: Some(600), ..PolicyChange::default() };
        let policy = changed_by(&faster, &world).unwrap();
        assert!(policy.paused && policy.pins.len() == 1);
        assert_eq!(
            (policy.movement.per_minute, policy.movement.batch),
            (600, world.desired.policy.movement.batch)
        );
        let on = PolicyChange { resume: true, ..PolicyChange::default() };
        assert!(!changed_by(&on, &world).unwrap().paused);
    }

    #[test]
    fn a_pin_names_what_there_is() {
        let pin = |shard: u16, region: &str| PolicyChange {
            pin: vec![(Shard::new(shard), Region::new(region))],
            ..PolicyChange::default()
        };
        for wrong in [pin(99, "us-east"), pin(99, "nowhere")] {
            let refused = changed_by(&wrong, &world()).unwrap_err();
            assert!(
                matches!(refused.downcast_ref::<Ended>(), Some(ended) if ended.why == Why::NotFound),
                "{refused}"
            );
        }
    }
}
