//! Opens a payment of an order's total.

use contracts::{
    Ctx,
    order::{OrderState, PayOrder, code},
    payment::{OpenPayment, Payment, PaymentView},
};
use kernel::{Failure, Result};
use platform_db::{Once, Rows};
use tracing::Instrument;

use crate::{
    model::Order,
    service::OrderService,
    states::{CancelReason, Word},
};

const ROUTE: &str = "order.pay";

impl OrderService {
    /// Opens a payment: the amount is the order's, whatever a client says. Only the owner pays.
    pub(crate) async fn pay_now(&self, ctx: &Ctx, command: PayOrder) -> Result<PaymentView> {
        let user_id = ctx.user()?;
        let once = Once::new(ctx, ROUTE, &command)?;
        let _turn = self.db.turn(&once).await;
        if let Some(answer) = once.find(&self.db).await? {
            return Ok(answer);
        }
        let order = self.known(command.order_id).await?.filter(|order| order.user_id == user_id);
        let order = order.ok_or_else(|| Failure::not_found("order"))?;
        self.payable(&order)?;
        let mut system = Self::as_system(ctx);
        system.idempotency_key = Some(once.id::<Payment>().to_string());
        let open = OpenPayment {
            order_id: order.id,
            order_number: order.number,
            user_id,
            amount: order.totals.total,
            channel: command.channel,
            expires_at: order.expires_at,
        };
        let in_its_trace = platform_trace::rejoin("order.pay", order.trace.as_deref());
        let opening = self.payments.open(&system, open).instrument(in_its_trace);
        let payment = opening.await.map_err(name_channel)?;
        self.db.append_once(&once, Rows::new(), payment).await
    }

    fn payable(&self, order: &Order) -> Result<()> {
        let expired = match order.state {
            OrderState::PendingPayment => order.expires_at <= self.db.now(),
            OrderState::Cancelled => order.cancel_reason == Some(CancelReason::Expired),
            _ => false,
        };
        if expired {
            return Err(Failure::new(code::EXPIRED));
        }
        if order.state != OrderState::PendingPayment {
            return Err(Failure::new(code::STATE).detail(format!("the order is {}", order.state.word())));
        }
        Ok(())
    }
}

/// A channel that does not exist is the field that is wrong.
fn name_channel(failure: Failure) -> Failure {
    if failure.is(contracts::payment::code::CHANNEL_UNKNOWN) && failure.fields().is_empty() {
        failure.field("/channel", "is none of this shop's channels")
    } else {
        failure
    }
}
