//! Tables of regions: the shard map, work leases, what the regions see of each other, the journal of operations. Small, and
//! read whole several times a second by every process.

use sea_orm_migration::{prelude::*, schema::*};

use crate::schema::{NewIndex, NewTable, bytes, create, table};

/// The tables of regions.
pub(crate) struct Migration;

const INDEXES: &[NewIndex] = &[("operation_by_request", "operation", true, &["request"])];
/// A region's or a jurisdiction's name.
const NAME: u32 = 100;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0001_regions"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create(manager, places().into_iter().chain(operations()).collect(), INDEXES).await
    }
}

fn places() -> Vec<NewTable> {
    vec![
        // One row: what every change goes through. `policy` is JSON; the leader is the coordinator's.
        table(
            "region_journal",
            vec![
                integer("id"),
                big_integer("version"),
                bytes("policy"),
                big_integer_null("running"),
                big_integer("last_operation"),
                string_len("leader_region", NAME),
                string_len("leader_instance", NAME),
                big_integer("leader_epoch"),
                big_integer("leader_until"),
            ],
            &["id"],
        ),
        // `spec` is JSON; what the region says about itself is NULL until it does.
        table(
            "region",
            vec![
                string_len("name", NAME),
                string_len("state", 20),
                big_integer_null("held_by"),
                bytes("spec"),
                big_integer("version"),
                big_integer_null("relay_lag"),
                boolean_null("burning"),
            ],
            &["name"],
        ),
        // About to move where `target` is not NULL.
        table(
            "shard_map",
            vec![
                integer("shard"),
                string_len("home", NAME),
                string_len("jurisdiction", NAME),
                string_len_null("target", NAME),
                big_integer("map_version"),
            ],
            &["shard"],
        ),
        table(
            "work_lease",
            vec![
                integer("shard"),
                string_len("holder_region", NAME),
                string_len("holder_instance", NAME),
                big_integer("epoch"),
                big_integer("expires_at"),
            ],
            &["shard"],
        ),
        table(
            "observation",
            vec![
                string_len("region", NAME),
                string_len("observer", NAME),
                boolean("up"),
                big_integer("since"),
                big_integer("seen_at"),
            ],
            &["region", "observer"],
        ),
    ]
}

fn operations() -> Vec<NewTable> {
    vec![
        // `body` is the whole operation as JSON; the other columns are for persons and for finding it.
        table(
            "operation",
            vec![
                big_integer("id"),
                string_len("kind", 20),
                string_len("phase", 20),
                string_len_null("request", 200),
                bytes("body"),
            ],
            &["id"],
        ),
        table(
            "operation_step",
            vec![
                big_integer("operation"),
                integer("step"),
                string_len("phase", 20),
                text("detail"),
                big_integer("began_at"),
                big_integer_null("ended_at"),
            ],
            &["operation", "step"],
        ),
    ]
}
