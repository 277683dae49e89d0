//! The protocol, explored by stateright in every order within bounds.
//!
//! Two models share the twelve invariants. [`control`] is the real placement code on the real store: coordinators, regions,
//! persons, leases, crashes, duplicates, time (3, 4, 9, 10, 11, 12). [`data`] is what regions do to a shopper's order:
//! requests with a key run in two regions, sequencers, relays, consumers, outside effects, lost messages, crashes and pauses
//! (1, 2, 4, 5, 6, 7, 8, 9). `eventually` is unsound on cycles, so 7 and 12 are "at rest ⇒ …".

mod control;
mod data;
mod data_steps;

use std::{fmt::Debug, hash::Hash, time::Instant};

use stateright::{Checker, HasDiscoveries, Model};

/// Explores a model on one thread, until one of `wanted` is found or there is no more; tells how much there was and answers
/// with the properties that were found, in order.
fn explore<M>(name: &str, model: M, wanted: &[&'static str]) -> Vec<&'static str>
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq + Send + Sync + 'static,
{
    let until = if wanted.is_empty() {
        HasDiscoveries::All
    } else {
        HasDiscoveries::AnyOf(wanted.iter().copied().collect())
    };
    let began = Instant::now();
    let checker = model.checker().threads(1).finish_when(until).spawn_bfs().join();
    let (states, transitions) = (checker.unique_state_count(), checker.state_count());
    let (depth, seconds) = (checker.max_depth(), began.elapsed().as_secs_f64());
    let mut found: Vec<&'static str> = checker.discoveries().into_keys().collect();
    found.sort_unstable();
    println!(
        "{name}: {states} states, {transitions} transitions, depth {depth}, {seconds:.1} s; found {found:?}"
    );
    found
}
