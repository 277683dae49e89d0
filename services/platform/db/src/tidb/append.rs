//! Appends: gathered across shards, many in one optimistic transaction, several groups at once.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use kernel::{Failure, Result};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::Instant,
};
use tracing::{Instrument, Span};

use super::{
    Core,
    session::{Again, at_once},
    transact::Effort,
};
use crate::{
    DbConfig, Error, Rows, batch,
    read::late,
    work::{closed, overloaded},
    write::Settled,
};

/// Most bytes of rows in one transaction, unless one member alone has more.
const MOST_BYTES: usize = 1 << 20;
/// How long a group gathers while others are on their way; when none is, it leaves at once.
const GATHER: Duration = Duration::from_millis(2);
/// Groups on their way at once: enough to keep the database busy while one waits for its commit, few enough that groups
/// fill under load.
const LANES: usize = 4;
/// Members of a failed group that are tried at once.
const ALONE: usize = 8;

/// What waits to be appended.
pub(super) struct Waiting {
    rows: Rows,
    bytes: usize,
    settled: Settled,
    done: oneshot::Sender<Result<()>>,
    span: Span,
}

/// The queue of appends.
pub(super) struct Appender(mpsc::Sender<Waiting>);

impl Appender {
    /// Starts gathering; it ends when the last `Db` is gone and the queue is empty.
    pub(super) fn start(core: &Arc<Core>, config: &DbConfig) -> Self {
        let (queue, waiting) = mpsc::channel(config.queue);
        let gatherer =
            Gatherer { core: Arc::clone(core), lanes: Arc::new(Semaphore::new(LANES)), most: config.group };
        #[expect(
            clippy::disallowed_methods,
            reason = "ends by itself when the last Db is dropped and its queue is empty"
        )]
        tokio::spawn(gatherer.run(waiting));
        Self(queue)
    }

    /// How many wait to be gathered.
    pub(super) fn waiting(&self) -> usize {
        self.0.max_capacity() - self.0.capacity()
    }

    pub(super) fn push(
        &self,
        rows: Rows,
        settled: Settled,
        done: oneshot::Sender<Result<()>>,
        span: Span,
    ) -> Result<()> {
        let bytes = rows.values().map(batch::size).sum();
        self.0.try_send(Waiting { rows, bytes, settled, done, span }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => overloaded(),
            mpsc::error::TrySendError::Closed(_) => closed(),
        })
    }
}

impl Waiting {
    fn tell(self, outcome: Result<()>) {
        // A span ends where it was last entered: with the commit.
        self.span.in_scope(|| ());
        // A caller that went away does not want the answer; the effect stands.
        let _ = self.done.send(outcome);
    }
}

struct Gatherer {
    core: Arc<Core>,
    /// Groups that may be on their way.
    lanes: Arc<Semaphore>,
    most: usize,
}

impl Gatherer {
    async fn run(self, mut queue: mpsc::Receiver<Waiting>) {
        let mut next = None;
        loop {
            let first = match next.take() {
                Some(waiting) => waiting,
                None => match queue.recv().await {
                    Some(waiting) => waiting,
                    None => return,
                },
            };
            let mut group = Group { bytes: first.bytes, members: vec![first], most: self.most };
            if self.lanes.available_permits() < LANES {
                next = tokio::time::timeout(GATHER, group.gather(&mut queue)).await.unwrap_or(None);
            }
            let Ok(lane) = Arc::clone(&self.lanes).acquire_owned().await else { return };
            if next.is_none() {
                next = group.take_ready(&mut queue);
            }
            let core = Arc::clone(&self.core);
            #[expect(clippy::disallowed_methods, reason = "ends by itself: its tries end at a deadline")]
            tokio::spawn(async move {
                let span = platform_trace::serving(
                    "db.transaction",
                    group.members.iter().map(|member| &member.span),
                );
                core.settle(group.members).instrument(span).await;
                drop(lane);
            });
        }
    }
}

