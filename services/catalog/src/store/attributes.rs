//! Attribute sets, and which categories have them.

use contracts::catalog::{AttributeSetId, CategoryId};
use kernel::Result;
use platform_db::{DbResult, Rows, Tx};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, sea_query::Expr,
};

use super::entity::{attribute_set, category_attribute_set};

pub(crate) use super::entity::{
    attribute_set::Model as AttributeSetRow, category_attribute_set::Model as AssignmentRow,
};

/// All attribute sets by name.
pub(crate) async fn all(connection: &impl ConnectionTrait) -> Result<Vec<AttributeSetRow>> {
    attribute_set::Entity::find().order_by_asc(attribute_set::Column::NameKey).all(connection).await.db()
}

/// Which category has which sets, in their order.
pub(crate) async fn assignments(connection: &impl ConnectionTrait) -> Result<Vec<AssignmentRow>> {
    category_attribute_set::Entity::find()
        .order_by_asc(category_attribute_set::Column::CategoryId)
        .order_by_asc(category_attribute_set::Column::Position)
        .all(connection)
        .await
        .db()
}

pub(crate) async fn find(
    connection: &impl ConnectionTrait,
    id: AttributeSetId,
) -> Result<Option<AttributeSetRow>> {
    attribute_set::Entity::find_by_id(id.uuid()).one(connection).await.db()
}

/// The set of this lower-case name.
pub(crate) async fn by_key(connection: &impl ConnectionTrait, key: &str) -> Result<Option<AttributeSetRow>> {
    attribute_set::Entity::find().filter(attribute_set::Column::NameKey.eq(key)).one(connection).await.db()
}

/// Writes what a set became.
pub(crate) async fn replace(connection: &impl ConnectionTrait, to: &AttributeSetRow) -> Result<()> {
    attribute_set::Entity::update_many()
        .col_expr(attribute_set::Column::Name, Expr::value(to.name.as_str()))
        .col_expr(attribute_set::Column::NameKey, Expr::value(to.name_key.as_str()))
        .col_expr(attribute_set::Column::Attributes, Expr::value(to.attributes.clone()))
        .col_expr(attribute_set::Column::UpdatedAt, Expr::value(to.updated_at))
        .filter(attribute_set::Column::Id.eq(to.id))
        .exec(connection)
        .await
        .db()
        .map(|_| ())
}

pub(crate) async fn remove(connection: &impl ConnectionTrait, id: AttributeSetId) -> Result<()> {
    attribute_set::Entity::delete_by_id(id.uuid()).exec(connection).await.db().map(|_| ())
}

/// Whether any category has the set.
pub(crate) async fn in_use(connection: &impl ConnectionTrait, id: AttributeSetId) -> Result<bool> {
    let count = category_attribute_set::Entity::find()
        .filter(category_attribute_set::Column::SetId.eq(id.uuid()))
        .count(connection)
        .await
        .db()?;
    Ok(count > 0)
}

/// Gives a category these sets, in place of those it had.
pub(crate) async fn assign(tx: &Tx, category: CategoryId, sets: &[AttributeSetId]) -> Result<()> {
    category_attribute_set::Entity::delete_many()
        .filter(category_attribute_set::Column::CategoryId.eq(category.uuid()))
        .exec(tx)
        .await
        .db()?;
    let rows = (1..).zip(sets).map(|(position, set)| AssignmentRow {
        category_id: category.uuid(),
        set_id: set.uuid(),
        position,
    });
    if sets.is_empty() { Ok(()) } else { Rows::new().rows(rows).insert(tx).await }
}
