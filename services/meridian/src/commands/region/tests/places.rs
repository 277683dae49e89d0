//! Regions that are added, demoted and promoted; whose data they keep; drills by schedule; reports.

use placement::{Day, Jurisdiction, Kind, Spec};

use super::*;
use crate::cli::NewRegion;

impl Field {
    fn spec(&self, name: &str) -> RegionSpec {
        self.journal.store().world().desired.regions[&region(name)].spec.clone()
    }

    fn law_of(&self, shard: u16) -> String {
        let store = self.journal.store();
        store.world().observed.shards[&Shard::new(shard)].jurisdiction.to_string()
    }
}

fn add(name: &str, place: NewRegion, dry_run: bool) -> C {
    C::Add { region: (region(name), format!("http://{name}.test")), place, dry_run }
}

fn set(name: &str, share: Share) -> C {
    C::Set { region: region(name), share, dry_run: false }
}

fn role(role: Role) -> Share {
    Share { role: Some(role), ..Share::default() }
}

fn keep(law: &str) -> Share {
    Share { keep: vec![Jurisdiction::new(law)], ..Share::default() }
}

fn leave(law: &str) -> Share {
    Share { drop: vec![Jurisdiction::new(law)], ..Share::default() }
}

fn law(shards: ShardRange, under: &str, dry_run: bool) -> C {
    C::Law { shards: vec![shards], under: Jurisdiction::new(under), dry_run }
}

#[tokio::test]
async fn a_region_is_added_and_gets_shards_with_the_next_rebalance() {
    let field = Field::new().await;
    let twice =
        || NewRegion { weight: Some(2), jurisdiction: vec![Jurisdiction::new("in")], ..NewRegion::default() };
    assert_eq!(field.run(&add("in", twice(), true)).await, 0);
    assert!(!field.journal.store().world().desired.regions.contains_key(&region("in")), "a dry run");
    assert_eq!(field.run(&add("in", twice(), false)).await, 0);
    let spec = field.spec("in");
    assert_eq!((spec.role, spec.weight, spec.capacity), (Role::Full, 2, 12));
    assert!(!spec.failover_ready, "it does not run yet");
    assert!(
        spec.jurisdictions.contains(&Jurisdiction::new(Jurisdiction::ANY)) && spec.jurisdictions.len() == 2
    );
    assert_eq!(field.run(&add("in", twice(), false)).await, 0, "it is there, as it is described");
    assert_eq!(field.run(&add("in", NewRegion::default(), false)).await, 4, "another description");
    let world = field.journal.read().await.unwrap().world;
    let moved = placement::plan(&world, &placement::Ask::Rebalance).unwrap().moves.len();
    assert!(moved >= 4, "{moved} shards would move there");
    for name in ["r4", "r5", "r6", "r7"] {
        assert_eq!(field.run(&add(name, NewRegion::default(), false)).await, 0, "{name}");
    }
    assert_eq!(field.run(&add("r8", NewRegion::default(), false)).await, 1, "eight are the most");
}

#[tokio::test]
async fn a_witness_has_no_shards_and_no_capacity() {
    let field = Field::new().await;
    let demote = || set("eu", role(Role::Witness));
    assert_eq!(field.run(&demote()).await, 1, "four shards live there");
    let with_room = Share { capacity: Some(4), ..role(Role::Witness) };
    assert_eq!(field.run(&set("eu", with_room)).await, 2);
    assert_eq!(field.run(&switchover("eu", now())).await, 0);
    let pin = |pin, unpin| PolicyChange { pin, unpin, ..PolicyChange::default() };
    let pinned = pin(vec![(Shard::new(0), region("eu"))], vec![]);
    assert_eq!(field.run(&C::Policy { change: pinned, dry_run: false }).await, 0);
    assert_eq!(field.run(&demote()).await, 1, "a shard is pinned to it");
    let unpinned = pin(vec![], vec![Shard::new(0)]);
    assert_eq!(field.run(&C::Policy { change: unpinned, dry_run: false }).await, 0);
    let rebalance = field.journal.begin(&Spec::asked("bob", Kind::Rebalance)).await.unwrap().unwrap();
    assert_eq!(field.run(&demote()).await, 4, "an operation runs");
    let abort =
        C::Abort { operation: Some(rebalance.0), why: "x".into(), wait: Waiting::default(), dry_run: false };
    assert_eq!(field.run(&abort).await, 0);
    assert_eq!(field.run(&demote()).await, 0);
    let spec = field.spec("eu");
    assert_eq!((spec.role, spec.capacity, spec.weight, spec.failover_ready), (Role::Witness, 0, 0, false));
    assert_eq!(field.run(&set("eu", role(Role::Full))).await, 2, "how many shards may live there?");
    assert_eq!(field.run(&set("eu", Share { capacity: Some(6), ..role(Role::Full) })).await, 0);
    assert_eq!((field.spec("eu").capacity, field.spec("eu").weight), (6, 1));
    assert_eq!(field.run(&add("tie", NewRegion { witness: true, ..NewRegion::default() }, false)).await, 0);
    assert_eq!((field.spec("tie").role, field.spec("tie").capacity), (Role::Witness, 0));
}

