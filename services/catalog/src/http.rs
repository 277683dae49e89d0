//! Routes. What shoppers read carries prices and stock, which other domains own: [`pages`] puts them together.

mod admin;
mod attributes;
mod media;
pub(crate) mod pages;

use std::{collections::HashMap, sync::Arc};

use actix_web::{HttpRequest, get, web::Data};
use contracts::{
    catalog::{BrandView, Catalog, CategoryNode, ListProducts, ProductCard, ProductView},
    inventory::Inventory,
    pricing::Pricing,
};
use kernel::{Failure, Page};
use platform_http::{Answer, Anyone, Params, PathOf, Routes, cached};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{http::pages::Pages, service::CatalogService};

/// Everything under `/api/v1/categories`, `/brands`, `/products`, `/admin/categories`, `/admin/brands`, `/admin/attribute-sets`,
/// `/admin/products` and `/media`.
pub(crate) fn routes(
    service: Arc<CatalogService>,
    pricing: Arc<dyn Pricing>,
    inventory: Arc<dyn Inventory>,
) -> Routes {
    let pages = Arc::new(Pages { catalog: Arc::clone(&service), pricing, inventory });
    Arc::new(move |cfg| {
        cfg.app_data(Data::from(Arc::clone(&service) as Arc<dyn Catalog>))
            .app_data(Data::from(Arc::clone(&service)))
            .app_data(Data::from(Arc::clone(&pages)))
            .service(categories)
            .service(brands)
            .service(products)
            .service(product)
            .service(media::show);
        admin::register(cfg);
        attributes::register(cfg);
    })
}

/// The category tree.
#[derive(Serialize, ToSchema)]
pub(crate) struct CategoryTree {
    /// Categories at the top, each with what is below it.
    items: Vec<CategoryNode>,
}

/// All brands.
#[derive(Serialize, ToSchema)]
pub(crate) struct BrandList {
    /// By name.
    items: Vec<BrandView>,
}

/// The category tree with the number of products sold in each category and below.
#[utoipa::path(tag = "catalog", responses((status = 200, body = CategoryTree)))]
#[get("/api/v1/categories")]
async fn categories(req: HttpRequest, _caller: Anyone, pages: Data<Pages>) -> Answer {
    Ok(pages.categories().await?.answer(&req, 10))
}

/// All brands by name.
#[utoipa::path(tag = "catalog", responses((status = 200, body = BrandList)))]
#[get("/api/v1/brands")]
async fn brands(req: HttpRequest, Anyone(ctx): Anyone, catalog: Data<dyn Catalog>) -> Answer {
    Ok(cached(&req, &BrandList { items: catalog.brands(&ctx, ()).await? }, 10))
}

/// Products on sale, newest first. Nothing for a category or brand that does not exist.
#[utoipa::path(tag = "catalog", params(ListProducts), responses((status = 200, body = Page<ProductCard>)))]
#[get("/api/v1/products")]
async fn products(
    req: HttpRequest,
    Anyone(ctx): Anyone,
    Params(query): Params<ListProducts>,
    pages: Data<Pages>,
) -> Answer {
    Ok(pages.list(&ctx, query).await?.answer(&req, 1))
}

/// A product on sale, with prices and stock at most a second old. A slug that the product had before finds it too; the
/// answer then names the present one.
#[utoipa::path(
    tag = "catalog",
    params(("id_or_slug" = String, Path, description = "Id or slug")),
    responses((status = 200, body = ProductView))
)]
#[get("/api/v1/products/{id_or_slug}")]
async fn product(
    req: HttpRequest,
    Anyone(ctx): Anyone,
    PathOf(id_or_slug): PathOf<String>,
    pages: Data<Pages>,
) -> Answer {
    let document = pages.product(&ctx, &id_or_slug).await?.ok_or_else(|| Failure::not_found("product"))?;
    Ok(document.answer(&req, 1))
}

/// Prices and stock of SKUs, by SKU.
pub(crate) type Live = HashMap<contracts::catalog::SkuId, (Option<contracts::pricing::PriceView>, i64)>;
