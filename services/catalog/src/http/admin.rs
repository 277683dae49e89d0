//! What staff do with the catalog.

use actix_web::{
    HttpRequest, HttpResponse, delete, get,
    http::header::{CONTENT_TYPE, ETAG, IF_MATCH},
    post, put,
    web::Data,
};
use base64::{Engine, engine::general_purpose::STANDARD};
use contracts::{
    Permission,
    catalog::{
        BrandId, BrandInput, BrandView, Catalog, CategoryId, CategoryInput, CategoryRef, ImageView,
        MoveProduct, ProductAction, ProductId, ProductInput, ProductRecord, ProductState, ReplaceBrand,
        ReplaceCategory, ReplaceProduct,
    },
};
use garde::Validate;
use kernel::{Cursors, Failure, Page, Result, code, page_limit};
use platform_http::{Answer, Params, PathOf, Staff, Upload, Valid, created, no_content, ok};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_actix_web::service_config::ServiceConfig;

use super::{BrandList, CategoryTree};
use crate::{
    service::CatalogService,
    store::listing::{self, StaffWanted},
};

pub(crate) fn register(cfg: &mut ServiceConfig<'_>) {
    cfg.service(list_categories)
        .service(add_category)
        .service(replace_category)
        .service(remove_category)
        .service(list_brands)
        .service(add_brand)
        .service(replace_brand)
        .service(remove_brand)
        .service(list_products)
        .service(add_product)
        .service(read_product)
        .service(replace_product)
        .service(publish)
        .service(unpublish)
        .service(shelve)
        .service(unshelve)
        .service(upload_image);
}

/// The category tree (`catalog.read`).
#[utoipa::path(tag = "admin: catalog", responses((status = 200, body = CategoryTree)))]
#[get("/api/v1/admin/categories")]
async fn list_categories(catalog: Data<dyn Catalog>, Staff(ctx): Staff) -> Answer {
    ctx.require(Permission::CatalogRead)?;
    Ok(ok(CategoryTree { items: catalog.categories(&ctx, ()).await? }))
}

/// Adds a category (`catalog.write`).
#[utoipa::path(tag = "admin: catalog", request_body = CategoryInput, responses((status = 201, body = CategoryRef)))]
#[post("/api/v1/admin/categories")]
async fn add_category(
    catalog: Data<dyn Catalog>,
    Staff(ctx): Staff,
    Valid(body): Valid<CategoryInput>,
) -> Answer {
    let category = catalog.add_category(&ctx, body).await?;
    Ok(created(&format!("/api/v1/admin/categories/{}", category.id), &category))
}

/// Changes or moves a category, with everything below it (`catalog.write`).
#[utoipa::path(
    tag = "admin: catalog",
    params(("id" = CategoryId, Path)),
    request_body = CategoryInput,
    responses((status = 200, body = CategoryRef))
)]
#[put("/api/v1/admin/categories/{id}")]
async fn replace_category(
    catalog: Data<dyn Catalog>,
    Staff(ctx): Staff,
    PathOf(id): PathOf<CategoryId>,
    Valid(category): Valid<CategoryInput>,
) -> Answer {
    Ok(ok(catalog.replace_category(&ctx, ReplaceCategory { id, category }).await?))
}

/// Removes a category that has neither categories nor products (`catalog.write`).
#[utoipa::path(tag = "admin: catalog", params(("id" = CategoryId, Path)), responses((status = 204)))]
#[delete("/api/v1/admin/categories/{id}")]
async fn remove_category(
    catalog: Data<dyn Catalog>,
    Staff(ctx): Staff,
    PathOf(id): PathOf<CategoryId>,
) -> Answer {
    catalog.remove_category(&ctx, id).await?;
    Ok(no_content())
}

/// All brands by name (`catalog.read`).
#[utoipa::path(tag = "admin: catalog", responses((status = 200, body = BrandList)))]
#[get("/api/v1/admin/brands")]
async fn list_brands(catalog: Data<dyn Catalog>, Staff(ctx): Staff) -> Answer {
    ctx.require(Permission::CatalogRead)?;
    Ok(ok(BrandList { items: catalog.brands(&ctx, ()).await? }))
}

/// Adds a brand (`catalog.write`).
#[utoipa::path(tag = "admin: catalog", request_body = BrandInput, responses((status = 201, body = BrandView)))]
#[post("/api/v1/admin/brands")]
async fn add_brand(catalog: Data<dyn Catalog>, Staff(ctx): Staff, Valid(body): Valid<BrandInput>) -> Answer {
    let brand = catalog.add_brand(&ctx, body).await?;
    Ok(created(&format!("/api/v1/admin/brands/{}", brand.id), &brand))
}

