//! Inserts as one text.

use platform_trace::BETWEEN_STATEMENTS;
use sea_orm::{DbBackend, Value};

use crate::{Rows, literal};

/// Up to so many values TiDB is hardly slower to read inserts as one text than to run them prepared, and it is one message
/// there and back instead of many.
const MOST_VALUES: usize = 512;
/// What is long is no text either: in hexadecimal it is twice as long, and a message has at most 64 MiB
/// (`max_allowed_packet`).
const MOST_BYTES: usize = 1 << 20;

/// The statements that insert these rows as one text, where the rows are few and short.
pub(crate) fn text(rows: &Rows) -> Option<String> {
    let (values, bytes) =
        rows.values().fold((0, 0), |(values, bytes), value| (values + 1, bytes + size(value)));
    if values > MOST_VALUES || bytes > MOST_BYTES {
        return None;
    }
    let mut text = String::with_capacity(2 * bytes + 1_024);
    for statement in rows.statements(DbBackend::MySql) {
        if !text.is_empty() {
            text.push_str(BETWEEN_STATEMENTS);
        }
        if !literal::write(&statement, &mut text) {
            return None;
        }
    }
    Some(text)
}

/// About how many bytes a value takes on its way.
pub(crate) fn size(value: &Value) -> usize {
    match value {
        Value::String(Some(text)) => text.len(),
        Value::Bytes(Some(bytes)) => bytes.len(),
        _ => 8,
    }
}
