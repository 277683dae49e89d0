//! Places an order: everything recalculated, stock held, one effect however often it is asked for.
//!
//! The order's id follows from the request (caller and key). Its hold's id follows from that, the lines, and a number that
//! moves on when an earlier try's hold has ended: a crash after the stock was held leaves a hold that frees itself, and the
//! same request, sent again hours later, holds anew instead of failing for ever. Two tries at once write one order; who
//! loses gives back a hold of its own.

use std::time::Instant;

use contracts::{
    Ctx,
    inventory::{self, ExtendHold, HoldId, HoldState, Reserve},
    order::{OrderId, OrderView, PlaceOrder},
    pricing::{LineInput, QuoteRequest},
};
use kernel::{Failure, Result, Timestamp, code};
use platform_db::{Once, is_duplicate};

use crate::{
    demand::Demand,
    model::{Draft, Order},
    number, promise,
    service::{OrderService, destination},
    store,
};

/// What placing an order is called where answers are kept.
pub(crate) const ROUTE: &str = "order.place";
/// Holds of one request, at most: each further one means that an earlier try's hold ended before its order was written.
const HOLDS: u32 = 32;
/// Numbers tried for one order: nine random digits a shard and day meet seldom, three times in a row never.
const NUMBERS: u32 = 5;

impl OrderService {
    /// Places an order.
    pub(crate) async fn place_now(&self, ctx: &Ctx, command: PlaceOrder) -> Result<OrderView> {
        let started = Instant::now();
        let user_id = ctx.user()?;
        let once = Once::new(ctx, ROUTE, &command)?;
        let turn = self.db.turn(&once).await;
        // The answer stays what it was, however far the order, the cart and the address have moved on.
        if turn.waited()
            && let Some(answer) = once.find(&self.db).await?
        {
            return Ok(answer);
        }
        let (before, demand, address) = futures::join!(
            once.find(&self.db),
            self.demand(ctx, &command),
            self.address(ctx, command.address_id)
        );
        if let Some(answer) = before? {
            return Ok(answer);
        }
        let (demand, address) = (demand?, address?);
        let destination = destination(&address);
        let promise = match &command.quote {
            Some(quote) => Some(self.pricing.verify(ctx, quote.clone()).await?),
            None => None,
        };
        let request = QuoteRequest { lines: demand.lines().to_vec(), destination: Some(destination.clone()) };
        let quote = self.pricing.quote(ctx, request).await.map_err(|failure| demand.name(failure))?;
        let placed_at = self.db.now();
        if let Some(promise) = promise {
            promise::honour(&promise, &demand, &destination, quote.totals.total, placed_at)?;
        }
        let id: OrderId = once.id();
        let order = Order::draft(Draft {
            id,
            user_id,
            number: self.new_number(id, placed_at),
            hold_id: hold_id(id, demand.lines(), 0),
            demand: &demand,
            quote,
            address: address.address,
            remark: command.remark.as_deref(),
            from_cart: command.items.is_none(),
            placed_at,
            expires_at: placed_at.plus(self.config.expiry),
            trace: platform_trace::traceparent(),
        })?;
        let order = match self.hold(ctx, &once, order, &demand).await? {
            Held::Order(order) => *order,
            Held::PlacedBefore(answer) => return Ok(*answer),
        };
        let answer = self.write(ctx, &once, order).await?;
        metrics::histogram!("order_place_duration_seconds").record(started.elapsed().as_secs_f64());
        Ok(answer)
    }

    /// The items, or what is in the cart.
    async fn demand(&self, ctx: &Ctx, command: &PlaceOrder) -> Result<Demand> {
        match &command.items {
            Some(items) => Demand::of(items),
            None => Demand::of(&self.carts.checkout_lines(ctx, ()).await?),
        }
    }

    fn new_number(&self, id: OrderId, at: Timestamp) -> String {
        // A minted id has 52 random bits above the ten of its shard.
        let (_, low) = self.db.ids().uuid(id.shard()).as_u64_pair();
        number::compose(at, id.shard(), low >> 10)
    }

