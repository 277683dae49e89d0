//! SQL of SKUs that go away.

use std::collections::BTreeMap;

use contracts::catalog::SkuId;
use kernel::{Failure, Id, Result, code};
use platform_db::{DbResult, Tx};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter};
use uuid::Uuid;

use super::{
    buckets,
    entity::{stock_bucket, stock_level, stock_movement},
    number,
};

/// Who moves stock when no person does, and how: an import's first stock, what it counted later, and what was moved between
/// regions because it was far from where it is bought.
const SYSTEM: &str = "system";
const OURS: [&str; 3] = ["initial", "count", "quota"];

fn of_skus(ids: &[SkuId]) -> Condition {
    let mut by_shard: BTreeMap<i32, Vec<Uuid>> = BTreeMap::new();
    for id in ids {
        by_shard.entry(number(id.shard())).or_default().push(id.uuid());
    }
    by_shard.into_iter().fold(Condition::any(), |any, (number, ids)| {
        let these = stock_movement::Column::Shard.eq(number).and(stock_movement::Column::SkuId.is_in(ids));
        any.add(these)
    })
}

/// Those of these SKUs that were ordered, or whose stock a person has changed.
pub(crate) async fn moved_by_people(on: &impl ConnectionTrait, skus: &[SkuId]) -> Result<Vec<SkuId>> {
    if skus.is_empty() {
        return Ok(Vec::new());
    }
    let theirs = Condition::any()
        .add(stock_movement::Column::Actor.ne(SYSTEM))
        .add(stock_movement::Column::Kind.is_not_in(OURS));
    let rows = stock_movement::Entity::find().filter(of_skus(skus)).filter(theirs).all(on).await.db()?;
    let mut found: Vec<SkuId> = rows.into_iter().map(|row| Id::from_uuid(row.sku_id)).collect();
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Removes all stock of these SKUs with its ledger. Refused while some of it is held for an order.
pub(crate) async fn remove_stock(tx: &Tx, skus: &[SkuId]) -> Result<()> {
    if buckets(tx, skus).await?.iter().any(|bucket| bucket.units.reserved != 0) {
        return Err(Failure::new(code::CONFLICT).detail("some of the stock is held for an order"));
    }
    let ids = || skus.iter().map(|sku| sku.uuid());
    stock_bucket::Entity::delete_many()
        .filter(stock_bucket::Column::SkuId.is_in(ids()))
        .exec(tx)
        .await
        .db()?;
    stock_movement::Entity::delete_many().filter(of_skus(skus)).exec(tx).await.db()?;
    stock_level::Entity::delete_many().filter(stock_level::Column::SkuId.is_in(ids())).exec(tx).await.db()?;
    Ok(())
}
