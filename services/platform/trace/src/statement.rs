//! SQL statements as spans.

use std::time::Duration;

use opentelemetry::{
    Context, KeyValue, global, time,
    trace::{Span as _, SpanKind, Status, Tracer as _},
};

use crate::{TARGET, is_recorded};

/// Words that stand before a table's name.
const BEFORE_A_TABLE: [&str; 4] = ["FROM", "INTO", "UPDATE", "TABLE"];

/// What stands between the statements of one text.
pub const BETWEEN_STATEMENTS: &str = ";\n";

/// Records the statements of a text that just ended, each as a span of the current work. `system` is what the database calls
/// itself in OpenTelemetry's conventions (`sqlite`, `mysql`). Of a statement only its kind and its first table are kept.
///
/// Statements of one text (divided by [`BETWEEN_STATEMENTS`]) were timed together: each of their spans has the time of all,
/// and says how many they were (`db.operation.batch.size`).
pub fn statement(system: &'static str, text: &str, elapsed: Duration, failed: bool) {
    if !is_recorded() {
        return;
    }
    let tracer = global::tracer(TARGET);
    let end = time::now();
    let statements: Vec<&str> = text.split(BETWEEN_STATEMENTS).collect();
    for sql in &statements {
        let (kind, table) = subject(sql);
        let name = if table.is_empty() { kind.clone() } else { format!("{kind} {table}") };
        let mut facts =
            vec![KeyValue::new("db.system.name", system), KeyValue::new("db.operation.name", kind)];
        if !table.is_empty() {
            facts.push(KeyValue::new("db.collection.name", table.to_owned()));
        }
        if let (2.., Ok(size)) = (statements.len(), i64::try_from(statements.len())) {
            facts.push(KeyValue::new("db.operation.batch.size", size));
        }
        let mut span = tracer
            .span_builder(name)
            .with_kind(SpanKind::Client)
            .with_start_time(end.checked_sub(elapsed).unwrap_or(end))
            .with_attributes(facts)
            .start_with_context(&tracer, &Context::current());
        if failed {
            span.set_status(Status::error("the statement failed"));
        }
        span.end_with_timestamp(end);
    }
}

/// A statement's first word, and the first table it names.
fn subject(sql: &str) -> (String, &str) {
    let mut words = sql.split_ascii_whitespace();
    let kind = words.next().unwrap_or("?").trim_end_matches(';').to_ascii_uppercase();
    if BEFORE_A_TABLE.contains(&kind.as_str()) {
        return (kind, words.next().map_or("", bare));
    }
    let mut words =
        words.skip_while(|word| !BEFORE_A_TABLE.iter().any(|known| known.eq_ignore_ascii_case(word)));
    words.next();
    (kind, words.next().map_or("", bare))
}

/// A name without its quotes; a subquery has none.
fn bare(word: &str) -> &str {
    let name = word.trim_matches(|c| matches!(c, '"' | '`' | ';' | ','));
    let end = name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(name.len());
    &name[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_a_kind_and_a_table_and_never_a_value() {
        for (sql, kind, table) in [
            ("SELECT 1 FROM outbox LIMIT 1", "SELECT", "outbox"),
            ("select \"a\".\"b\" from \"orders\" where 1", "SELECT", "orders"),
            ("INSERT INTO `user_account` (`id`) VALUES (?)", "INSERT", "user_account"),
            ("UPDATE \"hold\" SET x = 'ada@example.com'", "UPDATE", "hold"),
            ("DELETE FROM outbox WHERE shard = ?", "DELETE", "outbox"),
            ("SELECT count(*) FROM (SELECT 1 FROM orders)", "SELECT", ""),
            ("BEGIN IMMEDIATE", "BEGIN", ""),
            ("COMMIT;", "COMMIT", ""),
            ("", "?", ""),
        ] {
            assert_eq!(subject(sql), (kind.to_owned(), table), "{sql}");
        }
    }
}
