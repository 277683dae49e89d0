//! Who calls: the [`Ctx`] of a request, and the extractors that hand it to a handler.

use std::future::Future;

use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    dev::Payload,
    http::header::{AUTHORIZATION, HeaderMap},
};
use contracts::{Caller, Ctx};
use futures::future::LocalBoxFuture;
use kernel::{Failure, Result, code};

use crate::{HttpError, headers::is_repeated, shared::Shared};

pub(crate) const IDEMPOTENCY_KEY: &str = "Idempotency-Key";
const CART_TOKEN: &str = "X-Cart-Token";
/// The cookie of the pages that holds a shopper's access token.
pub const ACCESS_COOKIE: &str = "meridian_access";
/// The cookie of the pages that holds a guest's cart token.
pub const CART_COOKIE: &str = "meridian_cart";
const MAX_VALUE: usize = 200;

/// The id of a request, put there by the gate.
#[derive(Clone)]
pub(crate) struct RequestId(pub(crate) String);

impl RequestId {
    /// The client's `X-Request-Id` where it is harmless in a log, else a random one.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let harmless = |id: &&str| {
            (1..=64).contains(&id.len())
                && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
        };
        let sent = headers.get("x-request-id").and_then(|value| value.to_str().ok()).filter(harmless);
        Self(sent.map_or_else(|| format!("{:032x}", rand::random::<u128>()), str::to_owned))
    }
}

/// Any caller. A token that is not valid is still `401`: who sends one means to be somebody.
#[derive(Debug)]
pub struct Anyone(pub Ctx);

/// A logged-in caller; `401` for others.
#[derive(Debug)]
pub struct Member(pub Ctx);

/// A logged-in caller with at least one permission; `401` and `403` for others. Which permission it takes is the
/// service's to say ([`Ctx::require`]).
#[derive(Debug)]
pub struct Staff(pub Ctx);

/// The context of a request without looking at who sent it: deadline, request id, `Idempotency-Key`, `X-Cart-Token`.
/// `request.invalid` when one of these headers is not usable.
pub fn anonymous(req: &HttpRequest) -> Result<Ctx> {
    let shared = Shared::of(req)?;
    let request_id =
        req.extensions().get::<RequestId>().cloned().unwrap_or_else(|| RequestId::of(req.headers()));
    Ok(Ctx {
        caller: Caller::Anonymous,
        deadline: shared.clock.now().plus(shared.deadline(req.head())),
        idempotency_key: value(req.headers(), IDEMPOTENCY_KEY)?,
        cart_token: value(req.headers(), CART_TOKEN)?,
        request_id: request_id.0,
    })
}

/// The context of a request whose access token came another way than in `Authorization`, such as in a page's cookie.
/// `auth.unauthenticated` when the token is not valid any more.
pub async fn identified(req: &HttpRequest, token: &str) -> Result<Ctx> {
    let mut ctx = anonymous(req)?;
    identify(req, &mut ctx, token).await?;
    Ok(ctx)
}

async fn identify(req: &HttpRequest, ctx: &mut Ctx, token: &str) -> Result<()> {
    let shared = Shared::of(req)?;
    let auth =
        shared.auth.as_ref().ok_or_else(|| Failure::internal("this process has no access to accounts"))?;
    ctx.caller = auth.identify(ctx, token).await?;
    if let Caller::User { id, .. } = &ctx.caller {
        let span = tracing::Span::current();
        span.record("user.id", tracing::field::display(id));
        span.record("shard", id.shard().number());
        if shared.is_limited(req.head()) {
            shared.limits.user(*id).await?;
        }
    }
    Ok(())
}

/// The caller by `Authorization: Bearer`.
pub(crate) async fn caller(req: &HttpRequest) -> Result<Ctx> {
    let mut ctx = anonymous(req)?;
    if is_repeated(req.headers(), AUTHORIZATION.as_str()) {
        return Err(twice("Authorization"));
    }
    if let Some(header) = req.headers().get(AUTHORIZATION) {
        let token = header.to_str().ok().and_then(bearer).ok_or_else(|| {
            Failure::new(code::UNAUTHENTICATED).detail("expected Authorization: Bearer <access token>")
        })?;
        identify(req, &mut ctx, token).await?;
    }
    Ok(ctx)
}

