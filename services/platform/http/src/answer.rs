//! Answers.

use std::fmt::Write;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        Method,
        header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION},
    },
};
use kernel::Failure;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::problem;

/// `200` with a JSON body.
pub fn ok<T: Serialize>(value: T) -> HttpResponse {
    HttpResponse::Ok().json(value)
}

/// `201` with a JSON body; `location` is the path of what was created.
pub fn created<T: Serialize>(location: &str, value: T) -> HttpResponse {
    HttpResponse::Created().insert_header((LOCATION, location)).json(value)
}

/// `202` with a JSON body; `location` is the path where the work's state can be read.
pub fn accepted<T: Serialize>(location: &str, value: T) -> HttpResponse {
    HttpResponse::Accepted().insert_header((LOCATION, location)).json(value)
}

/// `204`.
pub fn no_content() -> HttpResponse {
    HttpResponse::NoContent().finish()
}

/// `200` that everybody may keep for `max_age_s` seconds: strong `ETag` (the first 128 bits of the body's SHA-256),
/// `304` when `If-None-Match` has it. Only for what is the same for every caller.
pub fn cached<T: Serialize>(req: &HttpRequest, value: &T, max_age_s: u32) -> HttpResponse {
    match serde_json::to_vec(value) {
        Ok(body) => cached_bytes(req, "application/json", body.into(), max_age_s),
        Err(error) => problem(&Failure::internal(error)),
    }
}

/// As [`cached`], for a body that is ready.
pub(crate) fn cached_bytes(
    req: &HttpRequest,
    content_type: &str,
    body: actix_web::web::Bytes,
    max_age_s: u32,
) -> HttpResponse {
    let etag = etag(&body);
    let cache_control = format!("public, max-age={max_age_s}");
    if *req.method() == Method::GET && matches(req, &etag) {
        return HttpResponse::NotModified()
            .insert_header((ETAG, etag))
            .insert_header((CACHE_CONTROL, cache_control))
            .finish();
    }
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, content_type))
        .insert_header((ETAG, etag))
        .insert_header((CACHE_CONTROL, cache_control))
        .body(body)
}

fn etag(body: &[u8]) -> String {
    let digest = Sha256::digest(body);
    let mut etag = String::with_capacity(34);
    etag.push('"');
    for byte in digest.iter().take(16) {
        // Writing into a String does not fail.
        let _ = write!(etag, "{byte:02x}");
    }
    etag.push('"');
    etag
}

/// `If-None-Match` compares weakly (RFC 9110, 13.1.2).
fn matches(req: &HttpRequest, etag: &str) -> bool {
    req.headers().get_all(IF_NONE_MATCH).filter_map(|value| value.to_str().ok()).any(|value| {
        value.split(',').map(str::trim).any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == etag)
    })
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn a_known_etag_gets_304_and_another_the_body() {
        let first = cached(&TestRequest::get().to_http_request(), &[1, 2, 3], 60);
        assert_eq!(first.status(), 200);
        let tag = first.headers().get(ETAG).unwrap().to_str().unwrap().to_owned();
        assert_eq!(first.headers().get(CACHE_CONTROL).unwrap(), "public, max-age=60");
        for sent in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
            let req = TestRequest::get().insert_header((IF_NONE_MATCH, sent)).to_http_request();
            let again = cached(&req, &[1, 2, 3], 60);
            assert_eq!(again.status(), 304);
            assert_eq!(again.headers().get(ETAG).unwrap().to_str().unwrap(), tag);
        }
        let req = TestRequest::get().insert_header((IF_NONE_MATCH, tag)).to_http_request();
        assert_eq!(cached(&req, &[1, 2, 4], 60).status(), 200);
    }
}
