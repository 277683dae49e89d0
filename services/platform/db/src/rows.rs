//! Rows to insert, gathered so that many become one statement.

use contracts::EventBody;
use kernel::{Failure, Result, Shard, Timestamp};
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, EntityName, EntityTrait, IdenStatic, Iterable, ModelTrait, Statement,
    Value,
};

use crate::{Db, DbResult};

/// Statements insert powers of two of rows, so that few different texts are prepared.
const MOST_ROWS: usize = 128;
/// In SQLite a statement more costs two switches of threads, and a text more only a slot of the statement cache: up to so
/// many rows, a group's, go at once.
const AT_ONCE: usize = 64;
/// SQLite binds at most 32,766 variables.
const MOST_VARIABLES: usize = 32_000;

/// Rows of any tables, to be inserted together: insert-only, ids minted before, nothing read.
#[derive(Debug, Default)]
pub struct Rows {
    tables: Vec<Table>,
    pub(crate) publishes: bool,
}

#[derive(Debug)]
struct Table {
    name: &'static str,
    columns: Vec<&'static str>,
    rows: Vec<Vec<Value>>,
}

impl Rows {
    /// No rows yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a row.
    #[must_use]
    pub fn row<M: ModelTrait>(mut self, model: M) -> Self {
        self.push(&model);
        self
    }

    /// Adds rows.
    #[must_use]
    pub fn rows<M: ModelTrait>(mut self, models: impl IntoIterator<Item = M>) -> Self {
        for model in models {
            self.push(&model);
        }
        self
    }

    /// Adds an event to the outbox of `shard`.
    pub fn event<E: EventBody>(self, db: &Db, shard: Shard, event: &E) -> Result<Self> {
        let values = event_row(db.ids().uuid(shard), shard, db.now(), event)?;
        Ok(self.outbox(values))
    }

    /// Whether there are events and nothing else.
    pub(crate) fn are_events(&self) -> bool {
        !self.tables.is_empty() && self.tables.iter().all(|table| table.name == OUTBOX_TABLE)
    }

    pub(crate) fn outbox(mut self, values: Vec<Value>) -> Self {
        self.publishes = true;
        self.raw(OUTBOX_TABLE, OUTBOX, values);
        self
    }

    pub(crate) fn raw(&mut self, table: &'static str, columns: &[&'static str], values: Vec<Value>) {
        let index = self.tables.iter().position(|known| known.name == table).unwrap_or_else(|| {
            self.tables.push(Table { name: table, columns: columns.to_vec(), rows: Vec::new() });
            self.tables.len() - 1
        });
        self.tables[index].rows.push(values);
    }

    fn push<M: ModelTrait>(&mut self, model: &M) {
        let table = <M::Entity as Default>::default().table_name();
        let values = <M::Entity as EntityTrait>::Column::iter().map(|column| model.get(column)).collect();
        if let Some(known) = self.tables.iter_mut().find(|known| known.name == table) {
            known.rows.push(values);
        } else {
            let columns = <M::Entity as EntityTrait>::Column::iter().map(|column| column.as_str()).collect();
            self.tables.push(Table { name: table, columns, rows: vec![values] });
        }
    }

    /// Every value, table by table.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Value> {
        self.tables.iter().flat_map(|table| table.rows.iter().flatten())
    }

    /// Adds all rows of `other`, which stays usable for a second try.
    pub(crate) fn extend(&mut self, other: &Self) {
        self.publishes |= other.publishes;
        for table in &other.tables {
            for row in &table.rows {
                self.raw(table.name, &table.columns, row.clone());
            }
        }
    }

    /// Inserts everything.
    pub async fn insert(&self, connection: &impl ConnectionTrait) -> Result<()> {
        self.insert_into(connection).await.db()
    }

    pub(crate) async fn insert_into(&self, connection: &impl ConnectionTrait) -> Result<(), DbErr> {
        let backend = connection.get_database_backend();
        for table in &self.tables {
            let fit = (MOST_VARIABLES / table.columns.len().max(1)).min(MOST_ROWS);
            let mut rest = table.rows.as_slice();
            while !rest.is_empty() {
                let size = if backend == DbBackend::Sqlite && rest.len() <= fit.min(AT_ONCE) {
                    rest.len()
                } else {
                    // The largest power of two that fits.
                    1 << rest.len().min(fit).max(1).ilog2()
                };
                let (now, later) = rest.split_at(size);
                connection.execute_raw(table.statement(backend, now)).await?;
                rest = later;
            }
        }
        Ok(())
    }
}

impl Table {
    fn statement(&self, backend: DbBackend, rows: &[Vec<Value>]) -> Statement {
        let quote = if backend == DbBackend::MySql { '`' } else { '"' };
        let columns: Vec<String> =
            self.columns.iter().map(|column| format!("{quote}{column}{quote}")).collect();
        let marks = format!("({})", vec!["?"; self.columns.len()].join(","));
        let sql = format!(
            "INSERT INTO {quote}{}{quote} ({}) VALUES {}",
            self.name,
            columns.join(","),
            vec![marks.as_str(); rows.len()].join(",")
        );
        Statement::from_sql_and_values(backend, sql, rows.iter().flatten().cloned())
    }
}

const OUTBOX_TABLE: &str = "outbox";
const OUTBOX: &[&str] = &["shard", "id", "topic", "aggregate", "at", "body", "trace"];

/// The outbox row of an event, with the trace of whoever publishes it.
pub(crate) fn event_row<E: EventBody>(
    id: uuid::Uuid,
    shard: Shard,
    at: Timestamp,
    event: &E,
) -> Result<Vec<Value>> {
    let body = serde_json::to_vec(event).map_err(Failure::internal)?;
    Ok(vec![
        i32::from(shard.number()).into(),
        id.into(),
        E::TOPIC.into(),
        event.aggregate().into(),
        at.micros().into(),
        body.into(),
        platform_trace::traceparent().into(),
    ])
}
