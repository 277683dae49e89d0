//! The schema: a module a domain, applied in this order, forward only.
//!
//! Expand, then contract: a migration adds what the next version needs and leaves what the running one uses; what nothing
//! uses any more is dropped one release later. Sharded tables have the primary key `(shard, id)`.

mod account;
mod cart;
mod catalog;
mod catalog_attributes;
mod import;
mod intake;
mod intake_changes;
mod inventory;
mod inventory_quotas;
mod order;
mod payment;
mod platform;
mod pricing;
mod regions;
mod schema;
mod search;
mod search_marks;
mod trace;

use sea_orm_migration::prelude::*;

/// All migrations.
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(platform::Migration),
            Box::new(account::Migration),
            Box::new(catalog::Migration),
            Box::new(import::Migration),
            Box::new(pricing::Migration),
            Box::new(inventory::Migration),
            Box::new(payment::Migration),
            Box::new(cart::Migration),
            Box::new(order::Migration),
            Box::new(search::Migration),
            Box::new(trace::Migration),
            Box::new(catalog_attributes::Migration),
            Box::new(regions::Migration),
            Box::new(search_marks::Migration),
            Box::new(inventory_quotas::Migration),
            Box::new(intake::Migration),
            Box::new(intake_changes::Migration),
        ]
    }
}
