//! The dependencies, and the contract by delegation.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::{
    Caller, Ctx, Permission,
    order::OrderId,
    payment::{
        CallbackAnswer, CancelPayments, ListPayments, OpenPayment, PaymentId, PaymentView, Payments,
        ProviderCallback, RefundPayment, RefundView, Simulate, code as payment_code,
    },
};
use kernel::{Failure, Page, Result, code};
use platform_db::Db;
use tracing::Instrument;

use crate::{
    channel::{Channel, Channels},
    config::PaymentConfig,
    places::Places,
    store::{self, entity::intent},
};

/// Payments over one database.
pub struct PaymentService {
    pub(crate) db: Db,
    pub(crate) channels: Channels,
    pub(crate) places: Places,
    pub(crate) config: PaymentConfig,
}

impl PaymentService {
    /// A service over these channels. Fails on a configuration that cannot work.
    pub fn new(db: Db, channels: Channels, places: Places, config: PaymentConfig) -> Result<Arc<Self>> {
        config.validate()?;
        Ok(Arc::new(Self { db, channels, places, config }))
    }

    /// The channel of this name, which a payment of ours was opened over.
    pub(crate) fn channel(&self, name: &str) -> Result<Arc<dyn Channel>> {
        let channel = self.channels.get(name).map(Arc::clone);
        channel.ok_or_else(|| {
            Failure::new(payment_code::CHANNEL_UNKNOWN)
                .field("/channel", format!("there is no channel {name:?} here"))
        })
    }

    /// A payment that the caller may see; 404 for others.
    pub(crate) async fn visible(&self, ctx: &Ctx, id: PaymentId) -> Result<intent::Model> {
        let row = store::intent(self.db.read(), id).await?;
        row.filter(|row| ctx.may_see(row.user(), Permission::PaymentRead)).ok_or_else(no_payment)
    }
}

/// There is no such payment, or not for this caller.
pub(crate) fn no_payment() -> Failure {
    Failure::not_found("payment")
}

/// What only Meridian itself may do.
pub(crate) fn system_only(ctx: &Ctx) -> Result<()> {
    match ctx.caller {
        Caller::System => Ok(()),
        Caller::User { .. } => Err(Failure::new(code::FORBIDDEN)),
        Caller::Anonymous => Err(Failure::new(code::UNAUTHENTICATED)),
    }
}

impl std::fmt::Debug for PaymentService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PaymentService").field("channels", &self.channels).finish_non_exhaustive()
    }
}

#[async_trait]
impl Payments for PaymentService {
    async fn open(&self, ctx: &Ctx, command: OpenPayment) -> Result<PaymentView> {
        self.open_payment(ctx, command).instrument(platform_trace::step("payment.open")).await
    }

    async fn payment(&self, ctx: &Ctx, id: PaymentId) -> Result<PaymentView> {
        self.visible(ctx, id).await?.view(&self.places)
    }

    async fn of_order(&self, ctx: &Ctx, order: OrderId) -> Result<Vec<PaymentView>> {
        self.payments_of_order(ctx, order).await
    }

    async fn payments(&self, ctx: &Ctx, query: ListPayments) -> Result<Page<PaymentView>> {
        self.list_payments(ctx, query).await
    }

    async fn cancel_order(&self, ctx: &Ctx, command: CancelPayments) -> Result<()> {
        self.cancel_payments(ctx, command).await
    }

    async fn refund(&self, ctx: &Ctx, command: RefundPayment) -> Result<RefundView> {
        self.refund_payment(ctx, command).await
    }

    async fn refunds(&self, ctx: &Ctx, id: PaymentId) -> Result<Vec<RefundView>> {
        self.visible(ctx, id).await?;
        store::refunds(self.db.read(), id).await?.iter().map(store::entity::refund::Model::view).collect()
    }

    async fn callback(&self, _ctx: &Ctx, callback: ProviderCallback) -> Result<CallbackAnswer> {
        self.take_callback(callback).await
    }

    async fn simulate(&self, ctx: &Ctx, command: Simulate) -> Result<()> {
        self.simulate_outcome(ctx, command).await
    }
}
