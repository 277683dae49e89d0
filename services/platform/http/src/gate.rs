//! The gate every request passes: request id, limits, deadline, what the log and the metrics say, headers that keep
//! browsers safe. One middleware, because each costs an allocation a request.

use std::{
    future::{Ready, ready},
    panic::AssertUnwindSafe,
    rc::Rc,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use actix_web::{
    Error, HttpMessage, HttpResponse, ResponseError,
    body::{BoxBody, MessageBody},
    dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready},
    error::InternalError,
    http::{
        Method, StatusCode, Uri,
        header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
    },
};
use futures::{FutureExt, future::LocalBoxFuture};
use kernel::{Failure, Result, code};
use platform_trace::Fact;
use tracing::{Instrument, Span, field::Empty};

use crate::{
    Arrival, Door, Entered, HOP_HEADER, Hop, HttpError, UNSERVED_HEADER,
    caller::{IDEMPOTENCY_KEY, RequestId},
    error::{PROBLEM_JSON, from_status, problem, status},
    error_page::Browser,
    fallback::for_programs,
    headers::{secure, strip, weaken},
    meters::{Meters, label},
    path,
    shared::Shared,
    traces::Told,
};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const UNSERVED: HeaderName = HeaderName::from_static(UNSERVED_HEADER);

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

/// One request on its way through.
struct Passage {
    kind: Kind,
    hop: Option<Hop>,
    /// Whether it says that it was passed on.
    passed_on: bool,
    id: RequestId,
    method: Method,
    uri: Uri,
    started: Instant,
    span: Span,
    shared: Arc<Shared>,
    meters: Rc<Meters>,
    /// Who wants a page in place of a problem.
    browser: Option<Browser>,
}

impl Passage {
    fn new(
        req: &ServiceRequest,
        kind: Kind,
        hop: Option<Hop>,
        passed_on: bool,
        shared: Arc<Shared>,
        meters: Rc<Meters>,
    ) -> Self {
        let id = RequestId::of(req.headers());
        let method = req.method().clone();
        let span = tracing::info_span!(
            "request",
            http.method = %method,
            request.id = id.0.as_str(),
            user.id = Empty,
            shard = Empty,
            region = Empty,
            otel.kind = Empty,
        );
        if let Some((entrance, _)) = &shared.entrance {
            span.record("region", entrance.region().as_str());
        }
        if platform_trace::is_on() {
            span.record("otel.kind", "server");
        }
        let browser = Browser::of(req, &id.0);
        Self {
            kind,
            hop,
            passed_on,
            id,
            method,
            uri: req.uri().clone(),
            started: Instant::now(),
            span,
            shared,
            meters,
            browser,
        }
    }

    /// Lets the request in, or says why not. Limits come before the bound on requests in flight, so that one caller
    /// cannot fill it.
    async fn admit(&self, req: &ServiceRequest) -> Result<Permit> {
        if self.kind == Kind::Public && !self.shared.may_host(req.head()) {
            let detail = "add the name to http.staff_hosts, if staff are to use it";
            return Err(Failure::new(code::HOST).detail(detail));
        }
        // A hop was counted where it came in.
        if self.kind == Kind::Public && self.hop.is_none() {
            self.shared.count(req.head()).await?;
        }
        if self.hop.is_some() && self.shared.draining.load(Ordering::Acquire) {
            return Err(Failure::new(code::UNAVAILABLE).detail("this process is draining").retry_after(1));
        }
        let permit = Permit::take(self.shared.clone());
        if self.kind != Kind::Watch && permit.position > self.shared.config.max_in_flight {
            return Err(Failure::new(code::UNAVAILABLE).detail("too many requests at once").retry_after(1));
        }
        Ok(permit)
    }

    /// How long the handler may take. Calls between our processes carry their own deadline; so do hops.
    fn limit(&self, req: &ServiceRequest) -> Option<Duration> {
        let own = (self.kind == Kind::Public).then(|| self.shared.deadline(req.head()))?;
        Some(self.hop.as_ref().map_or(own, |hop| hop.left.min(own)))
    }

    /// The request as the region's entrance gets it.
    fn arrival(&self, request: ServiceRequest, heeds_key: bool, limit: Option<Duration>) -> Arrival {
        Arrival {
            id: self.id.0.clone(),
            hop: self.hop.clone(),
            passed_on: self.passed_on,
            client: self.shared.address(request.head()),
            keyed: heeds_key && request.headers().contains_key(IDEMPOTENCY_KEY),
            page: self.browser.is_some(),
            within: limit.unwrap_or(self.shared.config.deadline),
            request,
        }
    }

    fn refuse(&self, req: ServiceRequest, failure: &Failure) -> ServiceResponse<BoxBody> {
        let response =
            self.browser.as_ref().map_or_else(|| problem(failure), |browser| browser.page(failure));
        let mut response = self.answer(req.into_response(response));
        if self.hop.is_some() && failure.is(code::UNAVAILABLE) {
            // Nothing was done, so that the region which passed it on may do it.
            let draining = self.shared.draining.load(Ordering::Acquire);
            let why = HeaderValue::from_static(if draining { "draining" } else { "busy" });
            response.headers_mut().insert(UNSERVED, why);
        }
        response
    }

    /// Finishes an answer.
    fn answer(&self, mut response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
        let programs = for_programs(self.uri.path());
        if programs && is_foreign_error(&response) {
            let failure = translated(&response);
            self.log(&failure);
            response = response.into_response(problem(&failure));
        } else if let Some(error) =
            response.response().error().and_then(|error| error.as_error::<HttpError>())
        {
            self.log(error.failure());
        }
        let route = response.request().match_pattern();
        let status = response.status();
        secure(response.headers_mut(), programs);
        weaken(response.headers_mut());
        if self.kind == Kind::Public
            && !self.method.is_safe()
            && (status.is_success() || status.is_redirection())
        {
            self.shared.tell_written(response.headers_mut());
        }
        self.name(response.headers_mut());
        self.record(route, status);
        response
    }

