//! `POST /internal/{domain}/{method}`: calls from our own processes.

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix_web::{HttpRequest, HttpResponse, web};
use contracts::Dispatch;
use kernel::{Failure, code};

use crate::{ASSERTION_HEADER, ASSERTION_REFUSED, Answer, AssertionKey, body, shared::Shared};

/// No call between processes waits longer, whatever its context says.
const MAX_DEADLINE: Duration = Duration::from_mins(15);

/// Who answers, and by which key callers are known.
pub(crate) struct Internal {
    key: AssertionKey,
    domains: HashMap<&'static str, Arc<dyn Dispatch>>,
}

impl Internal {
    pub(crate) fn new(key: AssertionKey, dispatchers: &[Arc<dyn Dispatch>]) -> Self {
        Self { key, domains: dispatchers.iter().map(|one| (one.domain(), one.clone())).collect() }
    }
}

pub(crate) async fn dispatch(
    req: HttpRequest,
    segments: web::Path<(String, String)>,
    payload: web::Payload,
    internal: web::Data<Internal>,
) -> Answer {
    let shared = Shared::of(&req)?;
    let assertion =
        req.headers().get(ASSERTION_HEADER).and_then(|value| value.to_str().ok()).ok_or(ASSERTION_REFUSED)?;
    let opened = internal.key.open(assertion, shared.clock.now())?;
    // A file of the largest size travels as base64 inside JSON.
    let limit = shared.config.upload_limit.saturating_mul(3) / 2 + shared.config.body_limit;
    let body = body::read(&req, &mut payload.into_inner(), limit).await?;
    let ctx = opened.on_behalf(req.path(), &body)?;
    let (domain, method) = segments.into_inner();
    let service = internal.domains.get(domain.as_str()).ok_or_else(|| Failure::not_found("domain"))?;
    let left = ctx.deadline.since(shared.clock.now()).min(MAX_DEADLINE);
    let span = tracing::Span::current();
    span.record("user.id", ctx.principal().as_str());
    span.record("shard", ctx.shard().number());
    let answer = tokio::time::timeout(left, service.dispatch(&ctx, &method, &body))
        .await
        .map_err(|_| Failure::new(code::TIMEOUT))??;
    Ok(HttpResponse::Ok().content_type("application/json").body(answer))
}
