//! The suite that every [`Journal`] passes.
//!
//! An adapter's test makes a [`Bench`] and calls [`all`]; every case gets an empty journal. What only stands between a caller
//! and a journal, and fails or looks on, is a [`Hooked`] one.

#![allow(clippy::unwrap_used, reason = "a suite fails by panicking")]

mod hooked;
mod leases;
mod map;
mod operations;
mod persons;
mod sightings;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use async_trait::async_trait;
use kernel::{Region, Shard};
use placement::{Degraded, Desired, Jurisdiction, RegionRow, RegionSpec, Role};

pub use self::hooked::{Hooked, Hooks};
use crate::{Applied, Journal};

/// Where journals to test come from.
#[async_trait]
pub trait Bench: Sync {
    /// The implementation.
    type Journal: Journal;

    /// An empty journal.
    async fn empty(&self) -> Self::Journal;

    /// Lets time pass for the storage: a fake clock is moved, a real one waited for.
    async fn pass(&self, time: Duration);
}

/// Runs every case.
pub async fn all(bench: &impl Bench) {
    the_map(bench).await;
    persons(bench).await;
    operations(bench).await;
    leases(bench).await;
    sightings::last_as_long_as_they_go_on(bench, &founded(bench).await).await;
    sightings::of_itself_grow_old(bench, &founded(bench).await).await;
    sightings::are_reported_together(&founded(bench).await).await;
}

async fn the_map(bench: &impl Bench) {
    map::is_founded_once(&founded(bench).await).await;
    map::changes_by_compare_and_set(&founded(bench).await).await;
    map::one_of_many_writers_wins(&founded(bench).await).await;
    map::unknown_shards_and_regions_are_refused(&founded(bench).await).await;
}

async fn persons(bench: &impl Bench) {
    persons::change_states_step_by_step(&founded(bench).await).await;
    persons::describe_regions_under_their_version(&founded(bench).await).await;
    persons::change_the_policy_under_the_maps_version(&founded(bench).await).await;
    persons::say_under_whose_law_shards_are(&founded(bench).await).await;
}

async fn operations(bench: &impl Bench) {
    operations::run_one_at_a_time(&founded(bench).await).await;
    operations::are_kept_whole(&founded(bench).await).await;
    operations::change_nothing_under_an_old_version(&founded(bench).await).await;
    operations::are_aborted_once(&founded(bench).await).await;
    operations::begin_once_under_a_key(&founded(bench).await).await;
    operations::are_listed(&founded(bench).await).await;
    operations::are_noted_once_they_ended(&founded(bench).await).await;
    operations::of_the_schedule_are_remembered(&founded(bench).await).await;
}

async fn leases(bench: &impl Bench) {
    leases::are_taken_at_home_only(&founded(bench).await).await;
    leases::are_held_by_one_of_many(&founded(bench).await).await;
    leases::run_out(bench, &founded(bench).await).await;
    leases::are_given_back(&founded(bench).await).await;
    leases::do_not_follow_a_holder_out(&founded(bench).await).await;
    leases::are_worked_on_together(bench, &founded(bench).await).await;
    leases::are_left_where_work_goes_on(&founded(bench).await).await;
    leases::of_a_home_that_is_down_are_stood_in_for(bench, &founded(bench).await).await;
    leases::of_a_home_that_is_out_are_stood_in_for(&founded(bench).await).await;
    leases::are_resigned(&founded(bench).await).await;
    leases::leadership_changes_hands_when_it_runs_out(bench, &founded(bench).await).await;
}

/// Long enough for a real storage between two calls, short enough to wait for.
const TTL: Duration = Duration::from_secs(5);

fn region(name: &str) -> Region {
    Region::new(name)
}

/// Two regions, `eu` with shards 0 and 1, `us` with shard 2.
async fn founded<B: Bench>(bench: &B) -> B::Journal {
    let journal = bench.empty().await;
    assert_eq!(journal.found(&desired(), &homes()).await.unwrap(), Applied::Yes);
    journal
}

fn desired() -> Desired {
    let regions = [region("eu"), region("us")].map(|name| (name, RegionRow::new(spec())));
    let mut desired = Desired { regions: regions.into(), ..Desired::default() };
    desired.policy.movement.fresh_for = TTL;
    desired
}

fn spec() -> RegionSpec {
    RegionSpec {
        endpoint: String::new(),
        role: Role::Full,
        capacity: 8,
        weight: 1,
        jurisdictions: BTreeSet::from([Jurisdiction::new(Jurisdiction::ANY)]),
        failover_ready: false,
        degraded: Degraded::default(),
    }
}

fn homes() -> BTreeMap<Shard, (Region, Jurisdiction)> {
    let at = |home: &str| (region(home), Jurisdiction::new(Jurisdiction::ANY));
    BTreeMap::from([(Shard::new(0), at("eu")), (Shard::new(1), at("eu")), (Shard::new(2), at("us"))])
}
