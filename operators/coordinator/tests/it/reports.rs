//! What the journal says of operations that ran.

use std::time::Duration;

use futures::executor::block_on;
use kernel::Clock;
use placement::{Events, report};

use crate::field::{Field, done, kinds, region};

#[test]
fn a_failover_reports_how_long_it_took_and_what_waited() {
    let mut field = Field::new();
    field.say_well();
    let last = field.clock.now();
    field.dead.insert(region("eu"));
    for _ in 0..40 {
        field.live();
    }
    field.journal.let_wait(Events { shards: 4, unsequenced: 7, unconsumed: 2, sequenced: 50 });
    let id = field.ask(kinds().remove(2));
    let coordinator = field.coordinator("only");
    field.until(
        || block_on(coordinator.tick()).unwrap(),
        |field| field.operation(id).phase.name() == "handing-over",
    );
    field.journal.let_wait(Events { shards: 4, unsequenced: 0, unconsumed: 1, sequenced: 80 });
    assert_eq!(field.run(id), done());
    let found = report(&field.operation(id)).unwrap();
    assert_eq!(found.last_sign_of_life, Some(last));
    let stages = [found.taken_at, found.moved_at, found.handed_over_at, found.ended_at].map(Option::unwrap);
    assert!(stages.is_sorted() && stages[0] >= found.decided_at, "{found:?}");
    assert_eq!(found.recovery(), Some(stages[2].since(last)));
    assert!(found.recovery() >= Some(Duration::from_secs(5)), "the others agreed first");
    let backlog = found.events.unwrap();
    assert_eq!((backlog.waited, backlog.sequenced, backlog.consumed), (9, 30, 31));
    assert_eq!((backlog.waits, backlog.replayed(), backlog.counted_at), (1, 9, stages[3]));
    assert_eq!((found.late, found.audit), (0, None));
}

#[test]
fn nothing_is_said_of_events_that_nobody_counted() {
    for (kind, reported) in [(3, true), (1, true), (0, false)] {
        let field = Field::new();
        let id = field.ask(kinds().remove(kind));
        assert_eq!(field.run(id), done());
        let found = report(&field.operation(id));
        assert_eq!(found.is_some(), reported);
        assert!(found.is_none_or(|found| found.events.is_none() && found.handed_over_at.is_some()));
    }
}
