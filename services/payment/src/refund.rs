//! Gives money back.
//!
//! The refund is written first, with its amount set aside of what was captured in the same write; then the provider is
//! asked, with the refund's id as its key, until it has done it or refuses for good.

use contracts::{
    Ctx, Permission,
    payment::{
        IntentState, PaymentId, PaymentRefunded, RefundId, RefundPayment, RefundState, RefundView, code,
    },
};
use futures::{StreamExt, stream};
use kernel::{Failure, Money, Result};
use platform_db::{Once, Tx};

use crate::{
    PaymentService,
    channel::{ChannelError, NewRefund},
    model::backoff,
    service::no_payment,
    settle::refund_row,
    store::{self, Direction, entity::refund},
};

const ROUTE: &str = "payment.refund";
/// Refunds of one look.
const BATCH: u64 = 100;
/// Questions under way at once.
const AT_ONCE: usize = 8;

struct Order {
    id: RefundId,
    payment: PaymentId,
    amount: Option<Money>,
    reason: String,
}

impl PaymentService {
    /// Writes a refund down, once a key, and asks the provider. The answer is the refund as it was written, so that a
    /// retry gets the same; whether it is done is read with the payment's refunds.
    pub(crate) async fn refund_payment(&self, ctx: &Ctx, command: RefundPayment) -> Result<RefundView> {
        ctx.require(Permission::PaymentRefund)?;
        let reason = kernel::normalise(&command.reason);
        if reason.is_empty() || reason.chars().count() > 500 {
            return Err(Failure::invalid("/reason", "must have 1 to 500 characters"));
        }
        if command.amount.is_some_and(|amount| amount.amount <= 0) {
            return Err(Failure::invalid("/amount/amount", "must be above zero"));
        }
        if let Some(payment) = store::intent(self.db.read(), command.payment_id).await? {
            // Of a payment from another shop there is no channel here: it is refunded there.
            self.channel(&payment.channel)?;
        }
        // The key is the caller's, whichever payment it is used for; the refund lies with its payment.
        let once = Once::new(ctx, ROUTE, &command)?;
        let (principal, key) = (ctx.principal(), ctx.key()?);
        let id = RefundId::derive(
            command.payment_id.shard(),
            &[principal.as_bytes(), ROUTE.as_bytes(), key.as_bytes()],
        );
        let order = Order { id, payment: command.payment_id, amount: command.amount, reason };
        let view: RefundView = self
            .db
            .write_once(&once, order, |tx, order| Box::pin(async move { write(tx, order).await }))
            .await?;
        if let Some(row) = store::refund(self.db.read(), view.id).await?
            && let Err(failure) = self.drive_refund(row).await
        {
            tracing::warn!(refund.id = %view.id, ?failure, "the refund is written down and will be asked for later");
        }
        Ok(view)
    }

    /// Asks the provider for a pending refund and books what it says.
    pub(crate) async fn drive_refund(&self, row: refund::Model) -> Result<()> {
        if row.state != crate::model::refund_name(RefundState::Pending) {
            return Ok(());
        }
        // Whatever comes of it: the next question is later.
        self.postpone_refund(&row).await?;
        let attempt = contracts::payment::AttemptId::from_uuid(row.attempt_id);
        let attempt = store::attempt(self.db.read(), attempt).await?.ok_or_else(no_payment)?;
        let channel = self.channel(&attempt.channel)?;
        let amount = store::money(row.amount, &row.currency)?;
        let order = NewRefund {
            key: row.refund().to_string(),
            reference: attempt.number.clone(),
            amount,
            reason: row.reason.clone(),
        };
        let outcome = match channel.refund(&order).await {
            Ok(number) => Some(number),
            Err(ChannelError::Refused(reason)) => {
                tracing::error!(refund.id = %row.refund(), reason, "the provider refuses a refund: a person must look");
                metrics::counter!("payment_refunds_total", "outcome" => "failed").increment(1);
                None
            }
            Err(error @ ChannelError::Unavailable(_)) => {
                tracing::warn!(refund.id = %row.refund(), ?error, "the provider does not answer; the refund waits");
                return Ok(());
            }
        };
        if outcome.is_some() {
            metrics::counter!("payment_refunds_total", "outcome" => "succeeded").increment(1);
        }
        let words = serde_json::to_string(&order).map_err(Failure::internal)?;
        self.db
            .write(row.payment().shard(), (row, outcome, words), |tx, (row, outcome, words)| {
                Box::pin(async move { book(tx, row, outcome.as_deref(), words).await })
            })
            .await
    }

