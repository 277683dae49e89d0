//! An order was cancelled: what is open ends, what was captured goes back.

use contracts::{
    Ctx,
    payment::{CancelPayments, IntentState, PaymentId, RefundId},
};
use kernel::{Money, Result};
use platform_db::Tx;

use crate::{
    PaymentService,
    model::{Step, after, intent_name},
    service::system_only,
    settle::refund_row,
    store::{
        self,
        entity::{attempt, intent, refund},
    },
};

/// What is left to be done with the provider once the cancellation is written down.
#[derive(Default)]
struct Left {
    attempts: Vec<attempt::Model>,
    refund: Option<refund::Model>,
}

impl PaymentService {
    /// Again is harmless: a payment is cancelled once, and the refund's id follows from order and reason. The provider is
    /// asked at once; where it does not answer the jobs go on asking. A payment in conflict is left to the person who
    /// looks at it.
    pub(crate) async fn cancel_payments(&self, ctx: &Ctx, command: CancelPayments) -> Result<()> {
        system_only(ctx)?;
        for payment in store::of_order(self.db.read(), command.order_id).await? {
            let reason: String = command.reason.chars().take(500).collect();
            let left = self
                .db
                .write(payment.payment().shard(), (payment.payment(), reason), |tx, (id, reason)| {
                    Box::pin(async move { cancel(tx, *id, reason).await })
                })
                .await?;
            for attempt in left.attempts {
                if let Err(failure) = self.ask_after(&attempt).await {
                    tracing::warn!(
                        payment.number = attempt.number,
                        ?failure,
                        "will be cancelled at the provider later"
                    );
                }
            }
            if let Some(refund) = left.refund {
                self.drive_refund(refund).await?;
            }
        }
        Ok(())
    }
}

async fn cancel(tx: &Tx, id: PaymentId, reason: &str) -> Result<Left> {
    let Some(mut payment) = store::intent(tx, id).await? else { return Ok(Left::default()) };
    let from = payment.standing()?;
    if let Some(to) = after(from, Step::Cancel) {
        intent_name(to).clone_into(&mut payment.state);
        payment.reason = Some(reason.chars().take(200).collect());
        store::put_intent(tx, from, &payment).await?;
        store::ask_at(tx, id, None, tx.now(), 0).await?;
        return Ok(Left { attempts: store::pending_attempts(tx, id).await?, refund: None });
    }
    if from == IntentState::Succeeded {
        return Ok(Left { attempts: Vec::new(), refund: give_back(tx, &payment, reason).await? });
    }
    Ok(Left::default())
}

/// Sets everything aside that is left of what was captured.
async fn give_back(tx: &Tx, payment: &intent::Model, reason: &str) -> Result<Option<refund::Model>> {
    let shard = payment.payment().shard();
    let id = RefundId::derive(shard, &[b"cancel", payment.order_id.as_bytes(), reason.as_bytes()]);
    let left = payment.captured - payment.refunded;
    if left <= 0 || store::refund(tx, id).await?.is_some() {
        return Ok(None);
    }
    if !store::set_aside(tx, payment.payment(), left).await? {
        return Err(store::overtaken());
    }
    let amount = Money::new(left, payment.money()?.currency);
    let row = refund_row(tx, id, payment, payment.attempt_id, amount, reason.to_owned(), false);
    store::insert_refund(tx, row.clone()).await?;
    Ok(Some(row))
}
