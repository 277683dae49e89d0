//! Values as MySQL reads them in a text, so that several statements are one message to the server.

use sea_orm::{
    Statement, Value,
    sea_query::{MysqlQueryBuilder, QueryBuilder},
};

/// Adds the statement with its values where its marks are; false where a value is of a kind that is not written here. Texts and
/// bytes are written in hexadecimal: no value can end early, whatever is in it, and there is nothing to escape. Marks stand for
/// values wherever they are, so the statement quotes nothing that holds one.
pub(crate) fn write(statement: &Statement, into: &mut String) -> bool {
    let mut values = statement.values.iter().flat_map(|values| &values.0);
    let mut parts = statement.sql.split('?');
    into.push_str(parts.next().unwrap_or_default());
    for part in parts {
        if !values.next().is_some_and(|value| literal(value, into)) {
            return false;
        }
        into.push_str(part);
    }
    true
}

fn literal(value: &Value, into: &mut String) -> bool {
    match value {
        Value::String(Some(text)) => hexadecimal("_utf8mb4 x'", text.as_bytes(), into),
        Value::Bytes(Some(bytes)) => hexadecimal("x'", bytes, into),
        Value::Uuid(Some(id)) => hexadecimal("x'", id.as_bytes(), into),
        Value::String(None) | Value::Bytes(None) | Value::Uuid(None) => into.push_str("NULL"),
        Value::Bool(_)
        | Value::TinyInt(_)
        | Value::SmallInt(_)
        | Value::Int(_)
        | Value::BigInt(_)
        | Value::TinyUnsigned(_)
        | Value::SmallUnsigned(_)
        | Value::Unsigned(_)
        | Value::BigUnsigned(_) => into.push_str(&MysqlQueryBuilder.value_to_string(value)),
        _ => return false,
    }
    true
}

fn hexadecimal(start: &str, bytes: &[u8], into: &mut String) {
    into.push_str(start);
    into.push_str(&hex::encode(bytes));
    into.push('\'');
}

#[cfg(test)]
mod tests {
    use sea_orm::DbBackend;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn what_is_not_known_is_not_written() {
        let statement =
            Statement::from_sql_and_values(DbBackend::MySql, "INSERT INTO t VALUES (?)", [1.5.into()]);
        assert!(!write(&statement, &mut String::new()));
    }

    #[test]
    fn no_value_ends_early() {
        let values: [Value; 7] = [
            "a'; DROP TABLE b; -- ?".into(),
            vec![0_u8, b'\'', 0xff].into(),
            Uuid::from_u64_pair(1, 2).into(),
            (-3_i64).into(),
            true.into(),
            None::<String>.into(),
            "".into(),
        ];
        let sql = "INSERT INTO t (`a`) VALUES (?,?,?,?,?,?,?)";
        let mut text = String::new();
        assert!(write(&Statement::from_sql_and_values(DbBackend::MySql, sql, values), &mut text));
        assert_eq!(
            text,
            "INSERT INTO t (`a`) VALUES (_utf8mb4 x'61273b2044524f50205441424c4520623b202d2d203f',x'0027ff',\
             x'00000000000000010000000000000002',-3,TRUE,NULL,_utf8mb4 x'')"
        );
    }
}
