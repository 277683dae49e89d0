//! A shop as small as it can be: its handlers say what they see.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use actix_web::{
    HttpRequest, HttpResponse,
    body::SizedStream,
    cookie::Cookie,
    get, post,
    web::{Bytes, Data, Path, Payload, PayloadConfig},
};
use futures::{FutureExt, StreamExt, stream};
use platform_cache::Cache;
use platform_http::{Answer, ErrorPage, Personal, Routes, anonymous};
use serde_json::Value;
use tokio::sync::Notify;

/// What handlers of a region know.
pub(super) struct Here {
    pub(super) name: &'static str,
    pub(super) runs: AtomicUsize,
    /// What the regions' database says, and what a region keeps of it.
    pub(super) stored: AtomicUsize,
    pub(super) kept: Cache<(), usize>,
    /// Handlers of `/api/v1/cart/slow` wait for it.
    pub(super) go: Notify,
}

impl Here {
    pub(super) fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }
}

/// What a handler sees of its request.
#[utoipa::path(tag = "orders", request_body = String, params(("Idempotency-Key" = String, Header)), responses((status = 201)))]
#[post("/api/v1/orders")]
async fn place(req: HttpRequest, here: Data<Here>, body: Bytes) -> Answer {
    here.runs.fetch_add(1, Ordering::SeqCst);
    Ok(HttpResponse::Created().json(seen(&req, &here, &body)?))
}

/// A write that heeds no key.
#[post("/api/v1/cart/merge")]
async fn merge(req: HttpRequest, here: Data<Here>, body: Bytes) -> Answer {
    here.runs.fetch_add(1, Ordering::SeqCst);
    Ok(HttpResponse::Ok().json(seen(&req, &here, &body)?))
}

/// A read.
#[get("/api/v1/cart")]
async fn cart(req: HttpRequest, here: Data<Here>) -> Answer {
    here.runs.fetch_add(1, Ordering::SeqCst);
    let mut response = HttpResponse::Ok();
    response.append_header(("set-cookie", "a=1; Path=/")).append_header(("set-cookie", "b=2; HttpOnly"));
    Ok(response.cookie(Cookie::new("c", "3")).json(seen(&req, &here, &[])?))
}

/// A read that waits until it is let go.
#[get("/api/v1/cart/slow")]
async fn slow(req: HttpRequest, here: Data<Here>) -> Answer {
    here.runs.fetch_add(1, Ordering::SeqCst);
    here.go.notified().await;
    Ok(HttpResponse::Ok().json(seen(&req, &here, &[])?))
}

/// An answer of so many bytes, of known length or not.
#[get("/api/v1/orders/bytes/{length}/{how}")]
async fn bytes(path: Path<(usize, String)>) -> HttpResponse {
    let (length, how) = path.into_inner();
    let chunks = stream::iter((0..length).step_by(1_000).map(move |start| {
        Ok::<_, std::convert::Infallible>(Bytes::from(vec![b'x'; 1_000.min(length - start)]))
    }));
    match how.as_str() {
        "known" => HttpResponse::Ok().body(SizedStream::new(u64::try_from(length).unwrap(), chunks)),
        // Its second half comes long after its first.
        "late" => {
            let half = move || Bytes::from(vec![b'x'; length / 2]);
            let late = async move {
                tokio::time::sleep(Duration::from_millis(300)).await;
                Ok::<_, std::convert::Infallible>(half())
            };
            let first = stream::once(std::future::ready(Ok(half())));
            HttpResponse::Ok().streaming(first.chain(late.into_stream()))
        }
        _ => HttpResponse::Ok().streaming(chunks),
    }
}

/// An answer that a client may have already.
#[get("/api/v1/accounts/me")]
async fn me(req: HttpRequest) -> HttpResponse {
    platform_http::cached(&req, &"the same for everybody", 60)
}

/// Counts the bytes of an upload.
#[post("/api/v1/orders/uploads")]
async fn upload(here: Data<Here>, mut payload: Payload) -> HttpResponse {
    let mut length = 0;
    while let Some(chunk) = payload.next().await {
        length += chunk.unwrap().len();
    }
    HttpResponse::Ok().json(serde_json::json!({ "region": here.name, "length": length }))
}

#[post("/checkout")]
async fn checkout(here: Data<Here>, body: Bytes) -> HttpResponse {
    here.runs.fetch_add(1, Ordering::SeqCst);
    let body = String::from_utf8_lossy(&body).into_owned();
    HttpResponse::SeeOther().insert_header(("location", format!("/{}?{body}", here.name))).finish()
}

/// A write.
#[post("/api/v1/cart/stored")]
async fn store(here: Data<Here>) -> HttpResponse {
    HttpResponse::Ok().json(here.stored.fetch_add(1, Ordering::SeqCst) + 1)
}

/// What anybody may read in any region, from its cache.
#[get("/api/v1/stored")]
async fn stored(here: Data<Here>) -> Answer {
    let load = async || Ok(Some(here.stored.load(Ordering::SeqCst)));
    Ok(HttpResponse::Ok().json(here.kept.get_or_load(&(), load).await?))
}

#[get("/")]
async fn home(here: Data<Here>) -> HttpResponse {
    let own = "0f1e";
    let mut page = HttpResponse::Ok()
        .insert_header(("cache-control", "private, no-cache"))
        .cookie(Cookie::new("visitor", own))
        .body(format!("{}{own}", here.name));
    page.extensions_mut().insert(Personal(own.to_owned()));
    page
}

#[post("/api/v1/payments/callbacks/sandbox")]
async fn callback(here: Data<Here>) -> HttpResponse {
    HttpResponse::Ok().body(here.name)
}

fn seen(req: &HttpRequest, here: &Here, body: &[u8]) -> Result<Value, kernel::Failure> {
    let header = |name: &str| req.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    let ctx = anonymous(req)?;
    let ours: Vec<&str> = req
        .headers()
        .keys()
        .map(|name| name.as_str())
        .filter(|name| name.starts_with("x-meridian-"))
        .collect();
    Ok(serde_json::json!({
        "region": here.name,
        "id": ctx.request_id,
        "key": ctx.idempotency_key,
        "host": header("host"),
        "extra": header("x-extra"),
        "peer": req.peer_addr().map(|peer| peer.ip().to_string()),
        "ours": ours,
        "query": req.query_string(),
        "body": String::from_utf8_lossy(body),
    }))
}

pub(super) fn routes(here: &Data<Here>) -> Routes {
    let here = here.clone();
    Arc::new(move |cfg| {
        cfg.app_data(here.clone());
        cfg.app_data(PayloadConfig::new(64 << 20));
        cfg.app_data(ErrorPage::new(|_, failure| {
            HttpResponse::build(actix_web::http::StatusCode::from_u16(failure.status()).unwrap())
                .content_type("text/html")
                .body(format!("<p>{}</p>", failure.code()))
        }));
        cfg.service(place);
        cfg.map(|cfg| {
            cfg.service(merge).service(cart).service(slow).service(bytes).service(me).service(upload)
        });
        cfg.map(|cfg| cfg.service(checkout).service(home).service(callback).service(store).service(stored));
    })
}
