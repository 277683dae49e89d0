//! The writer: one at a time, in groups.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use kernel::{Clock, Failure, Ids, Result, Shard};
use tokio::sync::{mpsc, oneshot};
use tracing::{Instrument, Span};
use uuid::Uuid;

use super::{Sqlite, group::Group};
use crate::{
    DbConfig, Rows, Tx,
    error::is_retryable,
    work::{Signals, Work, closed, overloaded},
};

/// How often a closure runs before its caller hears that the database is busy.
const TRIES: u32 = 5;

/// What waits for the writer.
#[derive(Clone)]
pub(crate) struct Queue(mpsc::Sender<Job>);

enum Job {
    Write(Box<dyn Work>),
    Append(Append),
}

/// Rows that wait.
pub(crate) struct Append {
    pub(crate) shard: Shard,
    pub(crate) rows: Rows,
    pub(crate) outcome: Option<Result<()>>,
    pub(crate) done: oneshot::Sender<Result<()>>,
    pub(crate) span: Span,
}

impl Queue {
    pub(crate) fn start(
        sqlite: Sqlite,
        config: &DbConfig,
        ids: Ids,
        clock: Arc<dyn Clock>,
        signals: Signals,
    ) -> Self {
        let (sender, receiver) = mpsc::channel(config.queue);
        let writer =
            Writer { sqlite, ids, clock, signals, group: config.group, published: AtomicBool::new(false) };
        #[expect(
            clippy::disallowed_methods,
            reason = "ends by itself when the last Db is dropped and its queue is empty"
        )]
        tokio::spawn(writer.run(receiver));
        Self(sender)
    }

    /// Queues a closure.
    pub(crate) fn write(&self, work: Box<dyn Work>) -> Result<()> {
        self.push(Job::Write(work))
    }

    /// Queues rows.
    pub(crate) fn append(&self, append: Append) -> Result<()> {
        self.push(Job::Append(append))
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.0.max_capacity() - self.0.capacity()
    }

    fn push(&self, job: Job) -> Result<()> {
        self.0.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => overloaded(),
            mpsc::error::TrySendError::Closed(_) => closed(),
        })
    }
}

struct Writer {
    sqlite: Sqlite,
    ids: Ids,
    clock: Arc<dyn Clock>,
    signals: Signals,
    group: usize,
    published: AtomicBool,
}

impl Writer {
    async fn run(self, mut queue: mpsc::Receiver<Job>) {
        let mut group = Vec::with_capacity(self.group);
        // Takes what is there: while one group commits the next one gathers, and when idle nobody waits but for tasks that
        // are ready: the first of those whom the last group answered would make a group of their own.
        while queue.recv_many(&mut group, self.group).await > 0 {
            tokio::task::yield_now().await;
            let room = self.group - group.len();
            if room > 0 && !queue.is_empty() {
                queue.recv_many(&mut group, room).await;
            }
            metrics::histogram!("db_group_size")
                .record(f64::from(u32::try_from(group.len()).unwrap_or(u32::MAX)));
            let jobs = std::mem::take(&mut group);
            let span = platform_trace::serving("db.transaction", jobs.iter().map(Job::span));
            for job in self.settle(jobs).instrument(span).await {
                match job {
                    Job::Write(work) => work.finish(),
                    Job::Append(append) => {
                        append.span.in_scope(|| ());
                        let _ = append.done.send(append.outcome.unwrap_or_else(|| Err(closed())));
                    }
                }
            }
        }
    }

    /// Runs a group until it is committed or given up; every job then has its outcome.
    async fn settle(&self, mut jobs: Vec<Job>) -> Vec<Job> {
        let mut tries = 1;
        loop {
            self.published.store(false, Ordering::Relaxed);
            match self.transact(&mut jobs).await {
                Ok(()) => {
                    if self.published.load(Ordering::Relaxed) {
                        self.signals.outbox.wrote_somewhere();
                    }
                    return jobs;
                }
                Err(failure) if is_retryable(&failure) && tries < TRIES => {
                    tracing::warn!(tries, ?failure, "the group runs again");
                    tokio::time::sleep(Duration::from_millis(5 << tries)).await;
                    tries += 1;
                }
                Err(failure) => {
                    tracing::error!(?failure, "the group is given up");
                    for job in &mut jobs {
                        job.fail(&failure);
                    }
                    return jobs;
                }
            }
        }
    }

