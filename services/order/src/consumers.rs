//! Events in.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use contracts::{
    Ctx, Event, EventBody,
    order::OrderCancelled,
    payment::{PaymentCaptured, PaymentConflicted, PaymentRefunded},
};
use kernel::Result;
use platform_bus::Consumer;

use crate::service::OrderService;

/// The calls an event leads to may take this long.
const DEADLINE: Duration = Duration::from_secs(30);

/// Follows the money. No inbox: what a payment does to an order is guarded by the order's state and by ids that follow from
/// it, and a note that an event was consumed would stop a repetition from finishing what a crash cut off.
pub(crate) struct Settle(pub(crate) Arc<OrderService>);

/// Unwinds what was cancelled. No inbox, for the same reason.
pub(crate) struct Unwind(pub(crate) Arc<OrderService>);

fn ctx(service: &OrderService, subscription: &str, event: &Event) -> Ctx {
    let request_id = format!("{subscription}:{}:{}", event.shard, event.pos);
    Ctx::system(request_id, service.db.now().plus(DEADLINE))
}

#[async_trait]
impl Consumer for Settle {
    fn subscription(&self) -> &'static str {
        "order.settle"
    }

    fn topics(&self) -> &'static [&'static str] {
        &[PaymentCaptured::TOPIC, PaymentConflicted::TOPIC, PaymentRefunded::TOPIC]
    }

    async fn consume(&self, event: &Event) -> Result<()> {
        let ctx = ctx(&self.0, self.subscription(), event);
        if let Some(captured) = event.body::<PaymentCaptured>()? {
            return self.0.captured(&ctx, &captured).await;
        }
        if let Some(conflicted) = event.body::<PaymentConflicted>()? {
            return self.0.conflicted(&ctx, &conflicted).await;
        }
        if let Some(refunded) = event.body::<PaymentRefunded>()? {
            return self.0.refunded(&ctx, &refunded).await;
        }
        Ok(())
    }
}

#[async_trait]
impl Consumer for Unwind {
    fn subscription(&self) -> &'static str {
        "order.unwind"
    }

    fn topics(&self) -> &'static [&'static str] {
        &[OrderCancelled::TOPIC]
    }

    async fn consume(&self, event: &Event) -> Result<()> {
        let ctx = ctx(&self.0, self.subscription(), event);
        match event.body::<OrderCancelled>()? {
            Some(cancelled) => self.0.unwind(&ctx, &cancelled).await,
            None => Ok(()),
        }
    }
}
