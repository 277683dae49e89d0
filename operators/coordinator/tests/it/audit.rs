//! What one look at a journal shows to be wrong.

use coordinator::{Scene, served, standing};
use futures::executor::block_on;
use kernel::{Epoch, Shard};
use placement::{MapVersion, Placing, State};

use crate::field::{Field, region};

fn scene(field: &Field) -> Scene {
    use coordinator::Journal;
    block_on(field.journal.read()).unwrap()
}

#[test]
fn a_map_that_is_well_has_nothing_wrong() {
    let scene = scene(&Field::new());
    assert_eq!((standing(&scene), served(&scene)), (vec![], vec![]));
}

#[test]
fn every_rule_is_held() {
    let well = scene(&Field::new());
    let broken = |spoil: fn(&mut Scene)| {
        let mut scene = well.clone();
        spoil(&mut scene);
        standing(&scene).into_iter().map(|broken| broken.invariant).collect::<Vec<_>>()
    };
    assert_eq!(broken(|scene| scene.world.observed.version = MapVersion(0)), vec![3; 12]);
    assert_eq!(
        broken(|scene| {
            let row = scene.world.observed.shards.get_mut(&Shard::new(3)).unwrap();
            row.placing = Placing::Moving { target: region("us") };
        }),
        vec![10]
    );
    assert_eq!(
        broken(|scene| scene.world.observed.leases.get_mut(&Shard::new(3)).unwrap().epoch = Epoch(0)),
        vec![4]
    );
}

#[test]
fn a_home_that_is_out_is_wrong_while_nobody_is_about_to_change_it() {
    let field = Field::new();
    field.set("eu", State::Fenced);
    let found = served(&scene(&field));
    assert_eq!(found.len(), 4, "nobody leads: {found:?}");
    assert!(found.iter().all(|broken| broken.invariant == 12));
    // A leader that is about to move them: not wrong. One that cannot: wrong, and why.
    let coordinator = field.coordinator("only");
    assert_eq!(block_on(coordinator.tick()).unwrap(), coordinator::Deed::Began(placement::OperationId(1)));
    assert_eq!(served(&scene(&field)), vec![]);
    let other = Field::new();
    for name in ["ap", "eu", "us"] {
        other.set(name, State::Fenced);
    }
    let found = served(&scene(&other));
    assert_eq!(found.len(), 12);
    assert!(found[0].what.contains("fits nowhere"), "{}", found[0]);
}

#[test]
fn a_shard_without_a_home_that_nobody_works_on_is_wrong_whatever_runs() {
    let field = Field::new();
    field.ask(placement::Kind::Rebalance);
    field.set("eu", State::Drained);
    assert_eq!(served(&scene(&field)), [], "its lease is held");
    field.clock.advance(std::time::Duration::from_secs(5));
    assert_eq!(served(&scene(&field)), [], "and has just run out");
    field.clock.advance(std::time::Duration::from_secs(5));
    let found = served(&scene(&field));
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(found[0].what.ends_with("nobody works on it"), "{}", found[0]);
    field.live();
    assert_eq!(served(&scene(&field)), []);
}
