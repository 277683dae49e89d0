//! What shoppers read: the catalog's data with prices and stock, serialised once and kept until a price or the stock in it changes in this
//! process, for a second at most.

use std::{collections::HashMap, sync::Arc};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH},
    web::Bytes,
};
use contracts::{
    Ctx,
    catalog::{ListProducts, ProductCard, ProductRecord, ProductView, SkuId, SkuView},
    inventory::Inventory,
    pricing::{PricesOf, Pricing},
};
use futures::future::try_join_all;
use kernel::{Failure, Page, Result};
use platform_db::Stamp;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{CategoryTree, Live};
use crate::service::CatalogService;

/// SKUs in one question to pricing or inventory.
const MOST: usize = 1_000;

/// A body that is ready to send.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    body: Bytes,
    etag: HeaderValue,
    /// How the prices and stock in it stood; holds until one of them changes in this process.
    stamp: Stamp,
}

impl Document {
    fn new<T: Serialize>(value: &T, stamp: Stamp) -> Result<Self> {
        let body = serde_json::to_vec(value).map_err(Failure::internal)?;
        let etag = format!("\"{}\"", hex::encode(&Sha256::digest(&body)[..16]));
        Ok(Self { body: body.into(), etag: HeaderValue::try_from(etag).map_err(Failure::internal)?, stamp })
    }

    /// `200` with the body, or `304` for who has it, for everybody to keep for `max_age` seconds: 1 or 10.
    pub(crate) fn answer(&self, req: &HttpRequest, max_age: u8) -> HttpResponse {
        let keep =
            HeaderValue::from_static(if max_age > 1 { "public, max-age=10" } else { "public, max-age=1" });
        let has_it =
            req.headers().get_all(IF_NONE_MATCH).filter_map(|value| value.to_str().ok()).any(|value| {
                let tags = value.split(',').map(str::trim);
                tags.into_iter().any(|tag| {
                    tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == self.etag.as_bytes()
                })
            });
        let mut answer = if has_it { HttpResponse::NotModified() } else { HttpResponse::Ok() };
        answer.insert_header((ETAG, self.etag.clone())).insert_header((CACHE_CONTROL, keep));
        if has_it {
            return answer.finish();
        }
        answer
            .insert_header((CONTENT_TYPE, HeaderValue::from_static("application/json")))
            .body(self.body.clone())
    }
}

/// Puts together what three domains know.
pub(crate) struct Pages {
    pub(crate) catalog: Arc<CatalogService>,
    pub(crate) pricing: Arc<dyn Pricing>,
    pub(crate) inventory: Arc<dyn Inventory>,
}

impl Pages {
    /// The document of a product on sale; none for others.
    pub(crate) async fn product(&self, ctx: &Ctx, id_or_slug: &str) -> Result<Option<Arc<Document>>> {
        let Some(id) = self.catalog.product_id(id_or_slug).await? else { return Ok(None) };
        let load = || async {
            let Some(known) = self.catalog.one(id).await?.filter(|known| known.record.is_sold()) else {
                return Ok(None);
            };
            let record = self.catalog.reference([&*known]).await?.complete(&known);
            let (live, stamp) = self.live(ctx, record.skus.iter().map(|sku| sku.id).collect()).await?;
            Ok(Some(Arc::new(Document::new(&product_view(record, &live), stamp)?)))
        };
        let found = self.catalog.documents.get_or_load(&id, load).await?;
        if found.as_ref().is_none_or(|document| self.holds(document)) {
            return Ok(found);
        }
        self.catalog.documents.invalidate(&id).await;
        self.catalog.documents.get_or_load(&id, load).await
    }

