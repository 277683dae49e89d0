//! Where a trace has to outlive a request: on events, on orders and on attempts to pay. Expand only: a version that does
//! not know the column writes rows without it, and both read either.

use sea_orm_migration::{prelude::*, schema::*};

use crate::schema::add_column;

/// A column `trace`, a W3C `traceparent`, NULL when nobody traced.
pub(crate) struct Migration;

/// Each with the domain that owns it: platform, platform, order, payment.
const TABLES: [&str; 4] = ["outbox", "event_log", "orders", "payment_attempt"];
/// `00-` trace id `-` span id `-` flags.
const LENGTH: u32 = 55;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0002_trace"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES {
            add_column(manager, table, string_len_null("trace", LENGTH)).await?;
        }
        Ok(())
    }
}
