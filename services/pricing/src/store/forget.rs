//! SQL of SKUs that go away.

use std::collections::BTreeMap;

use contracts::catalog::SkuId;
use kernel::{Id, Result};
use platform_db::{DbResult, Tx};
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, prelude::Uuid};

use super::{
    entity::{price, price_boundary},
    number,
};

/// Who sets prices when no person does.
const SYSTEM: &str = "system";

fn of_skus<C: ColumnTrait>(shards: C, skus: C, ids: &[SkuId]) -> Condition {
    let mut by_shard: BTreeMap<i32, Vec<Uuid>> = BTreeMap::new();
    for id in ids {
        by_shard.entry(number(id.shard())).or_default().push(id.uuid());
    }
    by_shard.into_iter().fold(Condition::any(), |any, (number, ids)| {
        any.add(Condition::all().add(shards.eq(number)).add(skus.is_in(ids)))
    })
}

/// Those of these SKUs that a person has set a price of.
pub(crate) async fn priced_by_people(on: &impl ConnectionTrait, skus: &[SkuId]) -> Result<Vec<SkuId>> {
    if skus.is_empty() {
        return Ok(Vec::new());
    }
    let rows = price::Entity::find()
        .filter(of_skus(price::Column::Shard, price::Column::SkuId, skus))
        .filter(price::Column::CreatedBy.ne(SYSTEM))
        .all(on)
        .await
        .db()?;
    let mut found: Vec<SkuId> = rows.into_iter().map(|row| Id::from_uuid(row.sku_id)).collect();
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Removes every price of these SKUs.
pub(crate) async fn remove_prices(tx: &Tx, skus: &[SkuId]) -> Result<()> {
    tx.guard(skus.iter().map(|sku| sku.uuid())).await?;
    price::Entity::delete_many()
        .filter(of_skus(price::Column::Shard, price::Column::SkuId, skus))
        .exec(tx)
        .await
        .db()?;
    price_boundary::Entity::delete_many()
        .filter(of_skus(price_boundary::Column::Shard, price_boundary::Column::SkuId, skus))
        .exec(tx)
        .await
        .db()?;
    for sku in skus {
        tx.touch(sku.uuid());
    }
    Ok(())
}