    /// A page of cards.
    pub(crate) async fn list(&self, ctx: &Ctx, query: ListProducts) -> Result<Arc<Document>> {
        let key = serde_json::to_string(&query).map_err(Failure::internal)?;
        let load = || async {
            let page = self.catalog.list(query.clone()).await?;
            let skus = page.items.iter().flat_map(|record| record.skus.iter().map(|sku| sku.id)).collect();
            let (live, stamp) = self.live(ctx, skus).await?;
            let page: Page<ProductCard> = page.map(|record| card(record, &live));
            Ok(Some(Arc::new(Document::new(&page, stamp)?)))
        };
        let mut found = self.catalog.lists.get_or_load(&key, load).await?;
        if !found.as_ref().is_none_or(|document| self.holds(document)) {
            self.catalog.lists.invalidate(&key).await;
            found = self.catalog.lists.get_or_load(&key, load).await?;
        }
        found.ok_or_else(|| Failure::internal("a list is always there"))
    }

    /// The category tree.
    pub(crate) async fn categories(&self) -> Result<Arc<Document>> {
        let load = || async {
            let (tree, counts) = (self.catalog.category_tree().await?, self.catalog.product_counts().await?);
            Ok(Some(Arc::new(Document::new(
                &CategoryTree { items: tree.nested(&counts) },
                Stamp::default(),
            )?)))
        };
        let found = self.catalog.lists.get_or_load(&"categories".to_owned(), load).await?;
        found.ok_or_else(|| Failure::internal("the tree is always there"))
    }

    /// Whether what this process sold or repriced since leaves the document true.
    fn holds(&self, document: &Document) -> bool {
        self.catalog.stamps().hold(&document.stamp)
    }

    /// Prices in force and units available, both asked at once, and how they stood before.
    async fn live(&self, ctx: &Ctx, ids: Vec<SkuId>) -> Result<(Live, Stamp)> {
        let stamp = self.catalog.stamps().take(ids.iter().map(|id| id.uuid()));
        let prices = try_join_all(
            ids.chunks(MOST)
                .map(|some| self.pricing.prices(ctx, PricesOf { sku_ids: some.to_vec(), currency: None })),
        );
        let stock =
            try_join_all(ids.chunks(MOST).map(|some| self.inventory.availability(ctx, some.to_vec())));
        let (prices, stock) = futures::try_join!(prices, stock)?;
        let mut prices: HashMap<SkuId, _> =
            prices.into_iter().flatten().map(|price| (price.sku_id, price)).collect();
        let stock: HashMap<SkuId, i64> =
            stock.into_iter().flatten().map(|it| (it.sku_id, it.available)).collect();
        let live =
            ids.iter().map(|id| (*id, (prices.remove(id), stock.get(id).copied().unwrap_or(0)))).collect();
        Ok((live, stamp))
    }
}

fn product_view(record: ProductRecord, live: &Live) -> ProductView {
    let skus = record
        .skus
        .into_iter()
        .map(|sku| {
            let (price, available) = live.get(&sku.id).cloned().unwrap_or((None, 0));
            SkuView {
                id: sku.id,
                code: sku.code,
                options: sku.options,
                price: price.as_ref().map(|it| it.price),
                compare_at: price.as_ref().and_then(|it| it.compare_at),
                lowest_30_days: price.as_ref().and_then(|it| it.lowest_30_days),
                available,
            }
        })
        .collect();
    ProductView {
        id: record.id,
        slug: record.slug,
        title: record.title,
        description: record.description,
        brand: record.brand,
        category: record.categories.last().cloned(),
        breadcrumbs: record.categories,
        attributes: record.attributes,
        tags: record.tags,
        images: record.images,
        options: record.options,
        skus,
        published_at: record.published_at,
        version: record.version,
    }
}

/// The cheapest SKU speaks for its product.
fn card(record: ProductRecord, live: &Live) -> ProductCard {
    let of = |id: &SkuId| live.get(id);
    let cheapest =
        record.skus.iter().filter_map(|sku| of(&sku.id)?.0.as_ref()).min_by_key(|price| price.price.amount);
    ProductCard {
        id: record.id,
        price: cheapest.map(|price| price.price),
        compare_at: cheapest.and_then(|price| price.compare_at),
        in_stock: record.skus.iter().any(|sku| of(&sku.id).is_some_and(|(_, available)| *available > 0)),
        slug: record.slug,
        title: record.title,
        brand: record.brand.map(|brand| brand.name),
        image: record.images.into_iter().next(),
    }
}
