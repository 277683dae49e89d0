//! Traces and logs to a collector: OTLP over HTTP with protobuf.
//!
//! What is recorded goes into bounded queues, whose threads export it in batches; a full queue drops the newest. A collector
//! that is gone costs an export's timeout on those threads and a warning a minute, never a request.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use opentelemetry::{KeyValue, global, trace::TracerProvider};
use opentelemetry_appender_tracing::layer::{OpenTelemetryTracingBridge, TracingSpanAttributes};
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{LogExporter, Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    logs::{BatchConfigBuilder as LogBatches, BatchLogProcessor, SdkLoggerProvider},
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider},
};
use tokio::{runtime::Handle, time::Instant};
use tracing::Subscriber;
use tracing_subscriber::{
    EnvFilter, Layer,
    filter::{FilterExt, filter_fn},
    registry::LookupSpan,
};

use super::{OtlpConfig, TelemetryConfig};

/// How often a collector that is gone is spoken of.
const REPEAT: Duration = Duration::from_secs(60);
/// What log lines take along from the spans around them: who, in which request, where. All of it is opaque.
const ALONG: [&str; 6] = ["request.id", "user.id", "shard", "http.method", "subscription", "job"];
/// Libraries that the exporter itself uses: exporting what they say of an export would never end.
const EXPORTERS_OWN: [&str; 6] = ["hyper", "reqwest", "h2", "rustls", "opentelemetry", "tower"];

/// The pipeline to a collector.
#[derive(Clone)]
pub(super) struct Pipeline {
    spans: SdkTracerProvider,
    logs: Option<SdkLoggerProvider>,
    flush: Duration,
}

impl Pipeline {
    /// Starts the pipeline on the current runtime, for the process that runs `targets`.
    pub(super) fn start(config: &TelemetryConfig, targets: &str) -> Result<Self> {
        let otlp = &config.otlp;
        let collector = Collector::new(otlp)?;
        let resource = resource(config, targets);
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(url(otlp, "traces"))
            .with_timeout(otlp.timeout)
            .with_http_client(collector.clone())
            .build()
            .context("the exporter of traces")?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(otlp.queue)
            .with_max_export_batch_size(otlp.batch)
            .with_scheduled_delay(otlp.every)
            .build();
        let spans = SdkTracerProvider::builder()
            .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches).build())
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(otlp.sample))))
            .with_resource(resource.clone())
            .build();
        global::set_tracer_provider(spans.clone());
        let logs = otlp.logs.then(|| Self::logs(otlp, collector, resource)).transpose()?;
        platform_trace::switch_on();
        Ok(Self { spans, logs, flush: otlp.flush })
    }

    fn logs(otlp: &OtlpConfig, collector: Collector, resource: Resource) -> Result<SdkLoggerProvider> {
        let exporter = LogExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(url(otlp, "logs"))
            .with_timeout(otlp.timeout)
            .with_http_client(collector)
            .build()
            .context("the exporter of logs")?;
        let batches = LogBatches::default()
            .with_max_queue_size(otlp.queue)
            .with_max_export_batch_size(otlp.batch)
            .with_scheduled_delay(otlp.every)
            .build();
        Ok(SdkLoggerProvider::builder()
            .with_log_processor(BatchLogProcessor::builder(exporter).with_batch_config(batches).build())
            .with_resource(resource)
            .build())
    }

    /// Records our spans. Events stay out of them: they are log lines, and know their span.
    pub(super) fn spans<S>(&self) -> Box<dyn Layer<S> + Send + Sync>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let ours = filter_fn(|metadata| metadata.is_span() && platform_trace::is_ours(metadata.target()));
        tracing_opentelemetry::layer()
            .with_tracer(self.spans.tracer(platform_trace::TARGET))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_target(false)
            .with_filter(ours)
            .boxed()
    }

    /// Records what is logged.
    pub(super) fn lines<S>(&self, filter: EnvFilter) -> Option<Box<dyn Layer<S> + Send + Sync>>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let not_its_own =
            filter_fn(|metadata| !EXPORTERS_OWN.iter().any(|name| metadata.target().starts_with(name)));
        let bridge = OpenTelemetryTracingBridge::builder(self.logs.as_ref()?)
            .with_tracing_span_attributes(TracingSpanAttributes::allowlist(ALONG))
            .build();
        Some(bridge.with_filter(not_its_own.and(filter)).boxed())
    }

    /// Exports what waits, within the limit, and ends. Blocks; call it where blocking is allowed.
    pub(super) fn end(&self) {
        let by = Instant::now() + self.flush;
        let left = || by.saturating_duration_since(Instant::now());
        // A failure has been warned of by the collector's client; what is lost now is lost.
        let _ = self.spans.shutdown_with_timeout(left());
        if let Some(logs) = &self.logs {
            let _ = logs.shutdown_with_timeout(left());
        }
    }
}

