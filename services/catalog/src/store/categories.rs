//! The category tree.

use std::collections::HashMap;

use contracts::catalog::CategoryId;
use kernel::{Result, Timestamp};
use platform_db::DbResult;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, PaginatorTrait, QueryFilter, QuerySelect,
    sea_query::{Expr, ExprTrait},
};
use uuid::Uuid;

use super::entity::{category, category_tree, product};
use crate::tree::Category;

pub(crate) use super::entity::category::Model as CategoryRow;

impl From<CategoryRow> for Category {
    fn from(row: CategoryRow) -> Self {
        Self {
            id: CategoryId::from_uuid(row.id),
            parent: row.parent_id.map(CategoryId::from_uuid),
            slug: row.slug,
            name: row.name,
            position: row.position,
            external_id: row.external_id,
            path: row.path,
        }
    }
}

impl Category {
    /// As a new row.
    pub(crate) fn row(&self, now: Timestamp) -> CategoryRow {
        CategoryRow {
            id: self.id.uuid(),
            parent_id: self.parent.map(CategoryId::uuid),
            slug: self.slug.clone(),
            name: self.name.clone(),
            position: self.position,
            external_id: self.external_id.clone(),
            path: self.path.clone(),
            created_at: now.micros(),
            updated_at: now.micros(),
        }
    }
}

/// Every category.
pub(crate) async fn all(connection: &impl ConnectionTrait) -> Result<Vec<Category>> {
    let rows = category::Entity::find().all(connection).await.db()?;
    Ok(rows.into_iter().map(Category::from).collect())
}

/// Writes the row that every change of the tree writes: changes come one after the other, on any database.
pub(crate) async fn lock(connection: &impl ConnectionTrait) -> Result<()> {
    category_tree::Entity::update_many()
        .col_expr(category_tree::Column::Version, Expr::col(category_tree::Column::Version).add(1))
        .filter(category_tree::Column::Id.eq(1))
        .exec(connection)
        .await
        .db()
        .map(|_| ())
}

/// Writes what a category became.
pub(crate) async fn replace(connection: &impl ConnectionTrait, to: &Category, now: Timestamp) -> Result<()> {
    category::Entity::update_many()
        .col_expr(category::Column::ParentId, Expr::value(to.parent.map(CategoryId::uuid)))
        .col_expr(category::Column::Slug, Expr::value(to.slug.as_str()))
        .col_expr(category::Column::Name, Expr::value(to.name.as_str()))
        .col_expr(category::Column::Position, Expr::value(to.position))
        .col_expr(category::Column::Path, Expr::value(to.path.as_str()))
        .col_expr(category::Column::UpdatedAt, Expr::value(now.micros()))
        .filter(category::Column::Id.eq(to.id.uuid()))
        .exec(connection)
        .await
        .db()
        .map(|_| ())
}

pub(crate) async fn remove(connection: &impl ConnectionTrait, id: CategoryId) -> Result<()> {
    category::Entity::delete_by_id(id.uuid()).exec(connection).await.db().map(|_| ())
}

/// Whether any product, draft or sold, has this main category.
pub(crate) async fn has_products(connection: &impl ConnectionTrait, id: CategoryId) -> Result<bool> {
    let count = product::Entity::find()
        .filter(product::Column::CategoryId.eq(id.uuid()))
        .count(connection)
        .await
        .db()?;
    Ok(count > 0)
}

#[derive(FromQueryResult)]
struct Count {
    category_id: Option<Uuid>,
    count: i64,
}

/// Sold products directly in each category.
pub(crate) async fn counts(connection: &impl ConnectionTrait) -> Result<HashMap<CategoryId, u64>> {
    let rows: Vec<Count> = product::Entity::find()
        .select_only()
        .column(product::Column::CategoryId)
        .column_as(product::Column::Id.count(), "count")
        .filter(product::Column::CategoryId.is_not_null())
        .filter(product::Column::Sold.eq(true))
        .group_by(product::Column::CategoryId)
        .into_model()
        .all(connection)
        .await
        .db()?;
    let counted =
        |row: Count| Some((CategoryId::from_uuid(row.category_id?), u64::try_from(row.count).unwrap_or(0)));
    Ok(rows.into_iter().filter_map(counted).collect())
}
