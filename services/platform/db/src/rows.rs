//! Rows to insert, gathered so that many become one statement.

use std::collections::{BTreeMap, BTreeSet};

use contracts::EventBody;
use kernel::{Failure, Ids, Result, Shard, Timestamp, code};
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, EntityName, EntityTrait, IdenStatic, Iterable, ModelTrait, Statement,
    Value,
};

use crate::{Db, DbResult, batch};

/// Statements insert powers of two of rows, so that few different texts are prepared.
const MOST_ROWS: usize = 128;
/// In SQLite a text more to run costs two switches of threads, and one more to know only a slot of the statement cache: up to
/// so many rows of a table, a group's, go at once, and with them those of all tables that have as many. (Not those of all
/// tables: with orders of several lines hardly any text would come twice.)
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

    /// The shards of its events.
    pub fn published(&self) -> BTreeSet<Shard> {
        let outbox = self.tables.iter().filter(|table| table.name == OUTBOX_TABLE);
        outbox.flat_map(|table| &table.rows).filter_map(|row| shard_of(row.first()?)).collect()
    }

    pub(crate) fn outbox(mut self, values: Vec<Value>) -> Self {
        self.publishes = true;
        self.raw(OUTBOX_TABLE, OUTBOX, values);
        self
    }

    /// Gives its events new ids, in their order. Who inserts them does so at every try: the time in an id is then the time
    /// of its transaction, however long it waited before.
    pub(crate) fn mint_events(&mut self, ids: &Ids) {
        let outbox = self.tables.iter_mut().filter(|table| table.name == OUTBOX_TABLE);
        for row in outbox.flat_map(|table| &mut table.rows) {
            if let Some(Value::Uuid(Some(id))) = row.get_mut(OUTBOX_ID) {
                *id = ids.anew(*id);
            }
        }
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
        let statements = match connection.get_database_backend() {
            DbBackend::Sqlite => self.embedded(),
            backend => {
                if self.tables.len() > 1
                    && let Some(text) = batch::text(self)
                {
                    return connection.execute_unprepared(&text).await.map(drop);
                }
                self.statements(backend)
            }
        };
        for statement in statements {
            connection.execute_raw(statement).await?;
        }
        Ok(())
    }

    /// The statements that insert everything, each of a power of two of rows.
    pub(crate) fn statements(&self, backend: DbBackend) -> Vec<Statement> {
        self.tables.iter().flat_map(|table| table.in_powers(backend)).collect()
    }

    /// The statements that insert everything in SQLite, which takes several in one text.
    fn embedded(&self) -> Vec<Statement> {
        let (few, many): (Vec<_>, Vec<_>) =
            self.tables.iter().partition(|table| table.rows.len() <= AT_ONCE.min(table.fit()));
        let mut by_count = BTreeMap::<usize, Vec<&Table>>::new();
        for table in few {
            by_count.entry(table.rows.len()).or_default().push(table);
        }
        let few = by_count.into_values().map(|tables| statement(&tables));
        few.chain(many.into_iter().flat_map(|table| table.in_powers(DbBackend::Sqlite))).collect()
    }
}

/// All rows of these tables for SQLite, which takes several statements in one text.
fn statement(tables: &[&Table]) -> Statement {
    let texts: Vec<String> =
        tables.iter().map(|table| table.sql(DbBackend::Sqlite, table.rows.len())).collect();
    let values = tables.iter().flat_map(|table| table.rows.iter().flatten()).cloned();
    Statement::from_sql_and_values(DbBackend::Sqlite, texts.join(platform_trace::BETWEEN_STATEMENTS), values)
}

impl Table {
    /// The most rows of one statement.
    fn fit(&self) -> usize {
        (MOST_VARIABLES / self.columns.len().max(1)).clamp(1, MOST_ROWS)
    }

    fn in_powers(&self, backend: DbBackend) -> Vec<Statement> {
        let mut statements = Vec::new();
        let mut rest = self.rows.as_slice();
        while !rest.is_empty() {
            // The largest power of two that fits.
            let (now, later) = rest.split_at(1 << rest.len().min(self.fit()).ilog2());
            let values = now.iter().flatten().cloned();
            statements.push(Statement::from_sql_and_values(backend, self.sql(backend, now.len()), values));
            rest = later;
        }
        statements
    }

    fn sql(&self, backend: DbBackend, rows: usize) -> String {
        let quote = if backend == DbBackend::MySql { '`' } else { '"' };
        let columns: Vec<String> =
            self.columns.iter().map(|column| format!("{quote}{column}{quote}")).collect();
        let marks = format!("({})", vec!["?"; self.columns.len()].join(","));
        format!(
            "INSERT INTO {quote}{}{quote} ({}) VALUES {}",
            self.name,
            columns.join(","),
            vec![marks.as_str(); rows].join(",")
        )
    }
}

fn shard_of(value: &Value) -> Option<Shard> {
    match value {
        Value::Int(Some(number)) => u16::try_from(*number).ok().map(Shard::new),
        _ => None,
    }
}

/// Longest body of an event: brokers take messages of 5 MiB, and one that none takes would hold up its shard for ever.
const LONGEST_EVENT: usize = 4 << 20;

const OUTBOX_TABLE: &str = "outbox";
const OUTBOX: &[&str] = &["shard", "id", "topic", "aggregate", "at", "body", "trace"];
/// Which of them the id is.
const OUTBOX_ID: usize = 1;

/// The outbox row of an event, with the trace of whoever publishes it. `request.too_large` above [`LONGEST_EVENT`].
pub(crate) fn event_row<E: EventBody>(
    id: uuid::Uuid,
    shard: Shard,
    at: Timestamp,
    event: &E,
) -> Result<Vec<Value>> {
    let body = serde_json::to_vec(event).map_err(Failure::internal)?;
    if body.len() > LONGEST_EVENT {
        let size = body.len();
        return Err(Failure::new(code::TOO_LARGE).detail(format!(
            "an event has at most {LONGEST_EVENT} bytes; this one, {}, has {size}",
            E::TOPIC
        )));
    }
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

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Serialize, Deserialize)]
    struct Told(String);

    impl EventBody for Told {
        const TOPIC: &'static str = "test.told.v1";
        fn aggregate(&self) -> String {
            "told".to_owned()
        }
    }

    #[test]
    fn an_event_that_no_broker_takes_is_refused_where_it_is_written() {
        let row = |length| {
            let event = Told("x".repeat(length));
            event_row(uuid::Uuid::nil(), Shard::new(0), Timestamp::from_micros(0), &event)
        };
        // JSON adds the quotes.
        row(LONGEST_EVENT - 2).unwrap();
        assert!(row(LONGEST_EVENT - 1).unwrap_err().is(code::TOO_LARGE));
    }
}
