//! Spans as a collector would get them. One test, because being on is the process's.

use opentelemetry::trace::{SpanId, TracerProvider as _};
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanProcessor};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tracing_subscriber::layer::SubscriberExt;

use super::*;

const REMOTE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<Vec<SpanData>>>);

impl SpanProcessor for Kept {
    fn on_start(&self, _: &mut opentelemetry_sdk::trace::Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.0.lock().unwrap().push(span);
    }

    fn force_flush(&self) -> opentelemetry_sdk::error::OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> opentelemetry_sdk::error::OTelSdkResult {
        Ok(())
    }
}

impl Kept {
    fn named(&self, name: &str) -> SpanData {
        let spans = self.0.lock().unwrap();
        let found = spans.iter().find(|span| span.name == name);
        found.unwrap_or_else(|| panic!("no {name} in {spans:?}")).clone()
    }
}

#[test]
#[expect(clippy::cognitive_complexity, reason = "one subscriber a process: one story, told in order")]
fn work_stays_in_its_trace() {
    assert_eq!(traceparent(), None);
    rename(|| panic!("nobody is asked for a name while nothing is recorded"));
    let kept = Kept::default();
    let provider = SdkTracerProvider::builder().with_span_processor(kept.clone()).build();
    global_tracer(&provider);
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer(TARGET));
    let _subscriber = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    switch_on();
    assert!(!is_traced() && traceparent().is_none(), "no span, no trace");

    let request = tracing::info_span!("request");
    continue_from(&request, REMOTE);
    let told = request.in_scope(|| {
        rename(|| "POST /api/v1/orders".to_owned());
        note(|| vec![Fact::new("http.route", "/api/v1/orders")]);
        statement("sqlite", "INSERT INTO orders VALUES ('ada@example.com')", Duration::from_millis(3), false);
        traceparent().unwrap()
    });
    drop(request);
    let (request, sql) = (kept.named("POST /api/v1/orders"), kept.named("INSERT orders"));
    assert_eq!(request.span_context.trace_id().to_string(), REMOTE[3..35]);
    assert_eq!(request.parent_span_id.to_string(), REMOTE[36..52]);
    assert_eq!(sql.parent_span_id, request.span_context.span_id());
    assert_eq!(sql.end_time.duration_since(sql.start_time).unwrap(), Duration::from_millis(3));
    assert!(!format!("{sql:?}").contains("ada@"));
    assert_eq!(told[3..35], REMOTE[3..35]);

    // A stranger's trace is another, whatever it says of being sampled.
    let strangers = tracing::info_span!("strangers");
    link_to(&strangers, REMOTE);
    link_to(&strangers, "nonsense");
    drop(strangers);
    let strangers = kept.named("strangers");
    assert_eq!(strangers.parent_span_id, SpanId::INVALID);
    assert_ne!(strangers.span_context.trace_id().to_string(), REMOTE[3..35]);
    let linked: Vec<_> = strangers.links.iter().map(|link| link.span_context.clone()).collect();
    assert_eq!((linked.len(), linked[0].trace_id().to_string().as_str()), (1, &REMOTE[3..35]));
    assert!(!linked[0].is_sampled());

    // Later, by another way: the order's trace, with a link to what caused it.
    let other = tracing::info_span!("other");
    other.in_scope(|| {
        let pay = rejoin("pay", Some(&told));
        pay.in_scope(|| rejoin("there", Some(&told)).in_scope(|| ()));
        step("here").in_scope(|| ());
    });
    drop(other);
    let (pay, other) = (kept.named("pay"), kept.named("other"));
    assert_eq!(pay.span_context.trace_id().to_string(), REMOTE[3..35]);
    assert_eq!(pay.parent_span_id.to_string(), told[36..52]);
    assert_eq!(pay.links.iter().next().unwrap().span_context, other.span_context);
    assert_eq!(other.parent_span_id, SpanId::INVALID);
    assert_eq!(kept.named("there").parent_span_id, pay.span_context.span_id(), "already in that trace");
    assert_eq!(kept.named("here").parent_span_id, other.span_context.span_id());
    assert!(step("nothing is traced").is_disabled());

    let (one, two) = (tracing::info_span!("one"), tracing::info_span!("two"));
    let none = Span::none();
    assert!(serving("nobody", [&none].into_iter()).is_disabled());
    serving("only one", [&none, &one].into_iter()).in_scope(|| ());
    serving("both", [&one, &none, &two].into_iter()).in_scope(|| ());
    let child = tracing::info_span!(parent: &one, "child");
    serving("one trace", [&one, &child].into_iter()).in_scope(|| ());
    // A span stays open as long as one inside of it.
    drop((child, one, two));
    let (one, two, both) = (kept.named("one"), kept.named("two"), kept.named("both"));
    for within in ["only one", "one trace"] {
        assert_eq!(kept.named(within).parent_span_id, one.span_context.span_id());
    }
    assert_eq!(both.parent_span_id, SpanId::INVALID);
    let linked: Vec<_> = both.links.iter().map(|link| link.span_context.clone()).collect();
    assert_eq!(linked, [one.span_context.clone(), two.span_context.clone()]);
    for member in [one, two] {
        assert_eq!(member.links.iter().next().unwrap().span_context, both.span_context);
    }
}

fn global_tracer(provider: &SdkTracerProvider) {
    opentelemetry::global::set_tracer_provider(provider.clone());
}
