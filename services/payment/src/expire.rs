//! Payments whose time is over (job `payment.expire`).

use contracts::payment::PaymentId;
use kernel::Result;
use platform_db::Tx;

use crate::{
    PaymentService,
    model::{Step, after, intent_name},
    store,
};

/// Payments of one look.
const BATCH: u64 = 200;

impl PaymentService {
    /// Ends payments that nobody paid in time. The state is looked at again in the write, so a payment that is captured
    /// meanwhile stays captured. The synchronisation then closes their charges with the provider.
    pub(crate) async fn expire_overdue(&self, stopping: impl Fn() -> bool + Send) -> Result<String> {
        let mut expired = 0_u32;
        while !stopping() {
            let overdue = store::overdue(self.db.read(), self.db.now(), BATCH).await?;
            let full = overdue.len() as u64 == BATCH;
            for payment in overdue {
                let done = self
                    .db
                    .write(payment.payment().shard(), payment.payment(), |tx, id| {
                        Box::pin(async move { expire(tx, *id).await })
                    })
                    .await?;
                expired += u32::from(done);
            }
            if !full {
                break;
            }
        }
        Ok(format!("{expired} expired"))
    }
}

async fn expire(tx: &Tx, id: PaymentId) -> Result<bool> {
    let Some(mut payment) = store::intent(tx, id).await? else { return Ok(false) };
    let from = payment.standing()?;
    let Some(to) = after(from, Step::Expire).filter(|_| payment.expires_at <= tx.now().micros()) else {
        return Ok(false);
    };
    intent_name(to).clone_into(&mut payment.state);
    payment.reason = Some("not paid in time".to_owned());
    store::put_intent(tx, from, &payment).await?;
    store::ask_at(tx, id, None, tx.now(), 0).await?;
    Ok(true)
}
