//! Operations from begin to end.

use std::{collections::BTreeMap, time::Duration};

use coordinator::{Deed, Journal, served};
use futures::executor::block_on;
use kernel::{Clock, Shard};
use placement::{Kind, Outcome, Policy, State, Vitals};

use crate::field::{Field, done, field_for, kinds, region};

#[test]
fn a_move_brings_the_shards_there_and_their_leases() {
    let field = Field::new();
    let id = field.ask(kinds().remove(0));
    assert_eq!(field.run(id), done());
    assert_eq!(field.counts(), [2, 2, 8]);
    let store = field.journal.store();
    for shard in (0..5).map(Shard::new) {
        assert_eq!(store.world().observed.leases[&shard].holder.region, region("us"));
    }
    let phases: Vec<String> = field.operation(id).timeline.into_iter().map(|entry| entry.phase).collect();
    let wanted = ["preflight", "taking", "moving", "handing-over", "verifying", "closing", "ended"];
    assert_eq!(phases, wanted);
}

#[test]
fn a_switchover_empties_its_region_and_the_way_back_is_a_persons() {
    let field = Field::new();
    let id = field.ask(kinds().remove(1));
    assert_eq!(field.run(id), done());
    assert_eq!((field.counts(), field.state("eu")), ([6, 0, 6], State::Drained));
    let back = field.operation(id).way_back();
    let refused = field.run(field.ask(Kind::Move { shards: back.clone() }));
    assert!(matches!(&refused, Outcome::Refused { why } if why.contains("eu is Drained")), "{refused:?}");
    field.set("eu", State::Cordoned);
    field.set("eu", State::Active);
    assert_eq!(field.run(field.ask(Kind::Move { shards: back })), done());
    assert_eq!(field.counts(), [4, 4, 4]);
}

#[test]
fn a_failover_begins_by_itself_and_the_region_stays_fenced() {
    let mut field = Field::new();
    field.dead.insert(region("eu"));
    let killed = field.clock.now();
    let coordinator = field.coordinator("only");
    let resumed = |field: &Field| {
        let store = field.journal.store();
        let leases = &store.world().observed.leases;
        field.counts() == [6, 0, 6] && leases.values().all(|lease| lease.holder.region != region("eu"))
    };
    field.until(|| block_on(coordinator.tick()).unwrap(), resumed);
    let took = field.clock.now().since(killed);
    assert!(took <= Duration::from_secs(6), "background work resumed after {took:?}");
    field.until(
        || block_on(coordinator.tick()).unwrap(),
        |field| field.journal.store().ended().values().any(|one| one.spec.kind.name() == "failover"),
    );
    field.dead.clear();
    for _ in 0..200 {
        assert_eq!(block_on(coordinator.tick()), Ok(Deed::Nothing));
        field.live();
    }
    assert_eq!((field.counts(), field.state("eu")), ([6, 0, 6], State::Fenced), "no way back by itself");
}

#[test]
fn a_drill_ends_as_it_began() {
    let field = Field::new();
    let id = field.ask(kinds().remove(3));
    assert_eq!(field.run(id), done());
    assert_eq!((field.counts(), field.state("eu")), ([4, 4, 4], State::Active));
    let operation = field.operation(id);
    assert_eq!(operation.timeline.iter().filter(|entry| entry.phase == "moving").count(), 2);
}

#[test]
fn a_drill_does_not_let_back_what_a_person_took_over() {
    let field = Field::new();
    let id = field.ask(kinds().remove(3));
    let coordinator = field.coordinator("only");
    field.until(|| block_on(coordinator.tick()).unwrap(), |field| field.counts()[1] == 0);
    // Fenced by the drill, and now by a person as well.
    field.set("eu", State::Fenced);
    field.until(|| block_on(coordinator.tick()).unwrap(), |field| field.operation(id).ended());
    assert_eq!((field.counts()[1], field.state("eu")), (0, State::Fenced));
    assert_eq!(field.outcome(id), Outcome::Aborted { why: "a person has taken eu over".into() });
    field.assert_settled();
}

#[test]
fn a_drill_that_finds_no_room_lets_its_region_back_and_says_so() {
    let field = Field::new();
    let id = field.ask(kinds().remove(3));
    let coordinator = field.coordinator("only");
    field.until(
        || block_on(coordinator.tick()).unwrap(),
        |field| field.operation(id).phase.name() == "moving",
    );
    for other in ["ap", "us"] {
        field.set(other, State::Cordoned);
    }
    let outcome = field.run(id);
    assert!(matches!(&outcome, Outcome::Aborted { why } if why.contains("fits nowhere")), "{outcome:?}");
    assert_eq!((field.counts(), field.state("eu")), ([4, 4, 4], State::Active));
}

