//! Lists orders.

use contracts::{
    Ctx, Permission,
    order::{ListOrders, OrderView},
};
use futures::future::try_join_all;
use kernel::{Cursors, Page, Result, page_limit};

use crate::{
    model::Order,
    service::OrderService,
    store::{self, Position},
};

impl OrderService {
    /// The caller's orders, newest first.
    pub(crate) async fn list_own(&self, ctx: &Ctx, command: ListOrders) -> Result<Page<OrderView>> {
        let user_id = ctx.user()?;
        let cursors = Cursors::of("order.own", &(user_id, command.state));
        let (after, limit) = bounds(&command, cursors)?;
        let orders =
            store::of_user(self.db.read(), user_id, command.state, after, u64::from(limit) + 1).await?;
        Ok(page(orders, limit, cursors))
    }

    /// Every shopper's orders, newest first: a page of every shard, merged.
    pub(crate) async fn list_all(&self, ctx: &Ctx, command: ListOrders) -> Result<Page<OrderView>> {
        ctx.require(Permission::OrderRead)?;
        let cursors = Cursors::of("order.all", &command.state);
        let (after, limit) = bounds(&command, cursors)?;
        let shards = self
            .db
            .every_shard()
            .map(|shard| store::of_shard(self.db.read(), shard, command.state, after, u64::from(limit) + 1));
        let mut orders: Vec<Order> = try_join_all(shards).await?.into_iter().flatten().collect();
        orders.sort_by_key(|order| std::cmp::Reverse(position(order)));
        orders.truncate(limit as usize + 1);
        Ok(page(orders, limit, cursors))
    }
}

fn bounds(command: &ListOrders, cursors: Cursors) -> Result<(Option<Position>, u32)> {
    Ok((cursors.read(command.cursor.as_deref())?, page_limit(command.limit)?))
}

fn position(order: &Order) -> Position {
    (order.placed_at.micros(), order.id.uuid())
}

fn page(orders: Vec<Order>, limit: u32, cursors: Cursors) -> Page<OrderView> {
    cursors.page(orders, limit, position).map(|order| order.view())
}
