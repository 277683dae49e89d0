//! Tables of `payment`: intents, attempts, refunds, the payment log; and those of the sandbox's provider, which is another
//! party that happens to live in our database.

use sea_orm_migration::{prelude::*, schema::*};

use crate::schema::{NewIndex, NewTable, create, table};

/// The tables of `payment`.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0001_payment"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        create(manager, ours().into_iter().chain(the_providers()).collect(), INDEXES).await
    }
}

const INDEXES: &[NewIndex] = &[
    ("payment_intent_by_order", "payment_intent", true, &["shard", "order_id"]),
    ("payment_intent_by_number", "payment_intent", true, &["shard", "number"]),
    ("payment_intent_due", "payment_intent", false, &["state", "expires_at"]),
    ("payment_intent_newest", "payment_intent", false, &["created_at", "id"]),
    ("payment_attempt_by_intent", "payment_attempt", false, &["shard", "intent_id"]),
    ("payment_attempt_by_number", "payment_attempt", true, &["shard", "number"]),
    ("payment_attempt_due", "payment_attempt", false, &["state", "next_sync_at"]),
    ("refund_by_intent", "refund", false, &["shard", "intent_id"]),
    ("refund_due", "refund", false, &["state", "next_at"]),
    ("payment_log_by_intent", "payment_log", false, &["shard", "intent_id", "at"]),
    ("sandbox_refund_by_charge", "sandbox_refund", false, &["reference"]),
    ("sandbox_callback_due", "sandbox_callback", false, &["dead", "next_at"]),
];

fn ours() -> Vec<NewTable> {
    vec![
        table(
            "payment_intent",
            vec![
                integer("shard"),
                uuid("id"),
                string_len("number", 40),
                uuid("order_id"),
                string_len("order_number", 64),
                uuid("user_id"),
                string_len("channel", 40),
                string_len("state", 20),
                big_integer("amount"),
                string_len("currency", 3),
                // In minor units of `currency`: what the provider has, what is asked back or went back, what went back.
                big_integer("captured"),
                big_integer("refunded"),
                big_integer("refunded_done"),
                integer("attempts"),
                uuid("attempt_id"),
                string_len_null("provider_number", 64),
                string_len_null("reason", 200),
                big_integer("created_at"),
                big_integer("updated_at"),
                big_integer_null("paid_at"),
                big_integer("expires_at"),
            ],
            &["shard", "id"],
        ),
        table(
            "payment_attempt",
            vec![
                integer("shard"),
                uuid("id"),
                uuid("intent_id"),
                string_len("number", 40),
                string_len("channel", 40),
                string_len("state", 20),
                big_integer("amount"),
                string_len("currency", 3),
                big_integer("captured"),
                string_len_null("captured_currency", 3),
                string_len_null("provider_number", 64),
                string_len_null("reason", 200),
                big_integer("created_at"),
                big_integer("updated_at"),
                big_integer_null("paid_at"),
                big_integer_null("called_back_at"),
                big_integer("next_sync_at"),
                integer("syncs"),
            ],
            &["shard", "id"],
        ),
        table(
            "refund",
            vec![
                integer("shard"),
                uuid("id"),
                uuid("intent_id"),
                uuid("attempt_id"),
                big_integer("amount"),
                string_len("currency", 3),
                string_len("state", 20),
                string_len("reason", 500),
                // Money that was paid twice: not part of what the order's payment refunds.
                boolean("surplus"),
                string_len_null("provider_number", 64),
                big_integer("created_at"),
                big_integer("updated_at"),
                big_integer("next_at"),
                integer("tries"),
            ],
            &["shard", "id"],
        ),
        table(
            "payment_log",
            vec![
                integer("shard"),
                uuid("id"),
                uuid("intent_id"),
                big_integer("at"),
                string_len("direction", 10),
                string_len("what", 40),
                string_len("body", 4000),
            ],
            &["shard", "id"],
        ),
    ]
}

fn the_providers() -> Vec<NewTable> {
    vec![
        table(
            "sandbox_charge",
            vec![
                string_len("reference", 40),
                string_len("number", 64),
                string_len("description", 100),
                big_integer("amount"),
                string_len("currency", 3),
                string_len("state", 20),
                big_integer("captured"),
                string_len_null("reason", 100),
                big_integer("created_at"),
                big_integer("expires_at"),
                big_integer_null("settled_at"),
                big_integer_null("shown_at"),
            ],
            &["reference"],
        ),
        table(
            "sandbox_refund",
            vec![
                string_len("refund_key", 64),
                string_len("number", 64),
                string_len("reference", 40),
                big_integer("amount"),
                big_integer("created_at"),
            ],
            &["refund_key"],
        ),
        table(
            "sandbox_callback",
            vec![
                uuid("id"),
                string_len("reference", 40),
                string_len("body", 2000),
                big_integer("next_at"),
                integer("tries"),
                boolean("dead"),
            ],
            &["id"],
        ),
    ]
}
