//! Lists orders.

use contracts::{
    Ctx, Permission,
    order::{ListOrders, OrderView},
};
use futures::future::try_join_all;
use kernel::{Cursor, Page, Result, page_limit};

use crate::{
    model::Order,
    service::OrderService,
    store::{self, Position},
};

impl OrderService {
    /// The caller's orders, newest first.
    pub(crate) async fn list_own(&self, ctx: &Ctx, command: ListOrders) -> Result<Page<OrderView>> {
        let user_id = ctx.user()?;
        let (after, limit) = bounds(&command)?;
        let orders =
            store::of_user(self.db.read(), user_id, command.state, after, u64::from(limit) + 1).await?;
        Ok(page(orders, limit))
    }

    /// Every shopper's orders, newest first: a page of every shard, merged.
    pub(crate) async fn list_all(&self, ctx: &Ctx, command: ListOrders) -> Result<Page<OrderView>> {
        ctx.require(Permission::OrderRead)?;
        let (after, limit) = bounds(&command)?;
        let shards = self
            .db
            .every_shard()
            .map(|shard| store::of_shard(self.db.read(), shard, command.state, after, u64::from(limit) + 1));
        let mut orders: Vec<Order> = try_join_all(shards).await?.into_iter().flatten().collect();
        orders.sort_by_key(|order| std::cmp::Reverse(position(order)));
        orders.truncate(limit as usize + 1);
        Ok(page(orders, limit))
    }
}

fn bounds(command: &ListOrders) -> Result<(Option<Position>, u32)> {
    let after = command.cursor.as_deref().map(Cursor::decode).transpose()?;
    Ok((after, page_limit(command.limit)?))
}

fn position(order: &Order) -> Position {
    (order.placed_at.micros(), order.id.uuid())
}

fn page(orders: Vec<Order>, limit: u32) -> Page<OrderView> {
    Page::cut(orders, limit, position).map(|order| order.view())
}
