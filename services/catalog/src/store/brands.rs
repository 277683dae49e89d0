//! Brands.

use contracts::catalog::{BrandId, BrandView};
use kernel::Result;
use platform_db::DbResult;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, sea_query::Expr,
};

use super::entity::{brand, product};

pub(crate) use super::entity::brand::Model as BrandRow;

impl From<BrandRow> for BrandView {
    fn from(row: BrandRow) -> Self {
        Self { id: BrandId::from_uuid(row.id), slug: row.slug, name: row.name }
    }
}

/// All brands by name.
pub(crate) async fn all(connection: &impl ConnectionTrait) -> Result<Vec<BrandRow>> {
    brand::Entity::find().order_by_asc(brand::Column::NameKey).all(connection).await.db()
}

pub(crate) async fn find(connection: &impl ConnectionTrait, id: BrandId) -> Result<Option<BrandRow>> {
    brand::Entity::find_by_id(id.uuid()).one(connection).await.db()
}

/// Brands by lower-case name.
pub(crate) async fn by_keys(connection: &impl ConnectionTrait, keys: Vec<String>) -> Result<Vec<BrandRow>> {
    brand::Entity::find().filter(brand::Column::NameKey.is_in(keys)).all(connection).await.db()
}

/// Which of these slugs brands have.
pub(crate) async fn taken_slugs(
    connection: &impl ConnectionTrait,
    slugs: Vec<String>,
) -> Result<Vec<String>> {
    let rows = brand::Entity::find().filter(brand::Column::Slug.is_in(slugs)).all(connection).await.db()?;
    Ok(rows.into_iter().map(|row| row.slug).collect())
}

/// Renames a brand; its slug stays, so that addresses keep working.
pub(crate) async fn rename(
    connection: &impl ConnectionTrait,
    id: BrandId,
    name: &str,
    key: &str,
) -> Result<()> {
    brand::Entity::update_many()
        .col_expr(brand::Column::Name, Expr::value(name))
        .col_expr(brand::Column::NameKey, Expr::value(key))
        .filter(brand::Column::Id.eq(id.uuid()))
        .exec(connection)
        .await
        .db()
        .map(|_| ())
}

pub(crate) async fn in_use(connection: &impl ConnectionTrait, id: BrandId) -> Result<bool> {
    let count = product::Entity::find()
        .filter(product::Column::BrandId.eq(id.uuid()))
        .count(connection)
        .await
        .db()?;
    Ok(count > 0)
}

pub(crate) async fn remove(connection: &impl ConnectionTrait, id: BrandId) -> Result<()> {
    brand::Entity::delete_by_id(id.uuid()).exec(connection).await.db().map(|_| ())
}
