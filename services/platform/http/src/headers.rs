//! What the gate does to headers, of requests and of answers.

use actix_web::{
    dev::ServiceRequest,
    http::header::{
        CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, ETAG, HeaderMap, HeaderName, HeaderValue,
        REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
};

use crate::hop::OURS;

/// Takes off what only our own processes may say.
pub(crate) fn strip(req: &mut ServiceRequest) {
    let forged = |name: &&HeaderName| name.as_str().starts_with(OURS);
    let forged: Vec<HeaderName> = req.headers().keys().filter(forged).cloned().collect();
    for name in forged {
        req.headers_mut().remove(name);
    }
}

/// Whether a header of which there is one comes again: whoever looks at the last one would see another request than we do.
pub(crate) fn is_repeated(headers: &HeaderMap, name: &str) -> bool {
    headers.get_all(name).nth(1).is_some()
}

/// A strong ETag names the bytes, and compression has changed them.
pub(crate) fn weaken(headers: &mut HeaderMap) {
    if !headers.contains_key(CONTENT_ENCODING) {
        return;
    }
    let strong = headers.get(ETAG).and_then(|tag| tag.to_str().ok()).filter(|tag| !tag.starts_with("W/"));
    if let Some(weak) = strong.and_then(|tag| HeaderValue::from_str(&format!("W/{tag}")).ok()) {
        headers.insert(ETAG, weak);
    }
}

/// Headers that a handler did not set itself.
pub(crate) fn secure(headers: &mut HeaderMap, programs: bool) {
    let mut default = |name: HeaderName, value: &'static str| {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    };
    default(X_CONTENT_TYPE_OPTIONS, "nosniff");
    default(REFERRER_POLICY, "same-origin");
    default(X_FRAME_OPTIONS, "DENY");
    if programs {
        default(CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
        default(CACHE_CONTROL, "no-store");
    } else {
        default(CONTENT_SECURITY_POLICY, "frame-ancestors 'none'");
    }
}
