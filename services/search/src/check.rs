//! Compares the index with the database, and repairs it.

use std::collections::{HashMap, HashSet};

use contracts::{
    Ctx, Permission,
    catalog::{ProductId, ProductRecord, ScanProducts},
    search::{CheckIndex, IndexReport},
};
use kernel::Result;
use platform_index::{Change, Document, Entry};
use uuid::Uuid;

use crate::{
    load::PRODUCTS,
    model::{Kind, Priority, product_id},
    service::SearchService,
    store::{self, Mark},
};

/// Entries read from the index at once.
const ENTRIES: usize = 10_000;

/// What is wrong with a product's entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Missing,
    Extra,
    Stale,
}

impl SearchService {
    /// Compares every product with its entry: version, prices, stock. What differs is looked at twice, so that a change that
    /// is just on its way is not taken for a fault.
    pub(crate) async fn check_index(&self, ctx: &Ctx, command: CheckIndex) -> Result<IndexReport> {
        ctx.require(if command.repair { Permission::OperationsWrite } else { Permission::OperationsRead })?;
        let (expected, indexed, suspects) = self.compare_all(ctx).await?;
        let faults =
            if suspects.is_empty() { HashMap::new() } else { self.look_again(ctx, suspects).await? };
        let count = |wanted: Fault| faults.values().filter(|&&fault| fault == wanted).count() as u64;
        let mut report = IndexReport {
            expected,
            indexed,
            missing: count(Fault::Missing),
            extra: count(Fault::Extra),
            stale: count(Fault::Stale),
            repaired: 0,
        };
        if !faults.is_empty() {
            tracing::warn!(
                missing = report.missing,
                extra = report.extra,
                stale = report.stale,
                "the index differs"
            );
        }
        if command.repair && !faults.is_empty() {
            let ids: HashSet<ProductId> = faults.into_keys().collect();
            let marks = ids.iter().map(|id| Mark::new(*id, Kind::Product, Priority::Product)).collect();
            store::mark(&self.db, &self.region, ctx.shard(), marks).await?;
            self.wake.notify_one();
            self.drain(ctx).await?;
            let left = self.faults_of(ctx, &ids).await?;
            report.repaired = (ids.len() - left.len()) as u64;
        }
        Ok(report)
    }

    /// How many products are sold, how many entries there are, and the ids whose entries differ.
    async fn compare_all(&self, ctx: &Ctx) -> Result<(u64, u64, HashSet<ProductId>)> {
        let mut entries = self.all_entries().await?;
        let indexed = entries.len() as u64;
        let (mut expected, mut suspects, mut after) = (0, HashSet::new(), None);
        loop {
            let limit = u32::try_from(PRODUCTS).unwrap_or(u32::MAX);
            let records = self.catalog.scan_products(ctx, ScanProducts { after, limit }).await?;
            let Some(last) = records.last() else { break };
            after = Some(last.id);
            let sold: Vec<ProductRecord> = records.into_iter().filter(ProductRecord::is_sold).collect();
            expected += sold.len() as u64;
            for document in self.documents(ctx, &sold).await? {
                if entries.remove(&document.id).is_none_or(|entry| differs(&document, &entry)) {
                    suspects.insert(product_id(document.id));
                }
            }
        }
        suspects.extend(entries.into_keys().map(product_id));
        Ok((expected, indexed, suspects))
    }

    /// Lets changes that are on their way arrive, as far as this process can, and compares again.
    async fn look_again(&self, ctx: &Ctx, suspects: HashSet<ProductId>) -> Result<HashMap<ProductId, Fault>> {
        if self.may_write().await? {
            while self.db.now() < ctx.deadline && self.refresh_once().await? > 0 {}
        }
        self.faults_of(ctx, &suspects).await
    }

    async fn faults_of(&self, ctx: &Ctx, ids: &HashSet<ProductId>) -> Result<HashMap<ProductId, Fault>> {
        let entries = self.all_entries().await?;
        let mut faults = HashMap::new();
        let all: Vec<ProductId> = ids.iter().copied().collect();
        for some in all.chunks(PRODUCTS) {
            let wanted = some.iter().map(|id| (*id, 0)).collect();
            for change in self.changes(ctx, &wanted).await?.0 {
                let fault = match &change {
                    Change::Upsert(document) => match entries.get(&document.id) {
                        None => Some((document.id, Fault::Missing)),
                        Some(entry) => differs(document, entry).then_some((document.id, Fault::Stale)),
                    },
                    Change::Delete(id) => entries.contains_key(id).then_some((*id, Fault::Extra)),
                };
                faults.extend(fault.map(|(id, fault)| (product_id(id), fault)));
            }
        }
        Ok(faults)
    }

    async fn all_entries(&self) -> Result<HashMap<Uuid, Entry>> {
        let mut all = HashMap::new();
        let mut after = None;
        loop {
            let page = self.index.entries(after, ENTRIES).await?;
            let Some(last) = page.last() else { return Ok(all) };
            after = Some(last.id);
            all.extend(page.into_iter().map(|entry| (entry.id, entry)));
        }
    }
}

fn differs(document: &Document, entry: &Entry) -> bool {
    (document.version, &document.prices, document.in_stock) != (entry.version, &entry.prices, entry.in_stock)
}
