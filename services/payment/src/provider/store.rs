//! All SQL of the sandbox's provider.

use kernel::{Currency, Failure, Money, Result, Timestamp};
use platform_db::{DbResult, Rows, Tx};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ModelTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::Expr,
};
use uuid::Uuid;

use crate::channel::wire::ChargeState;

#[allow(unreachable_pub, reason = "the derives of sea-orm want public types")]
pub(super) mod charge {
    //! A charge.

    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sandbox_charge")]
    pub struct Model {
        /// The merchant's number.
        #[sea_orm(primary_key, auto_increment = false)]
        pub reference: String,
        pub number: String,
        pub description: String,
        pub amount: i64,
        pub currency: String,
        pub state: String,
        pub captured: i64,
        pub reason: Option<String>,
        pub created_at: i64,
        pub expires_at: i64,
        /// When the payer paid.
        pub settled_at: Option<i64>,
        /// From when on the merchant sees it.
        pub shown_at: Option<i64>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

#[allow(unreachable_pub, reason = "the derives of sea-orm want public types")]
pub(super) mod refund {
    //! Money given back.

    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sandbox_refund")]
    pub struct Model {
        /// The merchant's key.
        #[sea_orm(primary_key, auto_increment = false)]
        pub refund_key: String,
        pub number: String,
        pub reference: String,
        pub amount: i64,
        pub created_at: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

#[allow(unreachable_pub, reason = "the derives of sea-orm want public types")]
pub(super) mod callback {
    //! A callback to be made; removed once the merchant has taken it.

    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "sandbox_callback")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub reference: String,
        pub body: String,
        pub next_at: i64,
        pub tries: i32,
        /// Given up.
        pub dead: bool,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

const STATES: [ChargeState; 5] = [
    ChargeState::Open,
    ChargeState::Processing,
    ChargeState::Captured,
    ChargeState::Declined,
    ChargeState::Cancelled,
];

/// A state as the database keeps it.
pub(super) fn name(state: ChargeState) -> &'static str {
    match state {
        ChargeState::Open => "open",
        ChargeState::Processing => "processing",
        ChargeState::Captured => "captured",
        ChargeState::Declined => "declined",
        ChargeState::Cancelled => "cancelled",
    }
}

/// The state of that name.
pub(super) fn state(text: &str) -> Result<ChargeState> {
    let known = STATES.into_iter().find(|&state| name(state) == text);
    known.ok_or_else(|| Failure::internal(format!("charge state {text}")))
}

/// An amount as the database keeps it.
pub(super) fn money(amount: i64, currency: &str) -> Result<Money> {
    let currency =
        Currency::from_code(currency).ok_or_else(|| Failure::internal(format!("currency {currency}")))?;
    Ok(Money::new(amount, currency))
}

pub(super) async fn insert<M: ModelTrait>(tx: &Tx, row: M) -> Result<()> {
    Rows::new().row(row).insert(tx).await
}

pub(super) async fn charge(on: &impl ConnectionTrait, reference: &str) -> Result<Option<charge::Model>> {
    charge::Entity::find_by_id(reference.to_owned()).one(on).await.db()
}

/// Reads a charge and keeps it as it is until the end of the write.
pub(super) async fn lock_charge(tx: &Tx, reference: &str) -> Result<Option<charge::Model>> {
    charge::Entity::find_by_id(reference.to_owned()).lock_exclusive().one(tx).await.db()
}

/// Writes a charge back.
pub(super) async fn put(tx: &Tx, row: &charge::Model) -> Result<()> {
    charge::Entity::update_many()
        .col_expr(charge::Column::State, Expr::value(row.state.clone()))
        .col_expr(charge::Column::Captured, Expr::value(row.captured))
        .col_expr(charge::Column::Reason, Expr::value(row.reason.clone()))
        .col_expr(charge::Column::SettledAt, Expr::value(row.settled_at))
        .col_expr(charge::Column::ShownAt, Expr::value(row.shown_at))
        .filter(charge::Column::Reference.eq(row.reference.as_str()))
        .exec(tx)
        .await
        .db()?;
    Ok(())
}

pub(super) async fn refund(on: &impl ConnectionTrait, key: &str) -> Result<Option<refund::Model>> {
    refund::Entity::find_by_id(key.to_owned()).one(on).await.db()
}

/// What went back of a charge.
pub(super) async fn refunded(tx: &Tx, reference: &str) -> Result<i64> {
    let rows = refund::Entity::find().filter(refund::Column::Reference.eq(reference)).all(tx).await.db()?;
    Ok(rows.iter().map(|row| row.amount).sum())
}

/// Callbacks that are due, the longest due first.
pub(super) async fn due(
    on: &impl ConnectionTrait,
    now: Timestamp,
    limit: u64,
) -> Result<Vec<callback::Model>> {
    callback::Entity::find()
        .filter(callback::Column::Dead.eq(false))
        .filter(callback::Column::NextAt.lte(now.micros()))
        .order_by_asc(callback::Column::NextAt)
        .limit(limit)
        .all(on)
        .await
        .db()
}

/// Takes a callback to be made by this process until `until`; false when somebody else has it.
pub(super) async fn claim(tx: &Tx, row: &callback::Model, until: Timestamp) -> Result<bool> {
    let done = callback::Entity::update_many()
        .col_expr(callback::Column::NextAt, Expr::value(until.micros()))
        .col_expr(callback::Column::Tries, Expr::value(row.tries + 1))
        .filter(callback::Column::Id.eq(row.id))
        .filter(callback::Column::NextAt.eq(row.next_at))
        .filter(callback::Column::Dead.eq(false))
        .exec(tx)
        .await
        .db()?;
    Ok(done.rows_affected == 1)
}

/// Removes a callback that was taken.
pub(super) async fn delivered(tx: &Tx, id: Uuid) -> Result<()> {
    callback::Entity::delete_by_id(id).exec(tx).await.db()?;
    Ok(())
}

/// Says when to call back again, or that it is given up.
pub(super) async fn put_off(tx: &Tx, id: Uuid, at: Timestamp, dead: bool) -> Result<()> {
    callback::Entity::update_many()
        .col_expr(callback::Column::NextAt, Expr::value(at.micros()))
        .col_expr(callback::Column::Dead, Expr::value(dead))
        .filter(callback::Column::Id.eq(id))
        .exec(tx)
        .await
        .db()?;
    Ok(())
}
