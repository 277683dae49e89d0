//! SQL of roles.

use std::collections::{BTreeMap, BTreeSet};

use contracts::{Permission, UserId};
use kernel::{Failure, Result};
use platform_db::{DbResult, Rows, Tx};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::Expr,
};
use uuid::Uuid;

use super::{
    entity::{account_role, role},
    key,
};
use crate::model::ADMIN;

/// Reads permissions as they are kept; one that this version does not know allows nothing.
fn read(permissions: &str) -> Result<BTreeSet<Permission>> {
    let names: Vec<serde_json::Value> = serde_json::from_str(permissions).map_err(Failure::internal)?;
    Ok(names.into_iter().filter_map(|name| serde_json::from_value(name).ok()).collect())
}

/// The roles in the table, by name; `admin` is not among them.
pub(crate) async fn roles(on: &impl ConnectionTrait) -> Result<BTreeMap<String, BTreeSet<Permission>>> {
    let rows = role::Entity::find().order_by_asc(role::Column::Name).all(on).await.db()?;
    rows.into_iter().map(|row| Ok((row.name, read(&row.permissions)?))).collect()
}

/// What each of these roles allows; a name that is no role is missing in the answer. Inside a write the roles stay as
/// they are until its end.
async fn named(
    on: &impl ConnectionTrait,
    names: &[String],
    lock: bool,
) -> Result<BTreeMap<String, BTreeSet<Permission>>> {
    let mut found = BTreeMap::new();
    if names.is_empty() {
        return Ok(found);
    }
    let mut query = role::Entity::find().filter(role::Column::Name.is_in(names.iter().map(String::as_str)));
    if lock {
        query = query.lock_exclusive();
    }
    for row in query.all(on).await.db()? {
        found.insert(row.name, read(&row.permissions)?);
    }
    if names.iter().any(|name| name == ADMIN) {
        found.insert(ADMIN.to_owned(), Permission::ALL.into());
    }
    Ok(found)
}

/// What roles allow together.
pub(crate) async fn permissions(on: &impl ConnectionTrait, names: &[String]) -> Result<BTreeSet<Permission>> {
    Ok(named(on, names, false).await?.into_values().flatten().collect())
}

/// What roles allow together, kept as they are until the end of the write; the failure names a role that is none.
pub(crate) async fn lock_roles(tx: &Tx, names: &[String]) -> Result<BTreeSet<Permission>> {
    let found = named(tx, names, true).await?;
    let mut failure = None;
    for (index, name) in names.iter().enumerate().filter(|(_, name)| !found.contains_key(*name)) {
        let so_far = failure.unwrap_or_else(|| Failure::new(kernel::code::INVALID));
        failure = Some(so_far.field(format!("/roles/{index}"), format!("there is no role {name:?}")));
    }
    match failure {
        Some(failure) => Err(failure),
        None => Ok(found.into_values().flatten().collect()),
    }
}

/// The names of a user's roles, in order.
pub(crate) async fn roles_of(on: &impl ConnectionTrait, user: UserId) -> Result<Vec<String>> {
    let (shard, id) = key(user);
    let rows = account_role::Entity::find()
        .filter(account_role::Column::Shard.eq(shard))
        .filter(account_role::Column::AccountId.eq(id))
        .order_by_asc(account_role::Column::Role)
        .all(on)
        .await
        .db()?;
    Ok(rows.into_iter().map(|row| row.role).collect())
}

/// The names of several users' roles.
pub(crate) async fn roles_of_many(
    on: &impl ConnectionTrait,
    ids: &[Uuid],
) -> Result<BTreeMap<Uuid, Vec<String>>> {
    let mut found: BTreeMap<Uuid, Vec<String>> = BTreeMap::new();
    if ids.is_empty() {
        return Ok(found);
    }
    let shards: BTreeSet<i32> = ids.iter().map(|&id| key(UserId::from_uuid(id)).0).collect();
    let rows = account_role::Entity::find()
        .filter(account_role::Column::Shard.is_in(shards))
        .filter(account_role::Column::AccountId.is_in(ids.iter().copied()))
        .order_by_asc(account_role::Column::Role)
        .all(on)
        .await
        .db()?;
    for row in rows {
        found.entry(row.account_id).or_default().push(row.role);
    }
    Ok(found)
}

/// Gives a user exactly these roles.
pub(crate) async fn replace_roles(tx: &Tx, user: UserId, names: &[String]) -> Result<()> {
    let (shard, id) = key(user);
    account_role::Entity::delete_many()
        .filter(account_role::Column::Shard.eq(shard))
        .filter(account_role::Column::AccountId.eq(id))
        .exec(tx)
        .await
        .db()?;
    let rows = names.iter().map(|name| account_role::Model { shard, account_id: id, role: name.clone() });
    Rows::new().rows(rows).insert(tx).await
}

/// Who has a role.
pub(crate) async fn holders(tx: &Tx, name: &str) -> Result<Vec<UserId>> {
    let rows = account_role::Entity::find()
        .filter(account_role::Column::Role.eq(name))
        .lock_exclusive()
        .all(tx)
        .await
        .db()?;
    Ok(rows.into_iter().map(|row| UserId::from_uuid(row.account_id)).collect())
}

/// How many have a role.
pub(crate) async fn count_holders(tx: &Tx, name: &str) -> Result<u64> {
    account_role::Entity::find().filter(account_role::Column::Role.eq(name)).count(tx).await.db()
}

/// What a role allows, kept as it is until the end of the write.
pub(crate) async fn lock_role(tx: &Tx, name: &str) -> Result<Option<BTreeSet<Permission>>> {
    let row = role::Entity::find_by_id(name.to_owned()).lock_exclusive().one(tx).await.db()?;
    row.map(|row| read(&row.permissions)).transpose()
}

/// Writes a role; `known` says whether there is a row.
pub(crate) async fn put_role(
    tx: &Tx,
    name: &str,
    permissions: &BTreeSet<Permission>,
    known: bool,
) -> Result<()> {
    let permissions = serde_json::to_string(permissions).map_err(Failure::internal)?;
    if !known {
        return Rows::new().row(role::Model { name: name.to_owned(), permissions }).insert(tx).await;
    }
    role::Entity::update_many()
        .col_expr(role::Column::Permissions, Expr::value(permissions))
        .filter(role::Column::Name.eq(name))
        .exec(tx)
        .await
        .db()?;
    Ok(())
}

/// Removes a role.
pub(crate) async fn delete_role(tx: &Tx, name: &str) -> Result<()> {
    role::Entity::delete_by_id(name.to_owned()).exec(tx).await.db()?;
    Ok(())
}
