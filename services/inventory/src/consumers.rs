//! Events in.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::{Event, EventBody, inventory::QuotaShort};
use kernel::Result;
use platform_bus::Consumer;

use crate::{
    rebalance::{divide, moved},
    service::InventoryService,
};

const SUBSCRIPTION: &str = "inventory.rebalance";

/// Divides a SKU's stock again when a region's part of it is used up: where the SKU's shard is at home.
pub(crate) struct Quotas(pub(crate) Arc<InventoryService>);

#[async_trait]
impl Consumer for Quotas {
    fn subscription(&self) -> &'static str {
        SUBSCRIPTION
    }

    fn topics(&self) -> &'static [&'static str] {
        &[QuotaShort::TOPIC]
    }

    async fn consume(&self, event: &Event) -> Result<()> {
        let Some(short) = event.body::<QuotaShort>()? else { return Ok(()) };
        let service = &self.0;
        let input = (event.clone(), service.dividing(vec![short.sku_id]).await?);
        let units = service
            .db
            .write(event.shard, input, |tx, (event, dividing)| {
                Box::pin(async move {
                    if tx.first_time(SUBSCRIPTION, event).await? { divide(tx, dividing).await } else { Ok(0) }
                })
            })
            .await?;
        moved(units);
        Ok(())
    }
}