    /// Sets the order's stock aside, until a little after the order expires.
    async fn hold(&self, ctx: &Ctx, once: &Once, mut order: Order, demand: &Demand) -> Result<Held> {
        let expires_at = order.expires_at.plus(self.config.hold_grace);
        for attempt in 0..HOLDS {
            order.hold_id = hold_id(order.id, demand.lines(), attempt);
            let reserve = Reserve {
                hold_id: order.hold_id,
                lines: demand.lines().to_vec(),
                expires_at: Some(expires_at),
            };
            match self.inventory.reserve(ctx, reserve).await {
                Ok(hold) if hold.state == HoldState::Reserved => {
                    // Where an earlier try made it, its time is the earlier one's.
                    let enough = order.expires_at.plus(self.config.hold_grace / 2);
                    if hold.expires_at >= enough || self.extended(ctx, order.hold_id, expires_at).await? {
                        return Ok(Held::Order(Box::new(order)));
                    }
                }
                Ok(_) => {}
                Err(failure) if failure.is(inventory::code::HOLD_GONE) => {}
                Err(failure) => return Err(demand.name(failure)),
            }
            // That hold has ended: with an order of ours, which a twin wrote meanwhile, or before one was written.
            if let Some(answer) = once.find(&self.db).await? {
                return Ok(Held::PlacedBefore(Box::new(answer)));
            }
        }
        Err(Failure::new(inventory::code::HOLD_GONE))
    }

    /// Moves a hold's end; false when it has ended meanwhile.
    async fn extended(&self, ctx: &Ctx, hold_id: HoldId, expires_at: Timestamp) -> Result<bool> {
        match self.inventory.extend(ctx, ExtendHold { hold_id, expires_at }).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.is(inventory::code::HOLD_GONE) => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Writes the order, unless a twin has: then the twin's order is the answer.
    async fn write(&self, ctx: &Ctx, once: &Once, mut order: Order) -> Result<OrderView> {
        for _ in 0..NUMBERS {
            match self.db.append_once(once, store::placed(&self.db, &order)?, order.view()).await {
                // The number is random: the same one means that this very row was written.
                Ok(answer) if answer.number == order.number => {
                    metrics::counter!("orders_placed_total").increment(1);
                    return Ok(answer);
                }
                Ok(answer) => {
                    self.drop_spare(ctx, &order).await;
                    return Ok(answer);
                }
                Err(failure) if is_duplicate(&failure, store::NUMBERS) => {
                    order.number = self.new_number(order.id, order.placed_at);
                }
                // The order is there, but its answer was pruned long ago: what was asked then is not known any more.
                Err(failure) if is_duplicate(&failure, store::ORDERS) => {
                    self.drop_spare(ctx, &order).await;
                    return Err(
                        Failure::new(code::KEY_REUSED).detail(format!("this key placed {}", order.id))
                    );
                }
                // A twin with another body was faster: its order stands.
                Err(failure) if failure.is(code::KEY_REUSED) => {
                    self.drop_spare(ctx, &order).await;
                    return Err(failure);
                }
                // Whether it was written may be unknown: the hold stays, and the same request again finds out.
                Err(failure) => return Err(failure),
            }
        }
        Err(Failure::internal("no free order number was found"))
    }

    /// Gives back a hold that a twin's order does not use. Where that fails the hold ends by itself.
    async fn drop_spare(&self, ctx: &Ctx, ours: &Order) {
        let spare = match self.known(ours.id).await {
            Ok(written) => written.is_some_and(|written| written.hold_id != ours.hold_id),
            Err(_) => false,
        };
        if spare && let Err(failure) = self.inventory.release(ctx, ours.hold_id).await {
            tracing::warn!(order.id = %ours.id, hold.id = %ours.hold_id, %failure, "a spare hold stays until it expires");
        }
    }
}

enum Held {
    Order(Box<Order>),
    PlacedBefore(Box<OrderView>),
}

/// The id of a request's hold: of these lines, so that a cart that has changed between two tries is another hold.
fn hold_id(order_id: OrderId, lines: &[LineInput], attempt: u32) -> HoldId {
    let mut wanted = Vec::with_capacity(lines.len() * 24);
    for line in lines {
        wanted.extend_from_slice(line.sku_id.uuid().as_bytes());
        wanted.extend_from_slice(&line.quantity.to_be_bytes());
    }
    HoldId::derive(
        order_id.shard(),
        &[b"order.place", order_id.uuid().as_bytes(), &wanted, &attempt.to_be_bytes()],
    )
}
