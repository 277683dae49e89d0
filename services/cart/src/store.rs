//! All SQL of carts.

mod entity;

use contracts::{cart::CartId, catalog::SkuId};
use kernel::{Money, Result, Shard, Timestamp};
use platform_db::{DbResult, Rows, Tx};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait},
};
use uuid::Uuid;

use self::entity::{cart, cart_line, shard};
use crate::model::{Cart, Key, Line, NewlySeen, Owner};

/// The table whose key a first write may hit.
pub(crate) const CARTS: &str = "cart";

/// The cart, where there is one and it is who `key` says.
pub(crate) async fn find(connection: &impl ConnectionTrait, key: &Key) -> Result<Option<Cart>> {
    let row = cart::Entity::find_by_id((shard(key), key.id.uuid())).one(connection).await.db()?;
    let Some(row) = row.filter(|row| entity::is_of(row, key)) else { return Ok(None) };
    let updated_at = Timestamp::from_micros(row.updated_at);
    Ok(Some(Cart { id: key.id, lines: lines(connection, key).await?, updated_at }))
}

/// Whether the cart is somebody else's.
pub(crate) async fn is_foreign(connection: &impl ConnectionTrait, key: &Key) -> Result<bool> {
    let row = cart::Entity::find_by_id((shard(key), key.id.uuid())).one(connection).await.db()?;
    Ok(row.is_some_and(|row| !entity::is_of(&row, key)))
}

/// A cart's lines, in their order.
pub(crate) async fn lines(connection: &impl ConnectionTrait, key: &Key) -> Result<Vec<Line>> {
    cart_line::Entity::find()
        .filter(cart_line::Column::Shard.eq(shard(key)))
        .filter(cart_line::Column::CartId.eq(key.id.uuid()))
        .order_by_asc(cart_line::Column::Position)
        .order_by_asc(cart_line::Column::SkuId)
        .all(connection)
        .await
        .db()?
        .into_iter()
        .map(entity::line)
        .collect()
}

/// Takes the cart for this write: every change of its lines goes through its row, so that two changes never miss each
/// other. False where there is none, or it is somebody else's.
pub(crate) async fn take(tx: &Tx, key: &Key) -> Result<bool> {
    let own = match &key.owner {
        Owner::Member(id) => cart::Column::UserId.eq(id.uuid()),
        Owner::Guest(hash) => cart::Column::SecretHash.eq(hash.clone()),
    };
    let changed = cart::Entity::update_many()
        .col_expr(cart::Column::Version, Expr::col(cart::Column::Version).add(1))
        .col_expr(cart::Column::UpdatedAt, Expr::value(tx.now().micros()))
        .filter(cart::Column::Shard.eq(shard(key)))
        .filter(cart::Column::Id.eq(key.id.uuid()))
        .filter(own)
        .exec(tx)
        .await
        .db()?;
    Ok(changed.rows_affected == 1)
}

/// As [`take`], and makes the cart where there is none; false where it is somebody else's.
pub(crate) async fn take_or_make(tx: &Tx, key: &Key) -> Result<bool> {
    if take(tx, key).await? {
        return Ok(true);
    }
    if is_foreign(tx, key).await? {
        return Ok(false);
    }
    Rows::new().row(entity::cart_row(key, tx.now())).insert(tx).await?;
    Ok(true)
}

/// Sets a line; where there is one of its SKU, only quantity and price seen change.
pub(crate) async fn put(tx: &Tx, key: &Key, line: &Line) -> Result<()> {
    let row = entity::line_row(key, line);
    let changed = cart_line::Entity::update_many()
        .col_expr(cart_line::Column::Quantity, Expr::value(row.quantity))
        .col_expr(cart_line::Column::SeenPrice, Expr::value(row.seen_price))
        .col_expr(cart_line::Column::SeenCurrency, Expr::value(row.seen_currency.clone()))
        .filter(this_line(key, line.sku_id))
        .exec(tx)
        .await
        .db()?;
    if changed.rows_affected == 0 {
        Rows::new().row(row).insert(tx).await?;
    }
    Ok(())
}

/// Takes lines out; how many there were.
pub(crate) async fn remove(tx: &Tx, key: &Key, skus: &[SkuId]) -> Result<u64> {
    let deleted = cart_line::Entity::delete_many()
        .filter(cart_line::Column::Shard.eq(shard(key)))
        .filter(cart_line::Column::CartId.eq(key.id.uuid()))
        .filter(cart_line::Column::SkuId.is_in(skus.iter().map(|sku| sku.uuid())))
        .exec(tx)
        .await
        .db()?;
    Ok(deleted.rows_affected)
}

/// Notes a price as seen, unless another request noted one meanwhile.
pub(crate) async fn note_seen(tx: &Tx, key: &Key, seen: &NewlySeen) -> Result<()> {
    let (price, currency) = columns(seen.before);
    let unchanged = match (price, currency) {
        (Some(price), Some(currency)) => Condition::all()
            .add(cart_line::Column::SeenPrice.eq(price))
            .add(cart_line::Column::SeenCurrency.eq(currency)),
        _ => Condition::all().add(cart_line::Column::SeenPrice.is_null()),
    };
    cart_line::Entity::update_many()
        .col_expr(cart_line::Column::SeenPrice, Expr::value(seen.now.amount))
        .col_expr(cart_line::Column::SeenCurrency, Expr::value(seen.now.currency.code()))
        .filter(this_line(key, seen.sku_id))
        .filter(unchanged)
        .exec(tx)
        .await
        .db()
        .map(|_| ())
}

fn this_line(key: &Key, sku_id: SkuId) -> Condition {
    Condition::all()
        .add(cart_line::Column::Shard.eq(shard(key)))
        .add(cart_line::Column::CartId.eq(key.id.uuid()))
        .add(cart_line::Column::SkuId.eq(sku_id.uuid()))
}

fn columns(money: Option<Money>) -> (Option<i64>, Option<&'static str>) {
    (money.map(|money| money.amount), money.map(|money| money.currency.code()))
}

/// Guests' carts of a shard that have not changed since `before`.
pub(crate) async fn stale(
    connection: &impl ConnectionTrait,
    on: Shard,
    before: Timestamp,
    limit: u64,
) -> Result<Vec<CartId>> {
    let rows: Vec<Uuid> = cart::Entity::find()
        .select_only()
        .column(cart::Column::Id)
        .filter(cart::Column::Shard.eq(i32::from(on.number())))
        .filter(cart::Column::UpdatedAt.lt(before.micros()))
        .filter(cart::Column::UserId.is_null())
        .order_by_asc(cart::Column::UpdatedAt)
        .limit(limit)
        .into_tuple()
        .all(connection)
        .await
        .db()?;
    Ok(rows.into_iter().map(CartId::from_uuid).collect())
}

/// Deletes a guest's cart with its lines, if it still has not changed.
pub(crate) async fn delete_stale(tx: &Tx, id: CartId, before: Timestamp) -> Result<bool> {
    let on = i32::from(id.shard().number());
    let deleted = cart::Entity::delete_many()
        .filter(cart::Column::Shard.eq(on))
        .filter(cart::Column::Id.eq(id.uuid()))
        .filter(cart::Column::UserId.is_null())
        .filter(cart::Column::UpdatedAt.lt(before.micros()))
        .exec(tx)
        .await
        .db()?;
    if deleted.rows_affected == 0 {
        return Ok(false);
    }
    cart_line::Entity::delete_many()
        .filter(cart_line::Column::Shard.eq(on))
        .filter(cart_line::Column::CartId.eq(id.uuid()))
        .exec(tx)
        .await
        .db()?;
    Ok(true)
}
