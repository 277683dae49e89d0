//! Log lines for machines: an object a line.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields, FormattedFields,
        format::Writer,
        time::{FormatTime, SystemTime},
    },
    registry::LookupSpan,
};

/// Writes the event's fields and those of the spans around it side by side, inner ones over outer ones; with them, where
/// it happened and in which trace.
pub(super) struct JsonLines {
    pub(super) service: String,
    pub(super) region: String,
    pub(super) targets: String,
}

#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    level: &'static str,
    service: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    region: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    targets: &'a str,
    target: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    span_id: Option<String>,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Map::new();
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            let extensions = span.extensions();
            let written =
                extensions.get::<FormattedFields<N>>().map_or("", |written| written.fields.as_str());
            if let Ok(Value::Object(outer)) = serde_json::from_str(written) {
                fields.extend(outer);
            }
        }
        // Instructions to the tracer, and what the line says elsewhere.
        fields.retain(|name, _| !name.starts_with("otel."));
        event.record(&mut Fields(&mut fields));
        let mut timestamp = String::new();
        SystemTime.format_time(&mut Writer::new(&mut timestamp))?;
        let (trace_id, span_id) = platform_trace::ids().unzip();
        let line = Line {
            timestamp,
            level: event.metadata().level().as_str(),
            service: &self.service,
            region: &self.region,
            targets: &self.targets,
            target: event.metadata().target(),
            trace_id,
            span_id,
            fields,
        };
        writeln!(writer, "{}", serde_json::to_string(&line).map_err(|_| fmt::Error)?)
    }
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn put(&mut self, field: &Field, value: Value) {
        self.0.insert(field.name().to_owned(), value);
    }
}

impl Visit for Fields<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use tracing_subscriber::{fmt::format::JsonFields, layer::SubscriberExt};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_says_where_and_for_whom() {
        let (sink, lines) = (
            Sink::default(),
            JsonLines { service: "shop".into(), region: "eu-west".into(), targets: "order".into() },
        );
        let writer = sink.clone();
        let layer = tracing_subscriber::fmt::layer()
            .event_format(lines)
            .fmt_fields(JsonFields::new())
            .with_writer(move || writer.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            let span = tracing::info_span!(
                "request",
                request.id = "r1",
                user.id = tracing::field::Empty,
                shard = tracing::field::Empty,
                otel.kind = "server"
            );
            let _in = span.enter();
            span.record("user.id", "usr_1");
            span.record("shard", 7_u16);
            tracing::info!(http.status = 201, "answered");
        });
        let written = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        assert_eq!(written.lines().count(), 1, "{written}");
        let line: Value = serde_json::from_str(&written).unwrap();
        assert!(line["timestamp"].as_str().unwrap().ends_with('Z'), "{line}");
        for (name, value) in [
            ("level", Value::from("INFO")),
            ("service", "shop".into()),
            ("region", "eu-west".into()),
            ("targets", "order".into()),
            ("message", "answered".into()),
            ("request.id", "r1".into()),
            ("user.id", "usr_1".into()),
            ("shard", 7.into()),
            ("http.status", 201.into()),
            ("otel.kind", Value::Null),
        ] {
            assert_eq!(line[name], value, "{name} in {line}");
        }
    }
}
