//! Rows and their conversions.
#![allow(unreachable_pub, reason = "sea-orm's derive writes `pub` items")]

use contracts::pricing::PriceKind;
use kernel::{Currency, Failure, Id, Money, Result, Timestamp};

use super::number;
use crate::model::{Change, Price, kind_name};

pub(crate) mod price {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "price")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub shard: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub sku_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub kind: String,
        pub currency: String,
        pub amount: i64,
        pub compare_at: Option<i64>,
        pub starts_at: i64,
        pub ends_at: Option<i64>,
        pub created_at: i64,
        pub created_by: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

pub(crate) mod price_boundary {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "price_boundary")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub shard: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub at: i64,
        #[sea_orm(primary_key, auto_increment = false)]
        pub sku_id: Uuid,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

impl TryFrom<price::Model> for Price {
    type Error = Failure;

    fn try_from(row: price::Model) -> Result<Self> {
        let kind = [PriceKind::List, PriceKind::Sale].into_iter().find(|&kind| kind_name(kind) == row.kind);
        let kind = kind.ok_or_else(|| Failure::internal(format!("a price of kind {:?}", row.kind)))?;
        let currency = Currency::from_code(&row.currency)
            .ok_or_else(|| Failure::internal(format!("a price in currency {:?}", row.currency)))?;
        Ok(Self {
            id: Id::from_uuid(row.id),
            kind,
            money: Money::new(row.amount, currency),
            compare_at: row.compare_at,
            starts_at: Timestamp::from_micros(row.starts_at),
            ends_at: row.ends_at.map(Timestamp::from_micros),
            created_at: Timestamp::from_micros(row.created_at),
            created_by: row.created_by,
            change: Change::None,
        })
    }
}

/// The row of a SKU's price.
pub(crate) fn row(sku: contracts::catalog::SkuId, price: &Price) -> price::Model {
    price::Model {
        shard: number(sku.shard()),
        sku_id: sku.uuid(),
        id: price.id.uuid(),
        kind: kind_name(price.kind).to_owned(),
        currency: price.money.currency.code().to_owned(),
        amount: price.money.amount,
        compare_at: price.compare_at,
        starts_at: price.starts_at.micros(),
        ends_at: price.ends_at.map(Timestamp::micros),
        created_at: price.created_at.micros(),
        created_by: price.created_by.clone(),
    }
}
