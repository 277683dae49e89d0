//! Logs and metrics.

use std::{
    fs,
    sync::{Arc, OnceLock},
};

use anyhow::{Context, Result};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use serde::{Deserialize, Serialize};
use tokio::time::{Duration, Instant};
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::Tasks;

/// Bounds of histograms of seconds: 1 ms to 10 s.
const SECONDS: [f64; 13] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];
/// Bounds of histograms of counts, such as the size of a group.
const COUNTS: [f64; 11] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1_024.0];
/// How often what was recorded is folded into the histograms; without, it would pile up between two scrapes.
const UPKEEP: Duration = Duration::from_secs(5);
/// The size of a page on the machines we run on; `statm` counts in pages.
const PAGE: u32 = 4_096;

/// How a log line is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For machines: an object a line.
    Json,
    /// For people.
    #[default]
    Text,
}

/// Section `telemetry` of the configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    /// How a log line is written.
    pub format: LogFormat,
    /// What is logged, as `tracing-subscriber`'s filter has it: `info,platform_bus=debug`.
    pub filter: String,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info,sqlx=warn,sea_orm=warn,tantivy=warn".to_owned() }
    }
}

/// The metrics of this process. Cheap to clone; all clones, and all that are started in one process, are the same.
#[derive(Clone)]
pub struct Telemetry {
    prometheus: PrometheusHandle,
    started: Instant,
}

static INSTALLED: OnceLock<Telemetry> = OnceLock::new();

impl Telemetry {
    /// Sends logs to standard error and collects metrics, from now on and for the whole process. The second start keeps
    /// what the first one set up. An error names a filter that cannot be read.
    pub fn start(config: &TelemetryConfig) -> Result<Self> {
        let filter = EnvFilter::try_new(&config.filter)
            .with_context(|| format!("configuration key telemetry.filter: {:?}", config.filter))?;
        let registry = tracing_subscriber::registry().with(filter);
        let lines = fmt::layer().with_writer(std::io::stderr);
        // Fails when a subscriber is there already: the first start, or a test's.
        let _ = match config.format {
            LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
            LogFormat::Text => registry.with(lines.with_target(false)).try_init(),
        };
        Self::metrics_only()
    }

    /// Collects metrics and leaves logs alone: for tests and short commands.
    pub fn metrics_only() -> Result<Self> {
        if let Some(installed) = INSTALLED.get() {
            return Ok(installed.clone());
        }
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
            .set_buckets_for_metric(Matcher::Suffix("_size".to_owned()), &COUNTS)?
            .build_recorder();
        let fresh = Self { prometheus: recorder.handle(), started: Instant::now() };
        let installed = INSTALLED.get_or_init(|| {
            // Fails when somebody else's recorder is there: then ours stays empty.
            let _ = metrics::set_global_recorder(recorder);
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

    /// Keeps the metrics small while nobody scrapes them.
    pub(crate) fn keep(&self, tasks: &Tasks) {
        let (telemetry, stop) = (self.clone(), tasks.token());
        tasks.spawn("telemetry.upkeep", async move {
            while stop.run_until_cancelled(tokio::time::sleep(UPKEEP)).await.is_some() {
                telemetry.prometheus.run_upkeep();
            }
        });
    }
}

impl std::fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Telemetry").field("started", &self.started).finish_non_exhaustive()
    }
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
        assert!(format!("{:#}", Telemetry::start(&config).unwrap_err()).contains("telemetry.filter"));
    }
}
