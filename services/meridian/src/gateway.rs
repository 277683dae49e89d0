//! The entrance of a split shop: requests for modules that run in other processes are passed on to them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{
        StatusCode,
        header::{HeaderName, HeaderValue},
    },
    web::{self, Bytes, Data},
};
use anyhow::Result;
use kernel::{Failure, code};
use platform_http::{Answer, Routes, travels};
use platform_runtime::Module;

/// Paths and the module that answers them; a path stands for everything below it.
const PATHS: &[(&str, &[&str])] = &[
    (
        "account",
        &[
            "/api/v1/accounts",
            "/api/v1/sessions",
            "/api/v1/addresses",
            "/api/v1/admin/users",
            "/api/v1/admin/roles",
            "/api/v1/admin/audit",
            "/.well-known/jwks.json",
        ],
    ),
    (
        "catalog",
        &[
            "/api/v1/categories",
            "/api/v1/brands",
            "/api/v1/products",
            "/api/v1/admin/categories",
            "/api/v1/admin/brands",
            "/api/v1/admin/attribute-sets",
            "/api/v1/admin/products",
            "/media",
        ],
    ),
    ("pricing", &["/api/v1/admin/prices"]),
    ("inventory", &["/api/v1/admin/warehouses", "/api/v1/admin/stock"]),
    ("import", &["/api/v1/admin/imports"]),
    ("cart", &["/api/v1/cart"]),
    ("order", &["/api/v1/orders", "/api/v1/quotes", "/api/v1/admin/orders"]),
    ("payment", &["/api/v1/payments", "/api/v1/sandbox", "/api/v1/admin/payments"]),
    ("search", &["/api/v1/search", "/api/v1/admin/search"]),
];

/// Headers that the next hop sets itself, beside those of one connection.
const OWN: &[&str] = &["host", "accept-encoding"];

struct Gateway {
    client: reqwest::Client,
}

/// What handles the paths of one module.
#[derive(Clone)]
struct Peer {
    gateway: Arc<Gateway>,
    base: Arc<str>,
}

/// A module that passes requests on to `peers`: base URLs by module, of those that do not run here.
pub(crate) fn module(peers: &BTreeMap<&'static str, String>, limit: usize) -> Result<Module> {
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(1))
        .build()?;
    let gateway = Arc::new(Gateway { client });
    let remote: Vec<(&'static str, Peer)> = PATHS
        .iter()
        .filter_map(|(name, paths)| Some((paths, peers.get(name)?)))
        .flat_map(|(paths, base)| {
            let peer = Peer { gateway: Arc::clone(&gateway), base: base.trim_end_matches('/').into() };
            paths.iter().map(move |path| (*path, peer.clone()))
        })
        .collect();
    let routes: Routes = Arc::new(move |cfg| {
        // What is passed on is documented by the process that answers it.
        cfg.map(|cfg| {
            for (path, peer) in &remote {
                let resource = web::resource([(*path).to_owned(), format!("{path}/{{rest:.*}}")])
                    .app_data(Data::new(peer.clone()))
                    .app_data(web::PayloadConfig::new(limit))
                    .default_service(web::to(pass_on));
                cfg.service(resource);
            }
            cfg
        });
    });
    Ok(Module::new("gateway").routes(routes))
}

async fn pass_on(req: HttpRequest, peer: Data<Peer>, body: Bytes) -> Answer {
    // Not the whole URI: a client may have written one with a host.
    let target = format!("{}{}", peer.base, req.uri().path_and_query().map_or("/", |path| path.as_str()));
    let method = reqwest::Method::from_bytes(req.method().as_str().as_bytes()).map_err(Failure::internal)?;
    let mut request = peer.gateway.client.request(method, target).body(body.to_vec());
    let trace = platform_trace::traceparent();
    for (name, value) in req.headers() {
        // Ours, which continues the client's, takes the place of the client's.
        let traced = trace.is_some() && matches!(name.as_str(), platform_trace::HEADER | "tracestate");
        if !traced && travels(name) && !OWN.contains(&name.as_str()) {
            request = request.header(name.as_str(), value.as_bytes());
        }
    }
    if let Some(trace) = trace {
        request = request.header(platform_trace::HEADER, trace);
    }
    let answer = request
        .send()
        .await
        .map_err(|error| Failure::new(code::UNAVAILABLE).retry_after(1).because(error.without_url()))?;
    let status = StatusCode::from_u16(answer.status().as_u16()).map_err(Failure::internal)?;
    let mut response = HttpResponse::build(status);
    for (name, value) in answer.headers() {
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).map_err(Failure::internal)?;
        if !travels(&name) {
            continue;
        }
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(Failure::internal)?;
        response.append_header((name, value));
    }
    let body =
        answer.bytes().await.map_err(|error| Failure::new(code::UNAVAILABLE).because(error.without_url()))?;
    Ok(response.body(body))
}
