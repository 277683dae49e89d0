//! A JSON body that may be left out.

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::{
        Version,
        header::{CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING},
    },
};
use futures::future::LocalBoxFuture;
use garde::Validate;
use serde::de::DeserializeOwned;

use crate::{HttpError, Valid};

/// A JSON body as [`Valid`] takes it, or `T::default()` where the request has none or `null`.
#[derive(Debug)]
pub struct Optional<T>(pub T);

impl<T> FromRequest for Optional<T>
where
    T: DeserializeOwned + Validate + Default + 'static,
    T::Context: Default,
{
    type Error = HttpError;
    type Future = LocalBoxFuture<'static, Result<Self, HttpError>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        if has_body(req) {
            let valid = Valid::<Option<T>>::from_request(req, payload);
            Box::pin(async move { valid.await.map(|Valid(value)| Self(value.unwrap_or_default())) })
        } else {
            Box::pin(async { Ok(Self(T::default())) })
        }
    }
}

/// Whether a body follows. HTTP/1 says so by a length or an encoding (RFC 9112, 6.3); from HTTP/2 on neither is needed, and
/// a content type says it.
fn has_body(req: &HttpRequest) -> bool {
    let headers = req.headers();
    match headers.get(CONTENT_LENGTH) {
        Some(length) => length.as_bytes() != b"0",
        None if req.version() >= Version::HTTP_2 => headers.contains_key(CONTENT_TYPE),
        None => headers.contains_key(TRANSFER_ENCODING),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn tells_a_body_from_none() {
        let none = TestRequest::post().insert_header((CONTENT_TYPE, "application/json"));
        assert!(!has_body(&none.to_http_request()));
        assert!(!has_body(&TestRequest::post().insert_header((CONTENT_LENGTH, "0")).to_http_request()));
        assert!(has_body(&TestRequest::post().insert_header((CONTENT_LENGTH, "2")).to_http_request()));
        assert!(has_body(
            &TestRequest::post().insert_header((TRANSFER_ENCODING, "chunked")).to_http_request()
        ));
        let second =
            TestRequest::post().version(Version::HTTP_2).insert_header((CONTENT_TYPE, "application/json"));
        assert!(has_body(&second.to_http_request()));
    }
}
