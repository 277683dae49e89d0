//! All SQL of the imports.

mod entity;

use contracts::import::{ImportError, ImportId, ImportKind, ImportState, ImportView};
use kernel::{Failure, Result, Timestamp};
use platform_db::{Db, DbResult, Rows, Tx};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::Expr,
};

use entity::{import, import_chunk, import_error};

pub(crate) use entity::import::Model as ImportRow;

/// Its file is still coming in.
pub(crate) const RECEIVING: &str = "receiving";
/// Waits for the job, or the job is at it.
pub(crate) const RUNNING: &str = "running";
/// A command reads the file itself; the job has no part in it.
pub(crate) const LOCAL: &str = "local";
pub(crate) const DONE: &str = "done";
pub(crate) const FAILED: &str = "failed";

/// A piece of a file: below what a TiDB row may hold.
const CHUNK: usize = 1 << 20;
/// Pieces in one transaction.
const CHUNKS: usize = 4;

pub(crate) fn kind_name(kind: ImportKind) -> &'static str {
    match kind {
        ImportKind::Products => "products",
        ImportKind::Categories => "categories",
    }
}

pub(crate) fn kind_of(row: &ImportRow) -> ImportKind {
    if row.kind == "categories" { ImportKind::Categories } else { ImportKind::Products }
}

fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

impl From<ImportRow> for ImportView {
    fn from(row: ImportRow) -> Self {
        Self {
            id: ImportId::from_uuid(row.id),
            kind: kind_of(&row),
            state: match row.state.as_str() {
                DONE => ImportState::Done,
                FAILED => ImportState::Failed,
                _ => ImportState::Running,
            },
            file_name: row.file_name,
            rows: count(row.row_count),
            rows_done: count(row.rows_done),
            created: count(row.created),
            updated: count(row.updated),
            unchanged: count(row.unchanged),
            failed: count(row.failed),
            error: row.error,
            started_at: Timestamp::from_micros(row.started_at),
            finished_at: row.finished_at.map(Timestamp::from_micros),
        }
    }
}

impl From<import_error::Model> for ImportError {
    fn from(row: import_error::Model) -> Self {
        Self { line: count(row.line), key: row.row_key, column: row.column_name, reason: row.reason }
    }
}

pub(crate) async fn insert(db: &Db, row: ImportRow) -> Result<()> {
    db.append(ImportId::from_uuid(row.id).shard(), Rows::new().row(row)).await
}

/// Keeps the file, a few pieces a transaction.
pub(crate) async fn keep_file(db: &Db, id: ImportId, bytes: &[u8]) -> Result<()> {
    let pieces = bytes.chunks(CHUNK).zip(0..).map(|(bytes, number)| import_chunk::Model {
        shard: i32::from(id.shard().number()),
        import_id: id.uuid(),
        number,
        bytes: bytes.to_vec(),
    });
    let pieces: Vec<import_chunk::Model> = pieces.collect();
    for some in pieces.chunks(CHUNKS) {
        db.append(id.shard(), Rows::new().rows(some.to_vec())).await?;
    }
    Ok(())
}

/// The file.
pub(crate) async fn file(db: &Db, id: ImportId) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for number in 0.. {
        let key = (i32::from(id.shard().number()), id.uuid(), number);
        match import_chunk::Entity::find_by_id(key).one(db.read()).await.db()? {
            Some(chunk) => bytes.extend_from_slice(&chunk.bytes),
            None => break,
        }
    }
    Ok(bytes)
}

async fn drop_file(tx: &Tx, id: ImportId) -> Result<()> {
    import_chunk::Entity::delete_many()
        .filter(import_chunk::Column::Shard.eq(i32::from(id.shard().number())))
        .filter(import_chunk::Column::ImportId.eq(id.uuid()))
        .exec(tx)
        .await
        .db()
        .map(|_| ())
}

/// The import; none where there is no such one.
pub(crate) async fn find(connection: &impl ConnectionTrait, id: ImportId) -> Result<Option<ImportRow>> {
    import::Entity::find_by_id((i32::from(id.shard().number()), id.uuid())).one(connection).await.db()
}

/// Imports, newest first.
pub(crate) async fn latest(connection: &impl ConnectionTrait, limit: u64) -> Result<Vec<ImportRow>> {
    import::Entity::find().order_by_desc(import::Column::Id).limit(limit).all(connection).await.db()
}

/// Imports in this state, the oldest first.
pub(crate) async fn in_state(
    connection: &impl ConnectionTrait,
    state: &str,
    limit: u64,
) -> Result<Vec<ImportRow>> {
    import::Entity::find()
        .filter(import::Column::State.eq(state))
        .order_by_asc(import::Column::StartedAt)
        .limit(limit)
        .all(connection)
        .await
        .db()
}

