//! The trace a piece of work belongs to, on its way through processes, SQL and events.
//!
//! One order is one trace: what a request causes (calls to other processes, statements, events and what their consumers do)
//! carries its [`traceparent`], a W3C Trace Context header of version 00, or the same text in a row.
//!
//! - While no collector is configured everything here returns at once after one relaxed load: see [`is_on`].
//! - Spans that are only for traces have a target of ours ([`is_ours`]) and the level `debug`, so that without a collector
//!   the log's filter keeps them from being made; [`step`] and [`serving`] make none outside of a trace.
//! - What is written into a span is public to every operator: ids, names and counts. Never a value of a statement, a body,
//!   a name or an address.
//! - `tracestate` is not passed on: nothing of ours writes one.

mod parent;
mod statement;

use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::{
    Context,
    trace::{SpanContext, Status, TraceContextExt, TraceFlags, TraceState},
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

pub use opentelemetry::KeyValue as Fact;
pub use parent::HEADER;
pub use statement::{BETWEEN_STATEMENTS, statement};

/// The target of spans that are made for traces alone.
pub const TARGET: &str = "meridian";

static ON: AtomicBool = AtomicBool::new(false);

/// Whether spans are recorded in this process.
pub fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// Says that spans are recorded from now on; whoever sets up the collector's pipeline calls it.
pub fn switch_on() {
    ON.store(true, Ordering::Relaxed);
}

/// Whether a span of this target belongs into a trace: ours do, those of the libraries we use do not.
pub fn is_ours(target: &str) -> bool {
    target == TARGET || target.starts_with("platform_")
}

/// Whether the current work belongs to a trace, recorded or not.
pub fn is_traced() -> bool {
    is_on() && Context::map_current(|context| context.span().span_context().is_valid())
}

/// Whether the current work's spans are recorded: its trace was chosen by the sampler.
pub fn is_recorded() -> bool {
    is_on() && Context::map_current(|context| context.span().span_context().is_sampled())
}

/// The current span as others are told of it; None when there is none.
pub fn traceparent() -> Option<String> {
    if !is_on() {
        return None;
    }
    Context::map_current(|context| parent::write(context.span().span_context()))
}

/// Trace and span of the current work, as a log line names them.
pub fn ids() -> Option<(String, String)> {
    if !is_on() {
        return None;
    }
    Context::map_current(|context| {
        let span = context.span();
        let here = span.span_context();
        here.is_valid().then(|| (here.trace_id().to_string(), here.span_id().to_string()))
    })
}

/// Makes `span`, which has not begun, part of the trace that `traceparent` names. What cannot be read is not followed.
pub fn continue_from(span: &Span, traceparent: &str) {
    if is_on()
        && let Some(remote) = parent::read(traceparent)
    {
        // Fails for a span that nobody records.
        let _ = span.set_parent(Context::new().with_remote_span_context(remote));
    }
}

/// Links `span` with the trace that `traceparent` names, which stays another and does not say whether this one is recorded: the
/// word of somebody who is not trusted. What cannot be read is no link.
pub fn link_to(span: &Span, traceparent: &str) {
    if is_on()
        && let Some(remote) = parent::read(traceparent)
    {
        let (trace, there) = (remote.trace_id(), remote.span_id());
        span.add_link(SpanContext::new(trace, there, TraceFlags::default(), true, TraceState::default()));
    }
}

/// The span of a step of the current trace; none outside of one. `name` is `domain.verb`.
pub fn step(name: &'static str) -> Span {
    if is_traced() {
        tracing::debug_span!(target: "meridian", "step", otel.name = name)
    } else {
        Span::none()
    }
}

/// The span of a step that belongs to an earlier trace, linked with what caused it: a payment is part of its order's trace,
/// whichever request, callback or job it comes by. Like [`step`] where there is no earlier one, or where it goes on.
pub fn rejoin(name: &'static str, earlier: Option<&str>) -> Span {
    let Some(earlier) = earlier.filter(|_| is_on()).and_then(parent::read) else { return step(name) };
    let cause = Context::map_current(|context| context.span().span_context().clone());
    if cause.trace_id() == earlier.trace_id() {
        return step(name);
    }
    let span = tracing::debug_span!(target: "meridian", parent: None, "step", otel.name = name);
    // Fails for a span that nobody records.
    let _ = span.set_parent(Context::new().with_remote_span_context(earlier));
    span.add_link(cause);
    span
}

/// The span of work that serves several requests at once, such as a commit: a child where those that are traced are of one
/// trace, else in a trace of its own and linked with each, both ways.
pub fn serving<'a>(name: &'static str, members: impl Iterator<Item = &'a Span>) -> Span {
    let traced: Vec<(&Span, SpanContext)> = members
        .filter(|span| !span.is_disabled())
        .map(|span| (span, span.context().span().span_context().clone()))
        .collect();
    let Some(((first, its), others)) = traced.split_first() else { return Span::none() };
    if others.iter().all(|(_, other)| other.trace_id() == its.trace_id()) {
        return tracing::debug_span!(target: "meridian", parent: *first, "serving", otel.name = name);
    }
    let own = tracing::debug_span!(target: "meridian", parent: None, "serving", otel.name = name);
    let own_context = own.context().span().span_context().clone();
    for (member, context) in traced {
        own.add_link(context);
        member.add_link(own_context.clone());
    }
    own
}

/// Names the current span anew, once it is known what the work is.
pub fn rename(name: impl FnOnce() -> String) {
    if is_recorded() {
        Context::map_current(|context| context.span().update_name(name()));
    }
}

/// Adds facts to the current span that its log line says by itself.
pub fn note(facts: impl FnOnce() -> Vec<Fact>) {
    if is_recorded() {
        Context::map_current(|context| context.span().set_attributes(facts()));
    }
}

/// Says that the current work failed through our own fault; `what` is a code, never a value.
pub fn failed(what: &str) {
    if is_recorded() {
        Context::map_current(|context| context.span().set_status(Status::error(what.to_owned())));
    }
}

#[cfg(test)]
mod tests;
