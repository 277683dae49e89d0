//! The writer: one at a time, in groups.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::future::BoxFuture;
use kernel::{Clock, Failure, Ids, Result, Shard, code};
use sea_orm::ConnectionTrait;
use tokio::sync::{Notify, mpsc, oneshot};
use tracing::{Instrument, Span};
use uuid::Uuid;

use crate::{Db, DbConfig, DbResult, Rows, Stamps, Tx, error::is_retryable, sqlite::Sqlite};

/// How often a closure runs before its caller hears that the database is busy.
const TRIES: u32 = 5;
/// A closure that takes longer is rolled back: it would keep every writer waiting.
const LONGEST: Duration = Duration::from_secs(10);

tokio::task_local! {
    /// Set while a closure runs: a write from inside would wait for itself.
    static WRITING: ();
}

impl Db {
    /// Runs `work` in a transaction and returns what it returns, once committed. `shard` names the outbox its events go
    /// to. The closure may run again, so it has no effect but SQL; it runs to its end even when the caller goes away.
    pub async fn write<I, T, F>(&self, shard: Shard, input: I, work: F) -> Result<T>
    where
        I: Send + Sync + 'static,
        T: Send + 'static,
        F: for<'a> Fn(&'a Tx, &'a I) -> BoxFuture<'a, Result<T>> + Send + Sync + 'static,
    {
        let (done, answer) = oneshot::channel();
        let span = platform_trace::step("db.write");
        let job = Closure { shard, input, work, outcome: None, done, span };
        self.0.queue.push(Job::Write(Box::new(job)))?;
        answer.await.map_err(|_| closed())?
    }

    /// Inserts `rows`: nothing is read, ids were minted before. Gathered with whatever else waits; a duplicate key fails
    /// only the rows it came with ([`crate::is_duplicate`]).
    pub async fn append(&self, shard: Shard, rows: Rows) -> Result<()> {
        let (done, answer) = oneshot::channel();
        let span = platform_trace::step("db.append");
        self.0.queue.push(Job::Append(Append { shard, rows, outcome: None, done, span }))?;
        answer.await.map_err(|_| closed())?
    }
}

fn closed() -> Failure {
    Failure::new(code::UNAVAILABLE).detail("the database is shutting down")
}

/// Who hears of a commit.
pub(crate) struct Signals {
    pub(crate) outbox: Arc<Notify>,
    pub(crate) stamps: Stamps,
}

/// What waits for the writer.
#[derive(Clone)]
pub(crate) struct Queue(mpsc::Sender<Job>);

enum Job {
    Write(Box<dyn Work>),
    Append(Append),
}

struct Append {
    shard: Shard,
    rows: Rows,
    outcome: Option<Result<()>>,
    done: oneshot::Sender<Result<()>>,
    span: Span,
}

struct Closure<I, T, F> {
    shard: Shard,
    input: I,
    work: F,
    outcome: Option<Result<T>>,
    done: oneshot::Sender<Result<T>>,
    /// Events that it publishes belong to the trace of who asked for it.
    span: Span,
}

/// A closure without its types.
#[async_trait]
trait Work: Send {
    fn shard(&self) -> Shard;
    /// Its place in a trace.
    fn span(&self) -> &Span;
    /// Runs the closure and keeps its outcome; true when it succeeded.
    async fn run(&mut self, tx: &Tx) -> bool;
    /// Keeps a failure that came after the closure.
    fn fail(&mut self, failure: Failure);
    /// Whether its failure is the database's wish to run it again.
    fn wants_retry(&self) -> bool;
    /// Tells the caller.
    fn finish(self: Box<Self>);
}

