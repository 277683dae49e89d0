//! SQL of progress, of rows that are not in, and of brands and categories that were made.

use contracts::intake::Digest;
use kernel::{Result, Timestamp};
use platform_db::{Db, DbResult, Rows, Tx};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::Expr,
};

use super::{
    entity::{error, made as made_entity, progress as progress_entity},
    source::START,
};
use crate::map::Wrong;
pub(crate) use made_entity::Model as MadeRow;
pub(crate) use progress_entity::Model as ProgressRow;

/// Longest reason that is kept, and longest key.
const REASON: usize = 1_000;
const KEY: usize = 40;

/// How far the tables of a source are.
pub(crate) async fn progress(on: &impl ConnectionTrait, source: &str) -> Result<Vec<ProgressRow>> {
    progress_entity::Entity::find().filter(progress_entity::Column::Source.eq(source)).all(on).await.db()
}

/// How a pass of a table begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Begin {
    pub(crate) passes: i64,
    /// When, by the source's clock.
    pub(crate) mark: Timestamp,
    /// From when on it reads changes; none: every row.
    pub(crate) since: Option<Timestamp>,
    /// How rows are read.
    pub(crate) way: Digest,
}

/// Begins a pass of a table.
pub(crate) async fn start_pass(tx: &Tx, source: &str, name: &str, begin: Begin) -> Result<ProgressRow> {
    progress_entity::Entity::delete_by_id((source.to_owned(), name.to_owned())).exec(tx).await.db()?;
    let row = ProgressRow {
        source: source.to_owned(),
        name: name.to_owned(),
        position: START,
        passes: begin.passes,
        rows_read: 0,
        created: 0,
        updated: 0,
        unchanged: 0,
        changed_here: 0,
        refused: 0,
        finished: false,
        updated_at: tx.now().micros(),
        since: begin.since.map(Timestamp::micros),
        mark: Some(begin.mark.micros()),
        way: Some(begin.way.to_vec()),
        there: None,
    };
    Rows::new().row(row.clone()).insert(tx).await?;
    Ok(row)
}

/// Writes progress, if it still stands at `from`; false when another process has moved it.
pub(crate) async fn advance(tx: &Tx, row: &ProgressRow, from: i64) -> Result<bool> {
    use progress_entity::Column;
    let done = progress_entity::Entity::update_many()
        .col_expr(Column::Position, Expr::value(row.position))
        .col_expr(Column::RowsRead, Expr::value(row.rows_read))
        .col_expr(Column::Created, Expr::value(row.created))
        .col_expr(Column::Updated, Expr::value(row.updated))
        .col_expr(Column::Unchanged, Expr::value(row.unchanged))
        .col_expr(Column::ChangedHere, Expr::value(row.changed_here))
        .col_expr(Column::Refused, Expr::value(row.refused))
        .col_expr(Column::Finished, Expr::value(row.finished))
        .col_expr(Column::There, Expr::value(row.there))
        .col_expr(Column::UpdatedAt, Expr::value(tx.now().micros()))
        .filter(Column::Source.eq(&row.source))
        .filter(Column::Name.eq(&row.name))
        .filter(Column::Position.eq(from))
        .filter(Column::Passes.eq(row.passes))
        .filter(Column::Finished.eq(false))
        .exec(tx)
        .await
        .db()?;
    Ok(done.rows_affected == 1)
}

/// Forgets how far a source is.
pub(crate) async fn forget_source(tx: &Tx, source: &str) -> Result<()> {
    progress_entity::Entity::delete_many()
        .filter(progress_entity::Column::Source.eq(source))
        .exec(tx)
        .await
        .db()?;
    error::Entity::delete_many().filter(error::Column::Source.eq(source)).exec(tx).await.db()?;
    Ok(())
}

