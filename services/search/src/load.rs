//! Reads products from their owners and makes documents of them.

use std::collections::{HashMap, HashSet};

use contracts::{
    Ctx,
    catalog::{ListProducts, ProductId, ProductRecord, SkuId},
};
use kernel::Result;
use platform_index::{Change, Document};

use crate::{
    model::{self, Kind},
    refresh::of_kind,
    service::SearchService,
    store::{self, Dirty},
};

/// What the owners take in one call.
pub(crate) const PRODUCTS: usize = 500;
const SKUS: usize = 1_000;

impl SearchService {
    /// What the index should hold of these products now, and which of them are behind the version asked for.
    pub(crate) async fn changes(
        &self,
        ctx: &Ctx,
        wanted: &HashMap<ProductId, i64>,
    ) -> Result<(Vec<Change>, HashSet<ProductId>)> {
        let mut ids: Vec<ProductId> = wanted.keys().copied().collect();
        ids.sort_unstable();
        let (mut changes, mut behind) = (Vec::with_capacity(ids.len()), HashSet::new());
        for some in ids.chunks(PRODUCTS) {
            let records = self.catalog.products(ctx, some.to_vec()).await?;
            let known: HashSet<ProductId> = records.iter().map(|record| record.id).collect();
            behind.extend(
                records
                    .iter()
                    .filter(|record| wanted.get(&record.id).is_some_and(|version| record.version < *version))
                    .map(|record| record.id),
            );
            // Deleted, or not sold any more.
            let gone = some.iter().filter(|id| !known.contains(id)).copied();
            let unsold = records.iter().filter(|record| !record.is_sold()).map(|record| record.id);
            changes.extend(gone.chain(unsold).map(|id| Change::Delete(id.uuid())));
            let sold: Vec<ProductRecord> = records.into_iter().filter(ProductRecord::is_sold).collect();
            let documents = self.documents(ctx, &sold).await?;
            changes.extend(documents.into_iter().map(|document| Change::Upsert(Box::new(document))));
        }
        Ok((changes, behind))
    }

    /// Documents of sold products, with their prices, stock and sales of now.
    pub(crate) async fn documents(&self, ctx: &Ctx, products: &[ProductRecord]) -> Result<Vec<Document>> {
        let skus: Vec<SkuId> = products.iter().flat_map(|product| &product.skus).map(|sku| sku.id).collect();
        let (mut prices, mut available) = (HashMap::new(), HashMap::new());
        for some in skus.chunks(SKUS) {
            for price in self.pricing.every_price(ctx, some.to_vec()).await? {
                prices.entry(price.sku_id).or_insert_with(Vec::new).push(price);
            }
            let found = self.inventory.availability(ctx, some.to_vec()).await?;
            available.extend(found.into_iter().map(|found| (found.sku_id, found.available)));
        }
        let ids: Vec<ProductId> = products.iter().map(|product| product.id).collect();
        let sold = store::sales(&self.db, &ids).await?;
        products
            .iter()
            .map(|it| model::document(it, &prices, &available, sold.get(&it.id).copied().unwrap_or(0)))
            .collect()
    }

    /// The products that marked SKUs belong to; SKUs that are retired belong to none (their product has a mark of its own).
    pub(crate) async fn products_of(&self, ctx: &Ctx, rows: &[Dirty]) -> Result<HashSet<ProductId>> {
        let skus: Vec<SkuId> = of_kind(rows, Kind::Sku).map(|row| SkuId::from_uuid(row.id)).collect();
        let mut products = HashSet::new();
        for some in skus.chunks(SKUS) {
            let found = self.catalog.skus(ctx, some.to_vec()).await?;
            products.extend(found.into_iter().map(|info| info.product_id));
        }
        Ok(products)
    }

    /// Sold products of a category and below it or of a brand, a page at a time.
    pub(crate) async fn page_of(
        &self,
        ctx: &Ctx,
        query: ListProducts,
    ) -> Result<(Vec<ProductId>, Option<String>)> {
        let page = self.catalog.list_products(ctx, query).await?;
        Ok((page.items.into_iter().map(|record| record.id).collect(), page.next_cursor))
    }
}
