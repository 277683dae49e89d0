//! What is asked for and cannot be: what is not there, and what contradicts itself.

use super::*;
use crate::cli::NewRegion;

#[tokio::test]
async fn what_does_not_exist_is_status_3() {
    let field = Field::new().await;
    let outside = vec![region("us"), region("mars")];
    for command in [
        switchover("mars", now()),
        C::Switchover { region: region("eu"), outside: outside.clone(), run: now() },
        C::Failover { region: region("eu"), confirm: None, outside, run: now() },
        C::Cordon { region: region("mars"), dry_run: false },
        C::Move { shards: vec![ShardRange(5, 40)], to: region("us"), run: now() },
        C::Timeline { operation: None },
        C::Abort { operation: None, why: "x".into(), wait: Waiting::default(), dry_run: false },
        C::Abort { operation: Some(7), why: "x".into(), wait: Waiting::default(), dry_run: false },
        C::WhyNotReady { region: Some(region("mars")) },
    ] {
        assert_eq!(field.run(&command).await, 3, "{command:?}");
    }
    let clock = Arc::new(FakeClock::new(Timestamp::from_micros(0)));
    let desk = Desk { journal: Arc::new(MemoryJournal::new(clock)), ..field.desk() };
    assert_eq!(exit_status(&desk.run(&C::Plan).await.unwrap_err()), 3, "no map");
}

#[tokio::test]
async fn who_is_left_takes_nothing() {
    let field = Field::new().await;
    let outside = || vec![region("us"), region("eu")];
    for command in [
        C::Switchover { region: region("eu"), outside: outside(), run: now() },
        C::Switchover { region: region("eu"), outside: outside(), run: dry() },
        C::Failover { region: region("eu"), confirm: Some("eu".into()), outside: outside(), run: now() },
    ] {
        assert_eq!(field.run(&command).await, 2, "{command:?}");
    }
    assert!(field.journal.operation(OperationId(1)).await.unwrap().is_none(), "nothing began");
}

#[tokio::test]
async fn an_entrance_is_one_regions() {
    let field = Field::new().await;
    let add = |name: &str, url: &str| C::Add {
        region: (region(name), url.to_owned()),
        place: NewRegion::default(),
        dry_run: false,
    };
    assert_eq!(field.run(&add("in", "http://in.test")).await, 0);
    assert_eq!(field.run(&add("in", "http://in.test")).await, 0, "it is there, as it is described");
    assert_eq!(field.run(&add("is", "http://in.test")).await, 1);
    assert!(!field.journal.store().world().desired.regions.contains_key(&region("is")));

    let empty = Arc::new(MemoryJournal::new(field.clock.clone()));
    let desk = Desk { journal: empty.clone(), ..field.desk() };
    let twins = ["eu", "us"].map(|name| (region(name), "http://one.test".to_owned()));
    let refused = desk.found(&twins, &[], vec![Shard::new(0)], false).await.unwrap_err();
    assert_eq!(exit_status(&refused), 2, "{refused}");
    assert_eq!(empty.store().world().observed.version.0, 0);
}

#[tokio::test]
async fn a_witness_is_no_home_and_no_failover_leaves_it() {
    let field = Field::new().await;
    let tie = (region("tie"), "http://tie.test".to_owned());
    let place = NewRegion { witness: true, ..NewRegion::default() };
    assert_eq!(field.run(&C::Add { region: tie, place, dry_run: false }).await, 0);
    let ready = |failover_ready| Share { failover_ready: Some(failover_ready), ..Share::default() };
    let set = |share| C::Set { region: region("tie"), share, dry_run: false };
    assert_eq!(field.run(&set(ready(true))).await, 2, "it is not dropped in silence");
    assert_eq!(field.run(&set(ready(false))).await, 0);
    let pin = vec![(Shard::new(0), region("tie"))];
    let change = PolicyChange { pin, ..PolicyChange::default() };
    assert_eq!(field.run(&C::Policy { change, dry_run: false }).await, 1, "no rebalance could follow");
    assert!(field.journal.store().world().desired.policy.pins.is_empty());
}

#[tokio::test]
async fn a_digest_has_a_length() {
    let field = Field::new().await;
    for wrong in ["", "1234567", "not-a-digest", &"0".repeat(65)] {
        assert_eq!(field.run(&C::Apply { plan: wrong.into(), run: now() }).await, 2, "{wrong}");
    }
    assert_eq!(field.run(&C::Apply { plan: "0".repeat(64), run: now() }).await, 4, "another plan");
}

#[tokio::test]
async fn weights_of_nothing_at_all_are_still_a_map() {
    let field = Field::new().await;
    for name in REGIONS {
        let share = Share { weight: Some(0), ..Share::default() };
        assert_eq!(field.run(&C::Set { region: region(name), share, dry_run: false }).await, 0);
    }
    assert_eq!(field.run(&C::Plan).await, 0);
    assert_eq!(field.run(&C::Rebalance { run: now() }).await, 0);
    assert_eq!(REGIONS.iter().map(|name| field.homes(name)).sum::<usize>(), 12);
}

#[tokio::test]
async fn what_is_only_tried_changes_nothing() {
    let field = Field::new().await;
    let desired = || field.journal.store().world().desired.clone();
    let eu = || region("eu");
    assert_eq!(field.run(&C::Cordon { region: eu(), dry_run: false }).await, 0);
    assert_eq!(field.run(&C::Fence { region: region("us"), wait: later().wait, dry_run: false }).await, 0);
    let before = desired();
    let share = Share { weight: Some(7), keep: vec![Jurisdiction::new("eu")], ..Share::default() };
    let change = PolicyChange {
        pin: vec![(Shard::new(1), eu())],
        pause: true,
        drills: Some((placement::Day::Sunday, 0)),
        ..PolicyChange::default()
    };
    let any = Jurisdiction::new(Jurisdiction::ANY);
    for command in [
        C::Uncordon { region: eu(), dry_run: true },
        C::Unfence { region: region("us"), dry_run: true },
        C::Set { region: eu(), share, dry_run: true },
        C::Policy { change, dry_run: true },
        C::Law { shards: vec![ShardRange(0, 11)], under: any, dry_run: true },
        degrade("eu", Degraded { read_only: true, ..Degraded::default() }, true),
    ] {
        assert_eq!(field.run(&command).await, 0, "{command:?}");
        assert_eq!(desired(), before, "{command:?}");
    }
}
