//! How a source's tables are read: names of tables and columns, what its statuses mean. Pure.

use std::{collections::BTreeMap, time::Duration};

use kernel::{Currency, Failure, Result};
use serde::{Deserialize, Serialize};
use toml::{Table as TomlTable, Value};

/// The mapping in force where nothing else is said.
pub const DEFAULT: &str = include_str!("../mapping.toml");
/// The tables that it fits, as SQL.
pub const SCHEMA: &str = include_str!("../schema.sql");

/// Longest look back: a week.
const OVERLAP: u32 = 7 * 24 * 60;
/// Longest name of a source: with a colon and a channel it is the name of a channel.
const SOURCE: usize = 16;

/// Columns that must be there, by table; tables that are not here may be left out whole.
const NEEDED: &[(&str, &[&str])] = &[
    ("users", &["id", "email", "created_at"]),
    ("products", &["id", "name"]),
    ("skus", &["id", "product_id", "sku_code", "price", "stock"]),
    ("orders", &["id", "order_no", "user_id", "status", "total_amount", "created_at"]),
    ("order_items", &["id", "order_id", "product_id", "sku_id", "product_name", "price", "quantity"]),
    ("payments", &["id", "payment_no", "order_id", "amount", "status", "created_at"]),
];
/// The same for tables that may be left out, when they are not.
const NEEDED_THERE: &[(&str, &[&str])] = &[
    ("user_addresses", &["id", "user_id", "receiver_name", "phone", "city", "detail"]),
    ("categories", &["id", "name"]),
    ("brands", &["id", "name"]),
    ("refunds", &["id", "payment_id", "amount", "status", "created_at"]),
];
/// What statuses may mean.
const MEANINGS: &[(&str, &[&str])] = &[
    ("users", &["active", "disabled"]),
    ("products", &["on_shelf", "off_shelf"]),
    ("orders", &["pending_payment", "paid", "shipped", "delivered", "completed", "cancelled", "refunded"]),
    ("payments", &["pending", "succeeded", "failed", "cancelled"]),
    ("refunds", &["succeeded", "failed"]),
];

/// How a source is read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// What the source is called here; part of every id.
    pub source: String,
    /// Of its moments: `+08:00`.
    pub time_zone: String,
    currency: String,
    pub(crate) country: String,
    pub(crate) locale: String,
    pub(crate) phone_prefix: String,
    overlap_minutes: u32,
    tables: BTreeMap<String, BTreeMap<String, String>>,
    status: BTreeMap<String, BTreeMap<String, String>>,
}

impl Mapping {
    /// The default with what `file` says instead; `request.invalid` names what is wrong.
    pub fn read(file: Option<&str>) -> Result<Self> {
        let parse = |text: &str| {
            text.parse::<TomlTable>().map_err(|error| Failure::invalid("mapping", error.to_string()))
        };
        let mut all = parse(DEFAULT)?;
        if let Some(file) = file {
            lay_over(&mut all, parse(file)?, "")?;
        }
        let mapping: Self = all.try_into().map_err(|error| Failure::invalid("mapping", error.to_string()))?;
        mapping.check()?;
        Ok(mapping)
    }

