//! Takes what processes tell a collector: OTLP over HTTP with protobuf, kept in memory.
//!
//! It stands behind the real collector where that is tried, and in its place where only our own side is.

use std::{
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Mutex, PoisonError},
};

use actix_web::{App, HttpResponse, HttpServer, dev::ServerHandle, web};
use anyhow::Result;
use opentelemetry_proto::tonic::{
    collector::{logs::v1::ExportLogsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{AnyValue, KeyValue, any_value::Value},
    trace::v1::status::StatusCode,
};
use prost::Message;

/// The largest export.
const LARGEST: usize = 64 << 20;

/// A span as it was told.
#[derive(Clone, Debug)]
pub struct ToldSpan {
    /// The modules of the process it is from.
    pub targets: String,
    /// Trace, in hexadecimal.
    pub trace: String,
    /// Itself.
    pub id: String,
    /// Its parent; empty for a root.
    pub parent: String,
    /// Its name.
    pub name: String,
    /// Traces it is linked with.
    pub links: Vec<String>,
    /// Whether it says that it failed.
    pub failed: bool,
    /// What else it says.
    pub attributes: BTreeMap<String, String>,
}

/// A log line as it was told.
#[derive(Clone, Debug)]
pub struct ToldLine {
    /// The modules of the process it is from.
    pub targets: String,
    /// The trace it belongs to; empty for none.
    pub trace: String,
    /// The message.
    pub message: String,
    /// What else it says.
    pub attributes: BTreeMap<String, String>,
}

#[derive(Default)]
struct Told {
    spans: Vec<ToldSpan>,
    lines: Vec<ToldLine>,
    bytes: Vec<u8>,
    authorization: Vec<String>,
    unread: usize,
}

/// A receiver that listens; ends when dropped.
pub struct Receiver {
    address: SocketAddr,
    told: Arc<Mutex<Told>>,
    server: ServerHandle,
}

impl Receiver {
    /// Listens on a free port of the loopback address.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let told: Arc<Mutex<Told>> = Arc::default();
        let data = web::Data::from(Arc::clone(&told));
        let server = HttpServer::new(move || {
            App::new()
                .app_data(data.clone())
                .app_data(web::PayloadConfig::new(LARGEST))
                .route("/v1/traces", web::post().to(traces))
                .route("/v1/logs", web::post().to(logs))
        })
        .workers(1)
        .disable_signals()
        .listen(listener)?
        .run();
        let handle = server.handle();
        tokio::spawn(server);
        Ok(Self { address, told, server: handle })
    }

    /// Its base URL.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The spans so far.
    pub fn spans(&self) -> Vec<ToldSpan> {
        self.told().spans.clone()
    }

    /// The log lines so far.
    pub fn lines(&self) -> Vec<ToldLine> {
        self.told().lines.clone()
    }

    /// `Authorization` of every export so far.
    pub fn authorizations(&self) -> Vec<String> {
        self.told().authorization.clone()
    }

    /// Exports that could not be read.
    pub fn unread(&self) -> usize {
        self.told().unread
    }

    /// Whether any byte that came spells `text`.
    pub fn was_told(&self, text: &str) -> bool {
        self.told().bytes.windows(text.len().max(1)).any(|window| window == text.as_bytes())
    }

    fn told(&self) -> std::sync::MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // Its future only waits for the workers' end, which nobody needs to see.
        drop(self.server.stop(false));
    }
}

async fn traces(
    told: web::Data<Mutex<Told>>,
    request: actix_web::HttpRequest,
    body: web::Bytes,
) -> HttpResponse {
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
    told.note(&request, &body);
    let Ok(export) = ExportTraceServiceRequest::decode(body) else { return told.refuse() };
    for resource in export.resource_spans {
        let targets = targets(resource.resource.map(|resource| resource.attributes).unwrap_or_default());
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            told.spans.push(ToldSpan {
                targets: targets.clone(),
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                name: span.name,
                links: span.links.iter().map(|link| hex(&link.trace_id)).collect(),
                failed: span.status.is_some_and(|status| status.code() == StatusCode::Error),
                attributes: texts(span.attributes),
            });
        }
    }
    taken()
}

async fn logs(
    told: web::Data<Mutex<Told>>,
    request: actix_web::HttpRequest,
    body: web::Bytes,
) -> HttpResponse {
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
    told.note(&request, &body);
    let Ok(export) = ExportLogsServiceRequest::decode(body) else { return told.refuse() };
    for resource in export.resource_logs {
        let targets = targets(resource.resource.map(|resource| resource.attributes).unwrap_or_default());
        for line in resource.scope_logs.into_iter().flat_map(|scope| scope.log_records) {
            told.lines.push(ToldLine {
                targets: targets.clone(),
                trace: hex(&line.trace_id),
                message: text(line.body),
                attributes: texts(line.attributes),
            });
        }
    }
    taken()
}

impl Told {
    fn note(&mut self, request: &actix_web::HttpRequest, body: &[u8]) {
        self.bytes.extend_from_slice(body);
        let header = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        self.authorization.push(header.unwrap_or_default().to_owned());
    }

    fn refuse(&mut self) -> HttpResponse {
        self.unread += 1;
        HttpResponse::BadRequest().finish()
    }
}

/// An empty answer takes everything.
fn taken() -> HttpResponse {
    HttpResponse::Ok().content_type("application/x-protobuf").finish()
}

fn targets(attributes: Vec<KeyValue>) -> String {
    texts(attributes).remove("meridian.targets").unwrap_or_default()
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    attributes.into_iter().map(|pair| (pair.key, text(pair.value))).collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        Some(Value::BoolValue(yes)) => yes.to_string(),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
