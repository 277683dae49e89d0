//! Logs, metrics and traces.

mod config;
mod lines;
mod metrics_table;
mod otlp;

use std::{
    fs,
    sync::{Arc, OnceLock},
};

use anyhow::{Result, anyhow};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use platform_db::Db;
use tokio::time::{Duration, Instant};
use tracing_subscriber::{
    Layer, Registry, fmt, fmt::format::JsonFields, layer::SubscriberExt, util::SubscriberInitExt,
};

pub use config::{LogFormat, OtlpConfig, TelemetryConfig};
pub use metrics_table::{METRICS, Metric, MetricKind};

use lines::JsonLines;
use otlp::Pipeline;

use crate::Tasks;

/// Bounds of histograms of seconds: 1 ms to 10 s.
const SECONDS: [f64; 13] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];
/// Bounds of histograms of counts, such as the size of a group.
const COUNTS: [f64; 11] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0];
/// How often what was recorded is folded into the histograms; without, it would pile up between two scrapes.
const UPKEEP: Duration = Duration::from_secs(5);
/// The size of a page on the machines we run on; `statm` counts in pages.
const PAGE: u32 = 4_096;

/// What a process tells of itself. Cheap to clone; all clones, and all that are started in one process, are the same.
#[derive(Clone)]
pub struct Telemetry {
    prometheus: PrometheusHandle,
    started: Instant,
    pipeline: Option<Pipeline>,
}

static INSTALLED: OnceLock<Telemetry> = OnceLock::new();

impl Telemetry {
    /// Sends logs to standard error, traces and logs to the collector where there is one, and collects metrics, from now on
    /// and for the whole process. `targets` says which modules run in it. Call it before the database is opened. The second
    /// start keeps what the first one set up. An error names the setting that cannot work.
    pub fn start(config: &TelemetryConfig, targets: &str) -> Result<Self> {
        config.validate().map_err(|failure| anyhow!("configuration: {}", described(&failure)))?;
        if let Some(installed) = INSTALLED.get() {
            return Ok(installed.clone());
        }
        let filter = || config.filter().map_err(|failure| anyhow!("configuration: {}", described(&failure)));
        let lines = lines(config, targets);
        let pipeline = config.otlp.is_on().then(|| Pipeline::start(config, targets)).transpose()?;
        // Fails when a subscriber is there already: a test's.
        let _ = match &pipeline {
            // Without a collector the filter stands before everything: what it keeps out costs a comparison.
            None => tracing_subscriber::registry().with(lines).with(filter()?).try_init(),
            Some(pipeline) => {
                let mut layers = vec![lines.with_filter(filter()?).boxed(), pipeline.spans()];
                layers.extend(pipeline.lines(filter()?));
                tracing_subscriber::registry().with(layers).try_init()
            }
        };
        Self::install(pipeline)
    }

    /// Collects metrics and leaves logs alone: for tests and short commands.
    pub fn metrics_only() -> Result<Self> {
        Self::install(None)
    }

    fn install(pipeline: Option<Pipeline>) -> Result<Self> {
        if let Some(installed) = INSTALLED.get() {
            return Ok(installed.clone());
        }
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
            .set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), &COUNTS)?
            .build_recorder();
        let fresh = Self { prometheus: recorder.handle(), started: Instant::now(), pipeline };
        let installed = INSTALLED.get_or_init(|| {
            // Fails when somebody else's recorder is there: then ours stays empty.
            let _ = metrics::set_global_recorder(recorder);
            METRICS.iter().for_each(Metric::describe);
            fresh
        });
        Ok(installed.clone())
    }

    /// The metrics in Prometheus' text format.
    pub fn render(&self) -> String {
        metrics::gauge!("process_uptime_seconds").set(self.started.elapsed().as_secs_f64());
        if let Some(bytes) = resident_bytes() {
            metrics::gauge!("process_resident_memory_bytes").set(bytes);
        }
        self.prometheus.render()
    }

    /// [`Telemetry::render`] as what serves `/metrics` wants it.
    pub fn exposition(&self) -> Arc<dyn Fn() -> String + Send + Sync> {
        let telemetry = self.clone();
        Arc::new(move || telemetry.render())
    }

    /// Sends what waits to the collector, for as long as `telemetry.otlp.flush` says: the last thing a process does.
    pub async fn flush(&self) {
        if let Some(pipeline) = self.pipeline.clone() {
            // The threads it waits for use this runtime.
            let _ = tokio::task::spawn_blocking(move || pipeline.end()).await;
        }
    }

    /// Keeps the metrics small while nobody scrapes them, and looks after what only shows when looked at.
    pub(crate) fn keep(&self, tasks: &Tasks, db: &Db) {
        let (telemetry, db, stop) = (self.clone(), db.clone(), tasks.token());
        tasks.spawn("telemetry.upkeep", async move {
            while stop.run_until_cancelled(tokio::time::sleep(UPKEEP)).await.is_some() {
                telemetry.prometheus.run_upkeep();
                db.measure();
            }
        });
    }
}

impl std::fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Telemetry").field("started", &self.started).finish_non_exhaustive()
    }
}

/// What is written for people or machines.
fn lines(config: &TelemetryConfig, targets: &str) -> Box<dyn Layer<Registry> + Send + Sync> {
    let lines = fmt::layer().with_writer(std::io::stderr);
    match config.format {
        LogFormat::Json => lines
            .event_format(JsonLines {
                service: config.service.clone(),
                region: config.region.clone(),
                targets: targets.to_owned(),
            })
            .fmt_fields(JsonFields::new())
            .boxed(),
        LogFormat::Text => lines.with_target(false).boxed(),
    }
}

fn described(failure: &kernel::Failure) -> String {
    let fields = failure.fields().iter().map(|field| format!("{} {}", field.pointer, field.detail));
    fields.collect::<Vec<_>>().join("; ")
}

/// Memory in RAM, where the system tells.
fn resident_bytes() -> Option<f64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u32 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(f64::from(pages) * f64::from(PAGE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histograms_of_seconds_have_our_bounds() {
        let telemetry = Telemetry::metrics_only().unwrap();
        metrics::histogram!("test_duration_seconds").record(0.003);
        let text = telemetry.render();
        assert!(text.contains("test_duration_seconds_bucket{le=\"0.005\"} 1"), "{text}");
        assert!(text.contains("test_duration_seconds_bucket{le=\"0.002\"} 0"), "{text}");
        assert!(text.contains("process_uptime_seconds"), "{text}");
        assert!(text.contains("process_resident_memory_bytes"), "{text}");
        assert!(Telemetry::metrics_only().unwrap().render().contains("test_duration_seconds_count 1"));
    }

    #[test]
    fn a_filter_that_cannot_be_read_is_named() {
        let config = TelemetryConfig { filter: "info,=".to_owned(), ..TelemetryConfig::default() };
        assert!(format!("{:#}", Telemetry::start(&config, "").unwrap_err()).contains("telemetry.filter"));
    }
}
