//! Values as literals of MySQL's that need no escaping: what is not a number or a plain word is told by its bytes.

use std::fmt::Write;

use sea_orm::Value;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Appends `value` to a statement; false, and nothing that can be used, where it is of a kind that no row of ours has.
#[must_use]
pub(crate) fn write(text: &mut String, value: &Value) -> bool {
    match value {
        Value::Bool(Some(yes)) => text.push_str(if *yes { "TRUE" } else { "FALSE" }),
        Value::SmallInt(Some(number)) => return write!(text, "{number}").is_ok(),
        Value::Int(Some(number)) => return write!(text, "{number}").is_ok(),
        Value::BigInt(Some(number)) => return write!(text, "{number}").is_ok(),
        Value::String(Some(word)) if is_plain(word) => {
            text.push('\'');
            text.push_str(word);
            text.push('\'');
        }
        Value::String(Some(words)) => {
            text.push_str("_utf8mb4 ");
            bytes(text, words.as_bytes());
        }
        Value::Bytes(Some(some)) => bytes(text, some),
        Value::Uuid(Some(id)) => bytes(text, id.as_bytes()),
        Value::Bool(None)
        | Value::SmallInt(None)
        | Value::Int(None)
        | Value::BigInt(None)
        | Value::String(None)
        | Value::Bytes(None)
        | Value::Uuid(None) => text.push_str("NULL"),
        _ => return false,
    }
    true
}

/// Whether a text means itself between quotes, whatever the server's mode: names, numbers, ids, keys.
fn is_plain(word: &str) -> bool {
    word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" -_.:/".contains(&byte))
}

fn bytes(text: &mut String, bytes: &[u8]) {
    text.reserve(bytes.len() * 2 + 3);
    text.push_str("x'");
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 0xf)]));
    }
    text.push('\'');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literal(value: impl Into<Value>) -> String {
        let mut text = String::new();
        assert!(write(&mut text, &value.into()));
        text
    }

    #[test]
    fn what_could_end_a_literal_is_told_by_its_bytes() {
        assert_eq!(literal("order.placed.v1"), "'order.placed.v1'");
        assert_eq!(literal(""), "''");
        assert_eq!(literal("O'Hara"), "_utf8mb4 x'4f2748617261'");
        assert_eq!(literal("\\"), "_utf8mb4 x'5c'");
        assert_eq!(literal("a;\nb"), "_utf8mb4 x'613b0a62'");
        assert_eq!(literal("名"), "_utf8mb4 x'e5908d'");
        assert_eq!(literal(vec![0_u8, 0xff]), "x'00ff'");
        assert_eq!(literal(Vec::<u8>::new()), "x''");
        assert_eq!(literal(i64::MIN), "-9223372036854775808");
        assert_eq!(literal(true), "TRUE");
        assert_eq!(literal(None::<i64>), "NULL");
        assert_eq!(literal(uuid::Uuid::from_u128(1)), "x'00000000000000000000000000000001'");
    }

    #[test]
    fn kinds_that_no_row_has_are_told_apart() {
        assert!(!write(&mut String::new(), &Value::Double(Some(1.5))));
    }
}
