//! Variables of the process as a layer.

use toml::{Table, Value};

const PREFIX: &str = "MERIDIAN__";

/// The layer that `name=value` stands for; None when it is none of ours. Values stay texts and are read as what the typed
/// section wants; only lists are written in TOML.
pub(super) fn layer(name: &str, value: &str) -> Option<Result<Table, String>> {
    let path = name.strip_prefix(PREFIX)?.to_ascii_lowercase();
    let path: Vec<&str> = path.split("__").collect();
    if path.len() < 2 || path.iter().any(|part| part.is_empty()) {
        return Some(Err(format!("variable {name} should be {PREFIX}SECTION__KEY")));
    }
    let value = if value.trim_start().starts_with('[') {
        match format!("list = {value}").parse::<Table>().ok().and_then(|mut table| table.remove("list")) {
            Some(list) => list,
            None => return Some(Err(format!("variable {name} should be a list as in TOML: [\"a\", \"b\"]"))),
        }
    } else {
        Value::String(value.to_owned())
    };
    Some(Ok(nest(&path, value)))
}

/// `value` in tables along `path`.
pub(super) fn nest(path: &[&str], value: Value) -> Table {
    let mut table = Table::new();
    if let Some((first, rest)) = path.split_first() {
        let inner = if rest.is_empty() { value } else { Value::Table(nest(rest, value)) };
        table.insert((*first).to_owned(), inner);
    }
    table
}
