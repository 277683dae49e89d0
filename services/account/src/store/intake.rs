//! SQL of accounts that come from another shop.

use std::collections::{BTreeMap, HashMap};

use contracts::{SessionId, UserId, intake::UserFacts};
use kernel::Result;
use platform_db::{DbResult, Marks, Rows, Tx};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter};
use uuid::Uuid;

use super::{
    address_row,
    entity::{account, account_email, account_role, address, session},
    key, shard,
};

/// What was taken in.
pub(crate) const TAKEN: Marks = Marks::of("account_taken");

/// Rows of these users: a range of the key `(shard, …)` for each shard.
fn of_users<C: ColumnTrait>(shards: C, users: C, ids: &[Uuid]) -> Condition {
    let mut by_shard: BTreeMap<i32, Vec<Uuid>> = BTreeMap::new();
    for id in ids {
        by_shard.entry(shard(UserId::from_uuid(*id).shard())).or_default().push(*id);
    }
    by_shard.into_iter().fold(Condition::any(), |any, (number, ids)| {
        any.add(Condition::all().add(shards.eq(number)).add(users.is_in(ids)))
    })
}

/// Accounts with their addresses, by id.
pub(crate) async fn accounts_with_addresses(
    on: &impl ConnectionTrait,
    ids: &[Uuid],
) -> Result<HashMap<Uuid, (account::Model, Vec<address::Model>)>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = account::Entity::find()
        .filter(of_users(account::Column::Shard, account::Column::Id, ids))
        .all(on)
        .await
        .db()?;
    let mut known: HashMap<_, _> = rows.into_iter().map(|row| (row.id, (row, Vec::new()))).collect();
    let addresses = address::Entity::find()
        .filter(of_users(address::Column::Shard, address::Column::UserId, ids))
        .all(on)
        .await
        .db()?;
    for row in addresses {
        if let Some((_, book)) = known.get_mut(&row.user_id) {
            book.push(row);
        }
    }
    Ok(known)
}

/// Who has these e-mails.
pub(crate) async fn owners_of(
    on: &impl ConnectionTrait,
    email_keys: Vec<String>,
) -> Result<HashMap<String, Uuid>> {
    let rows = account_email::Entity::find()
        .filter(account_email::Column::Email.is_in(email_keys))
        .all(on)
        .await
        .db()?;
    Ok(rows.into_iter().map(|row| (row.email, row.user_id)).collect())
}

/// Inserts an account with its e-mail and its addresses.
pub(crate) async fn insert_person(tx: &Tx, row: account::Model, facts: &UserFacts) -> Result<()> {
    let created_at = row.created_at;
    let email = account_email::Model { email: row.email_key.clone(), user_id: row.id };
    let book = facts
        .addresses
        .iter()
        .map(|(id, input)| address_row(facts.id, *id, input.clone(), created_at))
        .collect::<Vec<_>>();
    Rows::new().row(email).row(row).rows(book).insert(tx).await
}

/// Removes an account with its e-mail and its addresses.
pub(crate) async fn remove_person(tx: &Tx, row: &account::Model) -> Result<()> {
    account_email::Entity::delete_by_id(row.email_key.clone()).exec(tx).await.db()?;
    address::Entity::delete_many()
        .filter(address::Column::Shard.eq(row.shard))
        .filter(address::Column::UserId.eq(row.id))
        .exec(tx)
        .await
        .db()?;
    account::Entity::delete_by_id((row.shard, row.id)).exec(tx).await.db()?;
    Ok(())
}

/// Removes a user's sessions, and says which they were.
pub(crate) async fn remove_sessions(tx: &Tx, user: UserId) -> Result<Vec<SessionId>> {
    let (shard, id) = key(user);
    let own = || session::Column::Shard.eq(shard).and(session::Column::UserId.eq(id));
    let rows = session::Entity::find().filter(own()).all(tx).await.db()?;
    session::Entity::delete_many().filter(own()).exec(tx).await.db()?;
    Ok(rows.into_iter().map(|row| SessionId::from_uuid(row.id)).collect())
}

/// Takes all roles from a user.
pub(crate) async fn remove_roles_of(tx: &Tx, user: UserId) -> Result<()> {
    let (shard, id) = key(user);
    account_role::Entity::delete_many()
        .filter(account_role::Column::Shard.eq(shard))
        .filter(account_role::Column::AccountId.eq(id))
        .exec(tx)
        .await
        .db()?;
    Ok(())
}

/// Puts a hash made anew in the place of the one that was checked.
pub(crate) async fn rehash(tx: &Tx, user: UserId, checked: &str, fresh: &str) -> Result<()> {
    use sea_orm::sea_query::Expr;
    let (shard, id) = key(user);
    account::Entity::update_many()
        .col_expr(account::Column::PasswordHash, Expr::value(fresh))
        .filter(account::Column::Shard.eq(shard))
        .filter(account::Column::Id.eq(id))
        .filter(account::Column::PasswordHash.eq(checked))
        .exec(tx)
        .await
        .db()?;
    Ok(())
}
