//! One gatherer a process: requests about holds wait in a bounded queue and are decided in groups, a group a transaction.
//!
//! While one group is written the next one gathers, and when idle nobody waits: who is answered often asks again at once, so
//! tasks that are ready run first. A hot SKU's bucket is read and written once
//! a group however many buyers it has, so the bucket is no bottleneck. A group that fails runs again one by one: one bad
//! request cannot fail the others.

use std::sync::Arc;

use contracts::{Ctx, inventory::HoldId};
use kernel::{Failure, Timestamp, code};
use tokio::sync::{mpsc, oneshot};
use tracing::{Instrument, Span};

use crate::{
    config::InventoryConfig,
    desk::{Request, What},
    group::{Answer, GroupDesk},
    model::Step,
};

/// Lines in one transaction: a bound on its length whatever the requests' size.
const MOST_LINES: usize = 2_000;
/// After so many failures in a row the rest of a group is not tried: the database is ill, not the requests.
const MOST_FAILURES: u32 = 3;

struct Waiting {
    request: Request,
    deadline: Timestamp,
    reply: oneshot::Sender<Answer>,
    span: Span,
}

/// The queue to the gatherer.
#[derive(Clone)]
pub(crate) struct Gatherer {
    queue: mpsc::Sender<Waiting>,
}

impl Gatherer {
    /// Starts the gatherer on the current runtime; it ends when the last handle is gone and its queue is empty.
    pub(crate) fn start(desk: GroupDesk, config: &InventoryConfig) -> Self {
        let (queue, receiver) = mpsc::channel(config.queue);
        let worker = Worker { desk, group: config.group };
        #[expect(
            clippy::disallowed_methods,
            reason = "ends by itself when the service is dropped and its queue is empty"
        )]
        tokio::spawn(worker.run(receiver));
        Self { queue }
    }

    /// Asks and waits for the answer. `server.unavailable` when too many wait already.
    pub(crate) async fn ask(&self, ctx: &Ctx, hold: HoldId, what: What) -> Answer {
        let request = Request { hold, what, actor: ctx.principal().into() };
        let name = name(&request.what);
        let (reply, answer) = oneshot::channel();
        let span = platform_trace::step(name.1);
        let waiting = Waiting { request, deadline: ctx.deadline, reply, span: span.clone() };
        self.queue.try_send(waiting).map_err(|_| overloaded())?;
        let answer = answer.instrument(span).await.map_err(|_| closed())?;
        let outcome = answer.as_ref().map_or_else(|failure| failure.code().to_owned(), |_| "ok".to_owned());
        metrics::counter!("inventory_requests_total", "request" => name.0, "outcome" => outcome).increment(1);
        answer
    }
}

/// What a request is called in metrics and in traces.
fn name(what: &What) -> (&'static str, &'static str) {
    match what {
        What::Reserve { .. } => ("reserve", "inventory.reserve"),
        What::Extend(_) => ("extend", "inventory.extend"),
        What::Step(Step::Confirm) => ("confirm", "inventory.confirm"),
        What::Step(Step::Release) => ("release", "inventory.release"),
        What::Step(Step::GiveBack) => ("give_back", "inventory.give_back"),
        What::Step(Step::Expire) => ("expire", "inventory.expire"),
    }
}

fn overloaded() -> Failure {
    Failure::new(code::UNAVAILABLE).detail("too many reservations are waiting").retry_after(1)
}

fn closed() -> Failure {
    Failure::new(code::UNAVAILABLE).detail("the service is shutting down").retry_after(1)
}

struct Worker {
    desk: GroupDesk,
    group: usize,
}

impl Worker {
    async fn run(self, mut queue: mpsc::Receiver<Waiting>) {
        let mut waiting = Vec::with_capacity(self.group);
        loop {
            if waiting.is_empty() && queue.recv_many(&mut waiting, self.group).await == 0 {
                return;
            }
            // Without this the first of those whom the last group answered would make a group of their own.
            tokio::task::yield_now().await;
            let room = self.group - waiting.len();
            if room > 0 && !queue.is_empty() {
                queue.recv_many(&mut waiting, room).await;
            }
            let rest = waiting.split_off(within(&waiting));
            self.settle(std::mem::replace(&mut waiting, rest)).await;
        }
    }

    async fn settle(&self, group: Vec<Waiting>) {
        let now = self.desk.db.now();
        let (group, late): (Vec<_>, Vec<_>) = group.into_iter().partition(|waiting| waiting.deadline > now);
        for waiting in late {
            answer(waiting.reply, Err(Failure::new(code::TIMEOUT)));
        }
        if group.is_empty() {
            return;
        }
        let span = platform_trace::serving("inventory.group", group.iter().map(|waiting| &waiting.span));
        let (requests, replies): (Vec<_>, Vec<_>) = group.into_iter().map(|w| (w.request, w.reply)).unzip();
        let requests: Arc<[Request]> = requests.into();
        metrics::histogram!("inventory_group_size")
            .record(f64::from(u32::try_from(requests.len()).unwrap_or(u32::MAX)));
        match self.desk.write(Arc::clone(&requests)).instrument(span.clone()).await {
            Ok(answers) => replies.into_iter().zip(answers).for_each(|(reply, its)| answer(reply, its)),
            Err(failure) if requests.len() == 1 || is_ill(&failure) => fail(replies, &failure),
            Err(failure) => {
                tracing::warn!(?failure, requests = requests.len(), "a group failed and runs one by one");
                self.one_by_one(&requests, replies).instrument(span).await;
            }
        }
    }

    async fn one_by_one(&self, requests: &[Request], replies: Vec<oneshot::Sender<Answer>>) {
        let mut failures = 0;
        let mut replies = replies.into_iter();
        for (request, reply) in requests.iter().zip(replies.by_ref()) {
            match self.desk.write(Arc::from([request.clone()])).await {
                Ok(answers) => {
                    failures = 0;
                    answer(reply, answers.into_iter().next().unwrap_or_else(|| Err(closed())));
                }
                Err(failure) => {
                    failures += 1;
                    let ill = failures == MOST_FAILURES || is_ill(&failure);
                    answer(reply, Err(failure));
                    if ill {
                        break;
                    }
                }
            }
        }
        fail(replies, &Failure::new(code::UNAVAILABLE).retry_after(1));
    }
}

/// How many of the waiting fit into one transaction; at least one.
fn within(waiting: &[Waiting]) -> usize {
    let mut lines = 0;
    waiting
        .iter()
        .take_while(|waiting| {
            lines += waiting.request.weight();
            lines <= MOST_LINES
        })
        .count()
        .max(1)
        .min(waiting.len())
}

/// Whether the database as a whole does not answer.
pub(crate) fn is_ill(failure: &Failure) -> bool {
    failure.is(code::UNAVAILABLE) || failure.is(code::TIMEOUT)
}

fn answer(reply: oneshot::Sender<Answer>, answer: Answer) {
    // A caller that went away does not want the answer; the effect stands and asking again finds it.
    let _ = reply.send(answer);
}

fn fail(replies: impl IntoIterator<Item = oneshot::Sender<Answer>>, failure: &Failure) {
    for reply in replies {
        answer(reply, Err(Failure::from(failure.problem())));
    }
}
