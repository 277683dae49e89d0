//! Tables of `account`: accounts, e-mails, roles, sessions, addresses, failed log-ins, audit log.

use sea_orm_migration::{prelude::*, schema::*};

use crate::schema::{NewIndex, NewTable, create, table};

/// The tables of `account`.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0001_account"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create(manager, people().into_iter().chain(access()).collect(), INDEXES).await
    }
}

const INDEXES: &[NewIndex] = &[
    ("account_newest", "account", false, &["created_at", "id"]),
    ("account_role_by_role", "account_role", false, &["role"]),
    ("session_by_user", "session", false, &["shard", "user_id"]),
    ("session_by_end", "session", false, &["expires_at"]),
    ("address_by_user", "address", false, &["shard", "user_id"]),
    ("audit_log_newest", "audit_log", false, &["at", "id"]),
    ("audit_log_by_subject", "audit_log", false, &["subject", "at", "id"]),
    ("login_failure_by_time", "login_failure", false, &["updated_at"]),
];

fn people() -> Vec<NewTable> {
    vec![
        table(
            "account",
            vec![
                integer("shard"),
                uuid("id"),
                string_len("email", 254),
                string_len("email_key", 254),
                string_len("name", 100),
                string_len_null("phone", 16),
                string_len("locale", 10),
                string_len("password_hash", 200),
                big_integer("version"),
                big_integer("created_at"),
                big_integer_null("last_login_at"),
            ],
            &["shard", "id"],
        ),
        // Across shards: an e-mail (lower case) belongs to one account.
        table("account_email", vec![string_len("email", 254), uuid("user_id")], &["email"]),
        table(
            "address",
            vec![
                integer("shard"),
                uuid("id"),
                uuid("user_id"),
                string_len("recipient", 100),
                string_len("phone", 32),
                string_len("country", 2),
                string_len("region", 100),
                string_len("city", 100),
                string_len("district", 100),
                string_len("line1", 200),
                string_len("line2", 200),
                string_len("postal_code", 20),
                boolean("is_default"),
                big_integer("created_at"),
            ],
            &["shard", "id"],
        ),
    ]
}

fn access() -> Vec<NewTable> {
    vec![
        table("role", vec![string_len("name", 40), string_len("permissions", 2000)], &["name"]),
        table(
            "account_role",
            vec![integer("shard"), uuid("account_id"), string_len("role", 40)],
            &["shard", "account_id", "role"],
        ),
        table(
            "session",
            vec![
                integer("shard"),
                uuid("id"),
                uuid("user_id"),
                binary_len("refresh_hash", 32),
                binary_len_null("previous_hash", 32),
                big_integer("generation"),
                big_integer_null("rotated_at"),
                big_integer("created_at"),
                big_integer("expires_at"),
                big_integer_null("ended_at"),
                string_len_null("end_reason", 40),
            ],
            &["shard", "id"],
        ),
        table(
            "login_failure",
            vec![
                binary_len("email_hash", 32),
                integer("failures"),
                big_integer("since"),
                big_integer_null("locked_until"),
                big_integer("updated_at"),
            ],
            &["email_hash"],
        ),
        table(
            "audit_log",
            vec![
                integer("shard"),
                uuid("id"),
                big_integer("at"),
                string_len("actor", 100),
                string_len("action", 60),
                string_len("subject", 100),
                string_len("detail", 1000),
            ],
            &["shard", "id"],
        ),
    ]
}
