//! Tables of `search`: what must be indexed again, what was sold, what is searched for, rebuilds asked for.

use sea_orm_migration::{prelude::*, schema::*};

use crate::schema::{NewIndex, NewTable, create, table};

/// The tables of `search`.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0001_search"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // The next to index again: most urgent first, oldest first among them.
        let due: NewIndex = ("search_dirty_due", "search_dirty", false, &["priority", "marked_at"]);
        create(manager, vec![dirty(), sales(), terms(), rebuilds()], &[due]).await
    }
}

/// `mark` moves with every event about the row: a row is settled only at the mark it was read with. `version` is what a
/// product has to have at least to be indexed.
fn dirty() -> NewTable {
    table(
        "search_dirty",
        vec![
            integer("shard"),
            uuid("id"),
            integer("kind"),
            integer("priority"),
            big_integer("version"),
            big_integer("mark"),
            big_integer("marked_at"),
        ],
        &["shard", "id"],
    )
}

fn sales() -> NewTable {
    table(
        "search_sales",
        vec![integer("shard"), uuid("product_id"), big_integer("units")],
        &["shard", "product_id"],
    )
}

/// `hour`: whole hours since 1970-01-01 UTC.
fn terms() -> NewTable {
    table(
        "search_term",
        vec![big_integer("hour"), string_len("term", 100), big_integer("searches")],
        &["hour", "term"],
    )
}

/// `report`: the report as JSON, or why it failed; absent until it is done.
fn rebuilds() -> NewTable {
    table(
        "search_rebuild",
        vec![
            uuid("id"),
            big_integer("requested_at"),
            big_integer_null("done_at"),
            string_len_null("report", 2000),
        ],
        &["id"],
    )
}
