//! Events in.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use async_trait::async_trait;
use contracts::{
    Event, EventBody,
    catalog::{BrandChanged, CategoryChanged, ProductChanged, ProductId},
    inventory::AvailabilityChanged,
    order::OrderPaid,
    pricing::PriceChanged,
};
use kernel::Result;
use platform_bus::{Consumer, Scope};
use uuid::Uuid;

use crate::{
    model::{Kind, Priority},
    service::SearchService,
    store::{self, Mark as Row},
};

/// Marks what an event is about. No inbox: a mark made again is settled once, and costs less than the note.
pub(crate) struct Mark(pub(crate) Arc<SearchService>);

/// Counts what was sold.
pub(crate) struct CountSales(pub(crate) Arc<SearchService>);

fn mark_of(event: &Event) -> Result<Option<Row>> {
    if let Some(changed) = event.body::<AvailabilityChanged>()? {
        return Ok(Some(Row::new(changed.sku_id, Kind::Sku, Priority::Stock)));
    }
    if let Some(changed) = event.body::<PriceChanged>()? {
        return Ok(Some(Row::new(changed.sku_id, Kind::Sku, Priority::Price)));
    }
    if let Some(changed) = event.body::<ProductChanged>()? {
        let mark = Row::new(changed.product_id, Kind::Product, Priority::Product);
        return Ok(Some(Row { version: changed.version, ..mark }));
    }
    if let Some(changed) = event.body::<BrandChanged>()? {
        return Ok(Some(Row::new(changed.brand_id, Kind::Brand, Priority::Bulk)));
    }
    let changed = event.body::<CategoryChanged>()?;
    Ok(changed.map(|changed| Row::new(changed.category_id, Kind::Category, Priority::Bulk)))
}

#[async_trait]
impl Consumer for Mark {
    fn subscription(&self) -> &'static str {
        "search.mark"
    }

    fn topics(&self) -> &'static [&'static str] {
        &[
            ProductChanged::TOPIC,
            CategoryChanged::TOPIC,
            BrandChanged::TOPIC,
            PriceChanged::TOPIC,
            AvailabilityChanged::TOPIC,
        ]
    }

    /// Every region has an index of its own.
    fn scope(&self) -> Scope {
        Scope::Region
    }

    async fn consume(&self, event: &Event) -> Result<()> {
        if let Some(mark) = mark_of(event)? {
            store::mark(&self.0.db, &self.0.region, event.shard, vec![mark]).await?;
            self.0.wake.notify_one();
        }
        Ok(())
    }

    /// An import brings hundreds of thousands of events: a commit each would take longer than indexing them.
    fn gathers(&self) -> bool {
        true
    }

    async fn consume_all(&self, events: &[Arc<Event>]) -> Result<()> {
        let mut marks: HashMap<Uuid, Row> = HashMap::with_capacity(events.len());
        for event in events {
            if let Some(mark) = mark_of(event)? {
                marks.entry(mark.id).and_modify(|known| known.join(&mark)).or_insert(mark);
            }
        }
        if let Some(first) = events.first()
            && !marks.is_empty()
        {
            let mut marks: Vec<Row> = marks.into_values().collect();
            marks.sort_unstable_by_key(|mark| (mark.shard, mark.id));
            store::mark(&self.0.db, &self.0.region, first.shard, marks).await?;
            self.0.wake.notify_one();
        }
        Ok(())
    }
}

#[async_trait]
impl Consumer for CountSales {
    fn subscription(&self) -> &'static str {
        "search.count_sales"
    }

    fn topics(&self) -> &'static [&'static str] {
        &[OrderPaid::TOPIC]
    }

    async fn consume(&self, event: &Event) -> Result<()> {
        let Some(paid) = event.body::<OrderPaid>()? else { return Ok(()) };
        // In the order of their keys, so that two orders never wait for each other.
        let mut units: BTreeMap<ProductId, i64> = BTreeMap::new();
        for line in paid.lines {
            *units.entry(line.product_id).or_default() += line.quantity;
        }
        store::add_sales(
            &self.0.db,
            self.subscription(),
            event,
            units.into_iter().collect(),
            self.0.all_regions(),
        )
        .await?;
        self.0.wake.notify_one();
        Ok(())
    }
}
