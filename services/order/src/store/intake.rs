//! SQL of orders that come from another shop.

use std::collections::{BTreeMap, HashMap};

use contracts::order::OrderId;
use kernel::{Result, Timestamp};
use platform_db::{DbResult, Marks, Rows, Tx};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::{
    entity::{self, order_history, order_line, order_number, orders, shard},
    with_lines,
};
use crate::{model::Order, moves::Entry};

/// What was taken in.
pub(crate) const TAKEN: Marks = Marks::of("order_taken");

/// Orders with their lines, by id: two queries a shard.
pub(crate) async fn by_ids(on: &impl ConnectionTrait, ids: &[Uuid]) -> Result<HashMap<Uuid, Order>> {
    let mut by_shard: BTreeMap<_, Vec<Uuid>> = BTreeMap::new();
    for id in ids {
        by_shard.entry(OrderId::from_uuid(*id).shard()).or_default().push(*id);
    }
    let mut known = HashMap::with_capacity(ids.len());
    for (home, ids) in by_shard {
        let rows = orders::Entity::find()
            .filter(orders::Column::Shard.eq(shard(home)))
            .filter(orders::Column::Id.is_in(ids))
            .all(on)
            .await
            .db()?;
        known.extend(with_lines(on, home, rows).await?.into_iter().map(|order| (order.id.uuid(), order)));
    }
    Ok(known)
}

/// Which orders have these numbers.
pub(crate) async fn numbers(
    on: &impl ConnectionTrait,
    numbers: Vec<String>,
) -> Result<HashMap<String, Uuid>> {
    let rows = order_number::Entity::find()
        .filter(order_number::Column::Number.is_in(numbers))
        .all(on)
        .await
        .db()?;
    Ok(rows.into_iter().map(|row| (row.number, row.order_id)).collect())
}

/// Inserts an order with its history. No event tells of it.
pub(crate) async fn insert_taken(tx: &Tx, order: &Order, steps: &[(Entry, Timestamp)]) -> Result<()> {
    let mut history = Vec::with_capacity(steps.len());
    for (version, (entry, at)) in (1_i64..).zip(steps) {
        history.push(order_history::Model { version, ..entity::history_row(order, entry, *at) });
    }
    Rows::new()
        .row(entity::order_row(order, tx.now())?)
        .rows(entity::line_rows(order)?)
        .rows(history)
        .row(order_number::Model { number: order.number.clone(), order_id: order.id.uuid() })
        .insert(tx)
        .await
}

/// Removes an order with everything that belongs to it.
pub(crate) async fn remove(tx: &Tx, order: &Order) -> Result<()> {
    let (home, id) = (shard(order.id.shard()), order.id.uuid());
    order_number::Entity::delete_by_id(order.number.clone()).exec(tx).await.db()?;
    order_history::Entity::delete_many()
        .filter(order_history::Column::Shard.eq(home))
        .filter(order_history::Column::OrderId.eq(id))
        .exec(tx)
        .await
        .db()?;
    order_line::Entity::delete_many()
        .filter(order_line::Column::Shard.eq(home))
        .filter(order_line::Column::OrderId.eq(id))
        .exec(tx)
        .await
        .db()?;
    orders::Entity::delete_by_id((home, id)).exec(tx).await.db()?;
    Ok(())
}
