//! SQL of prices and stock that were taken in.

use std::collections::HashMap;

use kernel::Result;
use platform_db::{DbResult, Rows, Tx};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};
use uuid::Uuid;

use super::{OfferRow, entity::offer};

/// What was taken in of these SKUs.
pub(crate) async fn offers(on: &impl ConnectionTrait, ids: &[Uuid]) -> Result<HashMap<Uuid, OfferRow>> {
    let rows =
        offer::Entity::find().filter(offer::Column::Id.is_in(ids.iter().copied())).all(on).await.db()?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// Puts rows in the place of what is there.
pub(crate) async fn put_offers(tx: &Tx, rows: &[OfferRow]) -> Result<()> {
    remove_offers(tx, &rows.iter().map(|row| row.id).collect::<Vec<_>>()).await?;
    Rows::new().rows(rows.iter().cloned()).insert(tx).await
}

/// Forgets SKUs.
pub(crate) async fn remove_offers(tx: &Tx, ids: &[Uuid]) -> Result<()> {
    offer::Entity::delete_many().filter(offer::Column::Id.is_in(ids.iter().copied())).exec(tx).await.db()?;
    Ok(())
}

/// Those of a source, by id.
pub(crate) async fn offers_after(
    on: &impl ConnectionTrait,
    source: &str,
    after: Option<Uuid>,
    limit: u64,
) -> Result<Vec<OfferRow>> {
    let mut query = offer::Entity::find().filter(offer::Column::Source.eq(source));
    if let Some(after) = after {
        query = query.filter(offer::Column::Id.gt(after));
    }
    query.order_by_asc(offer::Column::Id).limit(limit).all(on).await.db()
}

/// How many a source has.
pub(crate) async fn offers_count(on: &impl ConnectionTrait, source: &str) -> Result<u64> {
    offer::Entity::find().filter(offer::Column::Source.eq(source)).count(on).await.db()
}
