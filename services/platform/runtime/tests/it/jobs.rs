//! Jobs: one run at a time, history, what goes wrong.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use kernel::{Failure, Region, Shard};
use placement::{Degraded, MapVersion, RegionRow, RegionSpec, Role, State, World};
use platform_db::Db;
use platform_regions::Regions;
use platform_runtime::{Job, JobRunView, Jobs, JobsConfig, Tasks};

use crate::fixture;

const HOUR: Duration = Duration::from_secs(3_600);

fn jobs(db: &Db, tasks: &Tasks, jobs: Vec<Job>) -> Jobs {
    jobs_in(&Regions::single(), db, tasks, jobs)
}

fn jobs_in(regions: &Regions, db: &Db, tasks: &Tasks, jobs: Vec<Job>) -> Jobs {
    let config = JobsConfig { first_within: Duration::from_millis(10), history: 3, ..JobsConfig::default() };
    Jobs::new(db.clone(), jobs, config, regions, tasks.clone()).unwrap()
}

/// Tells `regions`, which are of `us`, that it is in this state.
fn tell(regions: &Regions, state: State) {
    let spec = RegionSpec {
        role: Role::Full,
        endpoint: String::new(),
        capacity: 1,
        weight: 1,
        jurisdictions: [].into(),
        failover_ready: true,
        degraded: Degraded::default(),
    };
    let mut world = World::default();
    world.desired.regions.insert(Region::new("us"), RegionRow { state, ..RegionRow::new(spec) });
    world.observed.version = MapVersion(regions.world().unwrap().observed.version.0 + 1);
    assert!(regions.publish(world));
}

/// A job that counts its runs and fails when two overlap.
fn counting(name: &'static str, interval: Duration, runs: &Arc<AtomicU32>) -> Job {
    let (runs, inside) = (Arc::clone(runs), Arc::new(AtomicU32::new(0)));
    Job::every(name, interval, move |_| {
        let (runs, inside) = (Arc::clone(&runs), Arc::clone(&inside));
        Box::pin(async move {
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two runs at once");
            tokio::time::sleep(Duration::from_millis(5)).await;
            inside.fetch_sub(1, Ordering::SeqCst);
            Ok(format!("run {}", runs.fetch_add(1, Ordering::SeqCst) + 1))
        })
    })
}

async fn until(holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap();
}

