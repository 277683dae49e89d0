//! What persons change.

use std::collections::{BTreeMap, BTreeSet};

use kernel::Shard;
use placement::{Jurisdiction, MapVersion, Policy, RegionSpec, State};

use super::{region, spec};
use crate::{Applied, Journal, JournalError};

pub(super) async fn change_states_step_by_step(journal: &impl Journal) {
    let eu = region("eu");
    let set = async |expect, to| journal.set_state(&eu, expect, to).await;
    assert_eq!(set(0, State::Fenced).await, Ok(Applied::Yes));
    assert_eq!(set(0, State::Cordoned).await, Ok(Applied::Stale));
    assert!(
        matches!(set(1, State::Active).await, Err(JournalError::Forbidden(_))),
        "out comes back by steps"
    );
    assert_eq!(set(1, State::Cordoned).await, Ok(Applied::Yes));
    assert_eq!(set(2, State::Active).await, Ok(Applied::Yes));
    let world = journal.read().await.unwrap().world;
    assert_eq!((world.observed.version, world.desired.regions[&eu].version), (MapVersion(4), 3));
}

pub(super) async fn describe_regions_under_their_version(journal: &impl Journal) {
    let put = async |name: &str, expect| journal.put_region(&region(name), expect, &spec()).await;
    assert_eq!(put("eu", Some(1)).await, Ok(Applied::Stale));
    assert_eq!(put("eu", Some(0)).await, Ok(Applied::Yes));
    assert_eq!(put("ap", Some(0)).await, Ok(Applied::Stale), "not there yet");
    assert_eq!(put("ap", None).await, Ok(Applied::Yes));
    assert_eq!(put("ap", None).await, Ok(Applied::Stale), "there already");
    let world = journal.read().await.unwrap().world;
    assert_eq!(world.observed.version, MapVersion(3));
    assert_eq!(world.desired.regions[&region("ap")].state, State::Active);
}

pub(super) async fn change_the_policy_under_the_maps_version(journal: &impl Journal) {
    let policy = Policy { pins: BTreeMap::from([(Shard::new(1), region("us"))]), ..Policy::default() };
    assert_eq!(journal.put_policy(MapVersion(0), &policy).await, Ok(Applied::Stale));
    assert_eq!(journal.put_policy(MapVersion(1), &policy).await, Ok(Applied::Yes));
    let world = journal.read().await.unwrap().world;
    assert_eq!((world.desired.policy, world.observed.version), (policy, MapVersion(2)));
}

pub(super) async fn say_under_whose_law_shards_are(journal: &impl Journal) {
    let law = Jurisdiction::new("eu");
    let put = async |expect, shards: [u16; 2]| {
        journal.put_law(MapVersion(expect), &BTreeSet::from(shards.map(Shard::new)), &law).await
    };
    assert!(matches!(put(1, [0, 1]).await, Err(JournalError::Forbidden(_))), "their home keeps none");
    let both =
        RegionSpec { jurisdictions: [Jurisdiction::new(Jurisdiction::ANY), law.clone()].into(), ..spec() };
    assert_eq!(journal.put_region(&region("eu"), Some(0), &both).await, Ok(Applied::Yes));
    assert_eq!(put(1, [0, 1]).await, Ok(Applied::Stale));
    for wrong in [[0, 2], [0, 9]] {
        let refused = put(2, wrong).await;
        assert!(matches!(refused, Err(JournalError::Forbidden(_))), "{wrong:?}: {refused:?}");
    }
    assert_eq!(put(2, [0, 1]).await, Ok(Applied::Yes));
    let observed = journal.read().await.unwrap().world.observed;
    assert_eq!(observed.version, MapVersion(3));
    let under = [0, 1, 2].map(|shard| observed.shards[&Shard::new(shard)].clone());
    assert_eq!(under.clone().map(|row| row.jurisdiction.as_str().to_owned()), ["eu", "eu", "any"]);
    assert_eq!(under.map(|row| row.version), [3, 3, 1].map(MapVersion));
}
