//! The source: a MySQL, or what speaks like one. Only `SELECT` is ever sent.

mod changed;

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use kernel::{Failure, Result, code};
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, SqlxMySqlConnector, Statement, Value,
    sqlx::{
        ConnectOptions as _, Executor,
        mysql::{MySqlConnectOptions, MySqlPoolOptions, MySqlSslMode},
    },
};
use secrecy::{ExposeSecret, SecretString};

pub(crate) use self::changed::{Clocks, Part};
use crate::{mapping::Mapping, values::Record};

/// Longest wait for a connection, and for one statement.
const CONNECT: Duration = Duration::from_secs(10);
const STATEMENT: Duration = Duration::from_secs(60);
/// Keys in one statement.
const KEYS: usize = 500;
/// Where reading by key begins: before every key.
pub(crate) const START: i64 = i64::MIN;
/// What tables are read by.
const READ_BY: [(&str, &str); 5] =
    [("users", "id"), ("products", "id"), ("skus", "id"), ("orders", "id"), ("payments", "order_id")];
/// What changed rows are found by, too, where the table has an `updated_at`.
const FOUND_BY: [(&str, &str); 3] =
    [("user_addresses", "user_id"), ("skus", "product_id"), ("order_items", "order_id")];
/// The column that every change of a row sets.
const UPDATED_AT: &str = "updated_at";
/// Types of columns that hold moments of the shop's clock.
const MOMENTS: [&str; 2] = ["datetime", "timestamp"];
/// Types of columns that hold whole numbers, and are in the order of numbers.
const WHOLE: [&str; 6] = ["tinyint", "smallint", "mediumint", "int", "bigint", "decimal"];

/// How the connection to a source is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SourceTls {
    /// Not at all.
    Off,
    /// Where the server can, without looking at its certificate.
    #[default]
    Preferred,
    /// Always, and the certificate must be the host's.
    Verified,
}

/// Where a source is.
#[derive(Clone)]
pub struct SourceAddress {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User; rights to read are enough.
    pub user: String,
    /// Password.
    pub password: SecretString,
    /// Database.
    pub database: String,
    /// How the connection is encrypted.
    pub tls: SourceTls,
    /// The certificate authority's PEM file; the system's where absent.
    pub ca: Option<PathBuf>,
}

impl fmt::Debug for SourceAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mysql://{}@{}:{}/{}", self.user, self.host, self.port, self.database)
    }
}

/// A source that is connected.
pub(crate) struct Source {
    pool: DatabaseConnection,
    mapping: Mapping,
}

fn unreachable(error: impl fmt::Display) -> Failure {
    Failure::new(code::UNAVAILABLE).detail(format!("the source cannot be read: {error}"))
}

impl Source {
    /// Connects.
    pub(crate) async fn connect(address: &SourceAddress, mapping: Mapping) -> Result<Self> {
        let mode = match address.tls {
            SourceTls::Off => MySqlSslMode::Disabled,
            SourceTls::Preferred => MySqlSslMode::Preferred,
            SourceTls::Verified => MySqlSslMode::VerifyIdentity,
        };
        let mut options = MySqlConnectOptions::new()
            .host(&address.host)
            .port(address.port)
            .username(&address.user)
            .database(&address.database)
            .charset("utf8mb4")
            .ssl_mode(mode)
            // Rows hold personal data: no statement is logged.
            .disable_statement_logging();
        // An empty password is none: the server would be told of one otherwise.
        if !address.password.expose_secret().is_empty() {
            options = options.password(address.password.expose_secret());
        }
        if let Some(ca) = &address.ca {
            options = options.ssl_ca(ca);
        }
        // DATETIME has no zone, TIMESTAMP is shown in the session's: both are read as the shop's clocks say.
        let zone = format!("SET time_zone = '{}'", mapping.time_zone);
        let pool = MySqlPoolOptions::new()
            .max_connections(2)
            .acquire_timeout(CONNECT)
            .after_connect(move |connection, _| {
                let zone = zone.clone();
                Box::pin(
                    async move { connection.execute(sea_orm::sqlx::AssertSqlSafe(zone)).await.map(drop) },
                )
            })
            .connect_with(options)
            .await
            .map_err(unreachable)?;
        Ok(Self { pool: SqlxMySqlConnector::from_sqlx_mysql_pool(pool), mapping })
    }

    /// Tables and columns that the mapping names and that are not there.
    pub(crate) async fn missing(&self) -> Result<Vec<String>> {
        let mut missing = Vec::new();
        for table in self.mapping.tables() {
            let Some(theirs) = self.mapping.column(table, "table") else { continue };
            missing.extend(misfits(&self.mapping, table, theirs, &self.types(theirs).await?));
        }
        Ok(missing)
    }

