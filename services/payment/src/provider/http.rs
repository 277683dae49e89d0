//! The provider's server.

use std::{net::TcpListener, sync::Arc};

use actix_web::{
    App, HttpRequest, HttpResponse, HttpServer,
    http::StatusCode,
    web::{self, Bytes, Data, Path, PayloadConfig},
};
use kernel::{Failure, Result, code};
use platform_runtime::Tasks;
use serde::{Serialize, de::DeserializeOwned};
use tracing::Instrument;

use super::Inner;
use crate::channel::{
    signature::{SIGNATURE, TIMESTAMP},
    wire::{ChargeRequest, ErrorBody, RefundRequest, SimulateRequest},
};

/// The largest body of a request.
const LARGEST: usize = 16 * 1_024;

/// Serves until the tasks are told to stop.
pub(super) fn serve(provider: Arc<Inner>, listener: TcpListener, tasks: &Tasks) -> Result<()> {
    listener.set_nonblocking(true).map_err(Failure::internal)?;
    let data = Data::from(provider);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(data.clone())
            .app_data(PayloadConfig::new(LARGEST))
            .route("/v1/charges", web::post().to(create))
            .route("/v1/charges/{reference}", web::get().to(query))
            .route("/v1/charges/{reference}/cancel", web::post().to(cancel))
            .route("/v1/charges/{reference}/refunds", web::post().to(refund))
            .route("/v1/charges/{reference}/simulate", web::post().to(simulate))
    })
    .workers(1)
    .max_connections(1_000)
    .shutdown_timeout(5)
    .disable_signals()
    .listen(listener)
    .map_err(Failure::internal)?
    .run();
    let (handle, token) = (server.handle(), tasks.token());
    tasks.spawn_essential("payment.sandbox.serve", async move {
        if let Err(error) = server.await {
            tracing::error!(%error, "the sandbox's provider ended");
        }
    });
    tasks.spawn("payment.sandbox.stop", async move {
        token.cancelled().await;
        handle.stop(true).await;
    });
    Ok(())
}

/// Whether a request is the merchant's: signed over method, path, time and body.
fn authentic(provider: &Inner, req: &HttpRequest, body: &[u8]) -> Result<()> {
    let header = |name| req.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let id = format!("{} {}", req.method(), req.path());
    if provider.requests.verify(&id, header(TIMESTAMP), header(SIGNATURE), body, provider.db.now()) {
        Ok(())
    } else {
        Err(Failure::new(code::UNAUTHENTICATED))
    }
}

/// Checks who asks, reads the body, and answers with what `work` makes of it.
async fn answer<B, T, F>(
    provider: &Inner,
    req: &HttpRequest,
    body: &[u8],
    work: impl FnOnce(B) -> F,
) -> HttpResponse
where
    B: DeserializeOwned,
    T: Serialize,
    F: Future<Output = Result<T>>,
{
    let outcome = async {
        authentic(provider, req, body)?;
        // A request without a body is read as null.
        let body = if body.is_empty() { b"null".as_slice() } else { body };
        let body = serde_json::from_slice(body)
            .map_err(|error| Failure::new(code::MALFORMED).detail(error.to_string()))?;
        work(body).await
    };
    // What another party would record of this is not ours; this one lets us see it.
    let caller = req.headers().get(platform_trace::HEADER).and_then(|value| value.to_str().ok());
    match outcome.instrument(platform_trace::rejoin("sandbox.provider", caller)).await {
        Ok(value) => HttpResponse::Ok().json(value),
        Err(failure) => {
            if failure.status() >= 500 {
                tracing::warn!(?failure, "the sandbox's provider failed");
            }
            let status = StatusCode::from_u16(failure.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            HttpResponse::build(status).json(ErrorBody { error: failure.message().to_owned() })
        }
    }
}

async fn create(provider: Data<Inner>, req: HttpRequest, body: Bytes) -> HttpResponse {
    answer(&provider, &req, &body, |request: ChargeRequest| provider.create(request)).await
}

async fn query(
    provider: Data<Inner>,
    req: HttpRequest,
    reference: Path<String>,
    body: Bytes,
) -> HttpResponse {
    answer(&provider, &req, &body, |(): ()| provider.query(&reference)).await
}

async fn cancel(
    provider: Data<Inner>,
    req: HttpRequest,
    reference: Path<String>,
    body: Bytes,
) -> HttpResponse {
    answer(&provider, &req, &body, |(): ()| provider.cancel(reference.into_inner())).await
}

async fn refund(
    provider: Data<Inner>,
    req: HttpRequest,
    reference: Path<String>,
    body: Bytes,
) -> HttpResponse {
    answer(&provider, &req, &body, |request: RefundRequest| provider.refund(reference.into_inner(), request))
        .await
}

async fn simulate(
    provider: Data<Inner>,
    req: HttpRequest,
    reference: Path<String>,
    body: Bytes,
) -> HttpResponse {
    answer(&provider, &req, &body, |request: SimulateRequest| {
        provider.simulate(reference.into_inner(), request.outcome)
    })
    .await
}
