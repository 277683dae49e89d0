//! Expands the catalog by attribute sets. Nothing of the earlier version reads or writes these tables.

use sea_orm_migration::{prelude::*, schema::*};

use crate::schema::{NewIndex, NewTable, bytes, create, table};

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
        create(manager, tables(), INDEXES).await
    }
}

const INDEXES: &[NewIndex] = &[
    ("attribute_set_by_name_key", "attribute_set", true, &["name_key"]),
    ("category_attribute_set_by_set", "category_attribute_set", false, &["set_id"]),
];

/// Reference data: small, read everywhere, so not sharded.
fn tables() -> Vec<NewTable> {
    vec![
        table(
            "attribute_set",
            vec![
                uuid("id"),
                string_len("name", 100),
                // Lower-case name: two sets do not differ by case alone.
                string_len("name_key", 100),
                // JSON: the attributes in order; read as a whole.
                bytes("attributes"),
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
