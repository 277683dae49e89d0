//! Subscriptions that every region has for itself.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::Event;
use kernel::{Region, Result};
use platform_regions::Regions;

use crate::{Consumer, Scope, Sharing, port::regional_name};

/// A consumer under its region's own name: with cursors, parked events and dead letters of its own.
struct Regional {
    name: &'static str,
    consumer: Arc<dyn Consumer>,
}

/// The consumers as a process of this region has them.
pub(crate) fn named(consumers: Vec<Arc<dyn Consumer>>, regions: &Regions) -> Vec<Arc<dyn Consumer>> {
    let Some(region) = regions.me() else { return consumers };
    consumers.into_iter().map(|consumer| of(consumer, region)).collect()
}

fn of(consumer: Arc<dyn Consumer>, region: &Region) -> Arc<dyn Consumer> {
    match consumer.scope() {
        Scope::Shop => consumer,
        Scope::Region => {
            // A few names, for as long as the process lives.
            let name = Box::leak(regional_name(consumer.subscription(), region).into_boxed_str());
            Arc::new(Regional { name, consumer })
        }
    }
}

#[async_trait]
impl Consumer for Regional {
    fn subscription(&self) -> &'static str {
        self.name
    }

    fn topics(&self) -> &'static [&'static str] {
        self.consumer.topics()
    }

    fn sharing(&self) -> Sharing {
        self.consumer.sharing()
    }

    fn scope(&self) -> Scope {
        Scope::Region
    }

    async fn consume(&self, event: &Event) -> Result<()> {
        self.consumer.consume(event).await
    }

    fn gathers(&self) -> bool {
        self.consumer.gathers()
    }

    async fn consume_all(&self, events: &[Arc<Event>]) -> Result<()> {
        self.consumer.consume_all(events).await
    }
}