async fn history(jobs: &Jobs) -> Vec<JobRunView> {
    jobs.list().await.unwrap().remove(0).runs
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_one_at_a_time_and_keeps_a_short_history() {
    let f = fixture().await;
    let (tasks, runs) = (Tasks::new(), Arc::new(AtomicU32::new(0)));
    // Two processes with the same job.
    let job = counting("test.count", HOUR, &runs);
    let (one, two) = (jobs(&f.db, &tasks, vec![job.clone()]), jobs(&f.db, &tasks, vec![job]));
    for _ in 0..3 {
        f.clock.advance(Duration::from_secs(1));
        let (first, second) = tokio::join!(one.run_now("test.count"), two.run_now("test.count"));
        assert!(first.unwrap().ok && second.unwrap().ok);
    }
    assert_eq!(runs.load(Ordering::SeqCst), 6);
    let history = history(&one).await;
    assert!(
        history.len() <= 4 && history.iter().all(|run| run.ok == Some(true) && run.finished_at.is_some())
    );
    assert_eq!(one.run_now("test.nothing").await.unwrap_err().status(), 404);
    tasks.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_in_the_history() {
    let f = fixture().await;
    let tasks = Tasks::new();
    let fails =
        Job::every("test.1", HOUR, |_| async { Err(Failure::invalid("/x", "is wrong").because("hunter2")) });
    let panics = Job::every("test.2", HOUR, |_| async { panic!("on purpose") });
    let hangs = Job::every("test.3", HOUR, |_| std::future::pending()).timeout(Duration::from_millis(10));
    let jobs = jobs(&f.db, &tasks, vec![fails, panics, hangs]);
    for (name, text) in
        [("test.1", "is wrong"), ("test.2", "Something went wrong"), ("test.3", "took longer than 10ms")]
    {
        let ran = jobs.run_now(name).await.unwrap();
        assert!(!ran.ok && ran.message.contains(text) && !ran.message.contains("hunter2"), "{ran:?}");
        let listed = jobs.list().await.unwrap();
        let last = &listed.iter().find(|job| job.name == name).unwrap().runs[0];
        assert_eq!((last.id, last.ok), (ran.id, Some(false)));
        assert_eq!(last.message, ran.message);
    }
    tasks.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_process_died_is_closed_by_the_next() {
    let f = fixture().await;
    let tasks = Tasks::new();
    let hangs = jobs(&f.db, &tasks, vec![Job::every("test.job", HOUR, |_| std::future::pending())]);
    let killed = hangs.start("test.job").unwrap();
    while history(&hangs).await.is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Its lease runs out; nobody renews it any more.
    f.clock.advance(HOUR);
    let runs = Arc::new(AtomicU32::new(0));
    let other = jobs(&f.db, &tasks, vec![counting("test.job", HOUR, &runs)]);
    assert!(other.run_now("test.job").await.unwrap().ok);
    let runs = history(&other).await;
    assert_eq!((runs.len(), runs[1].id, runs[1].ok), (2, killed, Some(false)));
    assert!(hangs.start("test.job").unwrap_err().status() == 409, "runs here already");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clockwork_of_several_processes_runs_a_job_once_an_interval() {
    let f = fixture().await;
    let (tasks, runs) = (Tasks::new(), Arc::new(AtomicU32::new(0)));
    for _ in 0..3 {
        jobs(&f.db, &tasks, vec![counting("test.count", Duration::from_millis(20), &runs)]).schedule();
    }
    let reached = |wanted: u32| {
        let runs = Arc::clone(&runs);
        until(move || runs.load(Ordering::SeqCst) >= wanted)
    };
    reached(1).await;
    // The clock stands still: nobody's time has come, however often they look.
    for _ in 0..20 {
        f.db.lease("test", Shard::new(0), "me", HOUR).await.unwrap();
    }
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    f.clock.advance(HOUR);
    reached(2).await;
    tasks.stop(Duration::from_secs(5)).await;
    assert_eq!(runs.load(Ordering::SeqCst), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_region_that_is_out_leaves_jobs_to_the_others() {
    let f = fixture().await;
    let (tasks, runs) = (Tasks::new(), Arc::new(AtomicU32::new(0)));
    let us = Regions::of(Region::new("us"), World::default());
    for state in [State::Drained, State::Fenced] {
        tell(&us, state);
        let here = jobs_in(&us, &f.db, &tasks, vec![counting("test.count", HOUR, &runs)]);
        for refused in [here.start("test.count").unwrap_err(), here.run_now("test.count").await.unwrap_err()]
        {
            assert_eq!(refused.status(), 503);
            assert!(refused.message().contains("this region is out"), "{refused:?}");
        }
        assert_eq!(here.start("test.nothing").unwrap_err().status(), 404);
    }
    assert_eq!(runs.load(Ordering::SeqCst), 0);
    // Its clockwork looks in vain, however often; another region's does not.
    let often = Duration::from_millis(2);
    jobs_in(&us, &f.db, &tasks, vec![counting("test.here", often, &runs)]).schedule();
    let elsewhere = Arc::new(AtomicU32::new(0));
    jobs(&f.db, &tasks, vec![counting("test.there", often, &elsewhere)]).schedule();
    until(|| elsewhere.load(Ordering::SeqCst) == 1).await;
    for _ in 0..20 {
        f.db.lease("test", Shard::new(0), "me", HOUR).await.unwrap();
    }
    assert_eq!(runs.load(Ordering::SeqCst), 0);
    // Let back, it works again.
    tell(&us, State::Cordoned);
    until(|| runs.load(Ordering::SeqCst) == 1).await;
    tasks.stop(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_and_its_lease_with_it_when_the_region_is_taken_out() {
    let f = fixture().await;
    let tasks = Tasks::new();
    let us = Regions::of(Region::new("us"), World::default());
    tell(&us, State::Active);
    let batches = Job::every("test.batches", HOUR, |run| async move {
        while !run.stopping() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok("as far as it came".to_owned())
    });
    let here = jobs_in(&us, &f.db, &tasks, vec![batches]);
    let running = here.run_now("test.batches");
    let fencing = async {
        while history(&here).await.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tell(&us, State::Fenced);
    };
    let within = Duration::from_secs(20);
    let (ran, ()) = tokio::time::timeout(within, async { tokio::join!(running, fencing) }).await.unwrap();
    assert_eq!(ran.unwrap().message, "as far as it came");
    // The clock stands still, so that no lease runs out: another region gets the one that was let go.
    let runs = Arc::new(AtomicU32::new(0));
    let there = jobs(&f.db, &tasks, vec![counting("test.batches", HOUR, &runs)]);
    let ran = tokio::time::timeout(within, there.run_now("test.batches")).await.unwrap().unwrap();
    assert!(ran.ok);
    tasks.stop(Duration::from_secs(5)).await;
}
