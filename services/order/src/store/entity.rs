//! Rows, and what they mean to the domain.
#![allow(unreachable_pub, reason = "sea-orm's derive writes `pub` items")]

use contracts::{
    UserId,
    inventory::HoldId,
    order::{OrderHistoryView, OrderId},
    payment::PaymentId,
    pricing::Totals,
};
use kernel::{Currency, Failure, Money, Result, Shard, Timestamp};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    model::{Order, OrderLine},
    moves::Entry,
    states::{CancelReason, Word},
};

/// Orders.
pub(crate) mod orders {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "orders")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub shard: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub user_id: Uuid,
        pub number: String,
        pub state: String,
        pub payment_state: String,
        pub fulfilment_state: String,
        pub version: i64,
        pub hold_id: Uuid,
        pub hold_attempt: i32,
        pub currency: String,
        pub subtotal: i64,
        pub discount: i64,
        pub shipping: i64,
        pub tax: i64,
        pub total: i64,
        pub refunded: i64,
        pub market: String,
        pub address: Vec<u8>,
        pub explanation: Vec<u8>,
        pub remark: Option<String>,
        pub from_cart: bool,
        pub placed_at: i64,
        pub expires_at: i64,
        pub updated_at: i64,
        pub paid_at: Option<i64>,
        pub cancelled_at: Option<i64>,
        pub cancel_reason: Option<String>,
        pub payment_id: Option<Uuid>,
        pub payment_number: Option<String>,
        pub trace: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Lines, in the order's order.
pub(crate) mod order_line {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "order_line")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub shard: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub order_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub position: i32,
        pub sku_id: Uuid,
        pub product_id: Uuid,
        pub sku_code: String,
        pub title: String,
        pub slug: String,
        pub image: Option<String>,
        pub options: Vec<u8>,
        pub quantity: i64,
        pub currency: String,
        pub unit_price: i64,
        pub subtotal: i64,
        pub discount: i64,
        pub tax: i64,
        pub tax_rate_bp: i64,
        pub total: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// What happened to an order, by the version it led to.
pub(crate) mod order_history {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "order_history")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub shard: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub order_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub version: i64,
        pub at: i64,
        pub actor: String,
        pub actor_id: Option<Uuid>,
        pub from_state: Option<String>,
        pub to_state: String,
        pub reason: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Numbers, unique over all shards.
pub(crate) mod order_number {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "order_number")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub number: String,
        pub order_id: Uuid,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// A shard as columns keep it.
pub(crate) fn shard(shard: Shard) -> i32 {
    i32::from(shard.number())
}

/// The order's row.
pub(crate) fn order_row(order: &Order, updated_at: Timestamp) -> Result<orders::Model> {
    let totals = &order.totals;
    Ok(orders::Model {
        shard: shard(order.id.shard()),
        id: order.id.uuid(),
        user_id: order.user_id.uuid(),
        number: order.number.clone(),
        state: order.state.word().to_owned(),
        payment_state: order.payment_state.word().to_owned(),
        fulfilment_state: order.fulfilment_state.word().to_owned(),
        version: order.version,
        hold_id: order.hold_id.uuid(),
        hold_attempt: order.hold_attempt,
        currency: totals.total.currency.code().to_owned(),
        subtotal: totals.subtotal.amount,
        discount: totals.discount.amount,
        shipping: totals.shipping.amount,
        tax: totals.tax.amount,
        total: totals.total.amount,
        refunded: order.refunded,
        market: order.market.clone(),
        address: bytes(&order.address)?,
        explanation: bytes(&order.explanation)?,
        remark: order.remark.clone(),
        from_cart: order.from_cart,
        placed_at: order.placed_at.micros(),
        expires_at: order.expires_at.micros(),
        updated_at: updated_at.micros(),
        paid_at: order.paid_at.map(Timestamp::micros),
        cancelled_at: order.cancelled_at.map(Timestamp::micros),
        cancel_reason: order.cancel_reason.map(|reason| reason.word().to_owned()),
        payment_id: order.payment_id.map(PaymentId::uuid),
        payment_number: order.payment_number.clone(),
        trace: order.trace.clone(),
    })
}

