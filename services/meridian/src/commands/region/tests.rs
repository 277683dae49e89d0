//! Commands on a journal in memory, in virtual time.

mod meanwhile;
mod places;
mod refused;

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use coordinator::{Applied, Journal, MemoryJournal};
use kernel::{Clock, FakeClock, Region, Shard, Timestamp};
use placement::{
    Degraded, Desired, Instance, Jurisdiction, OperationId, RegionRow, RegionSpec, Role, State, Verdict,
    Wish, wish,
};
use serde_json::json;

use super::Desk;
use crate::{
    cli::{Output, PolicyChange, RegionCommand as C, Run, ShardRange, Share, Waiting},
    exit_status,
};

const REGIONS: [&str; 3] = ["ap", "eu", "us"];

struct Field {
    clock: Arc<FakeClock>,
    journal: Arc<MemoryJournal>,
    dead: BTreeSet<&'static str>,
}

fn region(name: &str) -> Region {
    Region::new(name)
}

impl Field {
    /// Twelve shards in three regions.
    async fn new() -> Self {
        let clock = Arc::new(FakeClock::new(Timestamp::from_micros(0)));
        let journal = Arc::new(MemoryJournal::new(clock.clone()));
        let any = Jurisdiction::new(Jurisdiction::ANY);
        let row = || {
            RegionRow::new(RegionSpec {
                role: Role::Full,
                endpoint: "http://127.0.0.1:1".into(),
                capacity: 12,
                weight: 1,
                jurisdictions: [any.clone()].into(),
                failover_ready: true,
                degraded: Degraded::default(),
            })
        };
        let desired =
            Desired { regions: REGIONS.map(|name| (region(name), row())).into(), ..Desired::default() };
        let homes =
            (0..12).map(|n| (Shard::new(n), (region(REGIONS[usize::from(n % 3)]), any.clone()))).collect();
        assert_eq!(journal.found(&desired, &homes).await, Ok(Applied::Yes));
        let field = Self { clock, journal, dead: BTreeSet::new() };
        field.live().await;
        field
    }

    fn desk(&self) -> Desk {
        Desk {
            journal: self.journal.clone(),
            person: "ada".into(),
            output: Output::Json,
            ask: |_| None,
            put: |_| Ok(()),
        }
    }

    /// Workers and observers of the living regions do what they do; a little time passes.
    async fn live(&self) {
        for name in REGIONS.into_iter().filter(|name| !self.dead.contains(name)) {
            for other in REGIONS.into_iter().filter(|other| *other != name) {
                let verdict = if self.dead.contains(other) { Verdict::Down } else { Verdict::Up };
                self.journal.sight(&region(other), &region(name), verdict).await.unwrap();
            }
            let me = Instance::new(region(name), "worker");
            let world = self.journal.read().await.unwrap().world;
            for (shard, row) in &world.observed.shards {
                let here = row.home == me.region && world.desired.serves(&me.region);
                let ttl = Duration::from_secs(5);
                match wish(&me, here, world.observed.leases.get(shard), self.clock.now()) {
                    Wish::Take => drop(self.journal.take(*shard, &me, ttl).await.unwrap()),
                    Wish::Renew(epoch) => {
                        let _ = self.journal.renew(*shard, &me, epoch, ttl).await.unwrap();
                    }
                    Wish::Release(epoch) => {
                        let _ = self.journal.release(*shard, &me, epoch).await.unwrap();
                    }
                    Wish::Nothing => {}
                }
            }
        }
        self.clock.advance(Duration::from_millis(200));
    }

    /// Runs a command while the regions live; its exit status.
    async fn run(&self, command: &C) -> u8 {
        self.run_at(&self.desk(), command).await
    }

