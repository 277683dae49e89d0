//! Tables of `cart`: carts of guests and members, and their lines.

use sea_orm_migration::{prelude::*, schema::*};

use crate::schema::{NewIndex, NewTable, create, table};

/// The tables of `cart`.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0001_cart"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let by_age: NewIndex = ("cart_by_age", "cart", false, &["shard", "updated_at"]);
        create(manager, vec![carts(), lines()], &[by_age]).await
    }
}

/// A member's cart has a user, a guest's the hash of its token's secret: one of the two.
fn carts() -> NewTable {
    table(
        "cart",
        vec![
            integer("shard"),
            uuid("id"),
            uuid_null("user_id"),
            binary_len_null("secret_hash", 32),
            big_integer("version"),
            big_integer("created_at"),
            big_integer("updated_at"),
        ],
        &["shard", "id"],
    )
}

/// `seen_price` is what the shopper saw last; none before a price was seen.
fn lines() -> NewTable {
    table(
        "cart_line",
        vec![
            integer("shard"),
            uuid("cart_id"),
            uuid("sku_id"),
            big_integer("position"),
            big_integer("quantity"),
            big_integer_null("seen_price"),
            string_len_null("seen_currency", 3),
            big_integer("added_at"),
        ],
        &["shard", "cart_id", "sku_id"],
    )
}
