//! What an order does about money: captured, conflicting, sent back.
//!
//! Every step here may run twice, be cut off anywhere, or run beside a twin in another process. So each is one of two
//! kinds: a call that another domain takes as often as it likes (by the hold's id, by a derived key), or a guarded move
//! of the order. After a move that lost, the order is looked at again, and the pure [`Order::on_capture`] decides anew. An
//! id is written down before anything is done under it. The event is only done with when this returns; until then the bus
//! brings it again, and that is all that is needed after a crash.
//!
//! An event may also come late, after others of the same payment: brought again by a person, or by a process that stood still.
//! A payment is one through all tries to pay, and begins anew once wrong money is back. So before an order moves, the payment
//! is asked whether what the event tells is still so.
//!
//! Who confirmed a hold and then finds its order cancelled for good gives the stock back; so does the unwinding of the
//! cancellation ([`crate::unwind`]). Both may, as giving back is done once.

use contracts::{
    Ctx,
    inventory::{self, Reserve},
    order::{OrderId, OrderState},
    payment::{
        IntentState, PaymentCaptured, PaymentConflicted, PaymentId, PaymentRefunded, PaymentView,
        RefundPayment,
    },
};
use kernel::{Failure, Result};

use crate::{
    model::Order,
    moves::{Capture, Moved},
    service::OrderService,
};

/// Moves of one order that may come between, before the event is left to the bus to bring again.
const TRIES: u32 = 16;

/// Whether an order's stock could be taken.
enum Stock {
    /// It is taken; the order may hold it by a new hold.
    Taken(Box<Order>),
    /// There is none any more.
    Gone(Box<Order>),
    /// The order moved meanwhile.
    Moved,
}

impl OrderService {
    /// The provider has the money.
    pub(crate) async fn captured(&self, ctx: &Ctx, event: &PaymentCaptured) -> Result<()> {
        for _ in 0..TRIES {
            let order = self.of_event(event.order_id).await?;
            let now = self.db.now();
            match order.on_capture(event, now, self.config.revivable) {
                Capture::Done => return Ok(()),
                Capture::Mismatch => {
                    let reason = format!(
                        "payment {}: {} instead of {}",
                        event.number, event.amount, order.totals.total
                    );
                    if self.moved(&order, order.conflicted(&reason)).await? {
                        metrics::counter!("orders_conflicted_total").increment(1);
                        return Ok(());
                    }
                }
                Capture::Twice => {
                    return self.send_back(ctx, &order, event.payment_id, "the order was paid twice").await;
                }
                Capture::TooLate => return self.too_late(ctx, &order, event).await,
                Capture::TakeStock => {
                    if left(&self.payments.payment(ctx, event.payment_id).await?) <= 0 {
                        return Ok(());
                    }
                    match self.take_stock(ctx, order).await? {
                        Stock::Taken(order) => {
                            if self.moved(&order, order.paid(event, now)).await? {
                                metrics::counter!("orders_paid_total").increment(1);
                                return Ok(());
                            }
                        }
                        // Then it is cancelled for good, and the next look sends the money back.
                        Stock::Gone(order) => {
                            self.moved(&order, order.sold_out(event, now)).await?;
                        }
                        Stock::Moved => {}
                    }
                }
            }
        }
        Err(busy())
    }

    /// The provider has something else than was asked for.
    pub(crate) async fn conflicted(&self, ctx: &Ctx, event: &PaymentConflicted) -> Result<()> {
        for _ in 0..TRIES {
            let order = self.of_event(event.order_id).await?;
            let Some(moved) = order.conflicted_by(event) else { return Ok(()) };
            let payment = self.payments.payment(ctx, event.payment_id).await?;
            // Money in another currency is not among what was captured: then nothing says that it is back.
            let is_back = payment.captured.amount > 0 && left(&payment) <= 0;
            if payment.state != IntentState::Conflicted || is_back {
                return Ok(());
            }
            if self.save(&order, moved).await?.is_some() {
                metrics::counter!("orders_conflicted_total").increment(1);
                return Ok(());
            }
        }
        Err(busy())
    }

    /// Money went back. An order refunded whole before anything left is closed, and its stock goes back.
    pub(crate) async fn refunded(&self, ctx: &Ctx, event: &PaymentRefunded) -> Result<()> {
        for _ in 0..TRIES {
            let order = self.of_event(event.order_id).await?;
            let order = match order.refunded(event) {
                None => Some(order),
                Some(_) if self.is_of_before(ctx, event).await? => return Ok(()),
                Some(moved) => self.save(&order, moved).await?,
            };
            match order {
                // Also when the order was closed by an earlier try that was cut off here.
                Some(order) if order.state == OrderState::Closed => return self.unhold(ctx, &order).await,
                Some(_) => return Ok(()),
                None => {}
            }
        }
        Err(busy())
    }

