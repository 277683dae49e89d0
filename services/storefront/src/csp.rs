//! What a browser may do with our pages, and where a form may come from.

use actix_web::{
    HttpRequest,
    http::{
        Method,
        header::{
            CONTENT_SECURITY_POLICY, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, REFERER,
            REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
        },
    },
};
use url::Url;

/// No script and no style but our own files; nobody frames us; forms go nowhere else.
const POLICY: &str = "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      form-action 'self'; frame-ancestors 'none'; base-uri 'none'; object-src 'none'";

/// Puts the headers of every page.
pub(crate) fn protect(headers: &mut HeaderMap) {
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    // Not `no-referrer`: browsers would then send `Origin: null` with forms.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), geolocation=(), microphone=(), payment=()"),
    );
}

/// Whether the request may change something: it reads only, or a page of ours sent it. `Sec-Fetch-Site` decides where
/// the browser sends it, `Origin` where not, `Referer` where neither; without any of them the answer is no.
/// `public` is the shop's configured address, for proxies that change `Host`.
pub(crate) fn from_our_pages(request: &HttpRequest, public: Option<&Url>) -> bool {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return true;
    }
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = header("sec-fetch-site") {
        return matches!(site, "same-origin" | "none");
    }
    let Some(source) = header(ORIGIN.as_str()).or_else(|| header(REFERER.as_str())) else { return false };
    let Ok(source) = Url::parse(source) else { return false };
    let Some(source) = authority(&source) else { return false };
    header(HOST.as_str()).is_some_and(|host| host.eq_ignore_ascii_case(&source))
        || public.and_then(authority).is_some_and(|host| host == source)
}

fn authority(url: &Url) -> Option<String> {
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn post(headers: &[(&'static str, &'static str)]) -> bool {
        let mut request = TestRequest::post().insert_header(("host", "shop.test:8080"));
        for header in headers {
            request = request.insert_header(*header);
        }
        from_our_pages(&request.to_http_request(), Url::parse("https://meridian.example").ok().as_ref())
    }

    #[test]
    fn only_our_own_pages_may_post() {
        assert!(post(&[("sec-fetch-site", "same-origin")]));
        assert!(!post(&[("sec-fetch-site", "cross-site"), ("origin", "http://shop.test:8080")]));
        assert!(!post(&[("sec-fetch-site", "same-site")]));
        assert!(post(&[("origin", "http://shop.test:8080")]));
        assert!(post(&[("origin", "https://meridian.example")]));
        assert!(!post(&[("origin", "http://evil.test")]));
        assert!(!post(&[("origin", "null")]));
        assert!(post(&[("referer", "http://shop.test:8080/cart")]));
        assert!(!post(&[]));
    }

    #[test]
    fn reading_is_free() {
        assert!(from_our_pages(&TestRequest::get().to_http_request(), None));
    }
}
