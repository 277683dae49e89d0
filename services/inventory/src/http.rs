//! Routes.

use std::sync::Arc;

use actix_web::{get, post, put, web::Data};
use contracts::{
    Permission,
    catalog::SkuId,
    inventory::{
        AdjustStock, Inventory, ListMovements, MovementView, ReplaceWarehouse, SetSafetyStock, StockView,
        WarehouseId, WarehouseInput, WarehouseView,
    },
};
use garde::Validate;
use kernel::{Failure, Page};
use platform_http::{Answer, Params, PathOf, Routes, Staff, Valid, created, no_content, ok};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use crate::known_skus::KnownSkus;

/// The routes of stock; all of them are for staff.
pub(crate) fn routes(inventory: Arc<dyn Inventory>, known: KnownSkus) -> Routes {
    let known = Arc::new(known);
    Arc::new(move |cfg| {
        cfg.app_data(Data::from(Arc::clone(&inventory)))
            .app_data(Data::from(Arc::clone(&known)))
            .service(list_warehouses)
            .service(add_warehouse)
            .service(replace_warehouse)
            .service(adjust_stock)
            .service(get_stock)
            .service(set_safety_stock)
            .service(list_movements);
    })
}

/// Warehouses, those to sell from first, first.
#[utoipa::path(tag = "stock", responses((status = 200, body = Page<WarehouseView>)))]
#[get("/api/v1/admin/warehouses")]
async fn list_warehouses(inventory: Data<dyn Inventory>, Staff(ctx): Staff) -> Answer {
    Ok(ok(Page { items: inventory.warehouses(&ctx, ()).await?, next_cursor: None }))
}

/// Adds a warehouse.
#[utoipa::path(
    tag = "stock",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 200 visible characters")),
    request_body = WarehouseInput,
    responses((status = 201, body = WarehouseView, headers(("Location" = String, description = "The warehouse"))))
)]
#[post("/api/v1/admin/warehouses")]
async fn add_warehouse(
    inventory: Data<dyn Inventory>,
    Staff(ctx): Staff,
    Valid(body): Valid<WarehouseInput>,
) -> Answer {
    let warehouse = inventory.add_warehouse(&ctx, body).await?;
    Ok(created(&format!("/api/v1/admin/warehouses/{}", warehouse.id), &warehouse))
}

/// Changes a warehouse.
#[utoipa::path(
    tag = "stock",
    params(("id" = WarehouseId, Path)),
    request_body = WarehouseInput,
    responses((status = 200, body = WarehouseView))
)]
#[put("/api/v1/admin/warehouses/{id}")]
async fn replace_warehouse(
    inventory: Data<dyn Inventory>,
    Staff(ctx): Staff,
    PathOf(id): PathOf<WarehouseId>,
    Valid(warehouse): Valid<WarehouseInput>,
) -> Answer {
    Ok(ok(inventory.replace_warehouse(&ctx, ReplaceWarehouse { id, warehouse }).await?))
}

/// Stock of a SKU by warehouse.
#[utoipa::path(tag = "stock", params(("sku_id" = SkuId, Path)), responses((status = 200, body = Page<StockView>)))]
#[get("/api/v1/admin/stock/{sku_id}")]
async fn get_stock(
    inventory: Data<dyn Inventory>,
    Staff(ctx): Staff,
    PathOf(sku_id): PathOf<SkuId>,
) -> Answer {
    Ok(ok(Page { items: inventory.stock(&ctx, sku_id).await?, next_cursor: None }))
}

/// Adjusts stock: goods in, a count, damage.
///
/// The same key with the same body gives the same answer and changes the stock once.
#[utoipa::path(
    tag = "stock",
    params(("Idempotency-Key" = String, Header, description = "1 to 200 visible characters, a new one for every adjustment")),
    request_body = AdjustStock,
    responses((status = 201, body = StockView, headers(("Location" = String, description = "The SKU's stock"))))
)]
#[post("/api/v1/admin/stock/adjustments")]
async fn adjust_stock(
    inventory: Data<dyn Inventory>,
    known: Data<KnownSkus>,
    Staff(ctx): Staff,
    Valid(body): Valid<AdjustStock>,
) -> Answer {
    ctx.require(Permission::InventoryWrite)?;
    ctx.key()?;
    if !known.has(&ctx, body.sku_id).await? {
        return Err(Failure::invalid("/sku_id", "there is no such SKU").into());
    }
    let stock = inventory.adjust(&ctx, body).await?;
    Ok(created(&format!("/api/v1/admin/stock/{}", stock.sku_id), &stock))
}

/// A threshold.
#[derive(Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
struct SafetyStock {
    /// An alert is raised when available falls to this or below; 0 for none.
    #[garde(range(min = 0, max = 1_000_000_000))]
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    safety_stock: i64,
}

/// Sets the safety stock of a SKU.
#[utoipa::path(
    tag = "stock",
    params(("sku_id" = SkuId, Path)),
    request_body = SafetyStock,
    responses((status = 204))
)]
#[put("/api/v1/admin/stock/{sku_id}/safety-stock")]
async fn set_safety_stock(
    inventory: Data<dyn Inventory>,
    known: Data<KnownSkus>,
    Staff(ctx): Staff,
    PathOf(sku_id): PathOf<SkuId>,
    Valid(body): Valid<SafetyStock>,
) -> Answer {
    ctx.require(Permission::InventoryWrite)?;
    if !known.has(&ctx, sku_id).await? {
        return Err(Failure::not_found("SKU").into());
    }
    inventory.set_safety_stock(&ctx, SetSafetyStock { sku_id, safety_stock: body.safety_stock }).await?;
    Ok(no_content())
}

/// Which page of the ledger.
#[derive(Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
struct MovementsPage {
    /// From the page before.
    #[garde(length(max = 1000))]
    #[param(max_length = 1000)]
    cursor: Option<String>,
    /// 1 to 100.
    #[garde(range(min = 1, max = 100))]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// The ledger of a SKU, newest first.
#[utoipa::path(
    tag = "stock",
    params(("sku_id" = SkuId, Path), MovementsPage),
    responses((status = 200, body = Page<MovementView>))
)]
#[get("/api/v1/admin/stock/{sku_id}/movements")]
async fn list_movements(
    inventory: Data<dyn Inventory>,
    Staff(ctx): Staff,
    PathOf(sku_id): PathOf<SkuId>,
    Params(page): Params<MovementsPage>,
) -> Answer {
    let list = ListMovements { sku_id, cursor: page.cursor, limit: page.limit };
    Ok(ok(inventory.movements(&ctx, list).await?))
}
