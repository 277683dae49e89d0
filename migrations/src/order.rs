//! Tables of `order`: orders, lines, history, and the numbers people use.

use sea_orm_migration::{prelude::*, schema::*};

use crate::schema::{NewIndex, NewTable, bytes, create, table};

/// The tables of `order`.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0001_order"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create(manager, vec![orders(), lines(), history(), numbers()], INDEXES).await
    }
}

/// Every index begins with the shard: the table is hot, and is partitioned by shard on TiDB.
const INDEXES: &[NewIndex] = &[
    ("orders_of_user", "orders", false, &["shard", "user_id", "placed_at", "id"]),
    ("orders_newest", "orders", false, &["shard", "placed_at", "id"]),
    ("orders_due", "orders", false, &["shard", "state", "expires_at", "id"]),
];

fn orders() -> NewTable {
    table(
        "orders",
        vec![
            integer("shard"),
            uuid("id"),
            uuid("user_id"),
            string_len("number", 20),
            string_len("state", 20),
            string_len("payment_state", 20),
            string_len("fulfilment_state", 20),
            big_integer("version"),
            uuid("hold_id"),
            integer("hold_attempt"),
            string_len("currency", 3),
            big_integer("subtotal"),
            big_integer("discount"),
            big_integer("shipping"),
            big_integer("tax"),
            big_integer("total"),
            big_integer("refunded"),
            string_len("market", 2),
            bytes("address"),
            bytes("explanation"),
            string_len_null("remark", 500),
            boolean("from_cart"),
            big_integer("placed_at"),
            big_integer("expires_at"),
            big_integer("updated_at"),
            big_integer_null("paid_at"),
            big_integer_null("cancelled_at"),
            string_len_null("cancel_reason", 20),
            uuid_null("payment_id"),
            string_len_null("payment_number", 64),
        ],
        &["shard", "id"],
    )
}

fn lines() -> NewTable {
    table(
        "order_line",
        vec![
            integer("shard"),
            uuid("order_id"),
            integer("position"),
            uuid("sku_id"),
            uuid("product_id"),
            string_len("sku_code", 100),
            string_len("title", 300),
            string_len("slug", 200),
            string_len_null("image", 2000),
            bytes("options"),
            big_integer("quantity"),
            string_len("currency", 3),
            big_integer("unit_price"),
            big_integer("subtotal"),
            big_integer("discount"),
            big_integer("tax"),
            big_integer("tax_rate_bp"),
            big_integer("total"),
        ],
        &["shard", "order_id", "position"],
    )
}

/// `version` is the order's version after the step: two steps can never be the same one.
fn history() -> NewTable {
    table(
        "order_history",
        vec![
            integer("shard"),
            uuid("order_id"),
            big_integer("version"),
            big_integer("at"),
            string_len("actor", 10),
            uuid_null("actor_id"),
            string_len_null("from_state", 20),
            string_len("to_state", 20),
            string_len("reason", 600),
        ],
        &["shard", "order_id", "version"],
    )
}

/// Across shards: a number belongs to one order.
fn numbers() -> NewTable {
    table("order_number", vec![string_len("number", 20), uuid("order_id")], &["number"])
}