    /// Whether a refund is of money before the money that the payment has now.
    async fn is_of_before(&self, ctx: &Ctx, event: &PaymentRefunded) -> Result<bool> {
        let payment = self.payments.payment(ctx, event.payment_id).await?;
        Ok(event.captured != payment.captured || event.refunded_in_all.amount > payment.refunded.amount)
    }

    /// An order that an event names. It was written before the payment was opened: where it is missing, something is
    /// wrong that a person must see.
    pub(crate) async fn of_event(&self, id: OrderId) -> Result<Order> {
        self.known(id)
            .await?
            .ok_or_else(|| Failure::internal(format!("an event names {id}, which is not there")))
    }

    async fn moved(&self, before: &Order, moved: Option<Moved>) -> Result<bool> {
        match moved {
            Some(moved) => Ok(self.save(before, moved).await?.is_some()),
            None => Ok(false),
        }
    }

    /// Deducts the order's stock: from the hold it has, or, where that has ended, from a new one.
    ///
    /// Only a hold that has ended is left for another: one that was written down but not held yet (by a try that was cut
    /// off, or by a twin that is about to) is held by the same id, so that no stock is deducted by an id nobody knows.
    async fn take_stock(&self, ctx: &Ctx, mut order: Order) -> Result<Stock> {
        for _ in 0..TRIES {
            match self.inventory.confirm(ctx, order.hold_id).await {
                Ok(_) => return Ok(Stock::Taken(Box::new(order))),
                Err(failure) if failure.is(inventory::code::HOLD_GONE) || failure.status() == 404 => {}
                Err(failure) => return Err(failure),
            }
            let reserve = Reserve {
                hold_id: order.hold_id,
                lines: order.wanted(),
                // It is confirmed at once; after a crash in between it frees itself.
                expires_at: Some(self.db.now().plus(self.config.hold_grace)),
            };
            match self.inventory.reserve(ctx, reserve).await {
                Ok(_) => {}
                Err(failure) if failure.is(inventory::code::OUT_OF_STOCK) => {
                    return Ok(Stock::Gone(Box::new(order)));
                }
                Err(failure) if failure.is(inventory::code::HOLD_GONE) => {
                    let Some(next) = self.save(&order, order.holding_anew()).await? else {
                        return Ok(Stock::Moved);
                    };
                    order = next;
                }
                Err(failure) => return Err(failure),
            }
        }
        Err(busy())
    }

    /// Money for an order that stays cancelled: stock that was taken meanwhile goes back, and so does the money.
    async fn too_late(&self, ctx: &Ctx, order: &Order, event: &PaymentCaptured) -> Result<()> {
        // The money does not wait for stock that cannot be given back.
        let stock = self.unhold(ctx, order).await;
        // Should this lose, then to a refund that is known by now: money goes back all the same.
        self.moved(order, order.paid_too_late(event)).await?;
        self.send_back(ctx, order, event.payment_id, "the order was cancelled").await?;
        stock
    }

    /// Refunds all that is left of a payment, once.
    async fn send_back(&self, ctx: &Ctx, order: &Order, payment_id: PaymentId, reason: &str) -> Result<()> {
        let payment = self.payments.payment(ctx, payment_id).await?;
        if left(&payment) <= 0 {
            return Ok(());
        }
        let mut ctx = ctx.clone();
        ctx.idempotency_key = Some(format!("order.settle:{}:{payment_id}", order.id));
        let refund = RefundPayment { payment_id, amount: None, reason: reason.to_owned() };
        match self.payments.refund(&ctx, refund).await {
            Ok(_) => {
                metrics::counter!("orders_money_sent_back_total").increment(1);
                Ok(())
            }
            // Somebody else has refunded it meanwhile.
            Err(failure) if failure.is(contracts::payment::code::REFUND_TOO_LARGE) => Ok(()),
            Err(failure) => Err(failure),
        }
    }
}

/// What is here of a payment, in minor units.
fn left(payment: &PaymentView) -> i64 {
    payment.captured.amount.saturating_sub(payment.refunded.amount)
}

fn busy() -> Failure {
    Failure::new(kernel::code::UNAVAILABLE).detail("the order moves too fast").retry_after(1)
}
