//! Whose request it is: the shard of whoever owns what it is about, without asking anybody.
//!
//! Only what belongs to one shopper has a home: orders, payments, carts, addresses, the account. Everything that any region
//! may answer (catalog, search, prices, quotes, media, assets, staff's lists) is nobody's and served where it arrives.

use actix_web::{
    dev::ServiceRequest,
    http::{
        Method,
        header::{AUTHORIZATION, COOKIE, HeaderMap},
    },
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use contracts::{
    UserId,
    account::AddressId,
    cart::CartId,
    order::OrderId,
    payment::{AttemptId, PaymentId, RefundId},
};
use kernel::Shard;
use platform_http::{ACCESS_COOKIE, Auth, CART_COOKIE};
use uuid::Uuid;

/// What belongs to the shopper who asks, or to whoever owns the id in the path.
const SHOPPERS: &[&str] = &[
    "/api/v1/accounts/me",
    "/api/v1/addresses",
    "/api/v1/cart",
    "/api/v1/orders",
    "/api/v1/payments",
    "/api/v1/sandbox/payments",
    "/api/v1/sessions/current",
    "/account",
    "/cart",
    "/checkout",
    "/logout",
    "/orders",
    "/pay",
];
/// What staff do to shoppers' things: only the id in the path counts.
const STAFFS: &[&str] = &["/api/v1/admin/orders", "/api/v1/admin/payments"];
/// What is served whatever state the region is in: what its pages are made with, and what is said about it.
const ALWAYS: &[&str] = &[
    "/.well-known",
    "/api/docs",
    "/api/openapi.json",
    "/api/v1/admin/region-operations",
    "/api/v1/admin/regions",
    "/assets",
    "/favicon.ico",
    "/robots.txt",
    "/staff",
];
/// Where providers of payments tell what happened.
const CALLBACKS: &str = "/api/v1/payments/callbacks";
/// Pages whose form carries an idempotency key of its own.
const KEYED_PAGES: &[(&str, &str)] = &[("/checkout", ""), ("/orders/", "/pay")];
/// The base64url characters of a cart token that hold its cart's id (16 bytes) and two bytes more.
const CART_NAME: usize = 24;

/// The shard of whoever owns what the request is about; none when anybody may answer it.
pub(crate) fn shard(auth: &Auth, method: &Method, path: &str, headers: &HeaderMap) -> Option<Shard> {
    if STAFFS.iter().any(|root| under(path, root)) {
        return if method.is_safe() { None } else { path.split('/').find_map(of_id) };
    }
    if !SHOPPERS.iter().any(|root| under(path, root)) || under(path, CALLBACKS) {
        return None;
    }
    path.split('/').find_map(of_id).or_else(|| of_caller(auth, path, headers))
}

/// Whether the path is served whatever state the region is in.
pub(crate) fn is_always_served(path: &str) -> bool {
    ALWAYS.iter().any(|root| under(path, root))
}

/// Path and query.
pub(crate) fn target(request: &ServiceRequest) -> &str {
    request.uri().path_and_query().map_or("/", |target| target.as_str())
}

/// Whether a provider of payments tells here what happened.
pub(crate) fn is_callback(path: &str) -> bool {
    under(path, CALLBACKS)
}

/// Whether the request changes nothing, or must be heard all the same.
pub(crate) fn is_harmless(method: &Method, path: &str) -> bool {
    method.is_safe() || under(path, CALLBACKS) || is_always_served(path)
}

/// Whether a form carries an idempotency key that its page heeds.
pub(crate) fn is_keyed_form(path: &str, body: &[u8]) -> bool {
    KEYED_PAGES.iter().any(|(start, end)| {
        let whole = if end.is_empty() { path == *start } else { path.starts_with(start) };
        whole && path.ends_with(end)
    }) && body
        .split(|byte| *byte == b'&')
        .any(|pair| pair.strip_prefix(b"key=").is_some_and(|key| !key.is_empty()))
}

/// Whether `path` is `root` or below it.
fn under(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The shard of a shopper's thing, by its id.
fn of_id(segment: &str) -> Option<Shard> {
    match segment.get(..4)? {
        "ord_" => segment.parse().ok().map(OrderId::shard),
        "pay_" => segment.parse().ok().map(PaymentId::shard),
        "adr_" => segment.parse().ok().map(AddressId::shard),
        "att_" => segment.parse().ok().map(AttemptId::shard),
        "rfd_" => segment.parse().ok().map(RefundId::shard),
        "usr_" => segment.parse().ok().map(UserId::shard),
        _ => None,
    }
}

/// The shard of the member who asks, by their token, or of the guest's cart. Pages carry both in cookies.
fn of_caller(auth: &Auth, path: &str, headers: &HeaderMap) -> Option<Shard> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if path.starts_with("/api/") {
        let (_, token) = text(AUTHORIZATION.as_str()).and_then(|value| value.split_once(' ')).unzip();
        return token
            .and_then(|token| auth.names(token.trim()))
            .map(UserId::shard)
            .or_else(|| of_cart(text("x-cart-token")?));
    }
    cookie(headers, ACCESS_COOKIE)
        .and_then(|token| auth.names(token))
        .map(UserId::shard)
        .or_else(|| of_cart(cookie(headers, CART_COOKIE)?))
}

/// The shard of a guest's cart, by its token.
fn of_cart(token: &str) -> Option<Shard> {
    let bytes = URL_SAFE_NO_PAD.decode(token.get(..CART_NAME)?).ok()?;
    Some(CartId::from_uuid(Uuid::from_slice(bytes.get(..16)?).ok()?).shard())
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(COOKIE)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(known, value)| (known == name && !value.is_empty()).then_some(value))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};
    use kernel::{Ids, SystemClock};

    use super::*;
    use crate::testing::{auth, token};

    fn headers(sent: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn the_owner_is_found_in_the_path_the_token_and_the_cookies() {
        let ids = Ids::new(std::sync::Arc::new(SystemClock));
        let auth = auth();
        let order: OrderId = ids.mint(Shard::new(5));
        let payment: PaymentId = ids.mint(Shard::new(6));
        let cart = ids.mint::<contracts::cart::Cart>(Shard::new(7));
        let guest = URL_SAFE_NO_PAD.encode([cart.uuid().as_bytes().as_slice(), &[9; 24]].concat());
        let member = token(Shard::new(8));
        let bearer = format!("Bearer {member}");
        let cookies = format!("meridian_lang=en; meridian_access={member}; meridian_cart={guest}");
        let visit = format!("meridian_cart={guest}");
        let none: &[(&'static str, &str)] = &[];
        let with = [("authorization", bearer.as_str())];
        let in_cookies = [("cookie", cookies.as_str())];
        for (method, path, sent, expected) in [
            (Method::GET, format!("/api/v1/orders/{order}"), none, Some(5)),
            (Method::GET, format!("/api/v1/orders/{order}/history"), &with[..], Some(5)),
            (Method::GET, format!("/api/v1/payments/{payment}"), none, Some(6)),
            (Method::POST, format!("/api/v1/sandbox/payments/{payment}"), none, Some(6)),
            (Method::POST, format!("/api/v1/admin/orders/{order}/cancel"), &with[..], Some(5)),
            (Method::GET, format!("/api/v1/admin/orders/{order}"), &with[..], None),
            (Method::GET, format!("/orders/{order}"), &in_cookies[..], Some(5)),
            (Method::POST, "/api/v1/orders".to_owned(), &with[..], Some(8)),
            (Method::GET, "/api/v1/cart".to_owned(), &with[..], Some(8)),
            (Method::GET, "/api/v1/cart".to_owned(), &[("x-cart-token", guest.as_str())][..], Some(7)),
            (Method::GET, "/cart".to_owned(), &in_cookies[..], Some(8)),
            (Method::GET, "/cart".to_owned(), &[("cookie", visit.as_str())][..], Some(7)),
            (Method::GET, "/cart".to_owned(), none, None),
            (Method::GET, "/api/v1/cart".to_owned(), &in_cookies[..], None),
            // Anybody's.
            (Method::GET, "/".to_owned(), &in_cookies[..], None),
            (Method::GET, "/p/a-lamp".to_owned(), &in_cookies[..], None),
            (Method::GET, "/api/v1/search?q=ord_1".to_owned(), &with[..], None),
            (Method::POST, "/api/v1/quotes".to_owned(), &with[..], None),
            (Method::POST, "/api/v1/payments/callbacks/sandbox".to_owned(), none, None),
            (Method::POST, "/api/v1/admin/products".to_owned(), &with[..], None),
            (Method::GET, "/cartography".to_owned(), &in_cookies[..], None),
            (Method::POST, "/api/v1/sessions".to_owned(), none, None),
        ] {
            let found = shard(&auth, &method, &path, &headers(sent));
            assert_eq!(found.map(Shard::number), expected, "{method} {path}");
        }
    }

    #[test]
    fn what_is_not_ours_names_nobody() {
        let auth = auth();
        let good = token(Shard::new(8));
        let (start, _) = good.rsplit_once('.').unwrap();
        for odd in ["", "Bearer", "Bearer x", "Basic eDp5", &format!("Bearer {start}.AAAA")] {
            let found = shard(&auth, &Method::GET, "/api/v1/cart", &headers(&[("authorization", odd)]));
            assert_eq!(found, None, "{odd}");
        }
        for odd in ["", "abc", "\u{7e}\u{7e}\u{7e}\u{7e}", "AAAAAAAAAAAAAAAAAAAAAAA"] {
            let found = shard(&auth, &Method::GET, "/api/v1/cart", &headers(&[("x-cart-token", odd)]));
            assert_eq!(found, None, "{odd}");
        }
        for path in ["/api/v1/orders/ord_x", "/api/v1/orders/ord_", "/api/v1/orders/\u{e9}\u{e9}"] {
            assert_eq!(shard(&auth, &Method::GET, path, &headers(&[])), None, "{path}");
        }
    }

    #[test]
    fn forms_with_a_key_are_known() {
        for (path, body, keyed) in [
            ("/checkout", "address=adr_1&key=00ff", true),
            ("/checkout", "key=&address=adr_1", false),
            ("/checkout", "monkey=1", false),
            ("/orders/ord_1/pay", "key=1", true),
            ("/orders/ord_1/cancel", "key=1", false),
            ("/checkout/address", "key=1", false),
            ("/cart/items", "key=1", false),
        ] {
            assert_eq!(is_keyed_form(path, body.as_bytes()), keyed, "{path} {body}");
        }
    }
}
