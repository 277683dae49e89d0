//! Rows, and what they mean to the domain.
#![allow(unreachable_pub, reason = "sea-orm's derive writes `pub` items")]

use contracts::catalog::SkuId;
use kernel::{Currency, Failure, Money, Result, Timestamp};

use crate::model::{Key, Line, Owner};

/// Carts.
pub(crate) mod cart {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "cart")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub shard: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub user_id: Option<Uuid>,
        pub secret_hash: Option<Vec<u8>>,
        pub version: i64,
        pub created_at: i64,
        pub updated_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Lines.
pub(crate) mod cart_line {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "cart_line")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub shard: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub cart_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub sku_id: Uuid,
        pub position: i64,
        pub quantity: i64,
        pub seen_price: Option<i64>,
        pub seen_currency: Option<String>,
        pub added_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A cart's shard as columns keep it.
pub(crate) fn shard(key: &Key) -> i32 {
    i32::from(key.shard().number())
}

/// A new cart's row.
pub(crate) fn cart_row(key: &Key, now: Timestamp) -> cart::Model {
    let (user_id, secret_hash) = match &key.owner {
        Owner::Member(id) => (Some(id.uuid()), None),
        Owner::Guest(hash) => (None, Some(hash.clone())),
    };
    cart::Model {
        shard: shard(key),
        id: key.id.uuid(),
        user_id,
        secret_hash,
        version: 1,
        created_at: now.micros(),
        updated_at: now.micros(),
    }
}

/// Whether a row is the cart that `key` means. Hashes are compared, not secrets: how long it takes tells nothing.
pub(crate) fn is_of(row: &cart::Model, key: &Key) -> bool {
    match &key.owner {
        Owner::Member(id) => row.user_id == Some(id.uuid()),
        Owner::Guest(hash) => row.secret_hash.as_ref() == Some(hash),
    }
}

/// A line's row.
pub(crate) fn line_row(key: &Key, line: &Line) -> cart_line::Model {
    cart_line::Model {
        shard: shard(key),
        cart_id: key.id.uuid(),
        sku_id: line.sku_id.uuid(),
        position: line.position,
        quantity: line.quantity,
        seen_price: line.seen.map(|seen| seen.amount),
        seen_currency: line.seen.map(|seen| seen.currency.code().to_owned()),
        added_at: line.added_at.micros(),
    }
}

/// The line of a row.
pub(crate) fn line(row: cart_line::Model) -> Result<Line> {
    let seen = match (row.seen_price, row.seen_currency) {
        (Some(amount), Some(code)) => {
            let currency = Currency::from_code(&code)
                .ok_or_else(|| Failure::internal(format!("{code:?} is no currency")))?;
            Some(Money::new(amount, currency))
        }
        _ => None,
    };
    Ok(Line {
        sku_id: SkuId::from_uuid(row.sku_id),
        position: row.position,
        quantity: row.quantity,
        seen,
        added_at: Timestamp::from_micros(row.added_at),
    })
}