    /// The same at another desk.
    async fn run_at(&self, desk: &Desk, command: &C) -> u8 {
        let living = async {
            loop {
                self.live().await;
                tokio::task::yield_now().await;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let done = tokio::select! {
            done = desk.run(command) => done,
            () = living => unreachable!("the regions live on"),
        };
        done.map_or_else(|error| exit_status(&error), |()| 0)
    }

    fn state(&self, name: &str) -> State {
        self.journal.store().world().desired.regions[&region(name)].state
    }

    fn homes(&self, name: &str) -> usize {
        let store = self.journal.store();
        store.world().observed.shards.values().filter(|row| row.home == region(name)).count()
    }
}

fn now() -> Run {
    Run::default()
}

fn later() -> Run {
    Run { dry_run: false, wait: Waiting { no_wait: true, ..Waiting::default() } }
}

fn dry() -> Run {
    Run { dry_run: true, ..Run::default() }
}

fn switchover(name: &str, run: Run) -> C {
    C::Switchover { region: region(name), outside: Vec::new(), run }
}

#[tokio::test]
async fn a_switchover_and_back_runs_to_its_end_without_another_coordinator() {
    let field = Field::new().await;
    assert_eq!(field.run(&switchover("eu", now())).await, 0);
    assert_eq!((field.state("eu"), field.homes("eu")), (State::Drained, 0));
    assert_eq!(field.run(&C::Uncordon { region: region("eu"), dry_run: false }).await, 0);
    assert_eq!(field.state("eu"), State::Active);
    assert_eq!(field.run(&C::Rebalance { run: now() }).await, 0);
    assert_eq!(field.homes("eu"), 4);
    assert_eq!(field.run(&C::Rebalance { run: now() }).await, 0, "nothing to move is done");
    assert_eq!(field.run(&C::Timeline { operation: None }).await, 0);
    assert_eq!(field.run(&C::Timeline { operation: Some(2) }).await, 0);
    assert_eq!(field.run(&C::Timeline { operation: Some(3) }).await, 3);
}

#[tokio::test]
async fn operations_that_ended_are_listed_the_latest_first() {
    let field = Field::new().await;
    assert_eq!(field.run(&C::History { last: 20 }).await, 0, "none is no error");
    assert_eq!(field.run(&switchover("eu", now())).await, 0);
    assert_eq!(field.run(&C::Uncordon { region: region("eu"), dry_run: false }).await, 0);
    assert_eq!(field.run(&C::Rebalance { run: now() }).await, 0);
    let put = |text: &str| -> anyhow::Result<()> {
        let shown: serde_json::Value = serde_json::from_str(text)?;
        let ids = shown.as_array().into_iter().flatten().map(|one| (&one["id"], &one["kind"]));
        anyhow::ensure!(
            ids.eq([(&json!(2), &json!("rebalance")), (&json!(1), &json!("switchover"))]),
            "{shown}"
        );
        Ok(())
    };
    assert_eq!(field.run_at(&Desk { put, ..field.desk() }, &C::History { last: 2 }).await, 0);
    let put = |text: &str| -> anyhow::Result<()> {
        let lines: Vec<&str> = text.lines().collect();
        anyhow::ensure!(
            lines.len() == 1 && lines[0].contains("operation 2 · rebalance, asked by ada · done"),
            "{text}"
        );
        Ok(())
    };
    let text = Desk { put, output: Output::Text, ..field.desk() };
    assert_eq!(field.run_at(&text, &C::History { last: 1 }).await, 0);
}

#[tokio::test]
async fn a_dry_run_changes_nothing() {
    let field = Field::new().await;
    let before = field.journal.store().world().desired.clone();
    let shards = vec![ShardRange(0, 3)];
    for command in [
        switchover("eu", dry()),
        C::Rebalance { run: dry() },
        C::Drill { region: region("us"), run: dry() },
        C::Move { shards, to: region("us"), run: dry() },
        C::Failover { region: region("us"), confirm: None, outside: vec![], run: dry() },
        C::Cordon { region: region("us"), dry_run: true },
        C::Fence { region: region("us"), wait: Waiting::default(), dry_run: true },
        C::Drain { region: region("us"), wait: Waiting::default(), dry_run: true },
        C::Plan,
        C::Status { shards: true },
    ] {
        assert_eq!(field.run(&command).await, 0, "{command:?}");
    }
    assert_eq!(field.journal.store().world().desired, before);
    assert!(field.journal.operation(OperationId(1)).await.unwrap().is_none());
}

#[tokio::test]
async fn an_operation_that_need_not_begin_has_the_shape_of_one_that_did() {
    let field = Field::new().await;
    let put = |text: &str| -> anyhow::Result<()> {
        let shown: serde_json::Value = serde_json::from_str(text)?;
        anyhow::ensure!(shown["id"].is_null() && shown["kind"] == "rebalance", "{shown}");
        anyhow::ensure!(shown["outcome"] == "done" && shown["moves"] == 0, "{shown}");
        anyhow::ensure!(shown["by"] == "ada" && shown["timeline"].is_array(), "{shown}");
        Ok(())
    };
    let desk = Desk { put, ..field.desk() };
    assert_eq!(field.run_at(&desk, &C::Rebalance { run: now() }).await, 0);
    assert!(field.journal.operation(OperationId(1)).await.unwrap().is_none());
}

#[tokio::test]
async fn a_dry_abort_says_what_would_follow() {
    let field = Field::new().await;
    let abort = |dry_run| C::Abort { operation: None, why: "x".into(), wait: Waiting::default(), dry_run };
    assert_eq!(field.run(&abort(true)).await, 3, "no operation runs");
    assert_eq!(field.run(&switchover("eu", later())).await, 0);
    let before = field.journal.store().running().cloned();
    let put = |text: &str| -> anyhow::Result<()> {
        let said: serde_json::Value = serde_json::from_str(text)?;
        anyhow::ensure!(said["operation"]["kind"] == "switchover" && said["dry_run"] == true, "{said}");
        anyhow::ensure!(said["then"] == "nothing to take back: nothing was changed yet", "{said}");
        Ok(())
    };
    let desk = Desk { put, ..field.desk() };
    assert_eq!(field.run_at(&desk, &abort(true)).await, 0);
    assert_eq!(field.journal.store().running().cloned(), before);
    assert_eq!(field.run(&abort(false)).await, 0);
}

#[tokio::test]
async fn a_dry_foundation_founds_nothing() {
    let field = Field::new().await;
    let empty = Arc::new(MemoryJournal::new(field.clock.clone()));
    let desk = Desk { journal: empty.clone(), ..field.desk() };
    let regions = REGIONS.map(|name| (region(name), format!("http://{name}.test")));
    let shards: Vec<Shard> = (0..12).map(Shard::new).collect();
    desk.found(&regions, &[], shards.clone(), true).await.unwrap();
    assert_eq!(empty.store().world().observed.version.0, 0);
    desk.found(&regions, &[], shards.clone(), false).await.unwrap();
    let conflict = desk.found(&regions, &[], shards, true).await.unwrap_err();
    assert_eq!(exit_status(&conflict), 4, "there is a map");
}

fn degrade(name: &str, to: Degraded, dry_run: bool) -> C {
    let Degraded { read_only, static_only, queue } = to;
    let (off, queue) = (to == Degraded::default(), Some(queue).filter(|most| *most > 0));
    C::Degrade { region: region(name), read_only, static_only, queue, off, dry_run }
}

#[tokio::test]
async fn a_region_is_degraded_until_it_is_said_otherwise() {
    let field = Field::new().await;
    let degraded = || field.journal.store().world().desired.regions[&region("eu")].spec.degraded;
    let version = || field.journal.store().world().observed.version;
    let open = Degraded::default();
    let read_only = Degraded { read_only: true, ..open };
    assert_eq!(field.run(&degrade("eu", read_only, true)).await, 0);
    assert_eq!(degraded(), open, "a dry run");
    let static_only = Degraded { static_only: true, ..open };
    for to in
        [read_only, Degraded { queue: 9, ..read_only }, static_only, Degraded { queue: 7, ..open }, open]
    {
        let before = version();
        assert_eq!(field.run(&degrade("eu", to, false)).await, 0);
        assert_eq!(degraded(), to);
        assert!(version() > before, "every process hears of it");
    }
    let before = version();
    assert_eq!(field.run(&degrade("eu", open, false)).await, 0);
    assert_eq!(version(), before, "it is so already");
    assert_eq!(field.run(&degrade("mars", read_only, false)).await, 3);
}

#[tokio::test]
async fn one_operation_at_a_time() {
    let field = Field::new().await;
    let (desk, other) = (field.desk(), field.desk());
    desk.run(&switchover("eu", later())).await.unwrap();
    assert_eq!(exit_status(&other.run(&switchover("us", now())).await.unwrap_err()), 4);
    assert_eq!(
        field
            .run(&C::Abort {
                operation: None,
                why: "enough".into(),
                wait: Waiting::default(),
                dry_run: false
            })
            .await,
        0
    );
    assert_eq!(field.homes("eu"), 4);
    let again =
        C::Abort { operation: Some(1), why: "enough".into(), wait: Waiting::default(), dry_run: false };
    assert_eq!(field.run(&again).await, 4, "it has ended");
    let told =
        field.journal.store().operation(OperationId(1)).unwrap().timeline.last().unwrap().detail.clone();
    assert!(told.contains("enough") && told.contains("ada"), "{told}");
}

#[tokio::test]
async fn another_plan_than_the_one_shown_is_refused() {
    let field = Field::new().await;
    let apply = |plan: &str| C::Apply { plan: plan.into(), run: now() };
    assert_eq!(field.run(&apply("x")).await, 2, "no digest");
    assert_eq!(field.run(&apply("0123456789abcdef")).await, 4);
    assert_eq!(field.run(&C::Move { shards: vec![ShardRange(0, 3)], to: region("us"), run: now() }).await, 0);
    let world = field.journal.read().await.unwrap().world;
    let digest = placement::plan(&world, &placement::Ask::Rebalance).unwrap().digest().to_string();
    assert_eq!(field.run(&apply(&digest[..12])).await, 0);
    assert_eq!(field.homes("us"), 4);
    assert_eq!(field.run(&apply(&digest)).await, 4, "the map is another one now");
}

#[tokio::test]
async fn a_failover_needs_the_regions_name() {
    let mut field = Field::new().await;
    let failover = |confirm: Option<&str>| C::Failover {
        region: region("eu"),
        confirm: confirm.map(Into::into),
        outside: vec![],
        run: now(),
    };
    assert_eq!(field.run(&failover(None)).await, 2);
    assert_eq!(field.run(&failover(Some("us"))).await, 2);
    assert_eq!(field.state("eu"), State::Active);
    assert_eq!(field.run(&failover(Some("eu"))).await, 1, "it is alive: refused");
    field.dead.insert("eu");
    assert_eq!(field.run(&failover(Some("eu"))).await, 0);
    assert_eq!((field.state("eu"), field.homes("eu")), (State::Fenced, 0));
    assert_eq!(field.run(&C::Uncordon { region: region("eu"), dry_run: false }).await, 1, "unfence first");
    assert_eq!(field.run(&C::Unfence { region: region("eu"), dry_run: false }).await, 0);
    assert_eq!(field.state("eu"), State::Cordoned);
}

#[tokio::test]
async fn a_wait_has_an_end_and_the_operation_goes_on() {
    let field = Field::new().await;
    let timeout = Some("1s".parse().unwrap());
    let waiting = Run { dry_run: false, wait: Waiting { timeout, ..Waiting::default() } };
    // Nobody works: the leases never arrive in their new homes.
    let command = switchover("eu", waiting);
    let ended = field.desk().run(&command).await.unwrap_err();
    assert_eq!(exit_status(&ended), 5, "{ended}");
    assert!(field.journal.store().running().is_some());
}

#[tokio::test]
async fn readiness_names_every_reason() {
    let mut field = Field::new().await;
    assert_eq!(field.run(&C::WhyNotReady { region: None }).await, 0);
    field.dead.insert("us");
    field.clock.advance(Duration::from_secs(60));
    field.live().await;
    assert_eq!(field.run(&C::WhyNotReady { region: Some(region("eu")) }).await, 1, "only one looks at it");
    let scene = field.journal.read().await.unwrap();
    let row = scene.world.desired.regions[&region("us")].clone();
    let why = super::ready::reasons(&scene, &region("us"), &row).join("; ");
    assert!(why.contains("ap sees it down now") && why.contains("eu sees it down now"), "{why}");
}

#[tokio::test]
async fn shares_and_the_policy_of_the_map_are_a_persons() {
    let field = Field::new().await;
    let desired = || field.journal.store().world().desired.clone();
    let set = |name: &str, weight: u16, dry_run: bool| {
        let share = Share { weight: Some(weight), ..Share::default() };
        C::Set { region: region(name), share, dry_run }
    };
    let policy = |change: PolicyChange| C::Policy { change, dry_run: false };
    assert_eq!(field.run(&set("eu", 3, true)).await, 0);
    assert_eq!(desired().regions[&region("eu")].spec.weight, 1, "a dry run");
    assert_eq!(field.run(&set("eu", 3, false)).await, 0);
    assert_eq!(desired().regions[&region("eu")].spec.weight, 3);
    assert_eq!(desired().regions[&region("eu")].spec.capacity, 12, "what is not named stays");
    assert_eq!(field.run(&set("mars", 3, false)).await, 3);

    let pin = |shard: u16, name: &str| PolicyChange {
        pin: vec![(Shard::new(shard), region(name))],
        ..PolicyChange::default()
    };
    assert_eq!(field.run(&policy(pin(4, "us"))).await, 0);
    assert_eq!(field.run(&policy(PolicyChange { pause: true, ..PolicyChange::default() })).await, 0);
    assert_eq!(desired().policy.pins, [(Shard::new(4), region("us"))].into());
    assert!(desired().policy.paused);
    for nothing in [pin(12, "us"), pin(4, "mars")] {
        assert_eq!(field.run(&policy(nothing)).await, 3);
    }
    let back = PolicyChange { unpin: vec![Shard::new(4)], resume: true, ..PolicyChange::default() };
    assert_eq!(field.run(&policy(back)).await, 0);
    assert!(desired().policy.pins.is_empty() && !desired().policy.paused);
}
