//! Takes in what a provider says of a charge, whichever way it came: as a callback, as the answer to a query or a
//! cancellation. One write decides ([`judge`]), moves attempt and payment on and publishes what follows.

use contracts::payment::{IntentState, PaymentCaptured, PaymentConflicted, RefundId, RefundState};
use kernel::{Failure, Money, Result, Timestamp};
use platform_db::Tx;
use tracing::Instrument;

use crate::{
    PaymentService,
    channel::Report,
    model::{Fact, Standing, Step, Verdict, after, intent_name, judge, refund_name},
    service::no_payment,
    store::{
        self, Direction,
        entity::{attempt, intent, refund},
    },
};

/// How a report came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The provider called back.
    Callback,
    /// It answered a question of ours.
    Answer,
}

/// What a report changed, for metrics.
#[derive(Clone, Copy, Debug)]
enum Change {
    Nothing,
    Ended,
    Paid { late: bool },
    Surplus,
    Conflict,
}

impl PaymentService {
    /// Takes in a report on this attempt. Reports that came before change nothing.
    pub(crate) async fn settle(
        &self,
        attempt: &attempt::Model,
        report: Report,
        source: Source,
    ) -> Result<()> {
        let span = platform_trace::rejoin("payment.settle", attempt.trace.as_deref());
        self.take_in(attempt, report, source).instrument(span).await
    }

    async fn take_in(&self, attempt: &attempt::Model, report: Report, source: Source) -> Result<()> {
        let number = attempt.number.clone();
        let change = self
            .db
            .write(
                attempt.payment().shard(),
                (attempt.clone(), report, source),
                |tx, (attempt, report, source)| {
                    Box::pin(async move { settle(tx, attempt, report, *source).await })
                },
            )
            .await?;
        match change {
            Change::Nothing => {}
            Change::Ended => metrics::counter!("payment_attempts_failed_total").increment(1),
            Change::Paid { late } => {
                metrics::counter!("payment_captured_total").increment(1);
                if late {
                    metrics::counter!("payment_captured_late_total").increment(1);
                    tracing::warn!(
                        payment.number = number,
                        "money came after the payment had ended; the order decides"
                    );
                }
            }
            Change::Surplus => {
                metrics::counter!("payment_surplus_total").increment(1);
                tracing::error!(payment.number = number, "paid twice: the second payment goes back");
            }
            Change::Conflict => {
                metrics::counter!("payment_conflicted_total").increment(1);
                tracing::error!(payment.number = number, "a payment is in conflict: a person must look");
            }
        }
        Ok(())
    }
}

async fn settle(tx: &Tx, attempt: &attempt::Model, report: &Report, source: Source) -> Result<Change> {
    let Some(payment) = store::intent(tx, attempt.payment()).await? else { return Err(no_payment()) };
    let Some(row) = store::attempt(tx, attempt.attempt()).await? else { return Err(no_payment()) };
    let standing = Standing {
        intent: payment.standing()?,
        attempt: row.standing()?,
        latest: payment.attempts == latest_of(&row),
        expected: payment.money()?,
        number_matches: match (&row.provider_number, &report.provider_number) {
            (Some(known), Some(told)) => known == told,
            _ => true,
        },
    };
    let mut case = Case { payment, attempt: row, standing };
    case.attempt.provider_number = case.attempt.provider_number.or_else(|| report.provider_number.clone());
    if source == Source::Callback {
        case.attempt.called_back_at = Some(tx.now().micros());
    }
    let verdict = judge(standing, &report.fact);
    if verdict != Verdict::Nothing || source == Source::Callback {
        let what = if source == Source::Callback { "callback" } else { "answer" };
        store::note(tx, case.payment.payment(), Direction::Received, what, &report.words).await?;
    }
    case.apply(tx, &report.fact, verdict, source).await
}

/// Attempts are numbered `<payment>-<n>`.
fn latest_of(attempt: &attempt::Model) -> i32 {
    attempt.number.rsplit_once('-').and_then(|(_, n)| n.parse().ok()).unwrap_or(0)
}

/// A payment, one of its attempts, and where they stood when the report came.
struct Case {
    payment: intent::Model,
    attempt: attempt::Model,
    standing: Standing,
}

impl Case {
    async fn apply(mut self, tx: &Tx, fact: &Fact, verdict: Verdict, source: Source) -> Result<Change> {
        match verdict {
            Verdict::Nothing => {
                if source == Source::Callback {
                    store::put_attempt(tx, self.standing.attempt, &self.attempt).await?;
                }
                Ok(Change::Nothing)
            }
            Verdict::Ended { attempt, intent, reason } => {
                self.attempt.reason = Some(cut(&reason));
                self.put_attempt(tx, attempt).await?;
                if let Some(intent) = intent {
                    self.payment.reason = Some(cut(&reason));
                    self.put_intent(tx, intent).await?;
                }
                Ok(Change::Ended)
            }
            Verdict::Paid => self.paid(tx, fact).await,
            Verdict::Surplus => self.surplus(tx, fact).await,
            Verdict::Conflict { intent, reason } => self.conflict(tx, fact, intent, &reason).await,
        }
    }

