//! Marks of the search index by region: each region of a shop has an index of its own.
//!
//! `search_mark` takes the place of `search_dirty`, whose key had no region. Marks that a process of the version before makes
//! while it still runs are not seen any more; the daily check of the index finds what they stood for.

use sea_orm_migration::{prelude::*, schema::*};

use crate::schema::{NewIndex, add_column, create, table};

/// `search_mark`, and whose index a rebuild is asked for.
pub(crate) struct Migration;

const DUE: NewIndex = ("search_mark_due", "search_mark", false, &["region", "priority", "marked_at"]);
const COLUMNS: &str = "shard, id, kind, priority, version, mark, marked_at";
/// A region's name.
const NAME: u32 = 100;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0002_search_marks"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // `region` is empty in a shop without regions.
        let marks = table(
            "search_mark",
            vec![
                string_len("region", NAME),
                integer("shard"),
                uuid("id"),
                integer("kind"),
                integer("priority"),
                big_integer("version"),
                big_integer("mark"),
                big_integer("marked_at"),
            ],
            &["region", "shard", "id"],
        );
        create(manager, vec![marks], &[DUE]).await?;
        let copy =
            format!("REPLACE INTO search_mark (region, {COLUMNS}) SELECT '', {COLUMNS} FROM search_dirty");
        manager.get_connection().execute_unprepared(&copy).await?;
        add_column(manager, "search_rebuild", string_len_null("region", NAME)).await
    }
}