/// The token of an `Authorization` header; schemes are compared without regard to case (RFC 9110, 11.1).
pub(crate) fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim()).filter(|token| !token.is_empty())
}

fn twice(name: &str) -> Failure {
    Failure::invalid(name, "is given twice")
}

/// A header of 1 to 200 visible ASCII characters; `None` when absent.
fn value(headers: &HeaderMap, name: &str) -> Result<Option<String>> {
    let Some(sent) = headers.get(name) else { return Ok(None) };
    if is_repeated(headers, name) {
        return Err(twice(name));
    }
    sent.to_str()
        .ok()
        .filter(|text| (1..=MAX_VALUE).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic()))
        .map(|text| Some(text.to_owned()))
        .ok_or_else(|| Failure::invalid(name, format!("expected 1 to {MAX_VALUE} visible ASCII characters")))
}

/// Runs `check` on the caller of `req`.
fn extract<T: 'static>(
    req: &HttpRequest,
    check: impl FnOnce(Ctx) -> Result<T> + 'static,
) -> LocalBoxFuture<'static, Result<T, HttpError>> {
    let req = req.clone();
    let answer = async move { caller(&req).await.and_then(check).map_err(HttpError::from) };
    Box::pin(answer) as std::pin::Pin<Box<dyn Future<Output = _>>>
}

impl FromRequest for Anyone {
    type Error = HttpError;
    type Future = LocalBoxFuture<'static, Result<Self, HttpError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        extract(req, |ctx| Ok(Self(ctx)))
    }
}

impl FromRequest for Member {
    type Error = HttpError;
    type Future = LocalBoxFuture<'static, Result<Self, HttpError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        extract(req, |ctx| ctx.user().map(|_| Self(ctx)))
    }
}

impl FromRequest for Staff {
    type Error = HttpError;
    type Future = LocalBoxFuture<'static, Result<Self, HttpError>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        extract(req, |ctx| match &ctx.caller {
            Caller::User { permissions, .. } if !permissions.is_empty() => Ok(Self(ctx)),
            Caller::User { .. } => Err(code::FORBIDDEN.into()),
            Caller::Anonymous | Caller::System => Err(code::UNAUTHENTICATED.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(name: &'static str, sent: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static(name), HeaderValue::from_str(sent).unwrap());
        headers
    }

    #[test]
    fn takes_a_harmless_request_id_and_mints_one_otherwise() {
        assert_eq!(RequestId::of(&headers("x-request-id", "a1-b2.c:3_d")).0, "a1-b2.c:3_d");
        for odd in ["", "a b", "a\"b", &"x".repeat(65)] {
            assert_eq!(RequestId::of(&headers("x-request-id", odd)).0.len(), 32, "{odd}");
        }
    }

    #[test]
    fn names_the_header_that_is_wrong() {
        assert_eq!(value(&headers("idempotency-key", "k1"), IDEMPOTENCY_KEY).unwrap().unwrap(), "k1");
        assert_eq!(value(&HeaderMap::new(), IDEMPOTENCY_KEY).unwrap(), None);
        for odd in ["", "a b", "\u{e9}", &"x".repeat(201)] {
            let refused = value(&headers("idempotency-key", odd), IDEMPOTENCY_KEY).unwrap_err();
            assert_eq!(refused.fields()[0].pointer, "Idempotency-Key");
        }
        let mut twice = headers("idempotency-key", "k1");
        twice.append(HeaderName::from_static("idempotency-key"), HeaderValue::from_static("k1"));
        let refused = value(&twice, IDEMPOTENCY_KEY).unwrap_err();
        assert_eq!(refused.fields()[0].detail, "is given twice");
    }

    #[test]
    fn reads_bearer_tokens() {
        assert_eq!(bearer("Bearer abc"), Some("abc"));
        assert_eq!(bearer("bearer  abc "), Some("abc"));
        for other in ["Basic abc", "Bearer", "Bearer ", "abc"] {
            assert_eq!(bearer(other), None);
        }
    }
}
