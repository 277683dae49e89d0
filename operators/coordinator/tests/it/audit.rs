//! What one look at a journal shows to be wrong.

use coordinator::{Scene, journalled, renewed, served, standing};
use futures::executor::block_on;
use kernel::{Epoch, Shard};
use placement::{Entry, MapVersion, Operation, Phase, Placing, State};

use crate::field::{Field, field_for, kinds, region};

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

#[test]
fn operations_that_ran_went_through_their_steps() {
    for kind in kinds() {
        let field = field_for(&kind);
        let id = field.ask(kind);
        assert_eq!(journalled(&scene(&field), &[field.operation(id)]), [], "it runs");
        field.run(id);
        let ended = field.operation(id);
        assert_eq!(journalled(&scene(&field), std::slice::from_ref(&ended)), []);
        let broken = |spoil: &dyn Fn(&mut Operation)| {
            let mut wrong = ended.clone();
            spoil(&mut wrong);
            let found = journalled(&scene(&field), &[wrong]);
            assert!(found.iter().all(|broken| broken.invariant == 9), "{found:?}");
            found.len()
        };
        let again = |name: &str, one: &mut Operation| {
            let at = one.timeline.iter().position(|entry| entry.phase == name).unwrap();
            one.timeline.insert(at, one.timeline[at].clone());
        };
        for step in ["preflight", "handing-over", "verifying", "closing", "ended"] {
            assert_eq!(broken(&|one| again(step, one)), 1, "{step} twice");
        }
        assert_eq!(broken(&|one| drop::<Entry>(one.timeline.remove(0))), 1);
        assert_eq!(broken(&|one| one.timeline.retain(|entry| entry.phase != "handing-over")), 1);
        // One that nobody ended, beside the one that runs or none.
        let left = |one: &mut Operation| {
            one.phase = Phase::Moving;
            one.timeline.retain(|entry| ["preflight", "taking", "moving"].contains(&entry.phase.as_str()));
            one.timeline.truncate(3);
        };
        assert_eq!(broken(&left), 1);
    }
}

#[test]
fn a_region_that_is_out_keeps_no_lease() {
    let field = Field::new();
    field.set("eu", State::Fenced);
    let before = scene(&field);
    assert_eq!(renewed(&before, &before), [], "held, and not renewed");
    let longer = |scene: &mut Scene, held: fn(&mut placement::Lease)| {
        let mut leases = scene.world.observed.leases.values_mut();
        held(leases.find(|lease| lease.holder.region == region("eu")).unwrap());
    };
    let later = |lease: &mut placement::Lease| {
        lease.expires_at = lease.expires_at.plus(std::time::Duration::from_secs(1));
    };
    let anew = |lease: &mut placement::Lease| lease.epoch = Epoch(lease.epoch.0 + 1);
    for held in [later as fn(&mut placement::Lease), anew] {
        let mut after = before.clone();
        longer(&mut after, held);
        let found = renewed(&before, &after);
        assert_eq!(found.iter().map(|broken| broken.invariant).collect::<Vec<_>>(), [5], "{found:?}");
        after.world.observed.version = after.world.observed.version.next();
        assert_eq!(renewed(&before, &after), [], "somebody may have let it back meanwhile");
    }
    field.live();
    assert_eq!(renewed(&before, &scene(&field)), [], "others took over");
}
