//! All SQL of orders.

mod acknowledged;
mod audit;
mod entity;
mod intake;

use std::collections::HashMap;

use contracts::{
    UserId,
    order::{OrderHistoryView, OrderId, OrderPlaced, OrderState},
    payment::PaymentId,
};
use kernel::{Result, Shard, Timestamp};
use platform_db::{Db, DbResult, Rows, Tx};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, Order as Direction, QueryFilter, QueryOrder,
    QuerySelect, sea_query::Expr,
};
use uuid::Uuid;

pub(crate) use self::acknowledged::{Kept, answers, present};
pub(crate) use self::audit::page_with_history;
use self::entity::{order_history, order_line, order_number, orders, shard};
pub(crate) use self::intake::{TAKEN, by_ids, insert_taken, numbers, remove};
use crate::{
    model::Order,
    moves::{Actor, Entry, Moved, News},
    states::Word,
};

/// Tables whose unique keys an append may hit.
pub(crate) const ORDERS: &str = "orders";
pub(crate) const NUMBERS: &str = "order_number";

/// Where a page ended: the moment and the id of its last order.
pub(crate) type Position = (i64, Uuid);

/// Everything that placing an order writes.
pub(crate) fn placed(db: &Db, order: &Order) -> Result<Rows> {
    let entry = Entry {
        actor: Actor::Shopper(order.user_id),
        from: None,
        to: order.state,
        reason: "placed".to_owned(),
    };
    let event = OrderPlaced {
        order_id: order.id,
        user_id: order.user_id,
        lines: order.ordered(),
        from_cart: order.from_cart,
        total: order.totals.total,
    };
    Rows::new()
        .row(entity::order_row(order, order.placed_at)?)
        .rows(entity::line_rows(order)?)
        .row(entity::history_row(order, &entry, order.placed_at))
        .row(order_number::Model { number: order.number.clone(), order_id: order.id.uuid() })
        .event(db, order.id.shard(), &event)
}

/// Saves a move, if the order still is `before`; false when it has moved on meanwhile, and then nothing is written.
pub(crate) async fn save(tx: &Tx, before: &Order, moved: &Moved) -> Result<bool> {
    let after = &moved.order;
    let changed = orders::Entity::update_many()
        .col_expr(orders::Column::State, Expr::value(after.state.word()))
        .col_expr(orders::Column::PaymentState, Expr::value(after.payment_state.word()))
        .col_expr(orders::Column::FulfilmentState, Expr::value(after.fulfilment_state.word()))
        .col_expr(orders::Column::Version, Expr::value(after.version))
        .col_expr(orders::Column::HoldId, Expr::value(after.hold_id.uuid()))
        .col_expr(orders::Column::HoldAttempt, Expr::value(after.hold_attempt))
        .col_expr(orders::Column::Refunded, Expr::value(after.refunded))
        .col_expr(orders::Column::UpdatedAt, Expr::value(tx.now().micros()))
        .col_expr(orders::Column::PaidAt, Expr::value(after.paid_at.map(Timestamp::micros)))
        .col_expr(orders::Column::CancelledAt, Expr::value(after.cancelled_at.map(Timestamp::micros)))
        .col_expr(orders::Column::CancelReason, Expr::value(after.cancel_reason.map(Word::word)))
        .col_expr(orders::Column::PaymentId, Expr::value(after.payment_id.map(PaymentId::uuid)))
        .col_expr(orders::Column::PaymentNumber, Expr::value(after.payment_number.clone()))
        .filter(orders::Column::Shard.eq(shard(before.id.shard())))
        .filter(orders::Column::Id.eq(before.id.uuid()))
        .filter(orders::Column::State.eq(before.state.word()))
        .filter(orders::Column::Version.eq(before.version))
        .exec(tx)
        .await
        .db()?;
    if changed.rows_affected != 1 {
        return Ok(false);
    }
    if let Some(entry) = &moved.entry {
        Rows::new().row(entity::history_row(after, entry, tx.now())).insert(tx).await?;
    }
    match &moved.news {
        Some(News::Paid(event)) => tx.publish(event).await?,
        Some(News::Cancelled(event)) => tx.publish(event).await?,
        None => {}
    }
    Ok(true)
}

