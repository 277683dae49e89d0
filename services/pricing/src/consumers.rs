//! Events in.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::{Event, EventBody, pricing::PriceChanged};
use kernel::Result;
use platform_bus::{Consumer, Scope};

use crate::service::PricingService;

/// Forgets prices that another process changed.
pub struct Forget(pub Arc<PricingService>);

#[async_trait]
impl Consumer for Forget {
    fn subscription(&self) -> &'static str {
        "pricing.forget"
    }

    fn topics(&self) -> &'static [&'static str] {
        &[PriceChanged::TOPIC]
    }

    /// Every region has caches of its own.
    fn scope(&self) -> Scope {
        Scope::Region
    }

    /// No row is written, so that forgetting twice is harmless and needs no inbox.
    async fn consume(&self, event: &Event) -> Result<()> {
        if let Some(changed) = event.body::<PriceChanged>()? {
            self.0.forget([changed.sku_id]).await;
        }
        Ok(())
    }
}
