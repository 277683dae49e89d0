//! What each region's buyers take of a SKU's stock, by which it is divided over the regions. Expand only: a version that does
//! not know the column leaves it as it is.

use sea_orm_migration::{prelude::*, schema::*};

use crate::schema::add_column;

/// A column `taken`: units since stock was last divided.
pub(crate) struct Migration;

impl MigrationName for Migration {
    fn name(&self) -> &str {
        "m0002_inventory_quotas"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add_column(manager, "stock_bucket", big_integer("taken").default(0).to_owned()).await
    }
}
