//! Notes beside rows that came from elsewhere: from which source, by which key, and what was said and kept of them. Each
//! domain has a table of its own for them, written in the transactions of its rows; the SQL is the same everywhere.

use std::collections::{BTreeMap, HashMap};

use kernel::{Result, Timestamp};
use sea_orm::{ConnectionTrait, FromQueryResult, Statement, Value};
use uuid::Uuid;

use crate::{DbResult, Rows, Tx};

/// Ids in one statement.
const MOST: usize = 500;
const COLUMNS: &[&str] = &["id", "source", "source_key", "said", "kept", "taken_at"];

/// A table of notes.
#[derive(Clone, Copy, Debug)]
pub struct Marks(&'static str);

/// What was noted of a row.
#[derive(Clone, Debug, PartialEq, Eq, FromQueryResult)]
pub struct Mark {
    /// The row's id.
    pub id: Uuid,
    /// Where it came from.
    pub source: String,
    /// Its key there.
    pub source_key: String,
    /// SHA-256 of what the source said.
    pub said: Vec<u8>,
    /// SHA-256 of what was kept of it.
    pub kept: Vec<u8>,
    /// When, in microseconds since 1970.
    pub taken_at: i64,
}

impl Mark {
    /// Digests of what was said and kept.
    pub fn digests(&self) -> ([u8; 32], [u8; 32]) {
        let of = |bytes: &[u8]| bytes.try_into().unwrap_or([0; 32]);
        (of(&self.said), of(&self.kept))
    }
}

impl Marks {
    /// Those in this table.
    pub const fn of(table: &'static str) -> Self {
        Self(table)
    }

    /// What was noted of these rows.
    pub async fn find(&self, on: &impl ConnectionTrait, ids: &[Uuid]) -> Result<HashMap<Uuid, Mark>> {
        let mut found = HashMap::with_capacity(ids.len());
        for some in ids.chunks(MOST) {
            let marks = vec!["?"; some.len()].join(",");
            let sql = format!("SELECT {} FROM {} WHERE id IN ({marks})", COLUMNS.join(","), self.0);
            let values = some.iter().map(|id| Value::from(*id));
            let statement = Statement::from_sql_and_values(on.get_database_backend(), sql, values);
            for mark in Mark::find_by_statement(statement).all(on).await.db()? {
                found.insert(mark.id, mark);
            }
        }
        Ok(found)
    }

    /// What came from `source`, by id, after `after`.
    pub async fn after(
        &self,
        on: &impl ConnectionTrait,
        source: &str,
        after: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<Mark>> {
        let from = if after.is_some() { " AND id > ?" } else { "" };
        let sql = format!(
            "SELECT {} FROM {} WHERE source = ?{from} ORDER BY id LIMIT {limit}",
            COLUMNS.join(","),
            self.0
        );
        let values = std::iter::once(Value::from(source)).chain(after.map(Value::from));
        let statement = Statement::from_sql_and_values(on.get_database_backend(), sql, values);
        Mark::find_by_statement(statement).all(on).await.db()
    }

    /// How many rows came from `source`.
    pub async fn count(&self, on: &impl ConnectionTrait, source: &str) -> Result<u64> {
        let sql = format!("SELECT COUNT(*) FROM {} WHERE source = ?", self.0);
        let statement = Statement::from_sql_and_values(on.get_database_backend(), sql, [source.into()]);
        let row = on.query_one_raw(statement).await.db()?;
        let count: i64 = row.map(|row| row.try_get_by_index(0)).transpose().db()?.unwrap_or(0);
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// Notes rows, in the place of what was noted of them before.
    pub async fn put(&self, tx: &Tx, marks: &[Mark]) -> Result<()> {
        // An id twice would fail: the last word counts.
        let last: BTreeMap<Uuid, &Mark> = marks.iter().map(|mark| (mark.id, mark)).collect();
        self.remove(tx, &last.keys().copied().collect::<Vec<_>>()).await?;
        let mut rows = Rows::new();
        for mark in last.into_values() {
            rows.raw(
                self.0,
                COLUMNS,
                vec![
                    mark.id.into(),
                    mark.source.clone().into(),
                    mark.source_key.clone().into(),
                    mark.said.clone().into(),
                    mark.kept.clone().into(),
                    mark.taken_at.into(),
                ],
            );
        }
        rows.insert(tx).await
    }

    /// Forgets rows.
    pub async fn remove(&self, tx: &Tx, ids: &[Uuid]) -> Result<()> {
        for some in ids.chunks(MOST) {
            let marks = vec!["?"; some.len()].join(",");
            let sql = format!("DELETE FROM {} WHERE id IN ({marks})", self.0);
            let values = some.iter().map(|id| Value::from(*id));
            tx.execute_raw(Statement::from_sql_and_values(tx.get_database_backend(), sql, values))
                .await
                .db()?;
        }
        Ok(())
    }
}

/// The note about a row.
pub fn mark<R: contracts::intake::Row>(source: &str, row: &R, at: Timestamp) -> Result<Mark> {
    Ok(Mark {
        id: row.id(),
        source: source.to_owned(),
        source_key: row.key().to_owned(),
        said: row.said()?.to_vec(),
        kept: row.kept()?.to_vec(),
        taken_at: at.micros(),
    })
}