/// Puts what is wrong with rows in the place of what was.
pub(crate) async fn put_errors(tx: &Tx, source: &str, wrong: &[Wrong]) -> Result<()> {
    let mut rows = Rows::new();
    let mut seen = std::collections::HashSet::new();
    for it in wrong {
        let key: String = it.key.chars().take(KEY).collect();
        if !seen.insert((it.name, key.clone())) {
            continue;
        }
        let id = (source.to_owned(), it.name.to_owned(), key.clone());
        error::Entity::delete_by_id(id).exec(tx).await.db()?;
        rows = rows.row(error::Model {
            source: source.to_owned(),
            name: it.name.to_owned(),
            source_key: key,
            reason: it.reason.chars().take(REASON).collect(),
            at: tx.now().micros(),
        });
    }
    rows.insert(tx).await
}

/// Forgets what was wrong with these rows.
pub(crate) async fn clear_errors(tx: &Tx, source: &str, names: &[&str], keys: &[String]) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    error::Entity::delete_many()
        .filter(error::Column::Source.eq(source))
        .filter(error::Column::Name.is_in(names.iter().copied()))
        .filter(error::Column::SourceKey.is_in(keys.iter().map(String::as_str)))
        .exec(tx)
        .await
        .db()?;
    Ok(())
}

/// Which of these rows are not in.
pub(crate) async fn errors_of(
    on: &impl ConnectionTrait,
    source: &str,
    name: &str,
    keys: &[String],
) -> Result<Vec<String>> {
    let rows = error::Entity::find()
        .filter(error::Column::Source.eq(source))
        .filter(error::Column::Name.eq(name))
        .filter(error::Column::SourceKey.is_in(keys.iter().map(String::as_str)))
        .all(on)
        .await
        .db()?;
    Ok(rows.into_iter().map(|row| row.source_key).collect())
}

/// Keys of rows of a table that are not in, at most `limit`.
pub(crate) async fn refused(
    on: &impl ConnectionTrait,
    source: &str,
    name: &str,
    limit: u64,
) -> Result<Vec<String>> {
    let rows = error::Entity::find()
        .filter(error::Column::Source.eq(source))
        .filter(error::Column::Name.eq(name))
        .order_by_asc(error::Column::SourceKey)
        .limit(limit)
        .all(on)
        .await
        .db()?;
    Ok(rows.into_iter().map(|row| row.source_key).collect())
}

/// What is wrong with rows of a source: table, key, reason; in order, after `after`.
pub(crate) async fn errors(
    db: &Db,
    source: &str,
    after: Option<(String, String)>,
    limit: u64,
) -> Result<Vec<(String, String, String, Timestamp)>> {
    use error::Column;
    let mut query = error::Entity::find().filter(Column::Source.eq(source));
    if let Some((name, key)) = after {
        query = query
            .filter(Column::Name.gt(name.clone()).or(Column::Name.eq(name).and(Column::SourceKey.gt(key))));
    }
    let rows = query
        .order_by_asc(Column::Name)
        .order_by_asc(Column::SourceKey)
        .limit(limit)
        .all(db.read())
        .await
        .db()?;
    let row = |row: error::Model| (row.name, row.source_key, row.reason, Timestamp::from_micros(row.at));
    Ok(rows.into_iter().map(row).collect())
}

/// Brands or categories that were made for a source.
pub(crate) async fn made(on: &impl ConnectionTrait, source: &str, kind: &str) -> Result<Vec<MadeRow>> {
    made_entity::Entity::find()
        .filter(made_entity::Column::Source.eq(source))
        .filter(made_entity::Column::Kind.eq(kind))
        .all(on)
        .await
        .db()
}

/// Notes one that is made, or is going to be.
pub(crate) async fn put_made(tx: &Tx, row: &MadeRow) -> Result<()> {
    remove_made(tx, row).await?;
    Rows::new().row(row.clone()).insert(tx).await
}

/// Forgets one.
pub(crate) async fn remove_made(tx: &Tx, row: &MadeRow) -> Result<()> {
    let id = (row.source.clone(), row.kind.clone(), row.name.clone());
    made_entity::Entity::delete_by_id(id).exec(tx).await.db()?;
    Ok(())
}
