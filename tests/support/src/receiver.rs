//! What processes tell a collector: taken over OTLP/HTTP with protobuf by a receiver of our own, which tries our side alone,
//! or read from the OTLP/JSON that the real collector writes.

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
use serde_json::Value as Json;

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
                trace: hex::encode(&span.trace_id),
                id: hex::encode(&span.span_id),
                parent: hex::encode(&span.parent_span_id),
                name: span.name,
                links: span.links.iter().map(|link| hex::encode(&link.trace_id)).collect(),
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
                trace: hex::encode(&line.trace_id),
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

/// The spans of an export in OTLP/JSON.
pub fn spans_of(export: &Json) -> Vec<ToldSpan> {
    let told = |resource: &Json| {
        let targets = targets_of(resource);
        let spans = items(&resource["scopeSpans"]).flat_map(|scope| items(&scope["spans"]));
        spans.map(|span| span_of(&targets, span)).collect::<Vec<_>>()
    };
    items(&export["resourceSpans"]).flat_map(told).collect()
}

/// The log lines of an export in OTLP/JSON.
pub fn lines_of(export: &Json) -> Vec<ToldLine> {
    let told = |resource: &Json| {
        let targets = targets_of(resource);
        let lines = items(&resource["scopeLogs"]).flat_map(|scope| items(&scope["logRecords"]));
        let line = |line: &Json| ToldLine {
            targets: targets.clone(),
            trace: word(&line["traceId"]),
            message: plain(&line["body"]),
            attributes: pairs(&line["attributes"]),
        };
        lines.map(line).collect::<Vec<_>>()
    };
    items(&export["resourceLogs"]).flat_map(told).collect()
}

fn span_of(targets: &str, span: &Json) -> ToldSpan {
    ToldSpan {
        targets: targets.to_owned(),
        trace: word(&span["traceId"]),
        id: word(&span["spanId"]),
        parent: word(&span["parentSpanId"]),
        name: word(&span["name"]),
        links: items(&span["links"]).map(|link| word(&link["traceId"])).collect(),
        failed: span["status"]["code"] == 2,
        attributes: pairs(&span["attributes"]),
    }
}

fn targets_of(resource: &Json) -> String {
    pairs(&resource["resource"]["attributes"]).remove("meridian.targets").unwrap_or_default()
}

fn items(list: &Json) -> impl Iterator<Item = &Json> {
    list.as_array().into_iter().flatten()
}

fn word(text: &Json) -> String {
    text.as_str().unwrap_or_default().to_owned()
}

fn pairs(attributes: &Json) -> BTreeMap<String, String> {
    items(attributes).map(|pair| (word(&pair["key"]), plain(&pair["value"]))).collect()
}

/// An `AnyValue`: an object of one kind; whole numbers are texts.
fn plain(value: &Json) -> String {
    match value.as_object().and_then(|kinds| kinds.values().next()) {
        Some(Json::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => String::new(),
    }
}