#[test]
fn a_region_fenced_by_a_person_is_evacuated() {
    let field = Field::new();
    field.set("eu", State::Fenced);
    let coordinator = field.coordinator("only");
    field.until(|| block_on(coordinator.tick()).unwrap(), |field| field.counts() == [6, 0, 6]);
    assert_eq!(field.state("eu"), State::Fenced);
}

#[test]
fn planned_moves_keep_their_pace_and_stand_still_when_paused() {
    let field = Field::new();
    let mut policy = Policy::default();
    policy.movement.batch = 1;
    policy.movement.per_minute = 30;
    field.put(&policy);
    let coordinator = field.coordinator("only");
    let id = field.ask(Kind::Move { shards: (0..5).map(|n| (Shard::new(n), region("us"))).collect() });
    let began = field.clock.now();
    field.until(|| block_on(coordinator.tick()).unwrap(), |field| field.counts()[2] == 6);
    policy.paused = true;
    field.put(&policy);
    for _ in 0..100 {
        block_on(coordinator.tick()).unwrap();
        field.live();
    }
    assert_eq!(field.counts()[2], 6, "paused");
    let paused = Duration::from_secs(20);
    policy.paused = false;
    field.put(&policy);
    field.until(|| block_on(coordinator.tick()).unwrap(), |field| field.operation(id).ended());
    // Four shards of the five moved (one lives there), two seconds apart; the pause took the place of one of the gaps.
    let took = field.clock.now().since(began);
    assert!(took >= paused + Duration::from_secs(4), "{took:?}");
    assert_eq!(field.counts()[2], 8);
}

#[test]
fn a_move_whose_target_goes_out_is_taken_back() {
    let field = Field::new();
    let coordinator = field.coordinator("only");
    let id = field.ask(Kind::Move { shards: (0..12).map(|n| (Shard::new(n), region("us"))).collect() });
    field.until(|| block_on(coordinator.tick()).unwrap(), |field| field.counts()[2] > 4);
    field.set("us", State::Fenced);
    field.until(|| block_on(coordinator.tick()).unwrap(), |field| field.operation(id).ended());
    assert!(matches!(field.outcome(id), Outcome::Aborted { .. }));
    field.until(|| block_on(coordinator.tick()).unwrap(), |field| field.counts()[2] == 0);
    field.assert_settled();
}

/// A move whose target dies while it runs: why it was taken back, and after how long.
fn moved_to_the_dead(mut field: Field) -> (String, Duration) {
    let id = field.ask(kinds().remove(0));
    let coordinator = field.coordinator("only");
    field.until(
        || block_on(coordinator.tick()).unwrap(),
        |field| field.operation(id).phase.name() == "moving",
    );
    let died = field.clock.now();
    field.dead.insert(region("us"));
    field.until(|| block_on(coordinator.tick()).unwrap(), |field| field.operation(id).ended());
    let outcome = field.outcome(id);
    let Outcome::Aborted { why } = outcome else { panic!("{outcome:?}") };
    let homes: BTreeMap<Shard, _> =
        field.operation(id).moves.into_iter().map(|step| (step.shard, step.from)).collect();
    let store = field.journal.store();
    assert!(homes.iter().all(|(shard, home)| store.world().observed.shards[shard].home == *home));
    (why, field.clock.now().since(died))
}

#[test]
fn a_move_into_a_region_without_workers_is_taken_back() {
    let field = Field::new();
    field.unready("us");
    let (why, _) = moved_to_the_dead(field);
    assert!(why.contains("did not resume"), "{why}");
}

#[test]
fn a_move_into_a_region_that_can_be_failed_over_is_taken_back_as_soon_as_the_others_agree() {
    let field = Field::new();
    let movement = field.journal.store().world().desired.policy.movement;
    let (why, took) = moved_to_the_dead(field);
    assert_eq!(why, "us is down: its failover comes first");
    assert!(took < movement.patience / 2, "{took:?}");
}

#[test]
fn a_failover_goes_on_when_a_target_dies_too() {
    let kind = kinds().remove(2);
    let field = field_for(&kind);
    let id = field.ask(kind);
    let coordinator = field.coordinator("only");
    field.until(
        || block_on(coordinator.tick()).unwrap(),
        |field| field.operation(id).phase.name() == "moving",
    );
    field.set("ap", State::Fenced);
    field.until(|| block_on(coordinator.tick()).unwrap(), |field| field.operation(id).ended());
    field.until(|| block_on(coordinator.tick()).unwrap(), |field| field.counts() == [0, 0, 12]);
    field.assert_settled();
}