/// Renames a brand; its slug stays (`catalog.write`).
#[utoipa::path(
    tag = "admin: catalog",
    params(("id" = BrandId, Path)),
    request_body = BrandInput,
    responses((status = 200, body = BrandView))
)]
#[put("/api/v1/admin/brands/{id}")]
async fn replace_brand(
    catalog: Data<dyn Catalog>,
    Staff(ctx): Staff,
    PathOf(id): PathOf<BrandId>,
    Valid(brand): Valid<BrandInput>,
) -> Answer {
    Ok(ok(catalog.replace_brand(&ctx, ReplaceBrand { id, brand }).await?))
}

/// Removes a brand that no product has (`catalog.write`).
#[utoipa::path(tag = "admin: catalog", params(("id" = BrandId, Path)), responses((status = 204)))]
#[delete("/api/v1/admin/brands/{id}")]
async fn remove_brand(catalog: Data<dyn Catalog>, Staff(ctx): Staff, PathOf(id): PathOf<BrandId>) -> Answer {
    catalog.remove_brand(&ctx, id).await?;
    Ok(no_content())
}

/// Which products staff list.
#[derive(Clone, Debug, Default, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
struct ListStaffProducts {
    /// Only drafts, or only published ones.
    #[garde(skip)]
    #[param(inline)]
    state: Option<ProductState>,
    /// Only those on the shelf, or only those off it.
    #[garde(skip)]
    on_shelf: Option<bool>,
    /// From the page before.
    #[garde(length(max = 1000))]
    #[param(max_length = 1000)]
    cursor: Option<String>,
    /// 1 to 100.
    #[garde(range(min = 1, max = 100))]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// Products in any state, the last added first (`catalog.read`).
#[utoipa::path(tag = "admin: catalog", params(ListStaffProducts), responses((status = 200, body = Page<ProductRecord>)))]
#[get("/api/v1/admin/products")]
async fn list_products(
    catalog: Data<CatalogService>,
    Staff(ctx): Staff,
    Params(query): Params<ListStaffProducts>,
) -> Answer {
    ctx.require(Permission::CatalogRead)?;
    let limit = page_limit(query.limit)?;
    let cursors = Cursors::of("catalog.staff_products", &(query.state, query.on_shelf));
    let wanted = StaffWanted {
        state: query.state,
        on_shelf: query.on_shelf,
        before: cursors.read(query.cursor.as_deref())?,
        limit: u64::from(limit) + 1,
    };
    let page = cursors.page(listing::of_staff(catalog.db.read(), wanted).await?, limit, |id| *id);
    Ok(ok(Page { items: catalog.records(page.items).await?, next_cursor: page.next_cursor }))
}

/// Adds a product as a draft (`catalog.write`).
#[utoipa::path(tag = "admin: catalog", request_body = ProductInput, responses((status = 201, body = ProductRecord)))]
#[post("/api/v1/admin/products")]
async fn add_product(
    catalog: Data<dyn Catalog>,
    Staff(ctx): Staff,
    Valid(body): Valid<ProductInput>,
) -> Answer {
    let record = catalog.add_product(&ctx, body).await?;
    let mut answer = created(&format!("/api/v1/admin/products/{}", record.id), &record);
    answer.headers_mut().insert(ETAG, version_tag(&record)?);
    Ok(answer)
}

/// A product in any state (`catalog.read`). `ETag` is its version.
#[utoipa::path(
    tag = "admin: catalog",
    params(("id" = String, Path, description = "Id or slug")),
    responses((status = 200, body = ProductRecord))
)]
#[get("/api/v1/admin/products/{id}")]
async fn read_product(catalog: Data<dyn Catalog>, Staff(ctx): Staff, PathOf(id): PathOf<String>) -> Answer {
    ctx.require(Permission::CatalogRead)?;
    versioned(&catalog.product(&ctx, id).await?)
}

/// Changes a product (`catalog.write`): SKUs are matched by their options, those that are not named retire. With
/// `If-Match` only the version that was read is changed.
#[utoipa::path(
    tag = "admin: catalog",
    params(("id" = ProductId, Path), ("If-Match" = Option<String>, Header, description = "The `ETag` it was read with")),
    request_body = ProductInput,
    responses((status = 200, body = ProductRecord))
)]
#[put("/api/v1/admin/products/{id}")]
async fn replace_product(
    req: HttpRequest,
    catalog: Data<dyn Catalog>,
    Staff(ctx): Staff,
    PathOf(id): PathOf<ProductId>,
    Valid(product): Valid<ProductInput>,
) -> Answer {
    ctx.require(Permission::CatalogWrite)?;
    let expected_version = expected_version(&req)?;
    versioned(&catalog.replace_product(&ctx, ReplaceProduct { id, product, expected_version }).await?)
}

