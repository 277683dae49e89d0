//! Seeds run, fail and replay.

use std::collections::BTreeSet;

use simulation::{Mutant, run, run_with};

#[test]
fn three_hundred_seeds_keep_every_invariant() {
    let mut ended = BTreeSet::new();
    for seed in 0..300 {
        match run(seed) {
            Ok(report) => ended.extend(report.ended),
            Err(failed) => panic!("{failed}\nagain: cargo xtask sim --seeds 1 --start {seed}"),
        }
    }
    // The troubles do not keep everything from happening.
    for kind in ["move", "rebalance", "evacuate", "switchover", "failover", "drill"] {
        for outcome in ["Done", "Refused"] {
            assert!(ended.contains(&format!("{kind} {outcome}")), "no {kind} was {outcome}: {ended:?}");
        }
    }
    for kind in ["move", "rebalance", "evacuate", "switchover", "drill"] {
        assert!(ended.contains(&format!("{kind} Aborted")), "no {kind} was aborted: {ended:?}");
    }
}

#[test]
fn a_seed_does_the_same_again() {
    for seed in 0..20 {
        assert_eq!(run(seed), run(seed));
    }
    assert_ne!(run(1).map(|report| report.trace), run(2).map(|report| report.trace));
}

/// The first seed that notices, and which invariant.
fn noticed(mutant: Mutant) -> u8 {
    let failed = (0..100).find_map(|seed| run_with(seed, mutant).err()).unwrap();
    assert_eq!(run_with(failed.seed, mutant).unwrap_err(), failed, "a failing seed fails the same way again");
    failed.broken.invariant
}

#[test]
fn a_map_without_compare_and_set_is_noticed() {
    assert_eq!(noticed(Mutant::MapWithoutCompareAndSet), 3);
}

#[test]
fn operations_without_versions_are_noticed() {
    assert_eq!(noticed(Mutant::OperationWithoutVersion), 9);
}
