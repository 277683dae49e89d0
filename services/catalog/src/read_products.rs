//! Reads products: from this process's cache, and what is missing in a few queries for all of it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use contracts::{
    Ctx, Permission,
    catalog::{BrandId, CategoryId, ListProducts, ProductId, ProductRecord, ScanProducts, SkuId, SkuInfo},
    valid,
};
use kernel::{Cursors, Failure, Page, Result, Timestamp, page_limit};

use crate::{
    attributes::Attributes,
    brands::Brands,
    service::CatalogService,
    store::{
        listing::{self, Wanted},
        products::{self, Known},
    },
    tree::Tree,
};

const MOST_PRODUCTS: usize = 500;
const MOST_SKUS: usize = 1_000;
/// From so many products on, a category's listing walks all products instead of sorting its own.
const MANY: u64 = 5_000;
/// Ids younger than this may not have reached this process's filter yet.
const FRESH: Duration = Duration::from_secs(300);

/// What a record takes from elsewhere than its own rows.
pub(crate) struct Reference {
    tree: Arc<Tree>,
    brands: Arc<Brands>,
    attributes: Arc<Attributes>,
}

impl Reference {
    /// The record with its brand, categories and attributes as they are now.
    pub(crate) fn complete(&self, known: &Known) -> ProductRecord {
        let mut record = known.record.clone();
        record.brand = known.brand.and_then(|id| self.brands.get(BrandId::from_uuid(id)).cloned());
        let category = known.category.map(CategoryId::from_uuid);
        record.categories = self.tree.trail(category);
        record.attributes = self.attributes.rules(&self.tree, category).describe(record.attributes);
        record
    }

    /// Whether it has the brand and the category of this product.
    fn covers(&self, known: &Known) -> bool {
        known.brand.is_none_or(|id| self.brands.get(BrandId::from_uuid(id)).is_some())
            && known.category.is_none_or(|id| self.tree.get(CategoryId::from_uuid(id)).is_some())
    }
}

