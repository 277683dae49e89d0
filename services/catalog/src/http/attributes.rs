//! What staff do with attribute sets.

use actix_web::{delete, get, post, put, web::Data};
use contracts::{
    Permission,
    catalog::{
        AssignAttributeSets, AttributeSetId, AttributeSetInput, AttributeSetView, Catalog, CategoryAttribute,
        CategoryId, ReplaceAttributeSet,
    },
};
use garde::Validate;
use platform_http::{Answer, PathOf, Staff, Valid, created, no_content, ok};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

pub(crate) fn register(cfg: &mut ServiceConfig<'_>) {
    cfg.service(list_attribute_sets)
        .service(add_attribute_set)
        .service(replace_attribute_set)
        .service(remove_attribute_set)
        .service(category_attributes)
        .service(assign_attribute_sets);
}

/// All attribute sets.
#[derive(Serialize, ToSchema)]
struct AttributeSetList {
    /// By name.
    items: Vec<AttributeSetView>,
}

/// What products in a category have.
#[derive(Serialize, ToSchema)]
struct CategoryAttributes {
    /// In the order they are shown in: those of the categories above first.
    items: Vec<CategoryAttribute>,
}

/// Which attribute sets a category has of its own.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
struct AssignedSets {
    /// All of them, in order.
    #[garde(length(max = 20))]
    #[schema(max_items = 20)]
    set_ids: Vec<AttributeSetId>,
}

/// All attribute sets by name (`catalog.read`).
#[utoipa::path(tag = "admin: catalog", responses((status = 200, body = AttributeSetList)))]
#[get("/api/v1/admin/attribute-sets")]
async fn list_attribute_sets(catalog: Data<dyn Catalog>, Staff(ctx): Staff) -> Answer {
    ctx.require(Permission::CatalogRead)?;
    Ok(ok(AttributeSetList { items: catalog.attribute_sets(&ctx, ()).await? }))
}

/// Adds an attribute set (`catalog.write`).
#[utoipa::path(tag = "admin: catalog", request_body = AttributeSetInput, responses((status = 201, body = AttributeSetView)))]
#[post("/api/v1/admin/attribute-sets")]
async fn add_attribute_set(
    catalog: Data<dyn Catalog>,
    Staff(ctx): Staff,
    Valid(body): Valid<AttributeSetInput>,
) -> Answer {
    let set = catalog.add_attribute_set(&ctx, body).await?;
    Ok(created(&format!("/api/v1/admin/attribute-sets/{}", set.id), &set))
}

/// Changes an attribute set (`catalog.write`). Products keep their values; they are checked when they are next saved or
/// published.
#[utoipa::path(
    tag = "admin: catalog",
    params(("id" = AttributeSetId, Path)),
    request_body = AttributeSetInput,
    responses((status = 200, body = AttributeSetView))
)]
#[put("/api/v1/admin/attribute-sets/{id}")]
async fn replace_attribute_set(
    catalog: Data<dyn Catalog>,
    Staff(ctx): Staff,
    PathOf(id): PathOf<AttributeSetId>,
    Valid(set): Valid<AttributeSetInput>,
) -> Answer {
    Ok(ok(catalog.replace_attribute_set(&ctx, ReplaceAttributeSet { id, set }).await?))
}

/// Removes an attribute set that no category has (`catalog.write`).
#[utoipa::path(tag = "admin: catalog", params(("id" = AttributeSetId, Path)), responses((status = 204)))]
#[delete("/api/v1/admin/attribute-sets/{id}")]
async fn remove_attribute_set(
    catalog: Data<dyn Catalog>,
    Staff(ctx): Staff,
    PathOf(id): PathOf<AttributeSetId>,
) -> Answer {
    catalog.remove_attribute_set(&ctx, id).await?;
    Ok(no_content())
}

/// What products in a category have: attributes of its own sets and of those above it (`catalog.read`).
#[utoipa::path(
    tag = "admin: catalog",
    params(("id" = CategoryId, Path)),
    responses((status = 200, body = CategoryAttributes))
)]
#[get("/api/v1/admin/categories/{id}/attributes")]
async fn category_attributes(
    catalog: Data<dyn Catalog>,
    Staff(ctx): Staff,
    PathOf(id): PathOf<CategoryId>,
) -> Answer {
    ctx.require(Permission::CatalogRead)?;
    Ok(ok(CategoryAttributes { items: catalog.category_attributes(&ctx, id).await? }))
}

/// Says which attribute sets a category has of its own (`catalog.write`); the categories below inherit them. Answers what
/// products in it have then.
#[utoipa::path(
    tag = "admin: catalog",
    params(("id" = CategoryId, Path)),
    request_body = AssignedSets,
    responses((status = 200, body = CategoryAttributes))
)]
#[put("/api/v1/admin/categories/{id}/attribute-sets")]
async fn assign_attribute_sets(
    catalog: Data<dyn Catalog>,
    Staff(ctx): Staff,
    PathOf(category_id): PathOf<CategoryId>,
    Valid(body): Valid<AssignedSets>,
) -> Answer {
    let command = AssignAttributeSets { category_id, set_ids: body.set_ids };
    Ok(ok(CategoryAttributes { items: catalog.assign_attribute_sets(&ctx, command).await? }))
}