/// Moves an import from one state to another; false when it is in neither.
pub(crate) async fn begin(db: &Db, id: ImportId) -> Result<bool> {
    db.write(id.shard(), id, |tx, &id| {
        Box::pin(async move {
            let done = import::Entity::update_many()
                .col_expr(import::Column::State, Expr::value(RUNNING))
                .col_expr(import::Column::UpdatedAt, Expr::value(tx.now().micros()))
                .filter(import::Column::Shard.eq(i32::from(id.shard().number())))
                .filter(import::Column::Id.eq(id.uuid()))
                .filter(import::Column::State.eq(RECEIVING))
                .exec(tx)
                .await
                .db()?;
            Ok(done.rows_affected == 1)
        })
    })
    .await
}

/// Writes where an import stands, and new errors numbered from `first`. Guarded by the position it stood at before, so that
/// two workers never count a batch twice; false when another was there first. The file goes when the import ends.
pub(crate) async fn advance(
    db: &Db,
    row: ImportRow,
    from: i64,
    errors: Vec<ImportError>,
    first: i64,
) -> Result<bool> {
    let id = ImportId::from_uuid(row.id);
    db.write(id.shard(), (row, from, errors, first), |tx, (row, from, errors, first)| {
        Box::pin(async move {
            if !write_row(tx, row, *from).await? {
                return Ok(false);
            }
            let rows = (*first..).zip(errors).map(|(number, error)| error_row(row, number, error));
            Rows::new().rows(rows).insert(tx).await?;
            if row.finished_at.is_some() {
                drop_file(tx, ImportId::from_uuid(row.id)).await?;
            }
            Ok(true)
        })
    })
    .await
}

fn error_row(row: &ImportRow, number: i64, error: &ImportError) -> import_error::Model {
    let cut = |text: &str, most: usize| text.chars().take(most).collect::<String>();
    import_error::Model {
        shard: row.shard,
        import_id: row.id,
        number,
        line: i64::try_from(error.line).unwrap_or(i64::MAX),
        row_key: cut(&error.key, 300),
        column_name: error.column.as_deref().map(|column| cut(column, 200)),
        reason: cut(&error.reason, 2_000),
    }
}

async fn write_row(tx: &Tx, row: &ImportRow, from: i64) -> Result<bool> {
    let done = import::Entity::update_many()
        .col_expr(import::Column::State, Expr::value(row.state.as_str()))
        .col_expr(import::Column::Position, Expr::value(row.position))
        .col_expr(import::Column::RowCount, Expr::value(row.row_count))
        .col_expr(import::Column::RowsDone, Expr::value(row.rows_done))
        .col_expr(import::Column::Created, Expr::value(row.created))
        .col_expr(import::Column::Updated, Expr::value(row.updated))
        .col_expr(import::Column::Unchanged, Expr::value(row.unchanged))
        .col_expr(import::Column::Failed, Expr::value(row.failed))
        .col_expr(import::Column::Attempts, Expr::value(row.attempts))
        .col_expr(import::Column::UpdatedAt, Expr::value(tx.now().micros()))
        .col_expr(import::Column::Error, Expr::value(row.error.clone()))
        .col_expr(import::Column::FinishedAt, Expr::value(row.finished_at))
        .filter(import::Column::Shard.eq(row.shard))
        .filter(import::Column::Id.eq(row.id))
        .filter(import::Column::Position.eq(from))
        .filter(import::Column::FinishedAt.is_null())
        .exec(tx)
        .await
        .db()?;
    Ok(done.rows_affected == 1)
}

/// Rows with errors after `after`, with their numbers.
pub(crate) async fn errors(
    connection: &impl ConnectionTrait,
    id: ImportId,
    after: i64,
    limit: u64,
) -> Result<Vec<(i64, ImportError)>> {
    let rows = import_error::Entity::find()
        .filter(import_error::Column::Shard.eq(i32::from(id.shard().number())))
        .filter(import_error::Column::ImportId.eq(id.uuid()))
        .filter(import_error::Column::Number.gt(after))
        .order_by_asc(import_error::Column::Number)
        .limit(limit)
        .all(connection)
        .await
        .db()?;
    Ok(rows.into_iter().map(|row| (row.number, row.into())).collect())
}

/// How many errors an import has kept.
pub(crate) async fn last_error(connection: &impl ConnectionTrait, id: ImportId) -> Result<i64> {
    let last = import_error::Entity::find()
        .filter(import_error::Column::Shard.eq(i32::from(id.shard().number())))
        .filter(import_error::Column::ImportId.eq(id.uuid()))
        .order_by_desc(import_error::Column::Number)
        .one(connection)
        .await
        .db()?;
    Ok(last.map_or(0, |row| row.number))
}

/// The currency of an import.
pub(crate) fn currency_of(row: &ImportRow) -> Result<kernel::Currency> {
    kernel::Currency::from_code(&row.currency)
        .ok_or_else(|| Failure::internal(format!("{} is no currency", row.currency)))
}