    /// The types of a table's columns, by name; both in lower case.
    async fn types(&self, theirs: &str) -> Result<BTreeMap<String, String>> {
        let sql = "SELECT CAST(column_name AS CHAR), CAST(data_type AS CHAR) \
                   FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = ?";
        let mut there = BTreeMap::new();
        for row in self.query(sql.to_owned(), vec![theirs.into()]).await? {
            let text = |at| row.try_get_by_index::<String>(at).map_err(unreachable);
            there.insert(text(0)?.to_lowercase(), text(1)?.to_lowercase());
        }
        Ok(there)
    }

    /// How many rows a table has.
    pub(crate) async fn count(&self, table: &str) -> Result<u64> {
        let Some(theirs) = self.mapping.column(table, "table") else { return Ok(0) };
        self.figure(format!("SELECT COUNT(*) FROM `{theirs}`")).await
    }

    /// How many orders have payments.
    pub(crate) async fn paid_orders(&self) -> Result<u64> {
        let (table, order) = self.payments();
        self.figure(format!("SELECT COUNT(DISTINCT `{order}`) FROM `{table}`")).await
    }

    /// A count.
    async fn figure(&self, sql: String) -> Result<u64> {
        let rows = self.query(sql, Vec::new()).await?;
        let count: i64 =
            rows.first().map(|row| row.try_get_by_index(0)).transpose().map_err(unreachable)?.unwrap_or(0);
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Keys of orders that have payments, after `after`, in order.
    pub(crate) async fn orders_with_payments(&self, after: i64, limit: usize) -> Result<Vec<i64>> {
        let (table, order) = self.payments();
        // As text: as a signed number an unsigned one may be another.
        let sql = format!(
            "SELECT CAST(`{order}` AS CHAR) FROM `{table}` WHERE `{order}` > ? GROUP BY `{order}` \
             ORDER BY `{order}` LIMIT {limit}"
        );
        let rows = self.query(sql, vec![after.into()]).await?;
        let key = |row: &sea_orm::QueryResult| {
            let text: String = row.try_get_by_index(0).map_err(unreachable)?;
            whole("payments", "order_id", &text)
        };
        rows.iter().map(key).collect()
    }

    fn payments(&self) -> (&str, &str) {
        let name = |column| self.mapping.column("payments", column).unwrap_or(column);
        (name("table"), name("order_id"))
    }

    /// Rows with keys after `after`, in order.
    pub(crate) async fn after(&self, table: &str, after: i64, limit: usize) -> Result<Vec<Record>> {
        let id = self.mapping.column(table, "id").unwrap_or("id");
        let rest = format!("WHERE `{id}` > ? ORDER BY `{id}` LIMIT {limit}");
        self.select(table, &rest, vec![after.into()]).await
    }

    /// Rows of which a column holds one of these keys, in order of their own.
    pub(crate) async fn of(&self, table: &str, column: &str, keys: &[String]) -> Result<Vec<Record>> {
        let (Some(theirs), Some(id)) = (self.mapping.column(table, column), self.mapping.column(table, "id"))
        else {
            return Ok(Vec::new());
        };
        let mut found = Vec::new();
        for some in keys.chunks(KEYS) {
            let marks = vec!["?"; some.len()].join(",");
            let rest = format!("WHERE `{theirs}` IN ({marks}) ORDER BY `{id}`");
            found.extend(
                self.select(table, &rest, some.iter().map(|key| key.as_str().into()).collect()).await?,
            );
        }
        Ok(found)
    }

    /// Every row of a small table.
    pub(crate) async fn all(&self, table: &str) -> Result<Vec<Record>> {
        if self.mapping.has(table) { self.select(table, "", Vec::new()).await } else { Ok(Vec::new()) }
    }

    async fn select(&self, table: &str, rest: &str, values: Vec<Value>) -> Result<Vec<Record>> {
        let columns: Vec<(&str, &str)> = self.mapping.columns(table).collect();
        // As text: an amount is read exactly as it is written.
        let list: Vec<String> =
            columns.iter().map(|(_, theirs)| format!("CAST(`{theirs}` AS CHAR)")).collect();
        let theirs = self.mapping.column(table, "table").unwrap_or(table);
        let sql = format!("SELECT {} FROM `{theirs}` {rest}", list.join(", "));
        let mut records = Vec::new();
        for row in self.query(sql, values).await? {
            let mut record = BTreeMap::new();
            for (index, (ours, _)) in columns.iter().enumerate() {
                let text: Option<String> = row.try_get_by_index(index).map_err(unreachable)?;
                record.extend(text.map(|text| ((*ours).to_owned(), text)));
            }
            records.push(Record(record));
        }
        Ok(records)
    }

    async fn query(&self, sql: String, values: Vec<Value>) -> Result<Vec<sea_orm::QueryResult>> {
        let statement = Statement::from_sql_and_values(DbBackend::MySql, sql, values);
        match tokio::time::timeout(STATEMENT, self.pool.query_all_raw(statement)).await {
            Ok(rows) => rows.map_err(unreachable),
            Err(_) => Err(unreachable(format!("no answer within {} s", STATEMENT.as_secs()))),
        }
    }
}

/// A key that rows are read by.
pub(crate) fn whole(table: &str, column: &str, key: &str) -> Result<i64> {
    key.parse().map_err(|_| {
        let reason = format!("the key `{key}` is no whole number that 64 bits hold");
        Failure::invalid(format!("tables.{table}.{column}"), reason)
    })
}

/// What the mapping says of a table and is not so. `there`: the types of its columns, by name.
fn misfits(mapping: &Mapping, table: &str, theirs: &str, there: &BTreeMap<String, String>) -> Vec<String> {
    if there.is_empty() {
        return vec![format!("tables.{table}.table: there is no table `{theirs}`")];
    }
    let by_changes = mapping.column(table, UPDATED_AT).is_some();
    let in_order =
        |ours: &str| READ_BY.contains(&(table, ours)) || (by_changes && FOUND_BY.contains(&(table, ours)));
    let wrong = |(ours, column): (&str, &str)| {
        let reason = match there.get(&column.to_lowercase()).map(String::as_str) {
            None => format!("`{theirs}` has no column `{column}`"),
            Some(kind) if ours == UPDATED_AT && !MOMENTS.contains(&kind) && !WHOLE.contains(&kind) => {
                format!(
                    "`{column}` of `{theirs}` is {kind}, not a moment: DATETIME, TIMESTAMP, or a whole number"
                )
            }
            Some(kind) if in_order(ours) && !WHOLE.contains(&kind) => {
                format!(
                    "`{column}` of `{theirs}` is {kind}; rows are read in its order: it must be a whole number"
                )
            }
            Some(_) => return None,
        };
        Some(format!("tables.{table}.{ours}: {reason}"))
    };
    mapping.columns(table).filter_map(wrong).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rows_are_read_by_must_be_a_whole_number() {
        let mapping = Mapping::read(None).unwrap();
        let of = |table: &str, key: &str, kind: &str| {
            let columns = mapping.columns(table).map(|(_, theirs)| (theirs.to_owned(), "varchar".to_owned()));
            let mut there: BTreeMap<String, String> = columns.collect();
            there.insert(key.to_owned(), kind.to_owned());
            misfits(&mapping, table, table, &there)
        };
        for kind in ["bigint", "int", "decimal"] {
            assert_eq!(of("users", "id", kind), Vec::<String>::new(), "{kind}");
        }
        let told = of("users", "id", "char");
        assert!(
            told.len() == 1 && told[0].starts_with("tables.users.id: `id` of `users` is char"),
            "{told:?}"
        );
        let told = of("payments", "order_id", "varchar");
        assert!(told.len() == 1 && told[0].starts_with("tables.payments.order_id: "), "{told:?}");
        // Nothing is read in the order of these.
        assert_eq!(of("payments", "id", "char").len(), 1, "only order_id, which is text in this one");
        assert_eq!(of("brands", "id", "char"), Vec::<String>::new());
    }

    #[test]
    fn what_is_not_there_is_told() {
        let mapping = Mapping::read(None).unwrap();
        let none = misfits(&mapping, "users", "people", &BTreeMap::new());
        assert_eq!(none, ["tables.users.table: there is no table `people`"]);
        let one = BTreeMap::from([("id".to_owned(), "bigint".to_owned())]);
        let told = misfits(&mapping, "brands", "brands", &one);
        assert_eq!(told, ["tables.brands.name: `brands` has no column `name`"]);
    }

    #[test]
    fn changes_are_told_by_moments_and_found_by_whole_numbers() {
        let file = "[tables.user_addresses]\nupdated_at = \"changed\"";
        let mapping = Mapping::read(Some(file)).unwrap();
        let of = |mapping: &Mapping, key: &str, moment: &str| {
            let columns = mapping.columns("user_addresses");
            let kind = |(ours, theirs): (&str, &str)| {
                let kind = match ours {
                    "user_id" => key,
                    "updated_at" => moment,
                    _ => "varchar",
                };
                (theirs.to_owned(), kind.to_owned())
            };
            let there: BTreeMap<String, String> = columns.map(kind).collect();
            misfits(mapping, "user_addresses", "user_addresses", &there)
        };
        for moment in ["datetime", "timestamp", "bigint"] {
            assert_eq!(of(&mapping, "bigint", moment), Vec::<String>::new(), "{moment}");
        }
        let told = of(&mapping, "bigint", "date");
        assert!(told.len() == 1 && told[0].starts_with("tables.user_addresses.updated_at: "), "{told:?}");
        let told = of(&mapping, "char", "datetime");
        assert!(told.len() == 1 && told[0].starts_with("tables.user_addresses.user_id: "), "{told:?}");
        let plain = Mapping::read(None).unwrap();
        assert_eq!(of(&plain, "char", ""), Vec::<String>::new(), "nothing is found by it");
    }
}
