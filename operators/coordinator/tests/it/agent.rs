//! Agents of three regions over one journal.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use coordinator::{Agent, Applied, Journal, MemoryJournal, RegionConfig, Snapshot};
use kernel::{Region, Shard, SystemClock};
use placement::{
    Degraded, Desired, Instance, Jurisdiction, Kind, RegionRow, RegionSpec, Role, Spec, State, World,
};
use platform_regions::{Duty, Regions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinSet,
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use crate::{flaky::flaky, suite::in_sqlite};

const NAMES: [&str; 3] = ["ap", "eu", "us"];
/// Longer than a busy machine keeps a process from its turn: no lease runs out that nobody let run out.
const LEASE: Duration = Duration::from_secs(5);
/// Who has not read the map yet does not know what is not its work.
const EVERYTHING: usize = 99;
/// A busy machine may take its time; nothing here is measured.
const PATIENCE: Duration = Duration::from_secs(120);

fn region(name: &str) -> Region {
    Region::new(name)
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !holds().await {
        assert!(begun.elapsed() < PATIENCE, "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A region's process: an entrance that answers, and an agent.
struct Process {
    regions: Regions,
    stop: CancellationToken,
    running: JoinSet<()>,
    entrance: JoinSet<()>,
}

struct Stage {
    journal: Arc<dyn Journal>,
    processes: BTreeMap<&'static str, Process>,
}

impl Stage {
    /// Six shards, two a region.
    async fn open(journal: Arc<dyn Journal>, failover_ready: bool) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut stage = Self { journal, processes: BTreeMap::new() };
        let mut desired = Desired::default();
        desired.policy.movement.agree_for = Duration::from_secs(1);
        for name in NAMES {
            let spec = RegionSpec {
                endpoint: String::new(),
                role: Role::Full,
                capacity: 6,
                weight: 1,
                jurisdictions: BTreeSet::from([Jurisdiction::new(Jurisdiction::ANY)]),
                failover_ready,
                degraded: Degraded::default(),
            };
            desired.regions.insert(region(name), RegionRow::new(spec));
        }
        let home = |n: u16| (region(NAMES[usize::from(n % 3)]), Jurisdiction::new(Jurisdiction::ANY));
        let homes = (0..6).map(|n| (Shard::new(n), home(n))).collect();
        assert_eq!(stage.journal.found(&desired, &homes).await, Ok(Applied::Yes));
        for name in NAMES {
            stage.start(name).await;
        }
        until("every region works on its shards", async || stage.counts().await == [2, 2, 2]).await;
        stage
    }

    async fn start(&mut self, name: &'static str) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let mut entrance = JoinSet::new();
        entrance.spawn(async move {
            loop {
                let (mut caller, _) = listener.accept().await.unwrap();
                let mut head = [0; 1024];
                if caller.read(&mut head).await.is_ok() {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                    let _ = caller.write_all(answer).await;
                }
            }
        });
        let config = RegionConfig {
            name: name.to_owned(),
            endpoint,
            poll: Duration::from_millis(50),
            lease: LEASE,
            observe: Duration::from_millis(200),
            // Who is slow is not down: whom these tests kill refuses connections.
            observe_timeout: Duration::from_secs(2),
            ..RegionConfig::default()
        };
        let regions = Regions::of(region(name), World::default());
        let me = Instance::new(region(name), format!("{name}-{}", config.endpoint));
        let agent = Agent::new(self.journal.clone(), regions.clone(), me, config, None);
        let stop = CancellationToken::new();
        let mut running = JoinSet::new();
        running.spawn(agent.run(stop.clone()));
        self.processes.insert(name, Process { regions, stop, running, entrance });
    }

    /// As `kill -9` would.
    async fn kill(&mut self, name: &str) {
        let mut process = self.processes.remove(name).unwrap();
        process.running.shutdown().await;
        process.entrance.shutdown().await;
    }

    /// How many shards each region thinks it works on.
    async fn counts(&self) -> [usize; 3] {
        NAMES.map(|name| match self.processes.get(name).and_then(|process| process.regions.duty()) {
            Some(duty) => match &**duty.borrow() {
                Duty::All => EVERYTHING,
                Duty::Of(shards) => shards.len(),
            },
            None => 0,
        })
    }

    async fn world(&self) -> World {
        self.journal.read().await.unwrap().world
    }

    fn works(&self, name: &str, shard: u16) -> bool {
        self.processes[name].regions.works(Shard::new(shard))
    }
}

fn in_memory() -> Arc<dyn Journal> {
    Arc::new(MemoryJournal::new(Arc::new(SystemClock)))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_handed_over_after_the_batch() {
    hand_over(in_memory()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_handed_over_after_the_batch_in_sqlite() {
    let (journal, _folder) = in_sqlite().await;
    hand_over(Arc::new(journal)).await;
}

async fn hand_over(journal: Arc<dyn Journal>) {
    let stage = Stage::open(journal, false).await;
    let first = Shard::new(1);
    let batch = stage.processes["eu"].regions.busy([first]);
    let kind = Kind::Move { shards: BTreeMap::from([(first, region("us"))]) };
    let id = stage.journal.begin(&Spec::asked("ada", kind)).await.unwrap().unwrap();
    until("eu begins no new batch", async || !stage.works("eu", 1)).await;
    assert!(!stage.works("us", 1), "and us none, while the last one runs");
    let lease = stage.world().await.observed.leases[&first].clone();
    assert_eq!(lease.holder.region, region("eu"));
    drop(batch);
    until("us works", async || stage.works("us", 1)).await;
    until("the operation ends", async || {
        stage.journal.operation(id).await.unwrap().is_some_and(|operation| operation.ended())
    })
    .await;
    until("all work is done", async || stage.counts().await == [2, 1, 3]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn others_stand_in_for_a_region_that_was_killed() {
    let mut stage = Stage::open(in_memory(), false).await;
    stage.kill("eu").await;
    let killed = Instant::now();
    until("all work is done", async || {
        let [ap, _, us] = stage.counts().await;
        ap + us == 6
    })
    .await;
    eprintln!("leases of {LEASE:?} were taken over {:?} after the kill", killed.elapsed());
    let world = stage.world().await;
    assert_eq!(world.observed.shards[&Shard::new(1)].home, region("eu"), "its homes are a person's to move");
    stage.start("eu").await;
    until("eu works again", async || stage.counts().await == [2, 2, 2]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_is_ready_for_it_is_failed_over() {
    let mut stage = Stage::open(in_memory(), true).await;
    stage.kill("eu").await;
    until("eu is fenced and its shards have homes", async || {
        let world = stage.world().await;
        world.desired.regions[&region("eu")].state == State::Fenced && world.stranded().next().is_none()
    })
    .await;
    until("all work is done", async || stage.counts().await == [3, 0, 3]).await;
    stage.start("eu").await;
    until("it knows the map", async || stage.counts().await[1] != EVERYTHING).await;
    let back = Instant::now();
    while back.elapsed() < LEASE {
        assert_eq!(stage.counts().await[1], 0, "it stays out until a person lets it back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    until("the others go on", async || stage.counts().await == [3, 0, 3]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_gives_its_leases_back() {
    let mut stage = Stage::open(in_memory(), false).await;
    let mut process = stage.processes.remove("eu").unwrap();
    process.stop.cancel();
    while process.running.join_next().await.is_some() {}
    let world = stage.world().await;
    for shard in [1, 4] {
        // Another may have taken it by now.
        let lease = &world.observed.leases[&Shard::new(shard)];
        let kept = lease.holder.region == region("eu") && lease.held(world.observed.now);
        assert!(!kept, "shard {shard}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_answer_of_the_database_the_known_map_holds() {
    let answers = Arc::new(AtomicBool::new(true));
    let stage = Stage::open(flaky(answers.clone()), false).await;
    let before = stage.processes["us"].regions.world().unwrap();
    answers.store(false, Ordering::SeqCst);
    tokio::time::sleep(LEASE).await;
    let after = stage.processes["us"].regions.world().unwrap();
    assert_eq!(after.observed.shards, before.observed.shards);
    answers.store(true, Ordering::SeqCst);
    until("the leases that ran out are taken again", async || {
        let world = stage.world().await;
        world.observed.leases.values().all(|lease| lease.held(world.observed.now))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_keeps_the_map_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let stage = Stage::open(in_memory(), false).await;
    let kept = |key| Snapshot::new(region("us"), folder.path(), [key; 32]);
    let config = RegionConfig { name: "us".into(), ..RegionConfig::default() };
    let regions = Regions::of(region("us"), World::default());
    let agent = Agent::new(
        stage.journal.clone(),
        regions,
        Instance::new(region("us"), "second"),
        config,
        Some(kept(1)),
    );
    let stop = CancellationToken::new();
    let mut running = JoinSet::new();
    running.spawn(agent.run(stop.clone()));
    until("the map is kept", async || matches!(kept(1).read(), Ok(Some(_)))).await;
    stop.cancel();
    while running.join_next().await.is_some() {}
    let world = kept(1).read().unwrap().unwrap();
    assert_eq!(world.observed.shards, stage.world().await.observed.shards);
}

/// The data folder stayed, the database is another one or was set back.
#[tokio::test(flavor = "multi_thread")]
async fn a_map_on_disk_gives_way_to_the_databases_whatever_its_version() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = Snapshot::new(region("us"), folder.path(), [1; 32]);
    let stage = Stage::open(in_memory(), false).await;
    let theirs = stage.world().await;
    for ahead in [0, 30] {
        let mut other = theirs.clone();
        other.observed.version.0 += ahead;
        other.observed.shards.values_mut().for_each(|row| row.home = region("eu"));
        snapshot.keep(&other).unwrap();
        let regions = Regions::of(region("us"), snapshot.read().unwrap().unwrap());
        let config = RegionConfig { name: "us".into(), ..RegionConfig::default() };
        let me = Instance::new(region("us"), "second");
        let mut agent =
            Agent::new(stage.journal.clone(), regions.clone(), me, config, Some(snapshot.clone()));
        agent.begin().await;
        for known in [(*regions.world().unwrap()).clone(), snapshot.read().unwrap().unwrap()] {
            assert_eq!(known.observed.version, theirs.observed.version, "{ahead} versions ahead");
            assert_eq!(known.observed.shards, theirs.observed.shards);
        }
        let file = folder.path().join("map.json");
        std::fs::remove_file(&file).unwrap();
        agent.begin().await;
        assert!(!file.exists(), "a map that was kept is not kept again");
    }
}

#[test]
fn a_map_that_was_changed_is_not_believed() {
    let folder = tempfile::tempdir().unwrap();
    let of = |name, key| Snapshot::new(region(name), folder.path(), [key; 32]);
    assert!(of("us", 1).read().unwrap().is_none(), "none was kept");
    let mut world = World::default();
    world.observed.version = placement::MapVersion(7);
    of("us", 1).keep(&world).unwrap();
    assert_eq!(of("us", 1).read().unwrap(), Some(world));
    assert!(of("us", 2).read().unwrap_err().to_string().contains("forged"), "signed with another key");
    assert!(of("eu", 1).read().unwrap_err().to_string().contains("of us"), "of another region");
    let file = folder.path().join("map.json");
    let whole = std::fs::read(&file).unwrap();
    for length in [0, 10, 64, 65, whole.len() - 1] {
        std::fs::write(&file, &whole[..length]).unwrap();
        assert!(of("us", 1).read().is_err(), "cut to {length} bytes");
    }
    let forged = String::from_utf8(whole).unwrap().replace("\"version\":7", "\"version\":8");
    std::fs::write(&file, forged).unwrap();
    assert!(of("us", 1).read().is_err());
}
