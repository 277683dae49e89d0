//! Files that never change under their address: `/assets/{hash}/{name}`, where the hash is of all of them together.

use std::sync::LazyLock;

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_TYPE},
    web,
};
use sha2::{Digest, Sha256};

/// A file compiled into the program.
struct Asset {
    name: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

const ASSETS: [Asset; 5] = [
    Asset {
        name: "shop.css",
        content_type: "text/css; charset=utf-8",
        bytes: include_bytes!("../assets/shop.css"),
    },
    Asset {
        name: "shop.js",
        content_type: "text/javascript; charset=utf-8",
        bytes: include_bytes!("../assets/shop.js"),
    },
    Asset {
        name: "htmx.min.js",
        content_type: "text/javascript; charset=utf-8",
        bytes: include_bytes!("../assets/vendor/htmx.min.js"),
    },
    Asset {
        name: "favicon.svg",
        content_type: "image/svg+xml",
        bytes: include_bytes!("../assets/favicon.svg"),
    },
    Asset {
        name: "no-image.svg",
        content_type: "image/svg+xml",
        bytes: include_bytes!("../assets/no-image.svg"),
    },
];

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for asset in &ASSETS {
        hash.update(asset.name.as_bytes());
        hash.update(asset.bytes);
    }
    hex::encode(&hash.finalize()[..8])
});

/// The address of the file `name`.
pub(crate) fn url(name: &str) -> String {
    format!("/assets/{}/{name}", VERSION.as_str())
}

/// `GET /assets/{version}/{name}`. Another version than ours happens while two releases run side by side: it gets our
/// file, not to be kept.
pub(crate) async fn asset(path: web::Path<(String, String)>) -> HttpResponse {
    let (version, name) = path.into_inner();
    let Some(asset) = ASSETS.iter().find(|asset| asset.name == name) else {
        return HttpResponse::NotFound().content_type("text/plain; charset=utf-8").body("no such file\n");
    };
    let cache = if version == *VERSION { "public, max-age=31536000, immutable" } else { "no-cache" };
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, asset.content_type))
        .insert_header((CACHE_CONTROL, cache))
        .insert_header(("X-Content-Type-Options", "nosniff"))
        .body(asset.bytes)
}

/// `GET /favicon.ico`, for browsers that ask without being told.
pub(crate) async fn favicon() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("image/svg+xml")
        .insert_header((CACHE_CONTROL, "public, max-age=86400"))
        .body(&include_bytes!("../assets/favicon.svg")[..])
}

/// `GET /robots.txt`: what is one person's own, or endless, is not for robots.
pub(crate) async fn robots() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .insert_header((CACHE_CONTROL, "public, max-age=86400"))
        .body(
            "User-agent: *\nDisallow: /account\nDisallow: /api/\nDisallow: /cart\nDisallow: /checkout\n\
             Disallow: /login\nDisallow: /orders\nDisallow: /pay/\nDisallow: /register\nDisallow: /search\n",
        )
}
