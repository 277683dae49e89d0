//! Section `telemetry` of the configuration.

use std::{collections::BTreeMap, time::Duration};

use kernel::{Failure, Result};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;

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
    /// What this process is called in traces and logs: OpenTelemetry's `service.name`.
    pub service: String,
    /// The region it runs in; empty: it has none.
    pub region: String,
    /// Section `telemetry.otlp`.
    pub otlp: OtlpConfig,
}

/// Section `telemetry.otlp`: traces and logs to an OpenTelemetry collector, OTLP over HTTP with protobuf.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OtlpConfig {
    /// The collector's base URL, such as `http://127.0.0.1:4318`; `/v1/traces` and `/v1/logs` are added. Empty: nothing is
    /// recorded, and nothing is spent on it.
    pub endpoint: String,
    /// Headers of every export, `name=value` with commas between them; a value is percent-encoded. Secret.
    #[serde(serialize_with = "kernel::masked")]
    pub headers: SecretString,
    /// How long one export may take.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// The part of traces that begin here that is recorded, 0 to 1. A trace that began elsewhere is treated as it was there.
    pub sample: f64,
    /// Whether log lines are exported, too.
    pub logs: bool,
    /// Spans, and as many log lines, that wait to be exported; beyond, the newest are dropped.
    pub queue: usize,
    /// Most spans or log lines in one export.
    pub batch: usize,
    /// Longest time they wait.
    #[serde(with = "humantime_serde")]
    pub every: Duration,
    /// How long a stopping process tries to export what waits.
    #[serde(with = "humantime_serde")]
    pub flush: Duration,
    /// Further attributes of this process, such as `deployment.environment.name`.
    pub attributes: BTreeMap<String, String>,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            filter: "info,sqlx=warn,sea_orm=warn,tantivy=warn,pulsar=error,actix_http::h1::dispatcher=off"
                .to_owned(),
            service: "meridian".to_owned(),
            region: String::new(),
            otlp: OtlpConfig::default(),
        }
    }
}

impl Default for OtlpConfig {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            headers: SecretString::default(),
            timeout: Duration::from_secs(5),
            sample: 1.0,
            logs: true,
            queue: 4_096,
            batch: 512,
            every: Duration::from_secs(1),
            flush: Duration::from_secs(3),
            attributes: BTreeMap::new(),
        }
    }
}

impl TelemetryConfig {
    /// What is logged; `request.invalid` names a filter that cannot be read.
    pub(super) fn filter(&self) -> Result<EnvFilter> {
        EnvFilter::try_new(&self.filter)
            .map_err(|error| Failure::invalid("telemetry.filter", format!("{:?}: {error}", self.filter)))
    }

    /// Names a setting that cannot work.
    pub fn validate(&self) -> Result<()> {
        self.filter()?;
        if self.service.is_empty() {
            return Err(Failure::invalid("telemetry.service", "must not be empty"));
        }
        self.otlp.validate()
    }
}

impl OtlpConfig {
    /// Whether there is a collector.
    pub fn is_on(&self) -> bool {
        !self.endpoint.is_empty()
    }

    fn validate(&self) -> Result<()> {
        let wrong = |field: &str, why: &str| Err(Failure::invalid(format!("telemetry.otlp.{field}"), why));
        let http = self.endpoint.starts_with("http://") || self.endpoint.starts_with("https://");
        if self.is_on() && (!http || self.endpoint.contains(['@', '?', '#'])) {
            return wrong("endpoint", "must be http:// or https://, without user, query and fragment");
        }
        if !(0.0..=1.0).contains(&self.sample) {
            return wrong("sample", "must be between 0 and 1");
        }
        if self.batch == 0 || self.batch > self.queue || self.queue > 1 << 20 {
            return wrong(
                "queue",
                "must be at least telemetry.otlp.batch, which is at least 1, and at most 1,048,576",
            );
        }
        for (field, value) in [("timeout", self.timeout), ("every", self.every), ("flush", self.flush)] {
            if value.is_zero() || value > Duration::from_secs(60) {
                return wrong(field, "must be above zero and at most a minute");
            }
        }
        self.header_map().map(|_| ())
    }

    /// The headers by name.
    pub(super) fn header_map(&self) -> Result<BTreeMap<String, String>> {
        let wrong = || Failure::invalid("telemetry.otlp.headers", "must be name=value, with commas between");
        let mut headers = BTreeMap::new();
        for pair in self.headers.expose_secret().split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
            let value = percent_decoded(value.trim()).ok_or_else(wrong)?;
            let token = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
            if name.trim().is_empty() || !name.trim().bytes().all(token) || !value.bytes().all(visible) {
                return Err(wrong());
            }
            headers.insert(name.trim().to_ascii_lowercase(), value);
        }
        Ok(headers)
    }
}

fn visible(byte: u8) -> bool {
    byte == b' ' || byte.is_ascii_graphic()
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_cannot_work() {
        let pointer = |spoil: fn(&mut TelemetryConfig)| {
            let mut config = TelemetryConfig::default();
            config.otlp.endpoint = "http://127.0.0.1:4318".to_owned();
            config.validate().unwrap();
            spoil(&mut config);
            config.validate().unwrap_err().fields()[0].pointer.clone()
        };
        assert_eq!(pointer(|c| c.filter = "info,=".to_owned()), "telemetry.filter");
        assert_eq!(pointer(|c| c.service.clear()), "telemetry.service");
        assert_eq!(pointer(|c| c.otlp.endpoint = "127.0.0.1:4318".to_owned()), "telemetry.otlp.endpoint");
        assert_eq!(pointer(|c| c.otlp.endpoint = "http://me:pw@host".to_owned()), "telemetry.otlp.endpoint");
        assert_eq!(pointer(|c| c.otlp.sample = 1.1), "telemetry.otlp.sample");
        assert_eq!(pointer(|c| c.otlp.sample = f64::NAN), "telemetry.otlp.sample");
        assert_eq!(pointer(|c| c.otlp.batch = 0), "telemetry.otlp.queue");
        assert_eq!(pointer(|c| c.otlp.queue = 10), "telemetry.otlp.queue");
        assert_eq!(pointer(|c| c.otlp.every = Duration::ZERO), "telemetry.otlp.every");
        assert_eq!(pointer(|c| c.otlp.headers = "no value".into()), "telemetry.otlp.headers");
        assert_eq!(pointer(|c| c.otlp.headers = "a=b%zz".into()), "telemetry.otlp.headers");
    }

    #[test]
    fn headers_are_read_and_never_shown() {
        let headers = "Authorization=Bearer%20s3cret, x-tenant = shop";
        let config = OtlpConfig { headers: headers.into(), ..OtlpConfig::default() };
        let read = config.header_map().unwrap();
        assert_eq!(read["authorization"], "Bearer s3cret");
        assert_eq!(read["x-tenant"], "shop");
        for shown in [format!("{config:?}"), toml::to_string(&config).unwrap()] {
            assert!(!shown.contains("s3cret"), "{shown}");
        }
    }
}
