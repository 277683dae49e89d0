//! The answers that acknowledged orders, and which of the orders are there. The answers are rows of the platform's, in the
//! transaction of the order each; here they are read and nowhere written.

use std::collections::HashSet;

use contracts::order::OrderId;
use kernel::{Result, Shard, Timestamp};
use platform_db::DbResult;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect, Statement};
use uuid::Uuid;

use super::entity::{orders, shard};
use crate::place::ROUTE;

/// An answer that was kept.
pub(crate) struct Kept {
    /// Who asked.
    pub(crate) principal: String,
    /// Under which key.
    pub(crate) key: String,
    /// The order, as it was placed, in JSON.
    pub(crate) answer: Vec<u8>,
    /// When it was answered.
    pub(crate) at: Timestamp,
}

/// Answers to who placed orders in a shard, after a principal and a key, in their order. Where rows are appended without a key
/// (`append`), there are many, and none is such an answer.
pub(crate) async fn answers(
    on: &impl ConnectionTrait,
    of: Shard,
    after: (&str, &str),
    most: u32,
) -> Result<Vec<Kept>> {
    let sql = "SELECT principal, request_key, answer, created_at FROM idempotency WHERE shard = ? \
               AND principal >= ? AND (principal > ? OR (principal = ? AND request_key > ?)) AND principal <> 'append' \
               AND route = ? ORDER BY principal, route, request_key LIMIT ?";
    let (principal, key) = after;
    let values = [
        shard(of).into(),
        principal.into(),
        principal.into(),
        principal.into(),
        key.into(),
        ROUTE.into(),
        most.into(),
    ];
    let rows = on.query_all_raw(Statement::from_sql_and_values(on.get_database_backend(), sql, values));
    let kept = rows.await.db()?.into_iter().map(|row| {
        Ok(Kept {
            principal: row.try_get_by_index(0).db()?,
            key: row.try_get_by_index(1).db()?,
            answer: row.try_get_by_index(2).db()?,
            at: Timestamp::from_micros(row.try_get_by_index(3).db()?),
        })
    });
    kept.collect()
}

/// Which of these orders of a shard are there.
pub(crate) async fn present(
    on: &impl ConnectionTrait,
    of: Shard,
    ids: &[OrderId],
) -> Result<HashSet<OrderId>> {
    if ids.is_empty() {
        return Ok(HashSet::new());
    }
    let found: Vec<Uuid> = orders::Entity::find()
        .select_only()
        .column(orders::Column::Id)
        .filter(orders::Column::Shard.eq(shard(of)))
        .filter(orders::Column::Id.is_in(ids.iter().map(|id| id.uuid())))
        .into_tuple()
        .all(on)
        .await
        .db()?;
    Ok(found.into_iter().map(OrderId::from_uuid).collect())
}
