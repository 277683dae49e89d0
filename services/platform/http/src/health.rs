//! Whether the process lives, and whether it should get requests.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use actix_web::{HttpResponse, http::header::CACHE_CONTROL, web::Data};
use futures::future::{BoxFuture, join_all};
use kernel::Result;
use platform_regions::MAP_AGE_HEADER;
use serde::Serialize;

use crate::shared::Shared;

/// Asks one part whether it can serve; the failure's message is the reason shown.
pub type Probe = Arc<dyn Fn() -> BoxFuture<'static, Result<()>> + Send + Sync>;

/// Makes the text of `/metrics`.
pub(crate) type Exposition = Arc<dyn Fn() -> String + Send + Sync>;

/// A probe that takes longer counts as failed.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// The probes of `/readyz`.
#[derive(Clone, Default)]
pub(crate) struct Probes(pub(crate) Vec<NamedProbe>);

/// A probe of `/readyz`.
#[derive(Clone)]
pub(crate) struct NamedProbe {
    pub(crate) name: String,
    pub(crate) probe: Probe,
    /// Whether the process cannot serve without it; otherwise it is only degraded.
    pub(crate) needed: bool,
}

/// The text of `/metrics`, where there is any.
#[derive(Clone, Default)]
pub(crate) struct Metrics(pub(crate) Option<Exposition>);

#[derive(Serialize)]
struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    probes: Vec<ProbeView>,
}

#[derive(Serialize)]
struct ProbeView {
    name: String,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// The process lives. A region says with it how old its map is, in milliseconds.
pub(crate) async fn healthz(shared: Data<Shared>) -> HttpResponse {
    let mut answer = HttpResponse::Ok();
    if let Some((entrance, _)) = &shared.entrance {
        answer.insert_header((MAP_AGE_HEADER, entrance.map_age().as_millis().to_string()));
    }
    answer.insert_header((CACHE_CONTROL, "no-store")).json(Health { status: "ok", probes: Vec::new() })
}

pub(crate) async fn readyz(shared: Data<Shared>, probes: Data<Probes>) -> HttpResponse {
    let answers = join_all(probes.0.iter().map(|NamedProbe { name, probe, needed }| async move {
        let reason = match tokio::time::timeout(PROBE_TIMEOUT, probe()).await {
            Ok(Ok(())) => None,
            Ok(Err(failure)) => Some(failure.message().to_owned()),
            Err(_) => Some(format!("no answer within {PROBE_TIMEOUT:?}")),
        };
        (ProbeView { name: name.clone(), ok: reason.is_none(), reason }, *needed)
    }))
    .await;
    let status = if shared.draining.load(Ordering::Acquire) {
        "draining"
    } else if answers.iter().any(|(probe, needed)| *needed && !probe.ok) {
        "not_ready"
    } else if answers.iter().any(|(probe, _)| !probe.ok) {
        "degraded"
    } else {
        "ready"
    };
    let probes = answers.into_iter().map(|(probe, _)| probe).collect();
    let serves = matches!(status, "ready" | "degraded");
    let mut response = if serves { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    response.insert_header((CACHE_CONTROL, "no-store")).json(Health { status, probes })
}

pub(crate) async fn metrics(metrics: Data<Metrics>, shared: Data<Shared>) -> HttpResponse {
    let in_flight = u32::try_from(shared.in_flight.load(Ordering::Acquire)).unwrap_or(u32::MAX);
    metrics::gauge!("http_requests_in_flight").set(f64::from(in_flight));
    match &metrics.0 {
        Some(exposition) => HttpResponse::Ok()
            .content_type("text/plain; version=0.0.4; charset=utf-8")
            .insert_header((CACHE_CONTROL, "no-store"))
            .body(exposition()),
        None => HttpResponse::NotFound().finish(),
    }
}
