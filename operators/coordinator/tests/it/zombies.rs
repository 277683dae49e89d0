//! What was decided long ago changes nothing.

use coordinator::{Deed, Intent, Journal};
use futures::executor::block_on;
use kernel::Clock;
use placement::State;

use crate::field::{Field, field_for, kinds};

/// Every intent of a run, done once more after the end and after every later change.
#[test]
fn no_intent_has_an_effect_twice() {
    for kind in kinds() {
        let field = field_for(&kind);
        let id = field.ask(kind);
        let coordinator = field.coordinator("only");
        let zombie = field.coordinator("zombie");
        let mut old: Vec<Intent> = Vec::new();
        while !field.operation(id).ended() {
            let intent = block_on(coordinator.look()).unwrap();
            let deed = block_on(coordinator.act(&intent)).unwrap();
            old.extend((deed == Deed::Changed).then_some(intent));
            if deed == Deed::Nothing {
                field.live();
            }
            for intent in &old {
                let before = field.journal.store();
                assert_eq!(block_on(zombie.act(intent)), Ok(Deed::Late), "{intent:?}");
                assert!(field.journal.store() == before, "{intent:?}");
            }
        }
        assert!(old.len() >= 8, "{}", old.len());
    }
}

#[test]
fn a_flip_decided_before_an_abort_or_a_fence_is_refused() {
    type Meanwhile = fn(&Field);
    let between: [Meanwhile; 2] = [
        |field| {
            let id = field.journal.store().running().unwrap().id;
            assert_eq!(block_on(field.journal.abort(id, "enough")), Ok(coordinator::Applied::Yes));
        },
        |field| field.set("us", State::Fenced),
    ];
    for meanwhile in between {
        let field = Field::new();
        let id = field.ask(kinds().remove(0));
        let coordinator = field.coordinator("only");
        field.until(
            || block_on(coordinator.tick()).unwrap(),
            |field| field.operation(id).phase.name() == "moving",
        );
        let intent = block_on(coordinator.look()).unwrap();
        meanwhile(&field);
        assert_eq!(block_on(coordinator.act(&intent)), Ok(Deed::Late));
        let counts = field.counts();
        assert_eq!(counts, [4, 4, 4], "at {}", field.clock.now());
    }
}
