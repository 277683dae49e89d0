//! What a coordinator begins by itself.

use std::collections::BTreeSet;

use crate::{Agreement, Ask, By, Kind, Spec, World, agreement, drills, plan};

/// What a coordinator begins when no operation runs: homes for shards whose home is out, or the failover of a
/// failover-ready region that the others agree is down, or the drill that is due by schedule. Nothing while movement is paused, and nothing that the planner
/// refuses: that is for a person, who is told why not.
pub fn duty(world: &World) -> Option<Spec> {
    if world.desired.policy.paused {
        return None;
    }
    let evacuate = || {
        world.stranded().next()?;
        let nowhere = BTreeSet::new();
        plan(world, &Ask::Evacuate { outside: nowhere.clone() }).ok()?;
        Some(Kind::Evacuate { outside: nowhere })
    };
    let failover = || {
        let dead = world.desired.regions.iter().find(|(region, row)| {
            row.serves()
                && row.spec.failover_ready
                && matches!(agreement(world, region), Agreement::Down(_))
                && plan(world, &Ask::Leave { region: (*region).clone(), outside: BTreeSet::new() }).is_ok()
        });
        dead.map(|(region, _)| Kind::Failover {
            region: region.clone(),
            outside: BTreeSet::new(),
            confirm: None,
        })
    };
    let due =
        evacuate().or_else(failover).map(|kind| Spec { kind, by: By::Itself, digest: None, request: None });
    due.or_else(|| drills::drill(world))
}
