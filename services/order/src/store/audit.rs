//! Orders with their history, for the audit.

use std::collections::HashMap;

use contracts::order::OrderHistoryView;
use kernel::{Result, Shard};
use platform_db::{Db, DbResult};
use sea_orm::{ColumnTrait, Condition, EntityTrait, Order as Direction, QueryFilter, QueryOrder};
use uuid::Uuid;

use super::{
    Position,
    entity::{self, order_history, shard},
    newest,
};
use crate::model::Order;

/// A shard's orders, newest first, after `position`, each with what happened to it, oldest first: all of one moment.
pub(crate) async fn page_with_history(
    db: &Db,
    on: Shard,
    after: Option<Position>,
    limit: u64,
) -> Result<Vec<(Order, Vec<OrderHistoryView>)>> {
    let snapshot = db.read().snapshot().await.db()?;
    let orders = newest(&snapshot, on, Condition::all(), None, after, limit).await?;
    let steps = order_history::Entity::find()
        .filter(order_history::Column::Shard.eq(shard(on)))
        .filter(order_history::Column::OrderId.is_in(orders.iter().map(|order| order.id.uuid())))
        .order_by(order_history::Column::OrderId, Direction::Asc)
        .order_by(order_history::Column::Version, Direction::Asc)
        .all(&snapshot)
        .await
        .db()?;
    snapshot.rollback().await.db()?;
    let mut by_order: HashMap<Uuid, Vec<OrderHistoryView>> = HashMap::with_capacity(orders.len());
    for step in steps {
        by_order.entry(step.order_id).or_default().push(entity::step(step)?);
    }
    let with_steps = |order: Order| {
        let steps = by_order.remove(&order.id.uuid()).unwrap_or_default();
        (order, steps)
    };
    Ok(orders.into_iter().map(with_steps).collect())
}
