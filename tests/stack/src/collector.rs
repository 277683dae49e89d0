//! An OpenTelemetry collector that keeps what it receives.

use std::{
    fs,
    ops::Deref,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::{Part, Place, Server, http, ports::Ports, server::Plan};

/// A kind of telemetry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Log records.
    Logs,
    /// Measurements.
    Metrics,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Logs => "logs",
            Self::Metrics => "metrics",
        }
    }
}

/// A collector that takes OTLP over HTTP and gRPC and writes every request as a line of OTLP/JSON, before it answers it.
pub struct Collector(Server);

impl Collector {
    /// Starts one for this process.
    pub fn start() -> Result<Self> {
        Self::start_at(&Place::Temporary)
    }

    /// Starts one there.
    pub fn start_at(place: &Place) -> Result<Self> {
        Server::start(Part::Otel, place, &["http", "grpc"], &plan).map(Self)
    }

    /// `http://127.0.0.1:port` for OTLP over HTTP, without `/v1/traces`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address_of("http"))
    }

    /// `http://127.0.0.1:port` for OTLP over gRPC.
    pub fn grpc_endpoint(&self) -> String {
        format!("http://{}", self.address_of("grpc"))
    }

    /// The file that holds what it received of one kind.
    pub fn file(&self, signal: Signal) -> PathBuf {
        file(self.folder(), signal)
    }

    /// What it received of one kind so far, one export request each, in OTLP/JSON.
    pub fn received(&self, signal: Signal) -> Result<Vec<Value>> {
        let text = fs::read_to_string(self.file(signal)).unwrap_or_default();
        // Only whole lines: the last one may be under way.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().map(|line| serde_json::from_str(line).context("a line of OTLP/JSON")).collect()
    }

    /// The variables that point `meridian` at it.
    pub fn environment(&self) -> Vec<(String, String)> {
        vec![("MERIDIAN__TELEMETRY__OTLP__ENDPOINT".to_owned(), self.endpoint())]
    }
}

impl Deref for Collector {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.0
    }
}

fn file(folder: &Path, signal: Signal) -> PathBuf {
    folder.join(format!("{}.jsonl", signal.name()))
}

fn plan(home: &Path, folder: &Path, ports: &Ports) -> Result<Plan> {
    let (http, grpc) = (ports["http"], ports["grpc"]);
    let (mut exporters, mut pipelines) = (String::new(), String::new());
    for signal in [Signal::Traces, Signal::Logs, Signal::Metrics] {
        let (name, path) = (signal.name(), file(folder, signal));
        exporters.push_str(&format!("  jsonlines/{name}:\n    path: '{}'\n", path.display()));
        pipelines.push_str(&format!(
            "    {name}:\n      receivers: [otlp]\n      exporters: [jsonlines/{name}]\n"
        ));
    }
    let settings = folder.join("collector.yaml");
    fs::write(
        &settings,
        format!(
            "receivers:
  otlp:
    protocols:
      http:
        endpoint: 127.0.0.1:{http}
      grpc:
        endpoint: 127.0.0.1:{grpc}
exporters:
{exporters}service:
  telemetry:
    logs:
      level: warn
    metrics:
      level: none
  pipelines:
{pipelines}"
        ),
    )?;
    Ok(Plan {
        program: home.join("otelcol"),
        arguments: vec!["--config".into(), format!("file:{}", settings.display()).into()],
        before: Box::new(|| Ok(())),
        ready: Box::new(move || {
            let empty = http::send("POST", http, "/v1/traces", "{}", Duration::from_secs(2));
            empty.is_ok_and(|(status, _)| status == 200)
                && http::connect(grpc, Duration::from_secs(2)).is_ok()
        }),
        limit: Duration::from_secs(30),
    })
}
