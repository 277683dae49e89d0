//! Tables of the imports: the file, its progress, its rows with errors.

use sea_orm_migration::{prelude::*, schema::*};

use crate::schema::{NewIndex, NewTable, bytes, create, table};

/// The imports' tables.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0001_import"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create(manager, tables(), INDEXES).await
    }
}

const INDEXES: &[NewIndex] = &[
    ("import_by_id", "import", false, &["id"]),
    ("import_by_state", "import", false, &["state", "started_at"]),
];

fn tables() -> Vec<NewTable> {
    vec![
        table(
            "import",
            vec![
                integer("shard"),
                uuid("id"),
                string_len("kind", 16),
                string_len("file_name", 300),
                string_len("currency", 3),
                // receiving, running, local (a command's own), done or failed.
                string_len("state", 16),
                // Entries taken in so far: where to go on after a crash.
                big_integer("position"),
                big_integer("row_count"),
                big_integer("rows_done"),
                big_integer("created"),
                big_integer("updated"),
                big_integer("unchanged"),
                big_integer("failed"),
                // Runs that broke off, and when anything last happened.
                integer("attempts"),
                big_integer("updated_at"),
                string_len_null("error", 2000),
                big_integer("started_at"),
                big_integer_null("finished_at"),
            ],
            &["shard", "id"],
        ),
        // The file in pieces, so that any process can go on with it; gone when the import ends.
        table(
            "import_chunk",
            vec![integer("shard"), uuid("import_id"), integer("number"), bytes("bytes")],
            &["shard", "import_id", "number"],
        ),
        table(
            "import_error",
            vec![
                integer("shard"),
                uuid("import_id"),
                big_integer("number"),
                big_integer("line"),
                string_len("row_key", 300),
                string_len_null("column_name", 200),
                string_len("reason", 2000),
            ],
            &["shard", "import_id", "number"],
        ),
    ]
}