#[test]
fn the_work_of_a_region_that_is_out_goes_on_while_an_operation_stands_still() {
    let field = Field::new();
    field.put(&Policy { paused: true, ..Policy::default() });
    let id = field.ask(Kind::Rebalance);
    let coordinator = field.coordinator("only");
    for out in [State::Drained, State::Fenced] {
        field.set("eu", out);
        for _ in 0..40 {
            assert_eq!(block_on(coordinator.tick()), Ok(Deed::Nothing));
            field.live();
        }
        assert!(!field.operation(id).ended() && field.counts() == [4, 4, 4], "paused");
        let scene = block_on(field.journal.read()).unwrap();
        assert_eq!(served(&scene), []);
        let observed = &scene.world.observed;
        let at_work =
            |lease: &placement::Lease| lease.held(observed.now) && lease.holder.region != region("eu");
        assert!(observed.leases.values().all(at_work), "{:?}", observed.leases);
    }
}

#[test]
fn an_evacuation_does_not_wait_for_an_operation_that_stands_still() {
    let field = Field::new();
    let id = field.ask(kinds().remove(0));
    let coordinator = field.coordinator("only");
    let burning = Vitals { burning: true, ..Vitals::default() };
    field.until(
        || block_on(coordinator.tick()).unwrap(),
        |field| field.operation(id).phase.name() == "moving",
    );
    field.set("eu", State::Drained);
    let tick = || {
        block_on(field.journal.say(&region("us"), burning)).unwrap();
        block_on(coordinator.tick()).unwrap()
    };
    field.until(tick, |field| field.counts() == [6, 0, 6]);
    let why = "4 shards have a home that does not serve: their evacuation comes first";
    assert_eq!(field.outcome(id), Outcome::Aborted { why: why.into() });
}

#[test]
fn the_last_words_of_a_region_that_died_hold_nothing_up() {
    for phase in ["preflight", "moving"] {
        let mut field = Field::new();
        field.unready("eu");
        let id = field.ask(Kind::Move { shards: [(Shard::new(0), region("us"))].into() });
        let coordinator = field.coordinator("only");
        field.until(
            || block_on(coordinator.tick()).unwrap(),
            |field| field.operation(id).phase.name() == phase,
        );
        let last = Vitals { burning: true, relay_lag: Duration::from_secs(60) };
        block_on(field.journal.say(&region("eu"), last)).unwrap();
        field.dead.insert(region("eu"));
        assert_eq!(block_on(coordinator.tick()), Ok(Deed::Nothing), "it may live: {phase}");
        assert_eq!(field.run(id), done(), "{phase}");
    }
}

#[test]
fn an_aborted_switchover_lifts_its_own_cordon_and_no_persons() {
    for (before, meanwhile, after) in [
        (State::Active, None, State::Active),
        (State::Cordoned, None, State::Cordoned),
        (State::Active, Some(State::Cordoned), State::Cordoned),
    ] {
        let field = Field::new();
        field.set("eu", before);
        let id = field.ask(kinds().remove(1));
        let coordinator = field.coordinator("only");
        field.until(|| block_on(coordinator.tick()).unwrap(), |field| field.counts()[1] == 0);
        assert_eq!(field.state("eu"), State::Cordoned);
        if let Some(touched) = meanwhile {
            field.set("eu", touched);
        }
        assert_eq!(block_on(field.journal.abort(id, "enough")), Ok(coordinator::Applied::Yes));
        assert_eq!(field.run(id), Outcome::Aborted { why: "enough".into() });
        assert_eq!((field.counts(), field.state("eu")), ([4, 4, 4], after));
    }
}

#[test]
fn a_move_to_where_the_database_has_no_server_is_refused() {
    let field = Field::new();
    let down = placement::Servers { all: 3, up: 0, stuck: false };
    field.journal.let_serve([(region("us"), down)].into());
    let refused = field.run(field.ask(kinds().remove(0)));
    assert!(
        matches!(&refused, Outcome::Refused { why } if why.starts_with("no server of the database is up in us")),
        "{refused:?}"
    );
    assert_eq!(field.counts(), [4, 4, 4]);
    field.journal.let_serve([(region("us"), placement::Servers { up: 2, ..down })].into());
    assert_eq!(field.run(field.ask(kinds().remove(0))), done());
}

#[test]
fn a_switchover_does_not_drain_what_a_person_let_back() {
    let field = Field::new();
    let id = field.ask(kinds().remove(1));
    let coordinator = field.coordinator("only");
    field.until(|| block_on(coordinator.tick()).unwrap(), |field| field.counts()[1] == 0);
    field.set("eu", State::Active);
    assert_eq!(field.run(id), Outcome::Aborted { why: "a person has taken eu over".into() });
    assert_eq!((field.counts(), field.state("eu")), ([6, 0, 6], State::Active));
}

#[test]
fn however_much_is_said_of_why_an_operation_is_to_end_its_journal_has_room() {
    let field = Field::new();
    let id = field.ask(kinds().remove(0));
    let why = "\u{e9}".repeat(100_000);
    assert_eq!(block_on(field.journal.abort(id, &why)), Ok(coordinator::Applied::Yes));
    let Outcome::Refused { why } = field.run(id) else { panic!("{:?}", field.outcome(id)) };
    assert_eq!(why, "\u{e9}".repeat(500));
}
