//! Events in: another process changed the catalog, so what this one keeps of it is stale.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::{
    Event, EventBody,
    catalog::{BrandChanged, CategoryChanged, ProductChanged},
};
use kernel::Result;
use platform_bus::{Consumer, Scope};

use crate::service::CatalogService;

/// Drops what changed from this process's caches. It has no other effect, so it needs no inbox. Only one process of a region
/// gets an event; its others hear of it where there is a Redis, else their entries live ten seconds at most. It also makes
/// up for a process that died between its change and telling others.
pub(crate) struct Forget(pub(crate) Arc<CatalogService>);

#[async_trait]
impl Consumer for Forget {
    fn subscription(&self) -> &'static str {
        "catalog.forget"
    }

    fn topics(&self) -> &'static [&'static str] {
        &[ProductChanged::TOPIC, CategoryChanged::TOPIC, BrandChanged::TOPIC]
    }

    /// Every region has caches of its own.
    fn scope(&self) -> Scope {
        Scope::Region
    }

    async fn consume(&self, event: &Event) -> Result<()> {
        if let Some(changed) = event.body::<ProductChanged>()? {
            self.0.learn(changed.product_id).await;
        }
        if event.body::<CategoryChanged>()?.is_some() {
            self.0.forget_tree().await;
        }
        if event.body::<BrandChanged>()?.is_some() {
            self.0.forget_brands().await;
        }
        Ok(())
    }
}