/// Publishes a draft and puts it on the shelf (`catalog.write`).
#[utoipa::path(tag = "admin: catalog", params(("id" = ProductId, Path)), responses((status = 200, body = ProductRecord)))]
#[post("/api/v1/admin/products/{id}/publish")]
async fn publish(catalog: Data<dyn Catalog>, Staff(ctx): Staff, PathOf(id): PathOf<ProductId>) -> Answer {
    versioned(&catalog.move_product(&ctx, MoveProduct { id, action: ProductAction::Publish }).await?)
}

/// Makes a published product a draft again (`catalog.write`).
#[utoipa::path(tag = "admin: catalog", params(("id" = ProductId, Path)), responses((status = 200, body = ProductRecord)))]
#[post("/api/v1/admin/products/{id}/unpublish")]
async fn unpublish(catalog: Data<dyn Catalog>, Staff(ctx): Staff, PathOf(id): PathOf<ProductId>) -> Answer {
    versioned(&catalog.move_product(&ctx, MoveProduct { id, action: ProductAction::Unpublish }).await?)
}

/// Puts a published product on the shelf (`catalog.write`).
#[utoipa::path(tag = "admin: catalog", params(("id" = ProductId, Path)), responses((status = 200, body = ProductRecord)))]
#[post("/api/v1/admin/products/{id}/shelve")]
async fn shelve(catalog: Data<dyn Catalog>, Staff(ctx): Staff, PathOf(id): PathOf<ProductId>) -> Answer {
    versioned(&catalog.move_product(&ctx, MoveProduct { id, action: ProductAction::Shelve }).await?)
}

/// Takes a published product off the shelf (`catalog.write`).
#[utoipa::path(tag = "admin: catalog", params(("id" = ProductId, Path)), responses((status = 200, body = ProductRecord)))]
#[post("/api/v1/admin/products/{id}/unshelve")]
async fn unshelve(catalog: Data<dyn Catalog>, Staff(ctx): Staff, PathOf(id): PathOf<ProductId>) -> Answer {
    versioned(&catalog.move_product(&ctx, MoveProduct { id, action: ProductAction::Unshelve }).await?)
}

/// The text in an uploaded image's place.
#[derive(Clone, Debug, Default, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(default)]
struct ImageText {
    /// Text in its place, for a raw body.
    #[garde(length(chars, max = 500))]
    #[param(max_length = 500)]
    alt: String,
}

/// An image as JSON.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct EncodedImage {
    /// The file, base64.
    bytes_base64: String,
    /// Text in its place.
    #[serde(default)]
    alt: String,
}

/// Adds an image after the others (`catalog.write`): the file itself, or JSON with it in base64. PNG, JPEG, WebP, GIF or AVIF,
/// as its first bytes show.
#[utoipa::path(
    tag = "admin: catalog",
    params(("id" = ProductId, Path), ImageText),
    request_body(content((Vec<u8> = "application/octet-stream"), (EncodedImage = "application/json"))),
    responses((status = 201, body = ImageView))
)]
#[post("/api/v1/admin/products/{id}/images")]
async fn upload_image(
    req: HttpRequest,
    catalog: Data<CatalogService>,
    Staff(ctx): Staff,
    PathOf(id): PathOf<ProductId>,
    Params(text): Params<ImageText>,
    Upload(body): Upload,
) -> Answer {
    ctx.require(Permission::CatalogWrite)?;
    let content_type = req.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let (bytes, alt) = if content_type.starts_with("application/json") {
        let image: EncodedImage = serde_json::from_slice(&body).map_err(|error| {
            Failure::new(code::MALFORMED).detail(format!("expected bytes_base64 and alt: {error}"))
        })?;
        let wrong =
            |_| Failure::invalid("/bytes_base64", "must be base64 (RFC 4648, section 4, with padding)");
        (STANDARD.decode(image.bytes_base64).map_err(wrong)?.into(), image.alt)
    } else {
        (body, text.alt)
    };
    let view = catalog.upload(&ctx, id, bytes, &alt).await?;
    Ok(created(&view.url, &view))
}

fn version_tag(record: &ProductRecord) -> Result<actix_web::http::header::HeaderValue> {
    format!("\"{}\"", record.version).try_into().map_err(Failure::internal)
}

fn versioned(record: &ProductRecord) -> Answer {
    Ok(HttpResponse::Ok().insert_header((ETAG, version_tag(record)?)).json(record))
}

/// The version in `If-Match`; none without the header or with `*`. What is no version of ours matches none.
fn expected_version(req: &HttpRequest) -> Result<Option<i64>> {
    let Some(sent) = req.headers().get(IF_MATCH) else { return Ok(None) };
    let sent = sent.to_str().unwrap_or("").trim();
    if sent == "*" {
        return Ok(None);
    }
    let version =
        sent.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).and_then(|tag| tag.parse().ok());
    version
        .map(Some)
        .ok_or_else(|| Failure::new(code::PRECONDITION).detail("If-Match is not an ETag of this product"))
}
