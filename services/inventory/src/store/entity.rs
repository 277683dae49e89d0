//! Rows and their conversions.
#![allow(unreachable_pub, reason = "sea-orm's derive writes `pub` items")]

use std::sync::Arc;

use contracts::{
    inventory::{MovementView, WarehouseView},
    pricing::LineInput,
};
use kernel::{Failure, Id, Result, Timestamp};
use uuid::Uuid;

use crate::model::{Bucket, Delta, Hold, Place, state_of};

pub(crate) mod warehouse {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "warehouse")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub shard: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub code: String,
        pub name: String,
        pub country: String,
        pub priority: i32,
        pub created_at: i64,
        pub updated_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(crate) mod stock_bucket {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "stock_bucket")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub sku_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub region: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub warehouse_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub n: i32,
        pub available: i64,
        pub reserved: i64,
        pub unavailable: i64,
        pub version: i64,
        pub updated_at: i64,
        pub taken: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(crate) mod stock_level {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "stock_level")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub sku_id: Uuid,
        pub safety_stock: i64,
        pub updated_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(crate) mod hold {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "hold")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub shard: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub state: String,
        pub lines: Vec<u8>,
        pub expires_at: i64,
        pub version: i64,
        pub created_at: i64,
        pub updated_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(crate) mod hold_line {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "hold_line")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub shard: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub hold_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub position: i32,
        pub sku_id: Uuid,
        pub region: String,
        pub warehouse_id: Uuid,
        pub n: i32,
        pub quantity: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(crate) mod stock_movement {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "stock_movement")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub shard: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub sku_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub region: String,
        pub warehouse_id: Uuid,
        pub n: i32,
        pub kind: String,
        pub available: i64,
        pub reserved: i64,
        pub unavailable: i64,
        pub reference: String,
        pub note: String,
        pub actor: String,
        pub at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

impl From<warehouse::Model> for WarehouseView {
    fn from(row: warehouse::Model) -> Self {
        Self {
            id: Id::from_uuid(row.id),
            code: row.code,
            name: row.name,
            country: row.country,
            priority: row.priority,
        }
    }
}

impl From<stock_bucket::Model> for Bucket {
    fn from(row: stock_bucket::Model) -> Self {
        Self {
            place: Place {
                sku: Id::from_uuid(row.sku_id),
                region: Arc::from(row.region),
                warehouse: Id::from_uuid(row.warehouse_id),
                n: row.n,
            },
            units: Delta { available: row.available, reserved: row.reserved, unavailable: row.unavailable },
            taken: row.taken,
            version: row.version,
            dirty: false,
        }
    }
}

impl From<stock_movement::Model> for MovementView {
    fn from(row: stock_movement::Model) -> Self {
        Self {
            id: Id::from_uuid(row.id),
            sku_id: Id::from_uuid(row.sku_id),
            warehouse_id: Id::from_uuid(row.warehouse_id),
            kind: row.kind,
            available: row.available,
            reserved: row.reserved,
            unavailable: row.unavailable,
            reference: row.reference,
            note: row.note,
            actor: row.actor,
            at: Timestamp::from_micros(row.at),
        }
    }
}

impl TryFrom<hold::Model> for Hold {
    type Error = Failure;

    /// A hold without its parts.
    fn try_from(row: hold::Model) -> Result<Self> {
        let state = state_of(&row.state)
            .ok_or_else(|| Failure::internal(format!("a hold in state {:?}", row.state)))?;
        Ok(Self {
            id: Id::from_uuid(row.id),
            state,
            lines: read_lines(&row.lines)?,
            expires_at: Timestamp::from_micros(row.expires_at),
            created_at: Timestamp::from_micros(row.created_at),
            version: row.version,
            dirty: false,
            parts: Vec::new(),
        })
    }
}

const LINE: usize = 24;

/// Lines as bytes: 16 of SKU and 8 of quantity each.
pub(crate) fn write_lines(lines: &[LineInput]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(lines.len() * LINE);
    for line in lines {
        bytes.extend_from_slice(line.sku_id.uuid().as_bytes());
        bytes.extend_from_slice(&line.quantity.to_be_bytes());
    }
    bytes
}

fn read_lines(bytes: &[u8]) -> Result<Vec<LineInput>> {
    let damaged = || Failure::internal("a hold's lines are damaged");
    if !bytes.len().is_multiple_of(LINE) {
        return Err(damaged());
    }
    bytes
        .chunks_exact(LINE)
        .map(|chunk| {
            let (sku, quantity) = chunk.split_at(16);
            Ok(LineInput {
                sku_id: Id::from_uuid(Uuid::from_slice(sku).map_err(|_| damaged())?),
                quantity: i64::from_be_bytes(quantity.try_into().map_err(|_| damaged())?),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use kernel::Shard;

    use super::*;

    #[test]
    fn reads_the_lines_it_wrote() {
        let lines: Vec<_> = (1..4_i64)
            .map(|n| LineInput { sku_id: Id::derive(Shard::new(2), &[&n.to_be_bytes()]), quantity: n })
            .collect();
        assert_eq!(read_lines(&write_lines(&lines)).unwrap(), lines);
        assert!(read_lines(&[0; 25]).is_err());
    }
}