    fn check(&self) -> Result<()> {
        let wrong = |what: &str, text: String| Err(Failure::invalid(format!("mapping.{what}"), text));
        let named = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        // It is a part of addresses, too, where hyphens stand between words.
        let words = self.source.split('-').all(|word| !word.is_empty());
        if !words || self.source.len() > SOURCE || !self.source.bytes().all(named) {
            return wrong("source", format!("must be 1 to {SOURCE} of a-z and 0-9, with hyphens between"));
        }
        if self.offset_minutes().is_none() {
            return wrong("time_zone", "must be an offset such as +08:00".to_owned());
        }
        if Currency::from_code(&self.currency).is_none() {
            return wrong("currency", format!("`{}` is no ISO 4217 currency", self.currency));
        }
        if self.country.len() != 2 || !self.country.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return wrong("country", "must be two capital letters (ISO 3166-1)".to_owned());
        }
        if !matches!(self.locale.as_str(), "en" | "zh-CN") {
            return wrong("locale", "must be en or zh-CN".to_owned());
        }
        let digits = self.phone_prefix.strip_prefix('+').unwrap_or("");
        if !self.phone_prefix.is_empty() && (digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()))
        {
            return wrong("phone_prefix", "must be empty or a prefix such as +86".to_owned());
        }
        if !(1..=OVERLAP).contains(&self.overlap_minutes) {
            return wrong("overlap_minutes", format!("must lie between 1 and {OVERLAP}"));
        }
        for (name, columns) in &self.tables {
            for (column, real) in columns {
                // They are quoted, and then only these could end the quotation.
                if real.contains(['`', '\0']) || real.len() > 64 {
                    return wrong(&format!("tables.{name}.{column}"), "is no name of a column".to_owned());
                }
            }
        }
        let there = NEEDED_THERE.iter().filter(|(name, _)| self.has(name));
        for (name, columns) in NEEDED.iter().chain(there) {
            for column in std::iter::once(&"table").chain(columns.iter()) {
                if self.column(name, column).is_none() {
                    return wrong(&format!("tables.{name}.{column}"), "must be there".to_owned());
                }
            }
        }
        for (name, meanings) in MEANINGS {
            for (status, meaning) in self.status.get(*name).into_iter().flatten() {
                if !meanings.contains(&meaning.as_str()) {
                    let text = format!("must be one of {}", meanings.join(", "));
                    return wrong(&format!("status.{name}.{status}"), text);
                }
            }
        }
        Ok(())
    }

    /// Whether the source has this table.
    pub(crate) fn has(&self, table: &str) -> bool {
        self.column(table, "table").is_some()
    }

    /// What a table, or a column of it, is called there; none where there is none.
    pub(crate) fn column(&self, table: &str, column: &str) -> Option<&str> {
        self.tables.get(table)?.get(column).map(String::as_str).filter(|name| !name.is_empty())
    }

    /// The columns of a table that are there, ours and theirs.
    pub(crate) fn columns(&self, table: &str) -> impl Iterator<Item = (&str, &str)> {
        let all = self.tables.get(table).into_iter().flatten();
        all.filter(|(ours, theirs)| *ours != "table" && !theirs.is_empty())
            .map(|(ours, theirs)| (ours.as_str(), theirs.as_str()))
    }

    /// The tables that are there.
    pub(crate) fn tables(&self) -> impl Iterator<Item = &str> {
        self.tables.keys().map(String::as_str).filter(|name| self.has(name))
    }

    /// What a status of `table` means.
    pub(crate) fn meaning(&self, table: &str, status: &str) -> Option<&str> {
        self.status.get(table)?.get(status.trim()).map(String::as_str)
    }

    /// The currency where none is named.
    pub(crate) fn currency(&self) -> Currency {
        // It was checked when it was read.
        Currency::from_code(&self.currency).unwrap_or(Currency::CNY)
    }

    /// How far a run that reads only changes looks back behind the beginning of the last one.
    pub(crate) fn overlap(&self) -> Duration {
        Duration::from_secs(u64::from(self.overlap_minutes) * 60)
    }

    /// Minutes that the source's clocks are ahead of UTC.
    pub(crate) fn offset_minutes(&self) -> Option<i64> {
        let (sign, rest) = match self.time_zone.as_bytes().first()? {
            b'+' => (1, &self.time_zone[1..]),
            b'-' => (-1, &self.time_zone[1..]),
            _ => return None,
        };
        let (hours, minutes) = rest.split_once(':')?;
        let part = |text: &str, most: i64| {
            let number: i64 = text.parse().ok()?;
            (text.len() == 2 && (0..=most).contains(&number)).then_some(number)
        };
        Some(sign * (part(hours, 14)? * 60 + part(minutes, 59)?))
    }
}

/// Puts what `over` says in the place of what is there. Statuses are one whole: who names one of a table names all.
fn lay_over(all: &mut TomlTable, over: TomlTable, path: &str) -> Result<()> {
    for (key, value) in over {
        let name = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match (all.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(over)) if path != "status" => {
                lay_over(below, over, &name)?;
            }
            (Some(there), value) => *there = value,
            (None, _) => {
                return Err(Failure::invalid(format!("mapping.{name}"), "there is nothing of this name"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Mapping::read(Some(text)).unwrap_err().fields()[0].pointer.clone()
    }

    #[test]
    fn a_file_says_only_what_is_different() {
        let plain = Mapping::read(None).unwrap();
        assert_eq!(plain.column("users", "email"), Some("email"));
        assert_eq!(plain.offset_minutes(), Some(0));
        let file = "source = \"shop-2\"\ntime_zone = \"-05:30\"\n[tables.users]\ntable = \"t_user\"\nphone = \"\"\n\
                    [tables.refunds]\ntable = \"\"\n[status.users]\nN = \"active\"";
        let own = Mapping::read(Some(file)).unwrap();
        assert_eq!(own.offset_minutes(), Some(-330));
        assert_eq!(own.column("users", "table"), Some("t_user"));
        assert_eq!(own.column("users", "email"), Some("email"));
        assert_eq!(own.column("users", "phone"), None);
        assert!(!own.has("refunds") && own.has("brands"));
        assert_eq!(own.meaning("users", "N"), Some("active"));
        assert_eq!(own.meaning("users", "1"), None, "who names one status names all of the table");
        assert_eq!(own.meaning("orders", " 1 "), Some("paid"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, pointer) in [
            ("source = \"Legacy Shop\"", "mapping.source"),
            ("source = \"a--b\"", "mapping.source"),
            ("time_zone = \"Asia/Shanghai\"", "mapping.time_zone"),
            ("currency = \"RMB\"", "mapping.currency"),
            ("country = \"China\"", "mapping.country"),
            ("locale = \"de\"", "mapping.locale"),
            ("phone_prefix = \"0086\"", "mapping.phone_prefix"),
            ("overlap_minutes = 0", "mapping.overlap_minutes"),
            ("overlap_minutes = 10081", "mapping.overlap_minutes"),
            ("overlap_minutes = -5", "mapping"),
            ("[tables.brands]\nupdated_at = \"x\"", "mapping.tables.brands.updated_at"),
            ("[tables.users]\nemail = \"\"", "mapping.tables.users.email"),
            ("[tables.users]\nemail = \"a`b\"", "mapping.tables.users.email"),
            ("[tables.brands]\nname = \"\"", "mapping.tables.brands.name"),
            ("[tables.users]\nmail = \"x\"", "mapping.tables.users.mail"),
            ("[tables.clients]\nid = \"x\"", "mapping.tables.clients"),
            ("[status.orders]\n1 = \"done\"", "mapping.status.orders.1"),
            ("[", "mapping"),
        ] {
            assert_eq!(refused(text), pointer, "{text}");
        }
    }
}
