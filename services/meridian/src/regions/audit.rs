//! What must be true of the map and of the journal of operations, a finding a rule.

use std::time::Duration;

use coordinator::{Broken, Journal, Scene, journalled, renewed, served, standing};
use kernel::{Region, Result};
use placement::{MapVersion, Operation};
use platform_runtime::Finding;

/// Rules by the invariant that they are a part of.
const RULES: [(u8, &str); 6] = [
    (3, "map.version"),
    (4, "map.epoch"),
    (5, "map.worker"),
    (9, "map.operations"),
    (10, "map.settled"),
    (12, "map.home"),
];
/// Operations that are looked at, the last ones.
const LAST: u32 = 50;
/// Between two looks where one is not enough: longer than a third of a lease's life as it is configured, when it is renewed.
pub(super) const BETWEEN: Duration = Duration::from_secs(2);

/// Looks once, and once more where only a second look shows whether something is wrong.
pub(super) async fn look(journal: &dyn Journal, between: Duration) -> Result<Vec<Finding>> {
    let (scene, operations) = both(journal).await?;
    if scene.world.observed.version == MapVersion(0) {
        return Ok(Vec::new());
    }
    let mut broken: Vec<Broken> = standing(&scene).into_iter().chain(served(&scene)).collect();
    let wrong = journalled(&scene, &operations);
    if !wrong.is_empty() || works_while_out(&scene) {
        tokio::time::sleep(between).await;
        let (later, operations) = both(journal).await?;
        // The two are not of one moment: what ended, or began, in between is right when it is looked at again.
        let still = journalled(&later, &operations);
        broken.extend(wrong.into_iter().filter(|broken| still.contains(broken)));
        broken.extend(renewed(&scene, &later));
    }
    let operations = u64::try_from(operations.len()).unwrap_or(u64::MAX);
    Ok(findings(&scene, &broken, operations))
}

async fn both(journal: &dyn Journal) -> Result<(Scene, Vec<Operation>)> {
    let scene = journal.read().await.map_err(super::failure)?;
    Ok((scene, journal.operations(LAST).await.map_err(super::failure)?))
}

/// Whether a region that is out holds a lease now: it has run out soon, or it is renewed and should not be.
fn works_while_out(scene: &Scene) -> bool {
    let observed = &scene.world.observed;
    let out = |region: &Region| !scene.world.desired.serves(region);
    observed.leases.values().any(|lease| lease.held(observed.now) && out(&lease.holder.region))
}

fn findings(scene: &Scene, broken: &[Broken], operations: u64) -> Vec<Finding> {
    let shards = u64::try_from(scene.world.observed.shards.len()).unwrap_or(u64::MAX);
    let findings = RULES.into_iter().map(|(invariant, rule)| {
        let mut finding = Finding::of(rule);
        for broken in broken.iter().filter(|broken| broken.invariant == invariant) {
            finding.hold(false, || broken.what.clone());
        }
        let all = if invariant == 9 { operations } else { shards };
        finding.looked_at = finding.looked_at.max(all);
        finding
    });
    findings.collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use coordinator::MemoryJournal;
    use kernel::{FakeClock, Shard, Timestamp};
    use placement::{Jurisdiction, Kind, Outcome, Phase, Spec};

    use super::*;
    use crate::regions::first;

    async fn founded() -> MemoryJournal {
        let journal = MemoryJournal::new(Arc::new(FakeClock::new(Timestamp::from_micros(0))));
        assert_eq!(look(&journal, Duration::ZERO).await.unwrap(), [], "no map, nothing to look at");
        let regions = ["eu", "us"].map(|name| (Region::new(name), format!("http://{name}.test")));
        let laws: [(Region, Jurisdiction); 0] = [];
        let (desired, homes) = first::map(&regions, &laws, (0..4).map(Shard::new).collect());
        assert_eq!(journal.found(&desired, &homes).await, Ok(coordinator::Applied::Yes));
        journal
    }

    fn wrong(found: &[Finding]) -> Vec<(&str, u64, u64)> {
        found.iter().map(|finding| (finding.rule, finding.looked_at, finding.wrong)).collect()
    }

    #[tokio::test]
    async fn every_rule_is_looked_at() {
        let journal = founded().await;
        let found = look(&journal, Duration::ZERO).await.unwrap();
        assert!(found.iter().all(|finding| finding.wrong == 0), "{found:?}");
        let looked: Vec<_> =
            wrong(&found).into_iter().map(|(rule, looked_at, _)| (rule, looked_at)).collect();
        let all = [4, 4, 4, 0, 4, 4];
        assert_eq!(looked, RULES.iter().map(|(_, rule)| *rule).zip(all).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_step_that_was_made_twice_is_found() {
        let journal = founded().await;
        let id = journal.begin(&Spec::asked("ada", Kind::Rebalance)).await.unwrap().unwrap();
        let mut next = journal.operation(id).await.unwrap().unwrap();
        let first = next.timeline[0].clone();
        next.timeline.push(first.clone());
        next.timeline.push(placement::Entry { phase: "ended".into(), ..first });
        (next.phase, next.version) = (Phase::Ended(Outcome::Done { late: [].into() }), 1);
        let change = placement::Change::Journal(Box::new(next));
        let effect = placement::Effect { operation: id, version: 0, change };
        assert_eq!(journal.apply(&effect).await, Ok(coordinator::Applied::Yes));
        let found = look(&journal, Duration::ZERO).await.unwrap();
        let broken: Vec<_> = wrong(&found).into_iter().filter(|(_, _, wrong)| *wrong > 0).collect();
        assert_eq!(broken, [("map.operations", 1, 1)]);
    }
}
