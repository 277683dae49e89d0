//! Expands the catalog by attribute sets. Nothing of the earlier version reads or writes these tables.

use sea_orm_migration::{prelude::*, schema::*};

use crate::platform::table;

/// The tables of attribute sets.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0002_catalog_attributes"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in tables() {
            manager.create_table(table).await?;
        }
        manager
            .create_index(
                Index::create()
                    .name("attribute_set_by_name_key")
                    .table("attribute_set")
                    .col("name_key")
                    .unique()
                    .to_owned(),
            )
            .await?;
        manager
            .create_index(
                Index::create()
                    .name("category_attribute_set_by_set")
                    .table("category_attribute_set")
                    .col("set_id")
                    .to_owned(),
            )
            .await
    }
}

/// Reference data: small, read everywhere, so not sharded.
fn tables() -> Vec<TableCreateStatement> {
    vec![
        table(
            "attribute_set",
            vec![
                uuid("id"),
                string_len("name", 100),
                // Lower-case name: two sets do not differ by case alone.
                string_len("name_key", 100),
                // JSON: the attributes in order; read as a whole.
                custom("attributes", "mediumblob"),
                big_integer("created_at"),
                big_integer("updated_at"),
            ],
            &["id"],
        ),
        // Sets that a category has of its own; those below inherit them.
        table(
            "category_attribute_set",
            vec![uuid("category_id"), uuid("set_id"), integer("position")],
            &["category_id", "set_id"],
        ),
    ]
}