    /// An answer in place of the handler's.
    fn instead(&self, mut response: HttpResponse) -> Error {
        let route = self.shared.routes.pattern(self.uri.path()).map(str::to_owned);
        secure(response.headers_mut(), for_programs(self.uri.path()));
        self.name(response.headers_mut());
        self.record(route, response.status());
        InternalError::from_response("answered elsewhere", response).into()
    }

    /// An answer for a request whose handler is gone: timed out or panicked.
    fn lost(&self, failure: Failure) -> Error {
        self.log(&failure);
        let route = self.shared.routes.pattern(self.uri.path()).map(str::to_owned);
        self.record(route, status(&failure));
        Lost { failure, id: self.id.0.clone(), browser: self.browser.clone() }.into()
    }

    fn name(&self, headers: &mut HeaderMap) {
        if let Ok(id) = HeaderValue::from_str(&self.id.0) {
            headers.insert(X_REQUEST_ID, id);
        }
    }

    /// A client's mistake is news only to the client; ours are errors, with the cause that the client does not see.
    fn log(&self, failure: &Failure) {
        if failure.status() < 500 {
            // Fields may quote what the client sent, so the code alone is logged.
            tracing::debug!(error.code = failure.code(), "refused");
        } else if matches!(failure.status(), 503 | 504) {
            tracing::warn!(error.code = failure.code(), error.cause = ?failure, path = self.uri.path(), "not served");
        } else {
            tracing::error!(error.code = failure.code(), error.cause = ?failure, path = self.uri.path(), "failed");
        }
    }

    fn record(&self, route: Option<String>, status: StatusCode) {
        let elapsed = self.started.elapsed();
        let route = route.unwrap_or_else(|| "unmatched".to_owned());
        self.trace(&route, status);
        let (http_status, elapsed_ms) = (status.as_u16(), elapsed.as_secs_f64() * 1e3);
        // Fields of the event and not of the span: a span that learns a field later is written anew by the JSON layer.
        // Reads that succeed are the bulk and say little.
        if self.method.is_safe() && !status.is_server_error() {
            tracing::debug!(http.route = route, http.status = http_status, elapsed_ms, "answered");
        } else {
            tracing::info!(http.route = route, http.status = http_status, elapsed_ms, "answered");
        }
        self.meters.record(&self.method, route, status, elapsed);
        if self.kind == Kind::Public
            && let Some((entrance, _)) = &self.shared.entrance
        {
            entrance.answered(status.is_server_error());
        }
    }

    /// What the request's span is called is known at its end: `POST /api/v1/orders`.
    fn trace(&self, route: &str, status: StatusCode) {
        // A dispatcher's path has one of our own names in it, unless there is no such method.
        let path = if self.kind == Kind::Internal && status != StatusCode::NOT_FOUND {
            self.uri.path()
        } else {
            route
        };
        platform_trace::rename(|| format!("{} {path}", label(&self.method)));
        platform_trace::note(|| {
            vec![
                Fact::new("http.route", route.to_owned()),
                Fact::new("http.response.status_code", i64::from(status.as_u16())),
            ]
        });
        if status.is_server_error() {
            platform_trace::failed(status.as_str());
        }
    }
}

/// A place among the requests in flight.
struct Permit {
    shared: Arc<Shared>,
    position: usize,
}

impl Permit {
    fn take(shared: Arc<Shared>) -> Self {
        let position = shared.in_flight.fetch_add(1, Ordering::AcqRel) + 1;
        Self { shared, position }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.shared.in_flight.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A failure whose request no longer exists: actix makes its answer from the error alone.
struct Lost {
    failure: Failure,
    id: String,
    browser: Option<Browser>,
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.failure.fmt(f)
    }
}

impl std::fmt::Debug for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Debug::fmt(&self.failure, f)
    }
}

impl ResponseError for Lost {
    fn status_code(&self) -> StatusCode {
        status(&self.failure)
    }

    fn error_response(&self) -> HttpResponse {
        let page = self.browser.as_ref().map(|browser| browser.page(&self.failure));
        let programs = page.is_none();
        let mut response = page.unwrap_or_else(|| problem(&self.failure));
        secure(response.headers_mut(), programs);
        if let Ok(id) = HeaderValue::from_str(&self.id) {
            response.headers_mut().insert(X_REQUEST_ID, id);
        }
        response
    }
}

/// An error that is not in our form: made by actix, or without a body.
fn is_foreign_error(response: &ServiceResponse<BoxBody>) -> bool {
    let status = response.status();
    (status.is_client_error() || status.is_server_error())
        && response.headers().get(CONTENT_TYPE).is_none_or(|media| media != PROBLEM_JSON)
        && (response.response().error().is_some() || !response.headers().contains_key(CONTENT_TYPE))
}

/// Such an error in our form, with what actix says of it where the client is to blame.
fn translated(response: &ServiceResponse<BoxBody>) -> Failure {
    let failure = from_status(response.status());
    match response.response().error().map(ToString::to_string) {
        Some(said) if failure.status() < 500 => failure.detail(said),
        Some(said) => failure.because(said),
        None => failure,
    }
}

fn as_failure(error: &Error) -> Failure {
    let failure = from_status(error.as_response_error().status_code());
    if failure.status() < 500 { failure } else { failure.because(error.to_string()) }
}

/// What a panic said.
fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let said =
        panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    format!("a handler panicked: {}", said.unwrap_or("without words"))
}
