//! Routes of regions.

use std::sync::Arc;

use actix_web::{get, post, web::Data};
use contracts::region::{AbortOperation, BeginOperation, OperationView, Regions, RegionsView};
use garde::Validate;
use platform_http::{Answer, PathOf, Routes, Staff, Valid, accepted, ok};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Everything under `/api/v1/admin/regions` and `/api/v1/admin/region-operations`.
pub(crate) fn routes(regions: Arc<dyn Regions>) -> Routes {
    Arc::new(move |cfg| {
        cfg.app_data(Data::from(Arc::clone(&regions)))
            .service(read_regions)
            .service(begin)
            .service(read_operation)
            .service(abort);
    })
}

/// The map, the regions and the operation that runs (`operations.read`).
#[utoipa::path(tag = "regions", responses((status = 200, body = RegionsView)))]
#[get("/api/v1/admin/regions")]
async fn read_regions(regions: Data<dyn Regions>, Staff(ctx): Staff) -> Answer {
    Ok(ok(regions.regions(&ctx, ()).await?))
}

/// Begins an operation (`operations.write`); `409` while another runs.
#[utoipa::path(
    tag = "regions",
    request_body = BeginOperation,
    responses((status = 202, body = OperationView))
)]
#[post("/api/v1/admin/region-operations")]
async fn begin(regions: Data<dyn Regions>, Staff(ctx): Staff, Valid(asked): Valid<BeginOperation>) -> Answer {
    let begun = regions.begin(&ctx, asked).await?;
    Ok(accepted(&format!("/api/v1/admin/region-operations/{}", begun.id), &begun))
}

/// An operation with its timeline and its report, running or ended (`operations.read`).
#[utoipa::path(tag = "regions", params(("id" = u64, Path)), responses((status = 200, body = OperationView)))]
#[get("/api/v1/admin/region-operations/{id}")]
async fn read_operation(regions: Data<dyn Regions>, Staff(ctx): Staff, PathOf(id): PathOf<u64>) -> Answer {
    Ok(ok(regions.operation(&ctx, id).await?))
}

/// Asks an operation to end (`operations.write`).
#[utoipa::path(
    tag = "regions",
    params(("id" = u64, Path)),
    request_body = Abort,
    responses((status = 202, body = OperationView))
)]
#[post("/api/v1/admin/region-operations/{id}/abort")]
async fn abort(
    regions: Data<dyn Regions>,
    Staff(ctx): Staff,
    PathOf(id): PathOf<u64>,
    Valid(body): Valid<Abort>,
) -> Answer {
    let asked = regions.abort(&ctx, AbortOperation { id, why: body.why }).await?;
    Ok(accepted(&format!("/api/v1/admin/region-operations/{id}"), &asked))
}

/// Why an operation is to end.
#[derive(Debug, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
struct Abort {
    /// Why.
    #[garde(length(chars, min = 1, max = 200))]
    #[schema(min_length = 1, max_length = 200)]
    why: String,
}
