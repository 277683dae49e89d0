//! What is said where a request is not served here.

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, LOCATION, RETRY_AFTER},
};
use kernel::{Failure, Problem};
use platform_http::UNSERVED_HEADER;
use serde::Serialize;

use crate::route::Place;

/// The problem's extension: where to go instead.
#[derive(Serialize)]
struct Elsewhere<'a> {
    #[serde(flatten)]
    problem: Problem,
    /// Regions that serve.
    regions: &'a [Place],
}

/// A person is sent on with what they asked for; the method stays (308, RFC 9110, 15.4.9).
pub(crate) fn sent_on(to: &Place, target: &str) -> HttpResponse {
    HttpResponse::PermanentRedirect()
        // A region comes back: nobody is to remember the way.
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((LOCATION, format!("{}{target}", to.endpoint)))
        .finish()
}

/// A program gets the problem and the list of regions.
pub(crate) fn elsewhere(failure: &Failure, regions: &[Place]) -> HttpResponse {
    let mut response = HttpResponse::ServiceUnavailable();
    response.insert_header((CACHE_CONTROL, "no-store"));
    if let Some(seconds) = failure.problem().retry_after {
        response.insert_header((RETRY_AFTER, seconds));
    }
    response.content_type("application/problem+json");
    response
        .body(serde_json::to_string(&Elsewhere { problem: failure.problem(), regions }).unwrap_or_default())
}

/// Another region learns that nothing was done here with what it passed on.
pub(crate) fn unserved(failure: &Failure, why: &'static str) -> HttpResponse {
    let mut response = elsewhere(failure, &[]);
    let name = actix_web::http::header::HeaderName::from_static(UNSERVED_HEADER);
    response.headers_mut().insert(name, actix_web::http::header::HeaderValue::from_static(why));
    response
}