    async fn transact(&self, jobs: &mut [Job]) -> Result<()> {
        let _turn = self.sqlite.turn().await?;
        let mut group = Group::begin(self.sqlite.writer()).await?;
        let outcome = match self.run_all(jobs, &mut group).await {
            Ok(touched) => group.commit().await.map(|()| touched),
            Err(failure) => Err(failure),
        };
        if outcome.is_err() {
            group.abandon().await;
        }
        for key in outcome? {
            self.signals.stamps.touch(key);
        }
        Ok(())
    }

    /// Runs every job; what they touched.
    async fn run_all(&self, jobs: &mut [Job], group: &mut Group<'_>) -> Result<Vec<Uuid>> {
        self.run_appends(jobs, group).await?;
        let (mut events, mut touched) = (Rows::new(), Vec::new());
        for job in jobs.iter_mut() {
            if let Job::Write(work) = job {
                self.run_work(work.as_mut(), group, &mut events, &mut touched).await?;
            }
        }
        if events.publishes {
            self.published.store(true, Ordering::Relaxed);
            events.insert(self.sqlite.writer()).await?;
        }
        Ok(touched)
    }

    async fn run_work(
        &self,
        work: &mut dyn Work,
        group: &mut Group<'_>,
        events: &mut Rows,
        touched: &mut Vec<Uuid>,
    ) -> Result<()> {
        for _ in 0..TRIES {
            let tx = Tx::new(
                self.sqlite.writer().clone().into(),
                work.shard(),
                self.clock.now(),
                self.ids.clone(),
            );
            group.next().await?;
            if work.run(&tx).await {
                touched.extend(tx.take_touched());
                for row in tx.take_events() {
                    *events = std::mem::take(events).outbox(row);
                }
                return Ok(());
            }
            group.undo().await?;
            if !work.wants_retry() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// All appends of the group in as few statements as there are tables; when that fails, each on its own.
    async fn run_appends(&self, jobs: &mut [Job], group: &mut Group<'_>) -> Result<()> {
        let mut all = Rows::new();
        let mut members = 0;
        for job in jobs.iter() {
            if let Job::Append(append) = job {
                all.extend(&append.rows);
                members += 1;
            }
        }
        if members == 0 {
            return Ok(());
        }
        group.next().await?;
        let together = all.insert(self.sqlite.writer()).await;
        if together.is_ok() {
            self.published.fetch_or(all.publishes, Ordering::Relaxed);
        } else {
            group.undo().await?;
        }
        for job in jobs.iter_mut() {
            let Job::Append(append) = job else { continue };
            if together.is_ok() {
                append.outcome = Some(Ok(()));
                continue;
            }
            group.next().await?;
            let outcome = append.rows.insert(self.sqlite.writer()).await;
            if outcome.is_ok() {
                self.published.fetch_or(append.rows.publishes, Ordering::Relaxed);
            } else {
                group.undo().await?;
            }
            append.outcome =
                Some(outcome.map_err(|failure| failure.detail(format!("shard {}", append.shard))));
        }
        Ok(())
    }
}

impl Job {
    fn span(&self) -> &Span {
        match self {
            Self::Write(work) => work.span(),
            Self::Append(append) => &append.span,
        }
    }

    /// A group that cannot commit fails every member; the cause goes to the log once.
    fn fail(&mut self, failure: &Failure) {
        let failure = Failure::from(failure.problem());
        match self {
            Self::Write(work) => work.fail(failure),
            Self::Append(append) => append.outcome = Some(Err(failure)),
        }
    }
}
