//! When jobs run.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Result, bail};
use kernel::{Failure, Shard, code};
use platform_db::Db;
use platform_regions::Regions;
use uuid::Uuid;

use super::{
    Job, JobView, JobsConfig,
    run::{self, Ran, Runner},
    store,
};
use crate::Tasks;

/// Runs that are listed with a job.
const LISTED: u64 = 10;
/// How often a run that waits for one in another process looks again.
const AGAIN: Duration = Duration::from_millis(50);

/// The jobs of a process. Cheap to clone.
#[derive(Clone)]
pub struct Jobs(Arc<Inner>);

struct Inner {
    jobs: BTreeMap<&'static str, (Job, tokio::sync::Mutex<()>)>,
    runner: Runner,
    config: JobsConfig,
    tasks: Tasks,
}

impl Jobs {
    /// These jobs, in a process of this region; nothing runs before [`Jobs::schedule`] or [`Jobs::run_now`]. An error names two jobs of one name or an
    /// interval of nothing.
    pub fn new(db: Db, jobs: Vec<Job>, config: JobsConfig, regions: &Regions, tasks: Tasks) -> Result<Self> {
        let mut named = BTreeMap::new();
        for mut job in jobs {
            if let Some(region) = regions.me().filter(|_| job.each_region) {
                // A few names, for as long as the process lives.
                job.name = Box::leak(format!("{}@{region}", job.name).into_boxed_str());
            }
            let name = job.name;
            if job.interval.is_zero() || job.timeout.is_zero() {
                bail!("job {name} has an interval or a timeout of nothing");
            }
            if named.insert(name, (job, tokio::sync::Mutex::new(()))).is_some() {
                bail!("two jobs are called {name}");
            }
        }
        if config.lease.is_zero() {
            bail!("jobs.lease must be longer than nothing");
        }
        let holder = db.ids().uuid(Shard::new(0)).to_string();
        let stopping = tasks.token();
        let runner = Runner {
            db,
            regions: regions.clone(),
            holder,
            history: config.history.max(1),
            lease: config.lease,
            stopping,
        };
        Ok(Self(Arc::new(Inner { jobs: named, runner, config, tasks })))
    }

    /// Starts the clockwork, when the configuration wants it. It rests while this region is out.
    pub fn schedule(&self) {
        if !self.0.config.scheduled {
            return;
        }
        for &name in self.0.jobs.keys() {
            let jobs = self.clone();
            self.0.tasks.spawn(name, async move { jobs.keep_running(name).await });
        }
    }

    /// Runs a job now, whatever its interval, and waits for its end; while another run is under way it waits for that one
    /// first. `request.not_found` when there is no such job here, `server.unavailable` in a region that is out.
    pub async fn run_now(&self, name: &str) -> kernel::Result<Ran> {
        self.run_as(name, self.new_id()).await
    }

    /// Runs a job now in the background and returns the run's id, under which the history will show it.
    /// `request.conflict` while it runs already, `server.unavailable` in a region that is out.
    pub fn start(&self, name: &str) -> kernel::Result<Uuid> {
        let (job, turn) = self.find(name)?;
        self.in_service()?;
        if turn.try_lock().is_err() {
            return Err(Failure::new(code::CONFLICT).detail(format!("job {name} is running")));
        }
        let (jobs, name, id) = (self.clone(), job.name, self.new_id());
        self.0.tasks.spawn(name, async move {
            if let Err(failure) = jobs.run_as(name, id).await {
                tracing::error!(job = name, ?failure, "job was not run");
            }
        });
        Ok(id)
    }

    /// The jobs of this process by name, with their last runs in any process.
    pub async fn list(&self) -> kernel::Result<Vec<JobView>> {
        let mut views = Vec::with_capacity(self.0.jobs.len());
        for (job, _) in self.0.jobs.values() {
            let runs = store::last_runs(&self.0.runner.db, job.name, LISTED).await?;
            views.push(JobView {
                name: job.name.to_owned(),
                interval_seconds: job.interval.as_secs(),
                runs: runs.into_iter().map(Into::into).collect(),
            });
        }
        Ok(views)
    }

    fn find(&self, name: &str) -> kernel::Result<&(Job, tokio::sync::Mutex<()>)> {
        self.0.jobs.get(name).ok_or_else(|| Failure::not_found("job"))
    }

    /// Whether this region runs jobs.
    fn in_service(&self) -> kernel::Result<()> {
        if self.0.runner.regions.is_out() { Err(run::out()) } else { Ok(()) }
    }

    fn new_id(&self) -> Uuid {
        self.0.runner.db.ids().uuid(Shard::new(0))
    }

    async fn run_as(&self, name: &str, id: Uuid) -> kernel::Result<Ran> {
        let (job, turn) = self.find(name)?;
        let _turn = turn.lock().await;
        // The wait for another process has an end; the run has its own.
        let patience = tokio::time::Instant::now() + job.timeout.saturating_mul(2);
        loop {
            self.in_service()?;
            if let Some(ran) = self.0.runner.run(job, id, || async { Ok(true) }).await? {
                return Ok(ran);
            }
            if tokio::time::Instant::now() >= patience {
                let detail = format!("job {name} is running in another process");
                return Err(Failure::new(code::CONFLICT).detail(detail));
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn keep_running(&self, name: &'static str) {
        let Ok((job, turn)) = self.find(name) else { return };
        let stop = self.0.tasks.token();
        let mut pause = self.0.config.first_within.min(job.interval).mul_f64(rand::random_range(0.0..1.0));
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            // A tenth of jitter keeps processes that were started together from asking together.
            pause = job.interval.mul_f64(rand::random_range(0.9..1.1));
            if self.in_service().is_err() {
                continue;
            }
            let _turn = turn.lock().await;
            if let Err(failure) = self.0.runner.run(job, self.new_id(), || self.is_due(job)).await {
                tracing::warn!(job = name, ?failure, "job was not run");
            }
        }
    }

    /// Whether the last run, in whatever process, is long enough ago.
    async fn is_due(&self, job: &Job) -> kernel::Result<bool> {
        let db = &self.0.runner.db;
        let last = store::last_runs(db, job.name, 1).await?;
        let earliest = db.now().minus(job.interval.mul_f64(0.8)).micros();
        Ok(last.first().is_none_or(|run| run.started_at <= earliest))
    }
}
