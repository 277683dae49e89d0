//! Why a failover away from a region could not begin by itself, or would go wrong.

use std::{collections::BTreeMap, fmt::Write as _};

use anyhow::Result;
use coordinator::Scene;
use kernel::Region;
use placement::{Ask, RegionRow, Role, Verdict, plan};

use super::{Desk, known};
use crate::exit::{Ended, Why};

/// How many others must see a region down before it counts as down.
const WITNESSES: usize = 2;

impl Desk {
    /// Names every reason; there being one is a failure.
    pub(super) async fn why_not_ready(&self, region: Option<&Region>) -> Result<()> {
        let scene = self.scene().await?;
        if let Some(region) = region {
            known(&scene.world, region)?;
        }
        let rows = scene.world.desired.regions.iter();
        let found: BTreeMap<&str, Vec<String>> = rows
            .filter(|(name, row)| region.map_or(row.spec.role == Role::Full, |wanted| wanted == *name))
            .map(|(name, row)| (name.as_str(), reasons(&scene, name, row)))
            .collect();
        self.answer(&found, || text(&found))?;
        let not_ready: Vec<&str> =
            found.iter().filter(|(_, why)| !why.is_empty()).map(|(name, _)| *name).collect();
        if not_ready.is_empty() {
            return Ok(());
        }
        Err(Ended::error(Why::Failed, format!("not ready: {}", not_ready.join(", "))))
    }
}

/// Every reason, in the order a failover would meet them.
pub(super) fn reasons(scene: &Scene, name: &Region, row: &RegionRow) -> Vec<String> {
    let world = &scene.world;
    let (desired, observed) = (&world.desired, &world.observed);
    let mut why = Vec::new();
    let mut note = |holds: bool, text: String| {
        if holds {
            why.push(text);
        }
    };
    note(row.spec.role == Role::Witness, "it is a witness: it has no shards to fail over".to_owned());
    note(!row.state.serves(), format!("it is {} already", row.state.name()));
    note(
        !row.spec.failover_ready,
        "it is not marked failover-ready: a person has to confirm a failover by its name".to_owned(),
    );
    note(row.spec.endpoint.is_empty(), "its endpoint is not known: nobody can look at it".to_owned());
    note(desired.policy.paused, "movement is paused".to_owned());
    if let Some(running) = &scene.operation {
        note(true, format!("{} {} runs; one operation at a time", running.spec.kind.name(), running.id));
    }
    let fresh_for = desired.policy.movement.fresh_for;
    let sightings: Vec<_> = observed
        .sightings
        .iter()
        .filter(|((subject, by), seen)| {
            let voice = desired.regions.get(by).is_some_and(|row| row.state.serves());
            subject == name && by != name && voice && observed.now.since(seen.seen_at) <= fresh_for
        })
        .collect();
    note(
        sightings.len() < WITNESSES,
        format!(
            "{} other regions look at it; it takes {WITNESSES} to agree that it is down",
            sightings.len()
        ),
    );
    for ((_, by), _) in sightings.iter().filter(|(_, seen)| seen.verdict == Verdict::Down) {
        note(true, format!("{by} sees it down now"));
    }
    let leave = Ask::Leave { region: name.clone(), outside: [].into() };
    if let Err(impossible) = plan(world, &leave) {
        note(true, format!("its shards have nowhere to go: {impossible}"));
    }
    let most = desired.policy.movement.most_relay_lag;
    for (region, vitals) in world.vitals() {
        note(
            vitals.relay_lag > most,
            format!("the relay of {region} is {} s behind", vitals.relay_lag.as_secs()),
        );
        note(vitals.burning, format!("{region} burns its error budget"));
    }
    why
}

fn text(found: &BTreeMap<&str, Vec<String>>) -> String {
    let mut text = String::new();
    for (name, why) in found {
        if why.is_empty() {
            let _ = writeln!(text, "{name}: ready");
        } else {
            let _ = writeln!(text, "{name}: not ready");
            for reason in why {
                let _ = writeln!(text, "  - {reason}");
            }
        }
    }
    text
}
