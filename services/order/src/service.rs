//! The service: what orders need, and the contract by delegation.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::{
    Caller, Ctx, Permission,
    account::{Accounts, AddressId, AddressView},
    cart::Carts,
    inventory::Inventory,
    order::{
        AskQuote, CancelOrder, ListOrders, OrderHistoryView, OrderId, OrderView, Orders, PayOrder, PlaceOrder,
    },
    payment::{PaymentView, Payments},
    pricing::{Destination, Pricing, QuoteView},
};
use kernel::{Failure, Page, Result};
use platform_db::Db;
use tracing::Instrument;

use crate::{OrderConfig, model::Order, moves::Moved, store};

/// Orders.
pub struct OrderService {
    pub(crate) db: Db,
    pub(crate) pricing: Arc<dyn Pricing>,
    pub(crate) inventory: Arc<dyn Inventory>,
    pub(crate) payments: Arc<dyn Payments>,
    pub(crate) accounts: Arc<dyn Accounts>,
    pub(crate) carts: Arc<dyn Carts>,
    pub(crate) config: OrderConfig,
}

impl OrderService {
    /// Orders in `db`, asking the others through their contracts. A configuration that cannot work is refused.
    pub fn new(
        db: Db,
        pricing: Arc<dyn Pricing>,
        inventory: Arc<dyn Inventory>,
        payments: Arc<dyn Payments>,
        accounts: Arc<dyn Accounts>,
        carts: Arc<dyn Carts>,
        config: OrderConfig,
    ) -> Result<Arc<Self>> {
        config.validate()?;
        Ok(Arc::new(Self { db, pricing, inventory, payments, accounts, carts, config }))
    }

    /// The order, where the caller may see it; another's is not found.
    pub(crate) async fn seen(&self, ctx: &Ctx, id: OrderId) -> Result<Order> {
        let order = self.known(id).await?;
        order
            .filter(|order| ctx.may_see(order.user_id, Permission::OrderRead))
            .ok_or_else(|| Failure::not_found("order"))
    }

    /// The order, where there is one.
    pub(crate) async fn known(&self, id: OrderId) -> Result<Option<Order>> {
        // An id of a shard that this database does not have names nothing.
        if id.shard().number() >= self.db.shards() {
            return Ok(None);
        }
        store::find(self.db.read(), id).await
    }

    /// Saves a move; none when the order has moved on meanwhile, and then the caller looks at it again.
    pub(crate) async fn save(&self, before: &Order, moved: Moved) -> Result<Option<Order>> {
        let after = moved.order.clone();
        let saved = self
            .db
            .write(before.id.shard(), (before.clone(), moved), |tx, (before, moved)| {
                Box::pin(store::save(tx, before, moved))
            })
            .await?;
        Ok(saved.then_some(after))
    }

    /// One of the caller's addresses; one that is not theirs is named as the field that is wrong.
    pub(crate) async fn address(&self, ctx: &Ctx, id: AddressId) -> Result<AddressView> {
        self.accounts.address(ctx, id).await.map_err(|failure| {
            if failure.status() == 404 {
                Failure::invalid("/address_id", "is none of your addresses")
            } else {
                failure
            }
        })
    }

    /// `ctx`, but as Meridian itself: the same request id and deadline.
    pub(crate) fn as_system(ctx: &Ctx) -> Ctx {
        Ctx { caller: Caller::System, idempotency_key: None, cart_token: None, ..ctx.clone() }
    }
}

/// Where goods to this address go, as far as prices need to know.
pub(crate) fn destination(address: &AddressView) -> Destination {
    Destination {
        country: address.address.country.clone(),
        region: address.address.region.clone(),
        address_id: Some(address.id),
    }
}

#[async_trait]
impl Orders for OrderService {
    async fn quote(&self, ctx: &Ctx, command: AskQuote) -> Result<QuoteView> {
        self.quote_now(ctx, command).await
    }

    async fn place(&self, ctx: &Ctx, command: PlaceOrder) -> Result<OrderView> {
        self.place_now(ctx, command).instrument(platform_trace::step("order.place")).await
    }

    async fn order(&self, ctx: &Ctx, id: OrderId) -> Result<OrderView> {
        Ok(self.seen(ctx, id).await?.view())
    }

    async fn orders(&self, ctx: &Ctx, command: ListOrders) -> Result<Page<OrderView>> {
        self.list_own(ctx, command).await
    }

    async fn all_orders(&self, ctx: &Ctx, command: ListOrders) -> Result<Page<OrderView>> {
        self.list_all(ctx, command).await
    }

    async fn history(&self, ctx: &Ctx, id: OrderId) -> Result<Vec<OrderHistoryView>> {
        let order = self.seen(ctx, id).await?;
        store::history(self.db.read(), order.id).await
    }

    async fn cancel(&self, ctx: &Ctx, command: CancelOrder) -> Result<OrderView> {
        self.cancel_now(ctx, command).await
    }

    async fn pay(&self, ctx: &Ctx, command: PayOrder) -> Result<PaymentView> {
        self.pay_now(ctx, command).await
    }
}