#[async_trait]
impl<I, T, F> Work for Closure<I, T, F>
where
    I: Send + Sync + 'static,
    T: Send + 'static,
    F: for<'a> Fn(&'a Tx, &'a I) -> BoxFuture<'a, Result<T>> + Send + Sync + 'static,
{
    fn shard(&self) -> Shard {
        self.shard
    }

    fn span(&self) -> &Span {
        &self.span
    }

    async fn run(&mut self, tx: &Tx) -> bool {
        let work = (self.work)(tx, &self.input).instrument(self.span.clone());
        let running = tokio::time::timeout(LONGEST, work);
        let outcome = WRITING.scope((), running).await.unwrap_or_else(|_| Err(Failure::new(code::TIMEOUT)));
        self.outcome.insert(outcome).is_ok()
    }

    fn fail(&mut self, failure: Failure) {
        self.outcome = Some(Err(failure));
    }

    fn wants_retry(&self) -> bool {
        matches!(&self.outcome, Some(Err(failure)) if is_retryable(failure))
    }

    fn finish(self: Box<Self>) {
        // A span ends where it was last entered: with the commit, not with the closure.
        self.span.in_scope(|| ());
        // A caller that went away does not want the answer; the effect stands.
        let _ = self.done.send(self.outcome.unwrap_or_else(|| Err(closed())));
    }
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

    /// Sets the gauge of what waits.
    pub(crate) fn measure(&self) {
        let waiting = self.0.max_capacity() - self.0.capacity();
        metrics::gauge!("db_queue_depth").set(f64::from(u32::try_from(waiting).unwrap_or(u32::MAX)));
    }

    fn push(&self, job: Job) -> Result<()> {
        if WRITING.try_with(|()| ()).is_ok() {
            return Err(Failure::internal("a write inside a write would wait for itself"));
        }
        self.0.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                Failure::new(code::UNAVAILABLE).detail("too many writes are waiting").retry_after(1)
            }
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
        // Takes what is there: while one group commits the next one gathers, and when idle nobody waits.
        while queue.recv_many(&mut group, self.group).await > 0 {
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
                        self.signals.outbox.notify_one();
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
        let connection = self.sqlite.writer();
        let _turn = self.sqlite.turn().await?;
        connection.execute_unprepared("BEGIN IMMEDIATE").await.db()?;
        let outcome = match self.run_all(jobs).await {
            Ok(touched) => connection.execute_unprepared("COMMIT").await.db().map(|_| touched),
            Err(failure) => Err(failure),
        };
        if outcome.is_err() {
            // Fails when the engine has rolled back by itself; then there is nothing to do.
            let _ = connection.execute_unprepared("ROLLBACK").await;
        }
        for key in outcome? {
            self.signals.stamps.touch(key);
        }
        Ok(())
    }

    /// Runs every job; what they touched.
    async fn run_all(&self, jobs: &mut [Job]) -> Result<Vec<Uuid>> {
        self.run_appends(jobs).await?;
        let (mut events, mut touched) = (Rows::new(), Vec::new());
        for job in jobs.iter_mut() {
            if let Job::Write(work) = job {
                self.run_work(work.as_mut(), &mut events, &mut touched).await?;
            }
        }
        if events.publishes {
            self.published.store(true, Ordering::Relaxed);
            events.insert(self.sqlite.writer()).await?;
        }
        Ok(touched)
    }

    async fn run_work(&self, work: &mut dyn Work, events: &mut Rows, touched: &mut Vec<Uuid>) -> Result<()> {
        for _ in 0..TRIES {
            let tx = Tx::new(self.sqlite.writer().clone(), work.shard(), self.clock.now(), self.ids.clone());
            self.savepoint().await?;
            if work.run(&tx).await {
                self.release().await?;
                touched.extend(tx.take_touched());
                for row in tx.take_events() {
                    *events = std::mem::take(events).outbox(row);
                }
                return Ok(());
            }
            self.roll_back().await?;
            if !work.wants_retry() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// All appends of the group in as few statements as there are tables; when that fails, each on its own.
    async fn run_appends(&self, jobs: &mut [Job]) -> Result<()> {
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
        self.savepoint().await?;
        let together = all.insert(self.sqlite.writer()).await;
        if together.is_ok() {
            self.release().await?;
            self.published.fetch_or(all.publishes, Ordering::Relaxed);
        } else {
            self.roll_back().await?;
        }
        for job in jobs.iter_mut() {
            let Job::Append(append) = job else { continue };
            if together.is_ok() {
                append.outcome = Some(Ok(()));
                continue;
            }
            self.savepoint().await?;
            let outcome = append.rows.insert(self.sqlite.writer()).await;
            if outcome.is_ok() {
                self.release().await?;
                self.published.fetch_or(append.rows.publishes, Ordering::Relaxed);
            } else {
                self.roll_back().await?;
            }
            append.outcome =
                Some(outcome.map_err(|failure| failure.detail(format!("shard {}", append.shard))));
        }
        Ok(())
    }

    async fn savepoint(&self) -> Result<()> {
        self.sqlite.writer().execute_unprepared("SAVEPOINT job").await.db().map(|_| ())
    }

    async fn release(&self) -> Result<()> {
        self.sqlite.writer().execute_unprepared("RELEASE job").await.db().map(|_| ())
    }

    async fn roll_back(&self) -> Result<()> {
        self.sqlite.writer().execute_unprepared("ROLLBACK TO job; RELEASE job").await.db().map(|_| ())
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