fn url(otlp: &OtlpConfig, signal: &str) -> String {
    format!("{}/v1/{signal}", otlp.endpoint.trim_end_matches('/'))
}

/// Who speaks. Names as in OpenTelemetry's resource conventions, where there is one.
fn resource(config: &TelemetryConfig, targets: &str) -> Resource {
    let mut facts = vec![
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("service.instance.id", format!("{:016x}", rand::random::<u64>())),
        KeyValue::new("process.pid", i64::from(std::process::id())),
        KeyValue::new("meridian.targets", targets.to_owned()),
    ];
    if !config.region.is_empty() {
        facts.push(KeyValue::new("cloud.region", config.region.clone()));
    }
    let further = config.otlp.attributes.iter();
    facts.extend(further.map(|(name, value)| KeyValue::new(name.clone(), value.clone())));
    Resource::builder_empty().with_service_name(config.service.clone()).with_attributes(facts).build()
}

/// The client of exports. The batch threads have no runtime of their own, so requests run on the process's.
#[derive(Clone, Debug)]
struct Collector {
    client: reqwest::Client,
    runtime: Handle,
    timeout: Duration,
    headers: Arc<HashMap<String, String>>,
    failures: Arc<Failures>,
}

impl Collector {
    fn new(otlp: &OtlpConfig) -> Result<Self> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(otlp.timeout.min(Duration::from_secs(2)))
            .timeout(otlp.timeout)
            .build()
            .context("the client of the collector")?;
        let runtime = Handle::try_current().context("telemetry.otlp needs a runtime")?;
        let headers = otlp.header_map().map_err(|failure| anyhow::anyhow!("{failure}"))?;
        Ok(Self {
            client,
            runtime,
            timeout: otlp.timeout,
            headers: Arc::new(headers.into_iter().collect()),
            failures: Arc::default(),
        })
    }

    async fn send(self, request: Request<Bytes>) -> Result<Response<Bytes>, String> {
        let (parts, body) = request.into_parts();
        let mut request = self.client.post(parts.uri.to_string()).headers(parts.headers).body(body);
        for (name, value) in self.headers.iter() {
            request = request.header(name, value);
        }
        // Errors of reqwest quote the URL, which may be nobody's business.
        let answer = request.send().await.map_err(|error| error.without_url().to_string())?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(|error| error.without_url().to_string())?;
        if !status.is_success() {
            return Err(format!("the collector answered {status}"));
        }
        Response::builder().status(status).body(body).map_err(|error| error.to_string())
    }
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let signal = if request.uri().path().ends_with("/traces") { "traces" } else { "logs" };
        let (collector, timeout) = (self.clone(), self.timeout);
        let sending =
            self.runtime.spawn(async move { tokio::time::timeout(timeout, collector.send(request)).await });
        let outcome = match sending.await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(format!("no answer within {:?}", self.timeout)),
            Err(_) => Err("the process is ending".to_owned()),
        };
        let word = if outcome.is_ok() { "ok" } else { "failed" };
        metrics::counter!("telemetry_exports_total", "signal" => signal, "outcome" => word).increment(1);
        outcome.map_err(|error| {
            self.failures.note(signal, &error);
            error.into()
        })
    }
}

/// Exports that failed since they were last spoken of.
#[derive(Debug, Default)]
struct Failures {
    count: AtomicU64,
    told: Mutex<Option<Instant>>,
}

impl Failures {
    fn note(&self, signal: &str, error: &str) {
        let failed = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| told.elapsed() >= REPEAT) {
            *told = Some(Instant::now());
            self.count.store(0, Ordering::Relaxed);
            tracing::warn!(
                signal,
                error,
                failed,
                "the telemetry collector takes nothing; what waits too long is lost"
            );
        }
    }
}
