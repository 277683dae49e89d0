//! SQL of the address book.

use contracts::{
    UserId,
    account::{AddressId, AddressInput, AddressView},
};
use kernel::Result;
use platform_db::{DbResult, Rows, Tx};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, sea_query::Expr};

use super::{entity::address, key, shard};

/// The row of an address of `user`.
pub(crate) fn address_row(
    user: UserId,
    id: AddressId,
    input: AddressInput,
    created_at: i64,
) -> address::Model {
    address::Model {
        shard: shard(user.shard()),
        id: id.uuid(),
        user_id: user.uuid(),
        recipient: input.recipient,
        phone: input.phone,
        country: input.country,
        region: input.region,
        city: input.city,
        district: input.district,
        line1: input.line1,
        line2: input.line2,
        postal_code: input.postal_code,
        is_default: input.is_default,
        created_at,
    }
}

impl From<address::Model> for AddressView {
    fn from(row: address::Model) -> Self {
        Self {
            id: AddressId::from_uuid(row.id),
            address: AddressInput {
                recipient: row.recipient,
                phone: row.phone,
                country: row.country,
                region: row.region,
                city: row.city,
                district: row.district,
                line1: row.line1,
                line2: row.line2,
                postal_code: row.postal_code,
                is_default: row.is_default,
            },
        }
    }
}

/// A user's addresses: the default first, then the newest.
pub(crate) async fn addresses(on: &impl ConnectionTrait, user: UserId) -> Result<Vec<address::Model>> {
    let (shard, id) = key(user);
    address::Entity::find()
        .filter(address::Column::Shard.eq(shard))
        .filter(address::Column::UserId.eq(id))
        .order_by_desc(address::Column::IsDefault)
        .order_by_desc(address::Column::CreatedAt)
        .order_by_desc(address::Column::Id)
        .all(on)
        .await
        .db()
}

/// One address, if it is this user's.
pub(crate) async fn address(
    on: &impl ConnectionTrait,
    user: UserId,
    id: AddressId,
) -> Result<Option<address::Model>> {
    let row = address::Entity::find_by_id((shard(user.shard()), id.uuid())).one(on).await.db()?;
    Ok(row.filter(|row| row.user_id == user.uuid()))
}

/// Inserts an address.
pub(crate) async fn insert_address(tx: &Tx, row: address::Model) -> Result<()> {
    Rows::new().row(row).insert(tx).await
}

/// Removes an address.
pub(crate) async fn delete_address(tx: &Tx, row: &address::Model) -> Result<()> {
    address::Entity::delete_by_id((row.shard, row.id)).exec(tx).await.db()?;
    Ok(())
}

/// Makes `id` the user's only default.
pub(crate) async fn set_default(tx: &Tx, user: UserId, id: uuid::Uuid) -> Result<()> {
    let (shard, user_id) = key(user);
    let own = || {
        address::Entity::update_many()
            .filter(address::Column::Shard.eq(shard))
            .filter(address::Column::UserId.eq(user_id))
    };
    own()
        .col_expr(address::Column::IsDefault, Expr::value(false))
        .filter(address::Column::Id.ne(id))
        .exec(tx)
        .await
        .db()?;
    own()
        .col_expr(address::Column::IsDefault, Expr::value(true))
        .filter(address::Column::Id.eq(id))
        .exec(tx)
        .await
        .db()?;
    Ok(())
}