#[tokio::test]
async fn no_shard_is_left_outside_its_jurisdiction() {
    let field = Field::new().await;
    // Shards 1, 4, 7 and 10 live in eu.
    assert_eq!(field.run(&law(ShardRange(1, 1), "eu", false)).await, 1, "its home keeps no such data");
    assert_eq!(field.run(&set("eu", keep("eu"))).await, 0);
    assert_eq!(field.run(&law(ShardRange(1, 2), "eu", false)).await, 1, "shard 2 lives elsewhere");
    assert_eq!(field.run(&law(ShardRange(1, 1), "eu", true)).await, 0);
    assert_eq!(field.law_of(1), "any", "a dry run");
    assert_eq!(field.run(&law(ShardRange(1, 1), "eu", false)).await, 0);
    assert_eq!((field.law_of(1), field.law_of(4)), ("eu".to_owned(), "any".to_owned()));
    let version = field.journal.store().world().observed.version;
    assert_eq!(field.run(&law(ShardRange(1, 1), "eu", false)).await, 0, "it is so already");
    assert_eq!(field.journal.store().world().observed.version, version);
    assert_eq!(field.run(&law(ShardRange(12, 12), "eu", false)).await, 3);
    for lost in ["eu", "any"] {
        assert_eq!(field.run(&set("eu", leave(lost))).await, 1, "{lost}");
    }
    assert_eq!(field.run(&set("eu", Share { drop: vec![Jurisdiction::new("eu")], ..keep("eu") })).await, 2);
    assert_eq!(field.run(&law(ShardRange(1, 1), "any", false)).await, 0);
    assert_eq!(field.run(&set("eu", leave("eu"))).await, 0);
    assert_eq!(field.spec("eu").jurisdictions, [Jurisdiction::new(Jurisdiction::ANY)].into());
}

#[tokio::test]
async fn a_schedule_and_a_report_are_shown() {
    let field = Field::new().await;
    let weekly = PolicyChange { drills: Some((Day::Saturday, 3)), ..PolicyChange::default() };
    let put = |text: &str| -> anyhow::Result<()> {
        let shown: serde_json::Value = serde_json::from_str(text)?;
        let drills = &shown["drills"];
        anyhow::ensure!(drills["day"] == "saturday" && drills["hour"] == 3, "{shown}");
        anyhow::ensure!(drills["next_at"] == "1970-01-03T03:00:00.000000Z", "{shown}");
        anyhow::ensure!(drills["begun"] == false && drills["unwell"].is_string(), "{shown}");
        Ok(())
    };
    let desk = Desk { put, ..field.desk() };
    assert_eq!(field.run_at(&desk, &C::Policy { change: weekly, dry_run: false }).await, 0);
    assert_eq!(field.run_at(&desk, &C::Status { shards: false }).await, 0);
    let put = |text: &str| -> anyhow::Result<()> {
        let shown: serde_json::Value = serde_json::from_str(text)?;
        let report = &shown["report"];
        anyhow::ensure!(shown["kind"] == "drill" && shown["outcome"] == "done", "{shown}");
        anyhow::ensure!(report["rto_seconds"].is_number() && report["ended_seconds"].is_number(), "{shown}");
        for unknown in ["failed_requests", "lost_writes", "events", "replayed_events", "audit"] {
            anyhow::ensure!(report[unknown].is_null(), "{unknown} is not known: {shown}");
        }
        anyhow::ensure!(report["unknown"].as_array().is_some_and(|all| all.len() == 2), "{shown}");
        Ok(())
    };
    let desk = Desk { put, ..field.desk() };
    assert_eq!(field.run_at(&desk, &C::Drill { region: region("eu"), run: now() }).await, 0);
    assert_eq!(field.run_at(&desk, &C::Timeline { operation: None }).await, 0);
    let put = |text: &str| -> anyhow::Result<()> {
        for part in ["leases taken over", "not counted", "has not looked yet", "only clients"] {
            anyhow::ensure!(text.contains(part), "{part}: {text}");
        }
        Ok(())
    };
    let desk = Desk { put, output: Output::Text, ..field.desk() };
    assert_eq!(field.run_at(&desk, &C::Timeline { operation: None }).await, 0);
}