impl Core {
    /// Tells every member how it ended. The group and its members have one deadline: whoever waits through an outage hears of
    /// it then, however many wait beside.
    async fn settle(&self, group: Vec<Waiting>) {
        metrics::histogram!("db_group_size")
            .record(f64::from(u32::try_from(group.len()).unwrap_or(u32::MAX)));
        let until = Instant::now() + self.config.deadline;
        let mut unknown = false;
        if group.len() > 1 {
            let mut all = Rows::new();
            for member in &group {
                all.extend(&member.rows);
            }
            match self.insert(&mut all, until, &mut unknown).await {
                Ok(()) => return group.into_iter().for_each(|member| member.tell(Ok(()))),
                // One member's rows did it, or all were there already: each by itself finds out.
                Err(error @ (Error::Duplicate { .. } | Error::Other(_))) => {
                    tracing::debug!(?error, members = group.len(), "a group runs one by one");
                }
                // Tried until the deadline: a member by itself would fare no better.
                Err(error) => {
                    return group.into_iter().for_each(|member| member.tell(Err(error.clone().into())));
                }
            }
        }
        futures::stream::iter(group)
            .for_each_concurrent(ALONE, |mut member| async move {
                let mut unknown = unknown;
                let outcome = match self.insert(&mut member.rows, until, &mut unknown).await {
                    // Its ids are its own: the commit whose outcome was unknown had taken place.
                    Err(Error::Duplicate { constraint })
                        if unknown
                            && member.settled == Settled::ByIds
                            && constraint.ends_with(".PRIMARY") =>
                    {
                        Ok(())
                    }
                    outcome => outcome.map_err(Failure::from),
                };
                member.tell(outcome);
            })
            .await;
    }

    /// Inserts rows in a transaction of their own, again where TiDB asks for it. Does not begin when the time is over, unless
    /// it is to find out about a commit. `unknown` becomes true when one was sent and its answer lost. Events get their ids at
    /// each try: the sequencer looks for ids a little before the newest that it has seen ([`super::sequence`]).
    async fn insert(&self, rows: &mut Rows, until: Instant, unknown: &mut bool) -> Result<(), Error> {
        if Instant::now() >= until && !*unknown {
            return Err(late().into());
        }
        let mut effort = Effort::until(until);
        loop {
            rows.mint_events(&self.ids);
            let Err(error) = self.insert_once(rows, unknown).await else {
                self.committed(rows.published(), Vec::new());
                return Ok(());
            };
            match Again::after(&error) {
                Some(again) if again != Again::Duplicate && effort.another(again).await => {}
                _ => return Err(error),
            }
        }
    }

    async fn insert_once(&self, rows: &Rows, unknown: &mut bool) -> Result<(), Error> {
        if let Some(text) = batch::text(rows) {
            return at_once(&self.inserting, self.config.statement, &text, unknown).await;
        }
        let session = self.begin_inserting().await?;
        if let Err(error) = rows.insert_into(&session).await {
            session.roll_back().await;
            return Err(error.into());
        }
        let committed = session.commit().await.map_err(Error::from);
        *unknown |= matches!(committed, Err(Error::Lost(_)));
        committed
    }
}

/// A group that fills.
struct Group {
    members: Vec<Waiting>,
    bytes: usize,
    most: usize,
}

impl Group {
    /// Adds a member; returns it when it does not fit.
    fn add(&mut self, member: Waiting) -> Option<Waiting> {
        if self.bytes + member.bytes > MOST_BYTES {
            return Some(member);
        }
        self.bytes += member.bytes;
        self.members.push(member);
        None
    }

    /// Adds what comes until it is full; who did not fit. Loses nobody when it is interrupted.
    async fn gather(&mut self, queue: &mut mpsc::Receiver<Waiting>) -> Option<Waiting> {
        while self.members.len() < self.most {
            let member = queue.recv().await?;
            if let Some(next) = self.add(member) {
                return Some(next);
            }
        }
        None
    }

    /// Adds what is there; who did not fit.
    fn take_ready(&mut self, queue: &mut mpsc::Receiver<Waiting>) -> Option<Waiting> {
        while self.members.len() < self.most {
            let member = queue.try_recv().ok()?;
            if let Some(next) = self.add(member) {
                return Some(next);
            }
        }
        None
    }
}