/// An order with its lines.
pub(crate) async fn find(connection: &impl ConnectionTrait, id: OrderId) -> Result<Option<Order>> {
    let row = orders::Entity::find_by_id((shard(id.shard()), id.uuid())).one(connection).await.db()?;
    let Some(row) = row else { return Ok(None) };
    Ok(with_lines(connection, id.shard(), vec![row]).await?.pop())
}

/// A shopper's orders, newest first, after `position`.
pub(crate) async fn of_user(
    connection: &impl ConnectionTrait,
    user_id: UserId,
    state: Option<OrderState>,
    after: Option<Position>,
    limit: u64,
) -> Result<Vec<Order>> {
    let own = Condition::all().add(orders::Column::UserId.eq(user_id.uuid()));
    newest(connection, user_id.shard(), own, state, after, limit).await
}

/// A shard's orders, newest first, after `position`.
pub(crate) async fn of_shard(
    connection: &impl ConnectionTrait,
    shard: Shard,
    state: Option<OrderState>,
    after: Option<Position>,
    limit: u64,
) -> Result<Vec<Order>> {
    newest(connection, shard, Condition::all(), state, after, limit).await
}

async fn newest(
    connection: &impl ConnectionTrait,
    on: Shard,
    whose: Condition,
    state: Option<OrderState>,
    after: Option<Position>,
    limit: u64,
) -> Result<Vec<Order>> {
    let mut which = whose.add(orders::Column::Shard.eq(shard(on)));
    if let Some(state) = state {
        which = which.add(orders::Column::State.eq(state.word()));
    }
    if let Some((placed_at, id)) = after {
        let same_moment =
            Condition::all().add(orders::Column::PlacedAt.eq(placed_at)).add(orders::Column::Id.lt(id));
        // The first comparison alone bounds the scan of the index.
        which = which
            .add(orders::Column::PlacedAt.lte(placed_at))
            .add(Condition::any().add(orders::Column::PlacedAt.lt(placed_at)).add(same_moment));
    }
    let rows = orders::Entity::find()
        .filter(which)
        .order_by(orders::Column::PlacedAt, Direction::Desc)
        .order_by(orders::Column::Id, Direction::Desc)
        .limit(limit)
        .all(connection)
        .await
        .db()?;
    with_lines(connection, on, rows).await
}

/// Orders of a shard that should have been paid by `now`, the longest overdue first.
pub(crate) async fn due(
    connection: &impl ConnectionTrait,
    on: Shard,
    now: Timestamp,
    limit: u64,
) -> Result<Vec<Order>> {
    let rows = orders::Entity::find()
        .filter(orders::Column::Shard.eq(shard(on)))
        .filter(orders::Column::State.eq(OrderState::PendingPayment.word()))
        .filter(orders::Column::ExpiresAt.lte(now.micros()))
        .order_by(orders::Column::ExpiresAt, Direction::Asc)
        .limit(limit)
        .all(connection)
        .await
        .db()?;
    with_lines(connection, on, rows).await
}

/// What happened to an order, oldest first.
pub(crate) async fn history(connection: &impl ConnectionTrait, id: OrderId) -> Result<Vec<OrderHistoryView>> {
    order_history::Entity::find()
        .filter(order_history::Column::Shard.eq(shard(id.shard())))
        .filter(order_history::Column::OrderId.eq(id.uuid()))
        .order_by(order_history::Column::Version, Direction::Asc)
        .all(connection)
        .await
        .db()?
        .into_iter()
        .map(entity::step)
        .collect()
}

/// Adds their lines to orders of one shard: one query for all of them.
async fn with_lines(
    connection: &impl ConnectionTrait,
    on: Shard,
    rows: Vec<orders::Model>,
) -> Result<Vec<Order>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let lines = order_line::Entity::find()
        .filter(order_line::Column::Shard.eq(shard(on)))
        .filter(order_line::Column::OrderId.is_in(rows.iter().map(|row| row.id)))
        .order_by(order_line::Column::OrderId, Direction::Asc)
        .order_by(order_line::Column::Position, Direction::Asc)
        .all(connection)
        .await
        .db()?;
    let mut by_order: HashMap<Uuid, Vec<order_line::Model>> = HashMap::with_capacity(rows.len());
    for line in lines {
        by_order.entry(line.order_id).or_default().push(line);
    }
    rows.into_iter()
        .map(|row| {
            let lines = by_order.remove(&row.id).unwrap_or_default();
            entity::order(row, lines)
        })
        .collect()
}
