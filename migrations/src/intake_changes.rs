//! What a migration from another shop needs to read only what changed since it was read last. Expand only: a version that does
//! not know the columns writes passes without them, after which everything is read once.

use sea_orm_migration::{prelude::*, schema::*};

use crate::schema::add_column;

/// Columns of `migrate_in_progress`.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0002_intake_changes"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let columns = [
            // From when on this pass reads changes, by the source's clock; NULL where it reads every row.
            big_integer_null("since"),
            // When this pass began, by the source's clock.
            big_integer_null("mark"),
            // Digest of how rows are read: of the mapping, the version, and the brands and categories of products.
            binary_len_null("way", 32),
            // Rows that the source had at the end of this pass.
            big_integer_null("there"),
        ];
        for column in columns {
            add_column(manager, "migrate_in_progress", column).await?;
        }
        Ok(())
    }
}