    async fn paid(mut self, tx: &Tx, fact: &Fact) -> Result<Change> {
        let (amount, at) = self.capture(fact)?;
        self.put_attempt(tx, IntentState::Succeeded).await?;
        let to = after(self.standing.intent, Step::Capture).ok_or_else(store::overtaken)?;
        self.payment.captured = amount.amount;
        self.payment.paid_at = Some(at.micros());
        self.payment.attempt_id = self.attempt.id;
        self.payment.provider_number.clone_from(&self.attempt.provider_number);
        self.payment.reason = None;
        self.put_intent(tx, to).await?;
        tx.publish(&PaymentCaptured {
            payment_id: self.payment.payment(),
            number: self.payment.number.clone(),
            order_id: self.payment.order(),
            amount,
            paid_at: at,
        })
        .await?;
        let late = matches!(self.standing.intent, IntentState::Cancelled | IntentState::Expired);
        Ok(Change::Paid { late })
    }

    /// The order is paid already: all of this goes back, without the order hearing of it.
    async fn surplus(mut self, tx: &Tx, fact: &Fact) -> Result<Change> {
        let (amount, _) = self.capture(fact)?;
        self.attempt.reason = Some("paid twice; the money goes back".to_owned());
        self.put_attempt(tx, IntentState::Succeeded).await?;
        let id = RefundId::derive(self.payment.payment().shard(), &[b"surplus", self.attempt.id.as_bytes()]);
        let reason = "paid twice".to_owned();
        let row = refund_row(tx, id, &self.payment, self.attempt.id, amount, reason, true);
        store::insert_refund(tx, row).await?;
        Ok(Change::Surplus)
    }

    async fn conflict(
        mut self,
        tx: &Tx,
        fact: &Fact,
        to: Option<IntentState>,
        reason: &str,
    ) -> Result<Change> {
        let (amount, at) = self.capture(fact)?;
        self.attempt.reason = Some(cut(reason));
        self.put_attempt(tx, IntentState::Conflicted).await?;
        if let Some(to) = to {
            // Money in the payment's currency can be refunded by staff; other money is on the attempt only.
            if amount.currency.code() == self.payment.currency {
                self.payment.captured = amount.amount;
            }
            self.payment.paid_at = Some(at.micros());
            self.payment.attempt_id = self.attempt.id;
            self.payment.provider_number.clone_from(&self.attempt.provider_number);
            self.payment.reason = Some(cut(reason));
            self.put_intent(tx, to).await?;
            tx.publish(&PaymentConflicted {
                payment_id: self.payment.payment(),
                order_id: self.payment.order(),
                reason: cut(reason),
            })
            .await?;
        }
        Ok(Change::Conflict)
    }

    /// Notes on the attempt what was captured.
    fn capture(&mut self, fact: &Fact) -> Result<(Money, Timestamp)> {
        let Fact::Captured { amount, at } = *fact else {
            return Err(Failure::internal("a capture without money"));
        };
        self.attempt.captured = amount.amount;
        self.attempt.captured_currency = Some(amount.currency.code().to_owned());
        self.attempt.paid_at = Some(at.micros());
        Ok((amount, at))
    }

    async fn put_attempt(&mut self, tx: &Tx, to: IntentState) -> Result<()> {
        intent_name(to).clone_into(&mut self.attempt.state);
        store::put_attempt(tx, self.standing.attempt, &self.attempt).await
    }

    async fn put_intent(&mut self, tx: &Tx, to: IntentState) -> Result<()> {
        intent_name(to).clone_into(&mut self.payment.state);
        store::put_intent(tx, self.standing.intent, &self.payment).await
    }
}

/// A reason as it fits its column.
fn cut(reason: &str) -> String {
    reason.chars().take(200).collect()
}

/// A refund that is to be asked for at once.
pub(crate) fn refund_row(
    tx: &Tx,
    id: RefundId,
    payment: &intent::Model,
    attempt_id: uuid::Uuid,
    amount: Money,
    reason: String,
    surplus: bool,
) -> refund::Model {
    let now = tx.now().micros();
    refund::Model {
        shard: payment.shard,
        id: id.uuid(),
        intent_id: payment.id,
        attempt_id,
        amount: amount.amount,
        currency: amount.currency.code().to_owned(),
        state: refund_name(RefundState::Pending).to_owned(),
        reason,
        surplus,
        provider_number: None,
        created_at: now,
        updated_at: now,
        next_at: now,
        tries: 0,
    }
}
