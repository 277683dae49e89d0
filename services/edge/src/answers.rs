//! What is said where a request is not served here.

use actix_web::{
    HttpResponse,
    http::header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER,
    },
};
use kernel::{Failure, Problem};
use platform_http::UNSERVED_HEADER;
use serde::Serialize;
use url::Url;

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

/// What a page's forms may lead to, in its policy.
const FORMS: &str = "form-action 'self'";

/// A page's forms may lead to the other regions, too: whoever sends one while this region is drained is sent on with the next
/// page, and some browsers hold every step of such a way to the policy of the page it began on (CSP 3, 6.4.2.1).
pub(crate) fn let_forms_lead_on(headers: &mut HeaderMap, others: impl FnOnce() -> Vec<Place>) {
    let policy = headers.get(CONTENT_SECURITY_POLICY).and_then(|policy| policy.to_str().ok());
    let Some((before, after)) = policy.and_then(|policy| policy.split_once(FORMS)) else { return };
    let origin = |place: Place| Some(Url::parse(&place.endpoint).ok()?.origin().ascii_serialization());
    let origins: Vec<String> = others().into_iter().filter_map(origin).collect();
    if origins.is_empty() {
        return;
    }
    if let Ok(policy) = HeaderValue::from_str(&format!("{before}{FORMS} {}{after}", origins.join(" "))) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
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
    let name = HeaderName::from_static(UNSERVED_HEADER);
    response.headers_mut().insert(name, HeaderValue::from_static(why));
    response
}

#[cfg(test)]
mod tests {
    use kernel::Region;

    use super::*;

    fn led_on(policy: &str, endpoints: &[&str]) -> String {
        let place = |endpoint: &&str| Place { region: Region::new("b"), endpoint: (*endpoint).to_owned() };
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_str(policy).unwrap());
        let_forms_lead_on(&mut headers, || endpoints.iter().map(place).collect());
        headers.get(CONTENT_SECURITY_POLICY).unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn forms_may_lead_to_the_other_regions() {
        let policy = "default-src 'self'; form-action 'self'; base-uri 'none'";
        let seen = led_on(policy, &["https://eu.example:8443/shop", "http://127.0.0.1:8082"]);
        let expected = "default-src 'self'; form-action 'self' https://eu.example:8443 http://127.0.0.1:8082; \
                        base-uri 'none'";
        assert_eq!(seen, expected);
        assert_eq!(led_on(policy, &[]), policy);
        let none = "form-action 'none'";
        assert_eq!(
            led_on(none, &["http://127.0.0.1:8082"]),
            none,
            "what allows nothing goes on allowing nothing"
        );
    }
}
