//! Which rows a source changed since a moment.
//!
//! Each statement walks a table in the order of the key that it looks for, and stops after a batch: all of them together read
//! no table more than once, with an index on `updated_at` much less of it.

use std::collections::BTreeSet;

use kernel::{Result, Timestamp};

use super::{MOMENTS, Source, UPDATED_AT, unreachable, whole};
use crate::mapping::Mapping;

/// Numbers below are seconds since 1970, from here on milliseconds: seconds have ten digits until the year 2286.
const MILLIS: i64 = 10_000_000_000;

/// A table whose changes change another one's rows, and how they lead to its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// Whose changes.
    pub(crate) of: &'static str,
    /// Table and column that hold the key.
    pub(crate) key: (&'static str, &'static str),
    /// Where that is another table: columns of the changed one and of the one with the key that hold the same.
    pub(crate) through: Option<(&'static str, &'static str)>,
}

/// Tables whose `updated_at` is a number, by our names.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clocks(BTreeSet<&'static str>);

impl Source {
    /// The present moment by the source's clock, to the second.
    pub(crate) async fn now(&self) -> Result<Timestamp> {
        let rows = self.query("SELECT CAST(UNIX_TIMESTAMP() AS CHAR)".to_owned(), Vec::new()).await?;
        let text: String = rows
            .first()
            .map(|row| row.try_get_by_index(0))
            .transpose()
            .map_err(unreachable)?
            .unwrap_or_default();
        let seconds: i64 = text.parse().map_err(|_| unreachable(format!("its clock says {text:?}")))?;
        Ok(Timestamp::from_micros(seconds.saturating_mul(1_000_000)))
    }

    /// How the tables of these parts tell when they changed.
    pub(crate) async fn clocks(&self, parts: &[Part]) -> Result<Clocks> {
        let mut numbers = BTreeSet::new();
        for part in parts {
            let (Some(theirs), Some(column)) =
                (self.mapping.column(part.of, "table"), self.mapping.column(part.of, UPDATED_AT))
            else {
                continue;
            };
            let kind = self.types(theirs).await?.remove(&column.to_lowercase()).unwrap_or_default();
            if !MOMENTS.contains(&kind.as_str()) {
                numbers.insert(part.of);
            }
        }
        Ok(Clocks(numbers))
    }

    /// Keys after `after` of rows that these parts changed since `since`, in order, at most `limit`.
    pub(crate) async fn changed(
        &self,
        parts: &[Part],
        clocks: &Clocks,
        since: Timestamp,
        after: i64,
        limit: usize,
    ) -> Result<Vec<i64>> {
        let mut keys = BTreeSet::new();
        for part in parts {
            let Some(from) = changed_rows(&self.mapping, part, clocks, since) else { continue };
            let key = from.key;
            let sql = format!(
                "SELECT CAST({key} AS CHAR) {} AND {key} > ? GROUP BY {key} ORDER BY {key} LIMIT {limit}",
                from.sql
            );
            let (table, column) = part.key;
            for row in self.query(sql, vec![after.into()]).await? {
                let text: String = row.try_get_by_index(0).map_err(unreachable)?;
                keys.insert(whole(table, column, &text)?);
            }
        }
        // What lies behind the first of all may not be all that there is.
        Ok(keys.into_iter().take(limit).collect())
    }

    /// How many rows a part changed since `since`.
    pub(crate) async fn changes(&self, part: &Part, clocks: &Clocks, since: Timestamp) -> Result<u64> {
        match changed_rows(&self.mapping, part, clocks, since) {
            Some(from) => self.figure(format!("SELECT COUNT(DISTINCT {}) {}", from.key, from.sql)).await,
            None => Ok(0),
        }
    }
}

/// The changed rows of a part.
struct ChangedRows {
    /// The key.
    key: String,
    /// `FROM` and `WHERE`.
    sql: String,
}

/// None where the source has no such table.
fn changed_rows(mapping: &Mapping, part: &Part, clocks: &Clocks, since: Timestamp) -> Option<ChangedRows> {
    let (table, column) = part.key;
    let holder = mapping.column(table, "table")?;
    let (join, whose) = match part.through {
        None => (String::new(), "k"),
        Some((changed, same)) => {
            let theirs = mapping.column(part.of, "table")?;
            let (changed, same) = (mapping.column(part.of, changed)?, mapping.column(table, same)?);
            (format!(" JOIN `{theirs}` c ON c.`{changed}` = k.`{same}`"), "c")
        }
    };
    let at = format!("{whose}.`{}`", mapping.column(part.of, UPDATED_AT)?);
    let seconds = since.seconds();
    let later = if clocks.0.contains(part.of) {
        let millis = seconds.saturating_mul(1_000);
        format!("({at} >= {seconds} AND {at} < {MILLIS}) OR {at} >= {}", millis.max(MILLIS))
    } else {
        // In the session's zone, which is the shop's.
        format!("{at} >= FROM_UNIXTIME({seconds})")
    };
    Some(ChangedRows {
        key: format!("k.`{}`", mapping.column(table, column)?),
        // A row that was never changed may say nothing.
        sql: format!("FROM `{holder}` k{join} WHERE ({at} IS NULL OR {later})"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SINCE: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn mapping() -> Mapping {
        let file = "[tables.orders]\nupdated_at = \"changed\"\n[tables.refunds]\ntable = \"back\"\nupdated_at = \"at\"";
        Mapping::read(Some(file)).unwrap()
    }

    #[test]
    fn changed_rows_are_found_by_the_moment_of_their_table() {
        let own = Part { of: "orders", key: ("orders", "id"), through: None };
        let rows = changed_rows(&mapping(), &own, &Clocks::default(), SINCE).unwrap();
        assert_eq!(rows.key, "k.`id`");
        assert_eq!(
            rows.sql,
            "FROM `orders` k WHERE (k.`changed` IS NULL OR k.`changed` >= FROM_UNIXTIME(1700000000))"
        );
        let far = Part { of: "refunds", key: ("payments", "order_id"), through: Some(("payment_id", "id")) };
        let numbers = Clocks(BTreeSet::from(["refunds"]));
        let rows = changed_rows(&mapping(), &far, &numbers, SINCE).unwrap();
        assert_eq!(rows.key, "k.`order_id`");
        assert_eq!(
            rows.sql,
            "FROM `payments` k JOIN `back` c ON c.`payment_id` = k.`id` WHERE (c.`at` IS NULL OR \
             (c.`at` >= 1700000000 AND c.`at` < 10000000000) OR c.`at` >= 1700000000000)"
        );
    }

    #[test]
    fn a_table_that_is_not_there_changes_nothing() {
        let mapping = Mapping::read(Some("[tables.refunds]\ntable = \"\"")).unwrap();
        let part = Part { of: "refunds", key: ("payments", "order_id"), through: Some(("payment_id", "id")) };
        assert!(changed_rows(&mapping, &part, &Clocks::default(), SINCE).is_none());
    }
}
