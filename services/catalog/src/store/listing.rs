//! Lists of products, by keyset.

use contracts::catalog::{BrandId, ProductId, ProductState};
use kernel::{Result, Timestamp};
use platform_db::DbResult;
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, Select,
    sea_query::{Expr, ExprTrait, Func, Query},
};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::entity::{category, product};
use crate::model::state_name;

/// Where a page of sold products ends.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Position {
    pub(crate) published_at: i64,
    pub(crate) id: ProductId,
}

/// Which sold products to list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wanted {
    /// Path of the category that they are in or below, and whether many products are.
    pub(crate) below: Option<(String, bool)>,
    pub(crate) brand: Option<BrandId>,
    pub(crate) after: Option<Position>,
    pub(crate) limit: u64,
}

#[derive(FromQueryResult)]
struct Found {
    id: Uuid,
    published_at: Option<i64>,
}

/// Sold products, newest first.
pub(crate) async fn sold(connection: &impl ConnectionTrait, wanted: Wanted) -> Result<Vec<Position>> {
    let mut query = product::Entity::find()
        .select_only()
        .column(product::Column::Id)
        .column(product::Column::PublishedAt)
        .filter(product::Column::Sold.eq(true));
    if let Some((path, many)) = wanted.below {
        query = query.filter(in_categories_below(&path, many));
    }
    if let Some(brand) = wanted.brand {
        query = query.filter(product::Column::BrandId.eq(brand.uuid()));
    }
    if let Some(Position { published_at, id }) = wanted.after {
        query = query.filter(
            Condition::any().add(product::Column::PublishedAt.lt(published_at)).add(
                Condition::all()
                    .add(product::Column::PublishedAt.eq(published_at))
                    .add(product::Column::Id.lt(id.uuid())),
            ),
        );
    }
    let rows: Vec<Found> = query
        .order_by_desc(product::Column::PublishedAt)
        .order_by_desc(product::Column::Id)
        .limit(wanted.limit)
        .into_model()
        .all(connection)
        .await
        .db()?;
    let position = |row: Found| Position {
        published_at: row.published_at.unwrap_or(0),
        id: ProductId::from_uuid(row.id),
    };
    Ok(rows.into_iter().map(position).collect())
}

/// In the category with this path, or below it.
fn in_categories_below(path: &str, many: bool) -> Expr {
    let below = Query::select()
        .column(category::Column::Id)
        .from(category::Entity)
        .and_where(category::Column::Path.gte(path))
        .and_where(category::Column::Path.lt(after_all_below(path)))
        .to_owned();
    let column = Expr::col((product::Entity, product::Column::CategoryId));
    if many {
        // Where many products qualify it is cheaper to walk all products from the newest on and keep those that do than to
        // collect and sort them: the function keeps the optimiser from the category's index.
        Expr::from(Func::coalesce([column.clone(), column])).in_subquery(below)
    } else {
        column.in_subquery(below)
    }
}

/// What sorts just after every path that begins with this one, which ends with a slash: a range that an index serves, where
/// LIKE would not be (SQLite compares it without regard to case).
fn after_all_below(path: &str) -> String {
    format!("{}0", path.strip_suffix('/').unwrap_or(path))
}

/// Every product by id, drafts included.
pub(crate) async fn scan(
    connection: &impl ConnectionTrait,
    after: Option<ProductId>,
    limit: u64,
) -> Result<Vec<ProductId>> {
    let mut query = ids();
    if let Some(after) = after {
        query = query.filter(product::Column::Id.gt(after.uuid()));
    }
    found(query.order_by_asc(product::Column::Id).limit(limit), connection).await
}

/// The lowest id that a product made at `since` or later can have.
pub(crate) fn first_made(since: Timestamp) -> ProductId {
    let millis = u128::try_from(since.micros() / 1_000).unwrap_or(0);
    ProductId::from_uuid(Uuid::from_u128(millis << 80))
}

/// How many products there are, drafts included.
pub(crate) async fn count(connection: &impl ConnectionTrait) -> Result<u64> {
    product::Entity::find().count(connection).await.db()
}

/// What staff list.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StaffWanted {
    pub(crate) state: Option<ProductState>,
    pub(crate) on_shelf: Option<bool>,
    pub(crate) before: Option<ProductId>,
    pub(crate) limit: u64,
}

/// Products of any state, the last made first.
pub(crate) async fn of_staff(
    connection: &impl ConnectionTrait,
    wanted: StaffWanted,
) -> Result<Vec<ProductId>> {
    let mut query = ids();
    if let Some(state) = wanted.state {
        query = query.filter(product::Column::State.eq(state_name(state)));
    }
    if let Some(on_shelf) = wanted.on_shelf {
        query = query.filter(product::Column::OnShelf.eq(on_shelf));
    }
    if let Some(before) = wanted.before {
        query = query.filter(product::Column::Id.lt(before.uuid()));
    }
    found(query.order_by_desc(product::Column::Id).limit(wanted.limit), connection).await
}

fn ids() -> Select<product::Entity> {
    product::Entity::find().select_only().column(product::Column::Id).column(product::Column::PublishedAt)
}

async fn found(query: Select<product::Entity>, connection: &impl ConnectionTrait) -> Result<Vec<ProductId>> {
    let rows: Vec<Found> = query.into_model().all(connection).await.db()?;
    Ok(rows.into_iter().map(|row| ProductId::from_uuid(row.id)).collect())
}
