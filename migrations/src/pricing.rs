//! Tables of `pricing`: prices, and the moments at which one begins or ends.

use sea_orm_migration::{prelude::*, schema::*};

use crate::schema::{NewTable, create, table};

/// The tables of `pricing`.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0001_pricing"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create(manager, vec![prices().in_key_order(), boundaries().in_key_order()], &[]).await
    }
}

/// Never deleted: the history is the rows. `ends_at` (exclusive) may move, but never into the past.
fn prices() -> NewTable {
    table(
        "price",
        vec![
            integer("shard"),
            uuid("sku_id"),
            uuid("id"),
            string_len("kind", 10),
            string_len("currency", 3),
            big_integer("amount"),
            big_integer_null("compare_at"),
            big_integer("starts_at"),
            big_integer_null("ends_at"),
            big_integer("created_at"),
            string_len("created_by", 100),
        ],
        &["shard", "sku_id", "id"],
    )
}

/// A moment in the future at which a SKU's price begins or ends; deleted in the transaction that announces it.
fn boundaries() -> NewTable {
    table(
        "price_boundary",
        vec![integer("shard"), big_integer("at"), uuid("sku_id")],
        &["shard", "at", "sku_id"],
    )
}
