//! Regions that die while an operation runs which is not about them.

use std::time::Duration;

use futures::executor::block_on;
use kernel::Clock;
use placement::{Outcome, State};

use crate::field::{Field, field_for, kinds, region};

#[test]
fn a_drill_makes_room_for_the_failover_of_a_region_that_dies_meanwhile() {
    let mut field = Field::new();
    let id = field.ask(kinds().remove(3));
    let coordinator = field.coordinator("only");
    field.until(
        || block_on(coordinator.tick()).unwrap(),
        |field| field.operation(id).phase.name() == "moving",
    );
    let died = field.clock.now();
    field.dead.insert(region("ap"));
    let outcome = field.run(id);
    assert_eq!(outcome, Outcome::Aborted { why: "ap is down: its failover comes first".into() });
    assert_eq!((field.counts(), field.state("eu")), ([4, 4, 4], State::Active), "the drill is taken back");
    field.until(|| block_on(coordinator.tick()).unwrap(), |field| field.counts() == [0, 6, 6]);
    assert_eq!((field.state("ap"), field.state("eu")), (State::Fenced, State::Active));
    let took = field.clock.now().since(died);
    assert!(took < Duration::from_secs(20), "{took:?}");
    field.assert_settled();
}

#[test]
fn a_failover_sends_nothing_where_the_others_see_nobody() {
    let kind = kinds().remove(2);
    let mut field = field_for(&kind);
    // A second one dies at about the same time: that eu is down was agreed on before.
    field.dead.insert(region("ap"));
    field.live();
    let id = field.ask(kind);
    let coordinator = field.coordinator("only");
    field.until(|| block_on(coordinator.tick()).unwrap(), |field| field.operation(id).ended());
    assert_eq!((field.counts(), field.state("eu")), ([4, 0, 8], State::Fenced));
    field.assert_settled();
}
