//! All SQL of the catalog.

pub(crate) mod attributes;
pub(crate) mod brands;
pub(crate) mod categories;
pub(crate) mod changes;
pub(crate) mod entity;
pub(crate) mod images;
pub(crate) mod intake;
pub(crate) mod listing;
pub(crate) mod products;

use std::collections::BTreeMap;

use contracts::catalog::ProductId;
use kernel::Shard;
use sea_orm::{ColumnTrait, Condition};
use uuid::Uuid;

/// The shard as rows keep it.
pub(crate) fn shard_number(shard: Shard) -> i32 {
    i32::from(shard.number())
}

/// Rows of these products in a table with the columns `shard` and `product`: a range of the index `(shard, product_id)`
/// for each shard.
pub(crate) fn of_products<C: ColumnTrait>(shard: C, product: C, ids: &[ProductId]) -> Condition {
    let mut by_shard: BTreeMap<i32, Vec<Uuid>> = BTreeMap::new();
    for id in ids {
        by_shard.entry(shard_number(id.shard())).or_default().push(id.uuid());
    }
    by_shard.into_iter().fold(Condition::any(), |any, (number, ids)| {
        any.add(Condition::all().add(shard.eq(number)).add(product.is_in(ids)))
    })
}
