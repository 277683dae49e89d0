//! One run of a job: lease, history, time limit, panic.

use std::{panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt;
use kernel::{Failure, Result, Shard, code};
use platform_db::Db;
use platform_regions::Regions;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Job, JobRun, store};

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    /// The run.
    pub id: Uuid,
    /// Whether it succeeded.
    pub ok: bool,
    /// What it did, or why it failed.
    pub message: String,
}

/// What a run needs of its surroundings.
#[derive(Clone)]
pub(crate) struct Runner {
    pub(crate) db: Db,
    pub(crate) regions: Regions,
    pub(crate) holder: String,
    pub(crate) history: u32,
    pub(crate) lease: Duration,
    pub(crate) stopping: CancellationToken,
}

impl Runner {
    /// Runs the job if no other process does; None when one does. `due` is asked under the lease, so that of several
    /// processes whose time has come only the first runs.
    pub(crate) async fn run<D, Fut>(&self, job: &Job, id: Uuid, due: D) -> Result<Option<Ran>>
    where
        D: FnOnce() -> Fut,
        Fut: Future<Output = Result<bool>>,
    {
        let lease = format!("job/{}", job.name);
        if self.db.lease(&lease, Shard::new(0), &self.holder, self.lease).await?.is_none() {
            return Ok(None);
        }
        let outcome = match due().await {
            Ok(true) => self.leased(job, id, &lease).await.map(Some),
            Ok(false) => Ok(None),
            Err(failure) => Err(failure),
        };
        self.db.release_lease(&lease, Shard::new(0), &self.holder).await?;
        outcome
    }

    async fn leased(&self, job: &Job, id: Uuid, lease: &str) -> Result<Ran> {
        store::begin(&self.db, id, job.name, &self.holder).await?;
        let stopping = self.stopping.child_token();
        let run = JobRun {
            id,
            name: job.name,
            timeout: job.timeout,
            db: self.db.clone(),
            stopping: stopping.clone(),
        };
        let started = tokio::time::Instant::now();
        let outcome = tokio::select! {
            outcome = work(job, run) => outcome,
            failure = self.interrupted(lease, stopping) => Err(failure),
        };
        metrics::histogram!("job_duration_seconds", "job" => job.name)
            .record(started.elapsed().as_secs_f64());
        let ran = match outcome {
            Ok(message) => {
                tracing::debug!(job = job.name, message, "job ran");
                Ran { id, ok: true, message }
            }
            Err(failure) => {
                tracing::error!(job = job.name, ?failure, "job failed");
                Ran { id, ok: false, message: failure.to_string() }
            }
        };
        let ok = if ran.ok { "true" } else { "false" };
        metrics::counter!("job_runs_total", "job" => job.name, "ok" => ok).increment(1);
        let end =
            store::End { id, job: job.name, ok: ran.ok, message: ran.message.clone(), history: self.history };
        store::end(&self.db, end).await?;
        Ok(ran)
    }

    /// Keeps the lease; returns why the work must end, once it had a moment to end by itself.
    async fn interrupted(&self, lease: &str, stopping: CancellationToken) -> Failure {
        let why = tokio::select! {
            () = self.renew(lease) => Failure::internal("the lease was lost"),
            () = self.regions.until_out() => out(),
        };
        stopping.cancel();
        // Two runs at once are wasteful but harmless.
        tokio::time::sleep(self.lease / 3).await;
        why
    }

    /// Keeps the lease; returns when another process has taken it. A database that cannot be asked is asked again: the
    /// job itself fails if it stays away.
    async fn renew(&self, lease: &str) {
        loop {
            tokio::time::sleep(self.lease / 3).await;
            match self.db.lease(lease, Shard::new(0), &self.holder, self.lease).await {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(failure) => tracing::warn!(lease, ?failure, "the lease was not renewed"),
            }
        }
    }
}

/// Why a region runs no job.
pub(crate) fn out() -> Failure {
    Failure::new(code::UNAVAILABLE).detail("this region is out: another one runs the jobs")
}

async fn work(job: &Job, run: JobRun) -> Result<String> {
    let work = AssertUnwindSafe((job.work)(run)).catch_unwind();
    match tokio::time::timeout(job.timeout, work).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) => Err(Failure::internal("the job panicked")),
        Err(_) => Err(Failure::new(code::TIMEOUT).detail(format!("took longer than {:?}", job.timeout))),
    }
}
