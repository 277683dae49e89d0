//! The sandbox's pay button: makes the payer do something. The provider then calls back by itself.

use contracts::{
    Ctx,
    payment::{AttemptId, IntentState, Simulate, code},
};
use kernel::{Failure, Result};

use crate::{PaymentService, channel::sandbox::NAME, service::no_payment, store};

impl PaymentService {
    /// Only for the shopper who pays, and only where the sandbox is switched on.
    pub(crate) async fn simulate_outcome(&self, ctx: &Ctx, command: Simulate) -> Result<()> {
        let sandbox = self.channels.sandbox().ok_or_else(|| Failure::new(code::SANDBOX_DISABLED))?;
        let user = ctx.user()?;
        let payment = store::intent(self.db.read(), command.payment_id).await?;
        let payment = payment.filter(|payment| payment.user() == user).ok_or_else(no_payment)?;
        if payment.standing()? != IntentState::Pending || payment.channel != NAME {
            return Err(Failure::new(code::STATE).detail("the payment does not wait for the sandbox"));
        }
        let attempt = store::attempt(self.db.read(), AttemptId::from_uuid(payment.attempt_id)).await?;
        let attempt = attempt.ok_or_else(no_payment)?;
        if attempt.provider_number.is_none() {
            self.introduce(sandbox.as_ref(), &payment, &attempt).await?;
        }
        sandbox.simulate(&attempt.number, command.outcome).await?;
        // Something is about to happen: should the callback get lost, it is found out soon.
        let (id, wait) = (payment.payment(), self.config.sync_after);
        self.db
            .write(id.shard(), (id, attempt.id, wait), |tx, &(id, attempt, wait)| {
                Box::pin(async move { store::ask_at(tx, id, Some(attempt), tx.now().plus(wait), 0).await })
            })
            .await
    }
}
