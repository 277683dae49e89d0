//! `/api/openapi.json` and the pages at `/api/docs`, which need nothing from the internet.

use std::sync::Arc;

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, ContentEncoding, LOCATION},
    web::{Bytes, Data, Path},
};
use kernel::{Failure, Result, code};
use utoipa_swagger_ui::Config;

use crate::{Answer, answer::cached_bytes};

/// Swagger UI styles its elements by script and inlines its icons; nothing else is let in.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The document as it is served.
#[derive(Clone)]
pub(crate) struct Docs {
    json: Bytes,
    config: Arc<Config<'static>>,
}

impl Docs {
    pub(crate) fn new(document: &utoipa::openapi::OpenApi) -> Result<Self> {
        let json = serde_json::to_vec(document).map_err(Failure::internal)?;
        let config = Config::new(["/api/openapi.json"]).validator_url("none").try_it_out_enabled(true);
        Ok(Self { json: json.into(), config: Arc::new(config) })
    }
}

pub(crate) async fn openapi_json(req: HttpRequest, docs: Data<Docs>) -> HttpResponse {
    cached_bytes(&req, "application/json", docs.json.clone(), 60)
}

pub(crate) async fn redirect() -> HttpResponse {
    HttpResponse::PermanentRedirect().insert_header((LOCATION, "/api/docs/")).finish()
}

pub(crate) async fn page(path: Path<String>, docs: Data<Docs>) -> Answer {
    let file = utoipa_swagger_ui::serve(&path, docs.config.clone())
        .map_err(|error| Failure::internal(error.to_string()))?
        .ok_or(code::NOT_FOUND)?;
    let mut response = HttpResponse::Ok();
    if file.gzpipped {
        response.insert_header((CONTENT_ENCODING, ContentEncoding::Gzip));
    }
    Ok(response
        .content_type(file.content_type.as_str())
        .insert_header((CACHE_CONTROL, "public, max-age=3600"))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .body(file.bytes.into_owned()))
}
