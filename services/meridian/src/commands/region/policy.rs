//! What a person says about shares of the map: a region's, and the policy of the map as a whole.

use std::collections::BTreeSet;

use anyhow::Result;
use contracts::region::DrillsView;
use coordinator::Applied;
use kernel::{Region, Shard};
use placement::{Drills, Policy, Role, ShardRow, World};
use serde_json::{Value, json};

use super::{Desk, changed, known, places, schedule, trouble};
use crate::{
    cli::{PolicyChange, Share},
    exit::{Ended, Why},
    regions::view,
};

/// A change is tried this often: somebody else may be changing the same row.
const TRIES: usize = 10;

impl Desk {
    /// Changes a region's share, role and jurisdictions. Shards move with the next rebalance.
    pub(super) async fn set(&self, region: &Region, share: &Share, dry_run: bool) -> Result<()> {
        for _ in 0..TRIES {
            let scene = self.scene().await?;
            let Some(row) = scene.world.desired.regions.get(region) else {
                return known(&scene.world, region);
            };
            let spec = places::changed_by(share, &scene, region, row)?;
            let put = self.journal.put_region(region, Some(row.version), &spec);
            if spec == row.spec || dry_run || put.await.map_err(trouble)? == Applied::Yes {
                let said = places::shown(region, &spec, dry_run);
                return self.answer(&said, || places::told(region, &spec, dry_run));
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
                let drills = view::drills(&world, &policy);
                return self.answer(&shown(&policy, drills.as_ref(), dry_run), || {
                    told(&policy, drills.as_ref(), dry_run)
                });
            }
        }
        Err(changed())
    }
}

/// The policy with what was asked for. Pins name shards and regions of this map.
fn changed_by(change: &PolicyChange, world: &World) -> Result<Policy> {
    let mut policy = world.desired.policy.clone();
    one_word_a_shard(change)?;
    for (shard, region) in &change.pin {
        known(world, region)?;
        let row = existing(world, *shard)?;
        if world.desired.regions.get(region).is_some_and(|row| row.spec.role == Role::Witness) {
            return Err(Ended::error(Why::Failed, format!("{region} is a witness: no home to any shard")));
        }
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
    if let Some((day, hour)) = change.drills {
        for region in &change.drill {
            known(world, region)?;
        }
        policy.drills = Some(Drills { day, hour, regions: change.drill.clone() });
    } else if change.no_drills {
        policy.drills = None;
    }
    Ok(policy)
}

/// Refuses two words about one shard: they would hold in no order that anybody typed.
fn one_word_a_shard(change: &PolicyChange) -> Result<()> {
    let mut named = BTreeSet::new();
    let mut shards = change.pin.iter().map(|(shard, _)| shard).chain(&change.unpin);
    match shards.find(|shard| !named.insert(**shard)) {
        None => Ok(()),
        Some(twice) => {
            Err(Ended::error(Why::Usage, format!("shard {twice} is named twice by --pin and --unpin")))
        }
    }
}

pub(super) fn existing(world: &World, shard: Shard) -> Result<&ShardRow> {
    world.observed.shards.get(&shard).ok_or_else(|| {
        let last = world.observed.shards.len().saturating_sub(1);
        Ended::error(Why::NotFound, format!("there is no shard {shard}; there are 0 to {last}"))
    })
}

fn shown(policy: &Policy, drills: Option<&DrillsView>, dry_run: bool) -> Value {
    let pins = policy
        .pins
        .iter()
        .map(|(shard, region)| json!({ "shard": shard.number(), "region": region.as_str() }));
    json!({
        "pins": pins.collect::<Vec<_>>(),
        "at_once": policy.movement.batch,
        "per_minute": policy.movement.per_minute,
        "paused": policy.paused,
        "drills": drills,
        "dry_run": dry_run,
    })
}

fn told(policy: &Policy, drills: Option<&DrillsView>, dry_run: bool) -> String {
    let (would, movement) = (if dry_run { "would be: " } else { "" }, &policy.movement);
    let pace = format!("{would}{} shards at once, {} a minute", movement.batch, movement.per_minute);
    let paused = policy.paused.then(|| "paused: nothing planned begins or goes on".to_owned());
    let pins = policy.pins.iter().map(|(shard, region)| format!("shard {shard} stays in {region}"));
    let drills = drills.map(schedule::told);
    [pace].into_iter().chain(paused).chain(pins).chain(drills).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world() -> World {
        let mut world = World::default();
        for region in ["us-east", "eu-west"] {
            let spec = placement::RegionSpec {
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
    fn drills_are_scheduled_and_called_off() {
        let weekly = PolicyChange {
            drills: Some((placement::Day::Saturday, 3)),
            drill: vec![Region::new("us-east")],
            ..PolicyChange::default()
        };
        let mut world = world();
        world.desired.policy = changed_by(&weekly, &world).unwrap();
        let drills = world.desired.policy.drills.clone().unwrap();
        assert_eq!((drills.hour, drills.regions.len()), (3, 1));
        let kept = changed_by(&PolicyChange { pause: true, ..PolicyChange::default() }, &world).unwrap();
        assert_eq!(kept.drills, Some(drills), "what is not named stays");
        let off = PolicyChange { no_drills: true, ..PolicyChange::default() };
        assert_eq!(changed_by(&off, &world).unwrap().drills, None);
        let nowhere = PolicyChange { drill: vec![Region::new("mars")], ..weekly };
        assert!(changed_by(&nowhere, &world).is_err());
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

    #[test]
    fn two_words_about_a_shard_are_refused() {
        let pin = |region: &str| (Shard::new(3), Region::new(region));
        for pins in [vec![pin("us-east"), pin("eu-west")], vec![pin("us-east")]] {
            let change = PolicyChange { pin: pins, unpin: vec![Shard::new(3)], ..PolicyChange::default() };
            let refused = changed_by(&change, &world()).unwrap_err();
            assert!(refused.to_string().contains("shard 3 is named twice"), "{refused}");
        }
    }
}
