//! The schema: a module a domain, applied in this order, forward only.
//!
//! Expand, then contract: a migration adds what the next version needs and leaves what the running one uses; what nothing
//! uses any more is dropped one release later. Sharded tables have the primary key `(shard, id)`.

mod platform;

use sea_orm_migration::prelude::*;

/// All migrations.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(platform::Migration)]
    }
}
