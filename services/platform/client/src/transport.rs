//! The transport.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use contracts::{Caller, Ctx, Transport};
use kernel::{Clock, Failure, Problem, Result, code};
use platform_http::{ASSERTION_HEADER, ASSERTION_REFUSED, AssertionKey, HOME_HEADER};
use platform_regions::Regions;
use reqwest::{
    Client, Response,
    header::{CONTENT_TYPE, HeaderValue},
};
use tokio::sync::Semaphore;
use tracing::Instrument;

use crate::{ClientConfig, breaker::Breaker};

/// Waits between attempts to connect: a process that restarts is back within a second.
const CONNECT_AGAIN: [Duration; 3] =
    [Duration::from_millis(50), Duration::from_millis(200), Duration::from_millis(600)];

/// Calls domains in other processes.
pub struct HttpTransport {
    client: Client,
    key: AssertionKey,
    clock: Arc<dyn Clock>,
    targets: HashMap<String, Target>,
    answer_limit: usize,
    regions: Regions,
}

struct Target {
    base: String,
    in_flight: Semaphore,
    breaker: Breaker,
}

impl HttpTransport {
    /// A transport to the targets of `config`, whose calls are signed by `key`, in a shop without regions.
    pub fn new(config: &ClientConfig, key: AssertionKey, clock: Arc<dyn Clock>) -> Result<Arc<Self>> {
        Self::among(config, key, clock, Regions::single())
    }

    /// The same among regions: calls on behalf of a user say where they are at home, for a mesh to route by.
    pub fn among(
        config: &ClientConfig,
        key: AssertionKey,
        clock: Arc<dyn Clock>,
        regions: Regions,
    ) -> Result<Arc<Self>> {
        let client = Client::builder()
            .connect_timeout(config.connect_timeout)
            .pool_idle_timeout(config.idle_timeout)
            .pool_max_idle_per_host(config.max_in_flight)
            .tcp_nodelay(true)
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(Failure::internal)?;
        let target = |base: &String| Target {
            base: base.trim_end_matches('/').to_owned(),
            in_flight: Semaphore::new(config.max_in_flight.clamp(1, Semaphore::MAX_PERMITS)),
            breaker: Breaker::new(config.breaker_failures, config.breaker_pause),
        };
        let targets = config.targets.iter().map(|(domain, base)| (domain.clone(), target(base))).collect();
        Ok(Arc::new(Self { client, key, clock, targets, answer_limit: config.answer_limit, regions }))
    }

    async fn attempt(&self, ctx: &Ctx, target: &Target, path: &str, body: Vec<u8>) -> Result<Vec<u8>> {
        let left = || ctx.deadline.since(self.clock.now());
        let _permit = tokio::time::timeout(left(), target.in_flight.acquire())
            .await
            .map_err(|_| {
                Failure::new(code::UNAVAILABLE).retry_after(1).because("too many calls to this domain")
            })?
            .map_err(Failure::internal)?;
        let mut pass = target
            .breaker
            .enter(true, Instant::now())
            .ok_or_else(|| Failure::new(code::UNAVAILABLE).retry_after(1))?;
        let answer = tokio::time::timeout(left(), self.exchange(ctx, target, path, body)).await;
        let answer = answer
            .unwrap_or_else(|_| Err(Failure::new(code::TIMEOUT).because(format!("no answer from {path}"))));
        match &answer {
            Err(failure) if failure.is(code::UNAVAILABLE) || failure.is(code::TIMEOUT) => {
                pass.troubled(Instant::now());
            }
            _ => pass.answered(),
        }
        answer
    }

