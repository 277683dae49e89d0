//! What is shown of secrets.

use toml::{Table, Value};

/// Endings of keys whose values are secret.
const SECRET: [&str; 8] =
    ["secret", "password", "token", "key", "credentials", "pepper", "passphrase", "headers"];

/// Whether the value of `key` is secret: the name ends in one of the words, alone or after an underscore.
pub(super) fn is_secret(key: &str) -> bool {
    SECRET
        .iter()
        .any(|word| key.strip_suffix(word).is_some_and(|rest| rest.is_empty() || rest.ends_with('_')))
}

/// Replaces secrets by `***`: values of secret keys, and what stands before the `@` of a URL.
pub(super) fn mask(table: &mut Table) {
    for (key, value) in table.iter_mut() {
        mask_value(value, is_secret(key));
    }
}

fn mask_value(value: &mut Value, secret: bool) {
    match value {
        Value::Table(table) if secret => table.iter_mut().for_each(|(_, inner)| mask_value(inner, true)),
        Value::Table(table) => mask(table),
        Value::Array(items) => items.iter_mut().for_each(|item| mask_value(item, secret)),
        Value::String(text) if text.is_empty() => {}
        Value::String(text) if secret => "***".clone_into(text),
        Value::String(text) => {
            if let Some(masked) = without_userinfo(text) {
                *text = masked;
            }
        }
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) if secret => {
            *value = Value::String("***".to_owned());
        }
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {}
    }
}

fn without_userinfo(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rfind('@')? + 1;
    Some(format!("{scheme}://***@{}", &rest[host..]))
}
