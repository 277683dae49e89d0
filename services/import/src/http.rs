//! Routes.

use std::sync::Arc;

use actix_web::{
    HttpResponse, get,
    http::header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    post,
    web::Data,
};
use contracts::import::{ImportError, ImportId, ImportKind, ImportView, Imports, ListImportErrors};
use garde::Validate;
use kernel::{Currency, Page};
use platform_http::{Answer, Params, PathOf, Routes, Staff, Upload, accepted, ok};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{ImportService, report, start::NewImport};

/// Everything under `/api/v1/admin/imports`.
pub(crate) fn routes(service: Arc<ImportService>) -> Routes {
    Arc::new(move |cfg| {
        cfg.app_data(Data::from(Arc::clone(&service) as Arc<dyn Imports>))
            .app_data(Data::from(Arc::clone(&service)))
            .service(start)
            .service(list)
            .service(read)
            .service(errors)
            .service(error_file);
    })
}

/// What the body is.
#[derive(Clone, Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
struct StartQuery {
    /// What the file holds.
    #[garde(skip)]
    #[param(inline)]
    kind: ImportKind,
    /// Currency of the prices; `USD` when absent.
    #[garde(skip)]
    #[serde(default = "usd")]
    #[param(value_type = Option<String>, pattern = "^[A-Z]{3}$")]
    currency: Currency,
    /// The file's name, for people.
    #[garde(length(chars, max = 300))]
    #[param(max_length = 300)]
    #[serde(default)]
    file_name: String,
}

fn usd() -> Currency {
    Currency::USD
}

/// Takes a file in and works on it in the background: a Shopify product CSV, or a JSON list of categories; gzip or plain.
/// Ask at `Location` how far it is (`import.run`).
#[utoipa::path(
    tag = "admin: imports",
    params(StartQuery),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 202, body = ImportView))
)]
#[post("/api/v1/admin/imports")]
async fn start(
    imports: Data<ImportService>,
    Staff(ctx): Staff,
    Params(query): Params<StartQuery>,
    Upload(body): Upload,
) -> Answer {
    let new = NewImport { kind: query.kind, file_name: query.file_name, currency: query.currency };
    let view = imports.receive(&ctx, new, &body).await?;
    Ok(accepted(&format!("/api/v1/admin/imports/{}", view.id), &view))
}

/// The last imports, newest first (`import.run`).
#[utoipa::path(tag = "admin: imports", responses((status = 200, body = Page<ImportView>)))]
#[get("/api/v1/admin/imports")]
async fn list(imports: Data<dyn Imports>, Staff(ctx): Staff) -> Answer {
    Ok(ok(Page { items: imports.imports(&ctx, ()).await?, next_cursor: None }))
}

/// An import (`import.run`).
#[utoipa::path(tag = "admin: imports", params(("id" = ImportId, Path)), responses((status = 200, body = ImportView)))]
#[get("/api/v1/admin/imports/{id}")]
async fn read(imports: Data<dyn Imports>, Staff(ctx): Staff, PathOf(id): PathOf<ImportId>) -> Answer {
    Ok(ok(imports.import(&ctx, id).await?))
}

/// Which errors to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize, Validate, IntoParams, ToSchema)]
#[into_params(parameter_in = Query)]
#[serde(default)]
struct ErrorsQuery {
    /// From the page before.
    #[garde(length(max = 1000))]
    #[schema(max_length = 1000)]
    #[param(max_length = 1000)]
    cursor: Option<String>,
    /// 1 to 100.
    #[garde(range(min = 1, max = 100))]
    #[schema(minimum = 1, maximum = 100)]
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// Rows that are not in, with line, column and reason (`import.run`).
#[utoipa::path(
    tag = "admin: imports",
    params(("id" = ImportId, Path), ErrorsQuery),
    responses((status = 200, body = Page<ImportError>))
)]
#[get("/api/v1/admin/imports/{id}/errors")]
async fn errors(
    imports: Data<dyn Imports>,
    Staff(ctx): Staff,
    PathOf(import_id): PathOf<ImportId>,
    Params(ErrorsQuery { cursor, limit }): Params<ErrorsQuery>,
) -> Answer {
    Ok(ok(imports.errors(&ctx, ListImportErrors { import_id, cursor, limit }).await?))
}

/// The same as a CSV file to open in a spreadsheet (`import.run`).
#[utoipa::path(
    tag = "admin: imports",
    params(("id" = ImportId, Path)),
    responses((status = 200, content_type = "text/csv", body = String))
)]
#[get("/api/v1/admin/imports/{id}/errors.csv")]
async fn error_file(imports: Data<ImportService>, Staff(ctx): Staff, PathOf(id): PathOf<ImportId>) -> Answer {
    let rows = imports.all_errors(&ctx, id).await?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/csv; charset=utf-8"))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{id}-errors.csv\"")))
        .body(report::csv(&rows)?))
}
