//! Work that comes back: one run at a time over all processes, with history.

mod run;
mod schedule;
mod store;

use std::{fmt, sync::Arc, time::Duration};

use contracts::Ctx;
use futures::future::BoxFuture;
use kernel::{Result, Timestamp};
use platform_db::Db;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;
use uuid::Uuid;

pub use run::Ran;
pub use schedule::Jobs;

type Work = Arc<dyn Fn(JobRun) -> BoxFuture<'static, Result<String>> + Send + Sync>;

/// Section `jobs` of the configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobsConfig {
    /// Whether this process runs jobs by itself; without, they run when asked for.
    pub scheduled: bool,
    /// Longest time between the start of the process and the first look at a job.
    #[serde(with = "humantime_serde")]
    pub first_within: Duration,
    /// Runs a job keeps in its history.
    pub history: u32,
    /// How often the online audit looks whether what must be true of orders, payments, stock, events and regions is true.
    #[serde(with = "humantime_serde")]
    pub audit_every: Duration,
    /// How far back it looks.
    #[serde(with = "humantime_serde")]
    pub audit_window: Duration,
    /// Orders, payments or SKUs it looks at in one run, at most.
    pub audit_most: u32,
    /// Life of a running job's lease; renewed three times in it. So long a job rests whose process was killed.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
}

impl Default for JobsConfig {
    fn default() -> Self {
        Self {
            scheduled: true,
            first_within: Duration::from_secs(5),
            history: 200,
            audit_every: Duration::from_secs(60),
            audit_window: Duration::from_secs(900),
            audit_most: 1_000,
            lease: Duration::from_secs(30),
        }
    }
}

/// A job: what to do and how often.
#[derive(Clone)]
pub struct Job {
    pub(crate) name: &'static str,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    pub(crate) each_region: bool,
    work: Work,
}

impl Job {
    /// A job `domain.verb` that runs every `interval`, in one process at a time. What it returns is kept in its history:
    /// `12 expired`, and nothing secret. Ten minutes are its time unless [`Job::timeout`] says otherwise.
    pub fn every<F, Fut>(name: &'static str, interval: Duration, work: F) -> Self
    where
        F: Fn(JobRun) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<String>> + Send + 'static,
    {
        Self {
            name,
            interval,
            timeout: Duration::from_secs(600),
            each_region: false,
            work: Arc::new(move |run| Box::pin(work(run))),
        }
    }

    /// Every region runs it for itself, under a name of its own (`search.check@eu-west`): for what a region keeps for itself.
    #[must_use]
    pub fn in_each_region(mut self) -> Self {
        self.each_region = true;
        self
    }

    /// The longest time a run may take.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("name", &self.name)
            .field("interval", &self.interval)
            .finish_non_exhaustive()
    }
}

/// A run of a job, as the job sees it.
#[derive(Clone)]
pub struct JobRun {
    id: Uuid,
    name: &'static str,
    timeout: Duration,
    db: Db,
    stopping: CancellationToken,
}

impl JobRun {
    /// The run's id.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// The job's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// A context to call contracts with, as Meridian itself, until the job's time is up.
    pub fn ctx(&self) -> Ctx {
        Ctx::system(format!("job-{}", self.id), self.now().plus(self.timeout))
    }

    /// The current moment.
    pub fn now(&self) -> Timestamp {
        self.db.now()
    }

    /// Whether the process is stopping, another process has taken over, or the region is out: a job that works in batches ends
    /// after the current one.
    pub fn stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }
}

impl fmt::Debug for JobRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobRun").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

/// A job and its last runs.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct JobView {
    /// Its name.
    pub name: String,
    /// Seconds from one run to the next.
    pub interval_seconds: u64,
    /// Its last runs, the latest first.
    pub runs: Vec<JobRunView>,
}

/// A run of a job.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct JobRunView {
    /// The run.
    pub id: Uuid,
    /// When it started.
    pub started_at: Timestamp,
    /// When it ended; absent while it runs.
    pub finished_at: Option<Timestamp>,
    /// Whether it succeeded; absent while it runs.
    pub ok: Option<bool>,
    /// What it did, or why it failed.
    pub message: String,
}
