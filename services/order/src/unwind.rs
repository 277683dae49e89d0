//! What follows from a cancellation: stock goes back, payments end or are refunded.

use contracts::{
    Ctx,
    order::{OrderCancelled, OrderState},
    payment::CancelPayments,
};
use kernel::Result;

use crate::{
    model::Order,
    service::OrderService,
    states::{CancelReason, Word},
};

impl OrderService {
    /// Unwinds a cancelled order; again is harmless.
    ///
    /// An expired order may still be revived by a late payment, so its captured money is left to settle, and its stock is
    /// only given back where it is merely set aside: what a payment has confirmed belongs to that payment. All other
    /// cancellations are for good.
    pub(crate) async fn unwind(&self, ctx: &Ctx, event: &OrderCancelled) -> Result<()> {
        let order = self.of_event(event.order_id).await?;
        if order.state != OrderState::Cancelled {
            // Revived: money and stock are the order's again.
            return Ok(());
        }
        if order.cancel_reason == Some(CancelReason::Expired) {
            return self.unset_aside(ctx, &order).await;
        }
        // The money does not wait for stock that cannot be given back.
        let stock = self.unhold(ctx, &order).await;
        let reason = order.cancel_reason.map_or("cancelled", Word::word).to_owned();
        self.payments.cancel_order(ctx, CancelPayments { order_id: order.id, reason }).await?;
        stock
    }

    /// Gives back what is only set aside.
    async fn unset_aside(&self, ctx: &Ctx, order: &Order) -> Result<()> {
        match self.inventory.release(ctx, order.hold_id).await {
            Err(failure) if failure.is(kernel::code::CONFLICT) => Ok(()),
            released => released,
        }
    }

    /// Gives an order's stock back, set aside or deducted.
    pub(crate) async fn unhold(&self, ctx: &Ctx, order: &Order) -> Result<()> {
        self.inventory.give_back(ctx, order.hold_id).await
    }
}
