//! The gate every request passes: request id, limits, deadline, what the log and the metrics say, headers that keep
//! browsers safe. One middleware, because each costs an allocation a request.

mod lost;
mod passage;

use std::{
    future::{Ready, ready},
    panic::AssertUnwindSafe,
    rc::Rc,
    sync::Arc,
};

use actix_web::{
    Error, HttpMessage,
    body::{BoxBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
    http::Method,
};
use futures::{FutureExt, future::LocalBoxFuture};
use kernel::{Failure, Result, code};
use tracing::Instrument;

use self::{
    lost::{as_failure, words},
    passage::Passage,
};
use crate::{Door, Entered, HOP_HEADER, headers::strip, meters::Meters, path, shared::Shared, traces::Told};

/// The middleware.
pub(crate) struct Gate(pub(crate) Arc<Shared>);

/// How a request is treated, by its path.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Health and metrics: never limited, never shed.
    Watch,
    /// Between our processes: signed, so not limited by caller.
    Internal,
    /// Everybody.
    Public,
}

impl Kind {
    fn of(path: &str) -> Self {
        match path {
            "/healthz" | "/readyz" | "/metrics" => Self::Watch,
            _ if path.starts_with("/internal/") => Self::Internal,
            _ => Self::Public,
        }
    }
}

impl<S, B> Transform<S, ServiceRequest> for Gate
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Transform = GateService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        let door = match self.0.entrance.as_ref().map(|(entrance, _)| entrance.door()).transpose() {
            Ok(door) => door,
            Err(failure) => {
                tracing::error!(error.cause = ?failure, "a worker cannot start");
                return ready(Err(()));
            }
        };
        ready(Ok(GateService {
            inner: Rc::new(service),
            shared: self.0.clone(),
            meters: Rc::default(),
            door,
        }))
    }
}

pub(crate) struct GateService<S> {
    inner: Rc<S>,
    shared: Arc<Shared>,
    meters: Rc<Meters>,
    door: Option<Rc<dyn Door>>,
}

impl<S, B> Service<ServiceRequest> for GateService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Error>>;

    forward_ready!(inner);

    fn call(&self, mut req: ServiceRequest) -> Self::Future {
        // Another region signs the target as it sends it.
        let hop = self.shared.hop(req.head());
        let readable = path::settle(&mut req);
        let kind = Kind::of(req.path());
        let hop = hop.filter(|_| kind != Kind::Internal);
        let passed_on = req.headers().contains_key(HOP_HEADER);
        let told = Told::take(&self.shared, &mut req, hop.as_ref());
        if kind != Kind::Internal {
            strip(&mut req);
        }
        if let Some(hop) = &hop {
            // Limits and logs speak of the shopper, not of the region in between.
            req.head_mut().peer_addr = hop.client.map(|client| (client, 0).into());
        }
        let passage = Passage::new(&req, kind, hop, passed_on, self.shared.clone(), self.meters.clone());
        if let Some(told) = told {
            told.tell(&passage.span);
        }
        req.extensions_mut().insert(passage.id.clone());
        if passage.method == Method::HEAD {
            // Handlers know GET; actix leaves the body out by what the client asked.
            req.head_mut().method = Method::GET;
        }
        let held_to = self.shared.held_to(req.headers());
        let found = self.shared.owners.find(req.method(), req.path());
        if let Some(found) = found {
            req.extensions_mut().insert(found.owner);
        }
        let span = passage.span.clone();
        let inner = self.inner.clone();
        let door = self.door.clone().filter(|_| kind == Kind::Public);
        Box::pin(
            async move {
                let permit = match passage.admit(&req).await.and_then(|permit| readable.map(|()| permit)) {
                    Ok(permit) => permit,
                    Err(failure) => return Ok(passage.refuse(req, &failure)),
                };
                let limit = passage.limit(&req);
                let entered = match door {
                    None => handle(inner, req).map(Entered::Answer).left_future(),
                    Some(door) => {
                        let keyed = found.is_some_and(|found| found.keyed);
                        let arrival = passage.arrival(req, keyed, limit);
                        door.enter(arrival, Box::new(|request| handle(inner, request).boxed_local()))
                            .right_future()
                    }
                };
                let entered = match held_to {
                    None => entered.left_future(),
                    Some(moment) => platform_cache::since(moment, entered).right_future(),
                };
                let entered = AssertUnwindSafe(entered).catch_unwind();
                let outcome = match limit {
                    Some(limit) => tokio::time::timeout(limit, entered).await,
                    None => Ok(entered.await),
                };
                drop(permit);
                match outcome {
                    Ok(Ok(Entered::Answer(Ok(response)))) => Ok(passage.answer(response)),
                    Ok(Ok(Entered::Answer(Err(error)))) => Err(passage.lost(as_failure(&error))),
                    Ok(Ok(Entered::Instead(response))) => Err(passage.instead(response)),
                    Ok(Ok(Entered::Refused(failure))) => Err(passage.lost(failure)),
                    Ok(Err(panic)) => Err(passage.lost(Failure::internal(words(panic.as_ref())))),
                    Err(_) => Err(passage.lost(code::TIMEOUT.into())),
                }
            }
            .instrument(span),
        )
    }
}

async fn handle<S, B>(inner: Rc<S>, req: ServiceRequest) -> Result<ServiceResponse<BoxBody>, Error>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody + 'static,
{
    inner.call(req).await.map(ServiceResponse::map_into_boxed_body)
}