    async fn exchange(&self, ctx: &Ctx, target: &Target, path: &str, body: Vec<u8>) -> Result<Vec<u8>> {
        let url = format!("{}{path}", target.base);
        let body = reqwest::Body::from(body);
        let bytes = body.as_bytes().unwrap_or_default();
        let assertion = self.key.sign(ctx, path, bytes, self.clock.now())?;
        let request = self
            .client
            .post(&url)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header("x-request-id", &ctx.request_id)
            .header(ASSERTION_HEADER, assertion)
            .body(body);
        let request = match platform_trace::traceparent() {
            Some(trace) => request.header(platform_trace::HEADER, trace),
            None => request,
        };
        let request = match self.home(ctx) {
            Some(home) => request.header(HOME_HEADER, home),
            None => request,
        };
        let request = request.build().map_err(Failure::internal)?;
        let mut pauses = CONNECT_AGAIN.into_iter();
        loop {
            // The body is held in memory, so that a copy shares it.
            let again =
                request.try_clone().ok_or_else(|| Failure::internal("a call's body cannot be copied"))?;
            match self.client.execute(again).await {
                Ok(response) => return self.answer(response).await,
                // No connection, so nothing was sent. Everything else may have had its effect.
                Err(error) if error.is_connect() => match pauses.next() {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => return Err(unreachable(error)),
                },
                Err(error) => return Err(unreachable(error)),
            }
        }
    }

    /// The home region of the user on whose behalf the call is; none without regions. Guests and our own work have none: they
    /// are as well served here as anywhere.
    fn home(&self, ctx: &Ctx) -> Option<HeaderValue> {
        let Caller::User { id, .. } = &ctx.caller else { return None };
        let world = self.regions.world()?;
        let row = world.observed.shards.get(&id.shard())?;
        HeaderValue::from_str(row.home.as_str()).ok()
    }

    async fn answer(&self, mut response: Response) -> Result<Vec<u8>> {
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > self.answer_limit {
                return Err(Failure::internal("the answer of another process is too large"));
            }
            body.extend_from_slice(&chunk);
        }
        if status.is_success() {
            return Ok(body);
        }
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) if problem.code == ASSERTION_REFUSED.name => Err(Failure::internal(
                "another process refused our assertion: do both have the same keys and the same time?",
            )),
            Ok(problem) => Err(problem.into()),
            Err(_) => Err(Failure::new(code::UNAVAILABLE)
                .retry_after(1)
                .because(format!("status {status} without a problem"))),
        }
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn call(
        &self,
        ctx: &Ctx,
        domain: &'static str,
        method: &'static str,
        body: Vec<u8>,
    ) -> Result<Vec<u8>> {
        let target = self
            .targets
            .get(domain)
            .ok_or_else(|| Failure::internal(format!("client.targets has no {domain}")))?;
        let started = Instant::now();
        let path = format!("/internal/{domain}/{method}");
        let span = tracing::debug_span!(
            target: "meridian",
            "call",
            otel.name = path.as_str(),
            otel.kind = "client",
            peer.service = domain,
        );
        let attempt = async {
            let answer = self.attempt(ctx, target, &path, body).await;
            if let Err(failure) = &answer
                && failure.status() >= 500
            {
                platform_trace::failed(failure.code());
            }
            answer
        };
        let answer = attempt.instrument(span).await;
        let status = answer.as_ref().map_or_else(Failure::status, |_| 200);
        let labels =
            [("domain", domain.to_owned()), ("method", method.to_owned()), ("status", status.to_string())];
        metrics::counter!("client_requests_total", &labels).increment(1);
        metrics::histogram!("client_request_duration_seconds", &labels)
            .record(started.elapsed().as_secs_f64());
        if let Err(failure) = &answer
            && failure.status() >= 500
        {
            tracing::warn!(domain, method, error.cause = ?failure, request.id = ctx.request_id, "call failed");
        }
        answer
    }
}

impl std::fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpTransport").field("targets", &self.targets.keys()).finish_non_exhaustive()
    }
}

fn unreachable(error: reqwest::Error) -> Failure {
    if error.is_timeout() && !error.is_connect() {
        return Failure::new(code::TIMEOUT).because(error);
    }
    Failure::new(code::UNAVAILABLE).retry_after(1).because(error)
}
