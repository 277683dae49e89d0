//! One request on its way: let in or refused, its answer finished, written down and counted.

use std::{
    rc::Rc,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use actix_web::{
    Error, HttpResponse,
    body::BoxBody,
    dev::{ServiceRequest, ServiceResponse},
    error::InternalError,
    http::{
        Method, StatusCode, Uri,
        header::{HOST, HeaderMap, HeaderName, HeaderValue},
    },
};
use kernel::{Failure, Result, code};
use platform_trace::Fact;
use tracing::{Span, field::Empty};

use super::{
    Kind,
    lost::{Lost, is_foreign_error, translated},
};
use crate::{
    Arrival, Hop, HttpError, UNSERVED_HEADER,
    caller::{IDEMPOTENCY_KEY, RequestId},
    error::{problem, status},
    error_page::Browser,
    fallback::for_programs,
    headers::{is_repeated, secure, weaken},
    meters::{Meters, label},
    shared::Shared,
};

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const UNSERVED: HeaderName = HeaderName::from_static(UNSERVED_HEADER);

/// One request on its way through.
pub(super) struct Passage {
    kind: Kind,
    hop: Option<Hop>,
    /// Whether it says that it was passed on.
    passed_on: bool,
    pub(super) id: RequestId,
    pub(super) method: Method,
    uri: Uri,
    started: Instant,
    pub(super) span: Span,
    shared: Arc<Shared>,
    meters: Rc<Meters>,
    /// Who wants a page in place of a problem.
    browser: Option<Browser>,
}

impl Passage {
    pub(super) fn new(
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
    pub(super) async fn admit(&self, req: &ServiceRequest) -> Result<Permit> {
        if self.kind == Kind::Public && is_repeated(req.headers(), HOST.as_str()) {
            return Err(Failure::new(code::MALFORMED).detail("Host is given twice"));
        }
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
    pub(super) fn limit(&self, req: &ServiceRequest) -> Option<Duration> {
        let own = (self.kind == Kind::Public).then(|| self.shared.deadline(req.head()))?;
        Some(self.hop.as_ref().map_or(own, |hop| hop.left.min(own)))
    }

    /// The request as the region's entrance gets it.
    pub(super) fn arrival(
        &self,
        request: ServiceRequest,
        heeds_key: bool,
        limit: Option<Duration>,
    ) -> Arrival {
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

    pub(super) fn refuse(&self, req: ServiceRequest, failure: &Failure) -> ServiceResponse<BoxBody> {
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
    pub(super) fn answer(&self, mut response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
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
    pub(super) fn instead(&self, mut response: HttpResponse) -> Error {
        let route = self.shared.routes.pattern(self.uri.path()).map(str::to_owned);
        secure(response.headers_mut(), for_programs(self.uri.path()));
        self.name(response.headers_mut());
        self.record(route, response.status());
        InternalError::from_response("answered elsewhere", response).into()
    }

    /// An answer for a request whose handler is gone: timed out or panicked.
    pub(super) fn lost(&self, failure: Failure) -> Error {
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
pub(super) struct Permit {
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