    async fn postpone_refund(&self, row: &refund::Model) -> Result<()> {
        let wait = backoff(self.config.refund_after, self.config.refund_longest, row.tries);
        let (id, tries) = (row.refund(), row.tries.saturating_add(1));
        self.db
            .write(id.shard(), (id, wait, tries), |tx, &(id, wait, tries)| {
                Box::pin(async move { store::postpone_refund(tx, id, tx.now().plus(wait), tries).await })
            })
            .await
    }

    /// Goes on with refunds that are not done (job `payment.refunds`).
    pub(crate) async fn drive_refunds(&self, stopping: impl Fn() -> bool + Send) -> Result<String> {
        let mut asked = 0_u32;
        while !stopping() {
            let due = store::due_refunds(self.db.read(), self.db.now(), BATCH).await?;
            let full = due.len() as u64 == BATCH;
            asked += u32::try_from(due.len()).unwrap_or(u32::MAX);
            stream::iter(due)
                .for_each_concurrent(AT_ONCE, |row| async move {
                    let id = row.refund();
                    if let Err(failure) = self.drive_refund(row).await {
                        tracing::warn!(refund.id = %id, ?failure, "a refund could not be booked; it waits");
                    }
                })
                .await;
            if !full {
                break;
            }
        }
        Ok(format!("{asked} asked for"))
    }
}

async fn write(tx: &Tx, order: &Order) -> Result<RefundView> {
    let payment = store::intent(tx, order.payment).await?.ok_or_else(no_payment)?;
    if !matches!(payment.standing()?, IntentState::Succeeded | IntentState::Conflicted) {
        return Err(Failure::new(code::STATE).detail("nothing was captured"));
    }
    let currency = payment.money()?.currency;
    let amount = order.amount.unwrap_or(Money::new(payment.captured - payment.refunded, currency));
    if amount.currency != currency {
        let detail = format!("the payment is in {}", currency.code());
        return Err(Failure::invalid("/amount/currency", detail));
    }
    if amount.amount <= 0 || !store::set_aside(tx, order.payment, amount.amount).await? {
        let left = Money::new(payment.captured - payment.refunded, currency);
        return Err(Failure::new(code::REFUND_TOO_LARGE).detail(format!("{left} can be refunded")));
    }
    let row = refund_row(tx, order.id, &payment, payment.attempt_id, amount, order.reason.clone(), false);
    let view = row.view()?;
    store::insert_refund(tx, row).await?;
    Ok(view)
}

/// Books what the provider said: its number, or `None` when it refuses for good.
async fn book(tx: &Tx, row: &refund::Model, done: Option<&str>, words: &str) -> Result<()> {
    // The payment is locked first, as everywhere.
    let payment = store::intent(tx, row.payment()).await?.ok_or_else(no_payment)?;
    let to = if done.is_some() { RefundState::Succeeded } else { RefundState::Failed };
    if !store::end_refund(tx, row.refund(), to, done.map(str::to_owned)).await? {
        // Somebody else has booked it.
        return Ok(());
    }
    store::note(tx, row.payment(), Direction::Sent, "refund", words).await?;
    store::note(tx, row.payment(), Direction::Received, "refund", done.unwrap_or("refused")).await?;
    if row.surplus {
        return Ok(());
    }
    store::book(tx, row.payment(), row.amount, done.is_some()).await?;
    if done.is_none() {
        return Ok(());
    }
    tx.publish(&PaymentRefunded {
        payment_id: row.payment(),
        order_id: payment.order(),
        refund_id: row.refund(),
        amount: store::money(row.amount, &row.currency)?,
        refunded_in_all: store::money(payment.refunded_done + row.amount, &payment.currency)?,
        captured: store::money(payment.captured, &payment.currency)?,
    })
    .await
}
