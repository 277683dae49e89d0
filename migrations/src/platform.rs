//! Tables of the platform: events, idempotency, consumers' inbox, leases, jobs.

use sea_orm_migration::{prelude::*, schema::*};

use crate::schema::{NewIndex, NewTable, bytes, create, table};

/// The platform's tables.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0001_platform"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let tables = events().into_iter().chain(requests()).chain(work()).collect();
        create(manager, tables, INDEXES).await
    }
}

const INDEXES: &[NewIndex] = &[
    ("job_run_by_job", "job_run", false, &["job", "started_at"]),
    ("retry_due", "retry", false, &["dead", "next_at"]),
];

fn events() -> Vec<NewTable> {
    let body =
        || vec![string_len("topic", 100), string_len("aggregate", 100), big_integer("at"), bytes("body")];
    vec![
        table("outbox", [vec![integer("shard"), uuid("id")], body()].concat(), &["shard", "id"]),
        table("event_log", [vec![integer("shard"), big_integer("pos")], body()].concat(), &["shard", "pos"]),
        table("shard_cursor", vec![integer("shard"), big_integer("pos")], &["shard"]),
        table(
            "inbox",
            vec![string_len("subscription", 100), integer("shard"), big_integer("pos"), big_integer("at")],
            &["subscription", "shard", "pos"],
        ),
        table(
            "subscription_cursor",
            vec![string_len("subscription", 100), integer("shard"), big_integer("pos")],
            &["subscription", "shard"],
        ),
        table(
            "retry",
            vec![
                string_len("subscription", 100),
                integer("shard"),
                big_integer("pos"),
                integer("attempts"),
                big_integer("next_at"),
                string_len("error", 1000),
                boolean("dead"),
            ],
            &["subscription", "shard", "pos"],
        ),
    ]
}

fn requests() -> Vec<NewTable> {
    vec![
        table(
            "idempotency",
            vec![
                integer("shard"),
                string_len("principal", 100),
                string_len("route", 100),
                string_len("request_key", 200),
                binary_len("payload_hash", 32),
                bytes("answer"),
                big_integer("created_at"),
            ],
            &["shard", "principal", "route", "request_key"],
        ),
        table("database_setting", vec![string_len("name", 100), big_integer("value")], &["name"]),
    ]
}

fn work() -> Vec<NewTable> {
    vec![
        // Holds no rows. A key is locked in it by writes that decide on a set of rows (`platform_db::Tx::guard`).
        table("guard", vec![uuid("id")], &["id"]),
        table(
            "lease",
            vec![
                string_len("name", 100),
                integer("shard"),
                string_len("holder", 200),
                big_integer("epoch"),
                big_integer("expires_at"),
            ],
            &["name", "shard"],
        ),
        table(
            "job_run",
            vec![
                uuid("id"),
                string_len("job", 100),
                big_integer("started_at"),
                big_integer_null("finished_at"),
                boolean_null("ok"),
                string_len("message", 2000),
                string_len("holder", 200),
            ],
            &["id"],
        ),
    ]
}