impl CatalogService {
    /// The tree, the brands and the attribute sets, none older than any of these products: another process may have made
    /// a brand or a category with its product a moment ago.
    pub(crate) async fn reference<'a>(&self, of: impl IntoIterator<Item = &'a Known>) -> Result<Reference> {
        let kept = self.kept_reference().await?;
        if of.into_iter().all(|known| kept.covers(known)) {
            return Ok(kept);
        }
        platform_cache::since(self.db.now(), self.kept_reference()).await
    }

    async fn kept_reference(&self) -> Result<Reference> {
        let (tree, brands) = (self.category_tree().await?, self.all_brands().await?);
        Ok(Reference { tree, brands, attributes: self.all_attributes().await? })
    }

    /// A product by id or slug; drafts and products off the shelf only for staff who may read the catalog.
    pub(crate) async fn product_for(&self, ctx: &Ctx, id_or_slug: &str) -> Result<ProductRecord> {
        let missing = || Failure::not_found("product");
        let id = self.product_id(id_or_slug).await?.ok_or_else(missing)?;
        let known = self.one(id).await?.ok_or_else(missing)?;
        if !known.record.is_sold() && !ctx.may(Permission::CatalogRead) {
            return Err(missing());
        }
        Ok(self.reference([&*known]).await?.complete(&known))
    }

    /// A product in any state.
    pub(crate) async fn record(&self, id: ProductId) -> Result<ProductRecord> {
        let known = self.one(id).await?.ok_or_else(|| Failure::not_found("product"))?;
        Ok(self.reference([&*known]).await?.complete(&known))
    }

    /// The product that an id or slug names; a slug may be one that the product had before.
    pub(crate) async fn product_id(&self, id_or_slug: &str) -> Result<Option<ProductId>> {
        if let Ok(id) = id_or_slug.parse::<ProductId>() {
            return Ok((!self.is_absent(id)).then_some(id));
        }
        // No slug is longer; junk is not worth a place in the cache.
        if id_or_slug.is_empty() || id_or_slug.len() > 200 {
            return Ok(None);
        }
        let slug = id_or_slug.to_owned();
        let load = || async {
            let found = products::slugs(self.db.read(), vec![slug.clone()]).await?;
            Ok(found.get(&slug).map(|row| ProductId::from_uuid(row.product_id)))
        };
        self.slugs.get_or_load(&slug, load).await
    }

    pub(crate) async fn one(&self, id: ProductId) -> Result<Option<Arc<Known>>> {
        if self.is_absent(id) {
            return Ok(None);
        }
        let load = || async {
            let rows = products::load(self.db.read(), &[id]).await?.remove(&id);
            rows.map(|rows| Known::try_from(rows).map(Arc::new)).transpose()
        };
        self.known.get_or_load(&id, load).await
    }

    /// Products by id.
    pub(crate) async fn many(&self, ids: &[ProductId]) -> Result<HashMap<ProductId, Arc<Known>>> {
        let present: Vec<ProductId> = ids.iter().copied().filter(|&id| !self.is_absent(id)).collect();
        self.known
            .get_many_or_load(&present, |missing| async move {
                let rows = products::load(self.db.read(), &missing).await?;
                rows.into_iter().map(|(id, rows)| Ok((id, Arc::new(Known::try_from(rows)?)))).collect()
            })
            .await
    }

    pub(crate) async fn records(&self, ids: Vec<ProductId>) -> Result<Vec<ProductRecord>> {
        if ids.len() > MOST_PRODUCTS {
            return Err(Failure::invalid("/", format!("at most {MOST_PRODUCTS} products a call")));
        }
        let known = self.many(&ids).await?;
        let reference = self.reference(known.values().map(|known| &**known)).await?;
        Ok(ids.iter().filter_map(|id| known.get(id)).map(|known| reference.complete(known)).collect())
    }

    pub(crate) async fn list(&self, query: ListProducts) -> Result<Page<ProductRecord>> {
        let Some(page) = self.list_ids(query).await? else {
            return Ok(Page { items: Vec::new(), next_cursor: None });
        };
        // A product that was taken off the shelf since the list was read is not shown.
        let records = self.records(page.items).await?;
        Ok(Page {
            items: records.into_iter().filter(ProductRecord::is_sold).collect(),
            next_cursor: page.next_cursor,
        })
    }

    /// Sold products of a category or brand, newest first; none for a category or brand that does not exist.
    async fn list_ids(&self, query: ListProducts) -> Result<Option<Page<ProductId>>> {
        valid(&query)?;
        let limit = page_limit(query.limit)?;
        let mut wanted = Wanted { limit: u64::from(limit) + 1, ..Wanted::default() };
        if let Some(category) = query.category.as_deref().filter(|it| !it.is_empty()) {
            let tree = self.category_tree().await?;
            let Some(category) = tree.find(category) else { return Ok(None) };
            let counts = self.product_counts().await?;
            wanted.below = Some((category.path.clone(), tree.count_below(category.id, &counts) > MANY));
        }
        if let Some(brand) = query.brand.as_deref().filter(|it| !it.is_empty()) {
            let brands = self.all_brands().await?;
            let Some(brand) = brands.find(brand) else { return Ok(None) };
            wanted.brand = Some(brand.id);
        }
        let filters = [&query.category, &query.brand].map(|filter| filter.as_deref().unwrap_or_default());
        let cursors = Cursors::of("catalog.products", &filters);
        wanted.after = cursors.read(query.cursor.as_deref())?;
        let rows = listing::sold(self.db.read(), wanted).await?;
        Ok(Some(cursors.page(rows, limit, |position| *position).map(|position| position.id)))
    }

    pub(crate) async fn scan(&self, scan: ScanProducts) -> Result<Vec<ProductRecord>> {
        let limit = u64::from(scan.limit).clamp(1, MOST_PRODUCTS as u64);
        let ids = listing::scan(self.db.read(), scan.after, limit).await?;
        // Past the cache: a scan of everything would drive out what shoppers look at.
        let rows = products::load(self.db.read(), &ids).await?;
        let mut known: HashMap<ProductId, Known> =
            rows.into_iter().map(|(id, rows)| Ok((id, Known::try_from(rows)?))).collect::<Result<_>>()?;
        let reference = self.reference(known.values()).await?;
        Ok(ids.iter().filter_map(|id| known.remove(id)).map(|known| reference.complete(&known)).collect())
    }

    pub(crate) async fn sku_infos(&self, ids: Vec<SkuId>) -> Result<Vec<SkuInfo>> {
        if ids.len() > MOST_SKUS {
            return Err(Failure::invalid("/", format!("at most {MOST_SKUS} SKUs a call")));
        }
        let load = |missing: Vec<SkuId>| async move { products::products_of(self.db.read(), &missing).await };
        let homes = self.homes.get_many_or_load(&ids, load).await?;
        let mut products: Vec<ProductId> = homes.values().copied().collect();
        products.sort_unstable();
        products.dedup();
        let known = self.many(&products).await?;
        let tree = self.category_tree().await?;
        Ok(ids.iter().filter_map(|id| sku_info(known.get(homes.get(id)?)?, *id, &tree)).collect())
    }

    /// Whether `id` certainly names no product. The filter of another process learns of a new product a little later, so
    /// young ids are let through; so are those whose time lies ahead.
    fn is_absent(&self, id: ProductId) -> bool {
        let millis = i64::try_from(id.uuid().as_u128() >> 80).unwrap_or(i64::MAX);
        let made = Timestamp::from_micros(millis.saturating_mul(1_000));
        made.plus(FRESH) < self.db.now() && self.filter.is_absent(&id)
    }
}

fn sku_info(known: &Known, id: SkuId, tree: &Tree) -> Option<SkuInfo> {
    let record = &known.record;
    let live = record.skus.iter().find(|sku| sku.id == id);
    let sku = live.or_else(|| known.retired.iter().find(|sku| sku.id == id))?;
    let top = tree.trail(known.category.map(CategoryId::from_uuid)).into_iter().next();
    Some(SkuInfo {
        sku: sku.clone(),
        product_id: record.id,
        slug: record.slug.clone(),
        title: record.title.clone(),
        image: record.images.first().cloned(),
        tax_category: top.map(|category| category.slug).unwrap_or_default(),
        sold: live.is_some() && record.is_sold(),
    })
}
