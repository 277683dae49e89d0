//! Tables of migrations from other shops: what each domain took in, and the progress of `migrate-in`.

use sea_orm_migration::{prelude::*, schema::*, sea_orm::DbBackend};

use crate::schema::{NewIndex, NewTable, create, table};

/// Their tables.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0001_intake"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let tables = vec![
            taken("account_taken"),
            taken("product_taken"),
            taken("order_taken"),
            taken("payment_taken"),
            offers(),
            progress(),
            errors(),
            made(),
        ];
        create(manager, tables, INDEXES).await?;
        if manager.get_database_backend() == DbBackend::MySql {
            // Other shops' numbers are longer than ours. SQLite never minds a text's length.
            for name in ["orders", "order_number"] {
                let mut wider = Table::alter();
                wider.table(name).modify_column(string_len("number", 64));
                manager.alter_table(wider.to_owned()).await?;
            }
        }
        Ok(())
    }
}

const INDEXES: &[NewIndex] = &[
    ("account_taken_from", "account_taken", false, &["source", "id"]),
    ("product_taken_from", "product_taken", false, &["source", "id"]),
    ("order_taken_from", "order_taken", false, &["source", "id"]),
    ("payment_taken_from", "payment_taken", false, &["source", "id"]),
    ("migrate_in_offer_from", "migrate_in_offer", false, &["source", "id"]),
];

/// Rows that a domain took in, each written in the transaction of the row itself: digests of what the source said and of
/// what was kept of it.
fn taken(name: &'static str) -> NewTable {
    table(
        name,
        vec![
            uuid("id"),
            string_len("source", 16),
            string_len("source_key", 40),
            binary_len("said", 32),
            binary_len("kept", 32),
            big_integer("taken_at"),
        ],
        &["id"],
    )
}

/// Prices and stock of SKUs that were taken in. What pricing and inventory have been told is noted beside what they are to be
/// told: a crash between the two is made up for.
fn offers() -> NewTable {
    table(
        "migrate_in_offer",
        vec![
            uuid("id"),
            string_len("source", 16),
            string_len("source_key", 40),
            binary_len("said", 32),
            string_len("currency", 3),
            big_integer("price"),
            boolean("price_told"),
            big_integer("quantity"),
            // The quantity that inventory was told last; none before the first time.
            big_integer_null("quantity_told"),
            // Grows with every change of the quantity: the key of its adjustment.
            big_integer("turn"),
        ],
        &["id"],
    )
}

/// How far each table of a source is.
fn progress() -> NewTable {
    table(
        "migrate_in_progress",
        vec![
            string_len("source", 16),
            string_len("name", 20),
            // Key of the last row that this pass has taken in; 0 before the first.
            big_integer("position"),
            big_integer("passes"),
            // Of the present pass, or of the last one when it is over.
            big_integer("rows_read"),
            big_integer("created"),
            big_integer("updated"),
            big_integer("unchanged"),
            big_integer("changed_here"),
            big_integer("refused"),
            boolean("finished"),
            big_integer("updated_at"),
        ],
        &["source", "name"],
    )
}

/// Rows that are not in, and why; gone when they are.
fn errors() -> NewTable {
    table(
        "migrate_in_error",
        vec![
            string_len("source", 16),
            string_len("name", 20),
            string_len("source_key", 40),
            string_len("reason", 1000),
            big_integer("at"),
        ],
        &["source", "name", "source_key"],
    )
}

/// Brands and categories that a migration made, noted before they are.
fn made() -> NewTable {
    table(
        "migrate_in_made",
        vec![
            string_len("source", 16),
            // brand or category; begun: a category that is going to be made
            string_len("kind", 10),
            // Of a brand its name in lower case; of a category, begun or there, its key in the source.
            string_len("name", 200),
            uuid_null("id"),
        ],
        &["source", "kind", "name"],
    )
}
