//! Cancels an order, by its shopper or by staff.
//!
//! The guard decides who comes first: a cancellation or a payment that arrives at the same time. What follows from a
//! cancellation (stock back, payments ended or refunded) is done by the consumer of its event, so that no crash loses it.

use contracts::{
    Ctx, Permission,
    order::{CancelOrder, OrderState, OrderView, code},
};
use kernel::{Failure, Result};

use crate::{
    model::{Order, words},
    moves::Actor,
    service::OrderService,
    states::Word,
};

/// Moves of one order that may come between us and our cancellation before the caller is told to try again.
const TRIES: u32 = 8;

impl OrderService {
    /// Cancels an order that waits for its payment, or is paid and has not left. A cancelled one is returned as it is.
    pub(crate) async fn cancel_now(&self, ctx: &Ctx, command: CancelOrder) -> Result<OrderView> {
        let reason = command.reason.as_deref().and_then(words);
        if reason.as_ref().is_some_and(|reason| reason.chars().count() > 500) {
            return Err(Failure::invalid("/reason", "must have at most 500 characters"));
        }
        for _ in 0..TRIES {
            let order = self.seen(ctx, command.order_id).await?;
            let actor = actor(ctx, &order)?;
            if order.state == OrderState::Cancelled {
                return Ok(order.view());
            }
            self.placed_here(order.id).await?;
            let Some(moved) = order.cancelled(actor, reason.as_deref(), self.db.now()) else {
                return Err(Failure::new(code::STATE).detail(format!("the order is {}", order.state.word())));
            };
            if let Some(order) = self.save(&order, moved).await? {
                metrics::counter!("orders_cancelled_total", "reason" => actor.word()).increment(1);
                return Ok(order.view());
            }
        }
        Err(Failure::new(kernel::code::UNAVAILABLE).retry_after(1))
    }
}

/// As who the caller acts on this order, which they see.
fn actor(ctx: &Ctx, order: &Order) -> Result<Actor> {
    match ctx.user() {
        Ok(user_id) if user_id == order.user_id => Ok(Actor::Shopper(user_id)),
        Ok(user_id) => ctx.require(Permission::OrderWrite).map(|()| Actor::Staff(user_id)),
        Err(_) => ctx.require(Permission::OrderWrite).map(|()| Actor::System),
    }
}