/// The rows of its lines.
pub(crate) fn line_rows(order: &Order) -> Result<Vec<order_line::Model>> {
    let row = |(position, line): (usize, &OrderLine)| {
        Ok(order_line::Model {
            shard: shard(order.id.shard()),
            order_id: order.id.uuid(),
            position: i32::try_from(position).map_err(Failure::internal)?,
            sku_id: line.sku_id.uuid(),
            product_id: line.product_id.uuid(),
            sku_code: line.sku_code.clone(),
            title: line.title.clone(),
            slug: line.slug.clone(),
            image: line.image.clone(),
            options: bytes(&line.options)?,
            quantity: line.quantity,
            currency: line.unit_price.currency.code().to_owned(),
            unit_price: line.unit_price.amount,
            subtotal: line.subtotal.amount,
            discount: line.discount.amount,
            tax: line.tax.amount,
            tax_rate_bp: line.tax_rate_bp,
            total: line.total.amount,
        })
    };
    order.lines.iter().enumerate().map(row).collect()
}

/// The row of a step of its history, `order` being the order after it.
pub(crate) fn history_row(order: &Order, entry: &Entry, at: Timestamp) -> order_history::Model {
    order_history::Model {
        shard: shard(order.id.shard()),
        order_id: order.id.uuid(),
        version: order.version,
        at: at.micros(),
        actor: entry.actor.word().to_owned(),
        actor_id: entry.actor.person().map(UserId::uuid),
        from_state: entry.from.map(|state| state.word().to_owned()),
        to_state: entry.to.word().to_owned(),
        reason: entry.reason.clone(),
    }
}

/// The order of these rows.
pub(crate) fn order(row: orders::Model, lines: Vec<order_line::Model>) -> Result<Order> {
    let currency = currency(&row.currency)?;
    let money = |amount| Money::new(amount, currency);
    Ok(Order {
        id: OrderId::from_uuid(row.id),
        user_id: UserId::from_uuid(row.user_id),
        number: row.number,
        state: Word::parse(&row.state)?,
        payment_state: Word::parse(&row.payment_state)?,
        fulfilment_state: Word::parse(&row.fulfilment_state)?,
        version: row.version,
        hold_id: HoldId::from_uuid(row.hold_id),
        hold_attempt: row.hold_attempt,
        lines: lines.into_iter().map(line).collect::<Result<_>>()?,
        totals: Totals {
            subtotal: money(row.subtotal),
            discount: money(row.discount),
            shipping: money(row.shipping),
            tax: money(row.tax),
            total: money(row.total),
        },
        refunded: row.refunded,
        market: row.market,
        address: value(&row.address)?,
        explanation: value(&row.explanation)?,
        remark: row.remark,
        from_cart: row.from_cart,
        placed_at: Timestamp::from_micros(row.placed_at),
        expires_at: Timestamp::from_micros(row.expires_at),
        paid_at: row.paid_at.map(Timestamp::from_micros),
        cancelled_at: row.cancelled_at.map(Timestamp::from_micros),
        cancel_reason: row.cancel_reason.as_deref().map(CancelReason::parse).transpose()?,
        payment_id: row.payment_id.map(PaymentId::from_uuid),
        payment_number: row.payment_number,
        trace: row.trace,
    })
}

fn line(row: order_line::Model) -> Result<OrderLine> {
    let currency = currency(&row.currency)?;
    let money = |amount| Money::new(amount, currency);
    Ok(OrderLine {
        sku_id: contracts::catalog::SkuId::from_uuid(row.sku_id),
        product_id: contracts::catalog::ProductId::from_uuid(row.product_id),
        sku_code: row.sku_code,
        title: row.title,
        options: value(&row.options)?,
        slug: row.slug,
        image: row.image,
        quantity: row.quantity,
        unit_price: money(row.unit_price),
        subtotal: money(row.subtotal),
        discount: money(row.discount),
        tax: money(row.tax),
        tax_rate_bp: row.tax_rate_bp,
        total: money(row.total),
    })
}

/// A step as the wire shows it.
pub(crate) fn step(row: order_history::Model) -> Result<OrderHistoryView> {
    Ok(OrderHistoryView {
        at: Timestamp::from_micros(row.at),
        actor: row.actor,
        from: row.from_state.as_deref().map(Word::parse).transpose()?,
        to: Word::parse(&row.to_state)?,
        reason: row.reason,
    })
}

fn currency(code: &str) -> Result<Currency> {
    Currency::from_code(code).ok_or_else(|| Failure::internal(format!("{code:?} is no currency")))
}

fn bytes(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(Failure::internal)
}

fn value<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    serde_json::from_slice(bytes).map_err(Failure::internal)
}
