//! SQL of refunds.

use contracts::payment::{IntentState, PaymentId, RefundId, RefundState, RefundView};
use kernel::{Failure, Result, Timestamp};
use platform_db::{DbResult, Rows, Tx};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ExprTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::Expr,
};

use super::{
    entity::{intent, refund},
    key, money,
};
use crate::model::{intent_name, refund_name, refund_state};

impl refund::Model {
    /// Its id.
    pub(crate) fn refund(&self) -> RefundId {
        RefundId::from_uuid(self.id)
    }

    /// Its payment.
    pub(crate) fn payment(&self) -> PaymentId {
        PaymentId::from_uuid(self.intent_id)
    }

    /// As shoppers and staff see it.
    pub(crate) fn view(&self) -> Result<RefundView> {
        Ok(RefundView {
            id: self.refund(),
            payment_id: self.payment(),
            amount: money(self.amount, &self.currency)?,
            state: refund_state(&self.state)
                .ok_or_else(|| Failure::internal(format!("refund state {}", self.state)))?,
            reason: self.reason.clone(),
            created_at: Timestamp::from_micros(self.created_at),
        })
    }
}

pub(crate) async fn refund(on: &impl ConnectionTrait, id: RefundId) -> Result<Option<refund::Model>> {
    refund::Entity::find_by_id(key(id)).one(on).await.db()
}

/// A payment's refunds, newest first, without money that never paid it: paid twice, or a wrong amount before it began again.
pub(crate) async fn refunds(on: &impl ConnectionTrait, payment: PaymentId) -> Result<Vec<refund::Model>> {
    let (shard, id) = key(payment);
    refund::Entity::find()
        .filter(refund::Column::Shard.eq(shard))
        .filter(refund::Column::IntentId.eq(id))
        .filter(refund::Column::Surplus.eq(false))
        .order_by_desc(refund::Column::CreatedAt)
        .order_by_desc(refund::Column::Id)
        .all(on)
        .await
        .db()
}

/// Refunds the provider has not settled and that are due, the longest due first.
pub(crate) async fn due_refunds(
    on: &impl ConnectionTrait,
    now: Timestamp,
    limit: u64,
) -> Result<Vec<refund::Model>> {
    refund::Entity::find()
        .filter(refund::Column::State.eq(refund_name(RefundState::Pending)))
        .filter(refund::Column::NextAt.lte(now.micros()))
        .order_by_asc(refund::Column::NextAt)
        .limit(limit)
        .all(on)
        .await
        .db()
}

/// Inserts a refund.
pub(crate) async fn insert_refund(tx: &Tx, row: refund::Model) -> Result<()> {
    Rows::new().row(row).insert(tx).await
}

/// Sets `amount` aside of what was captured; false when more would go back than came. The sum is made in the statement, so
/// that two at once cannot both fit.
pub(crate) async fn set_aside(tx: &Tx, payment: PaymentId, amount: i64) -> Result<bool> {
    let (shard, id) = key(payment);
    let refundable = [IntentState::Succeeded, IntentState::Conflicted].map(intent_name);
    let done = intent::Entity::update_many()
        .col_expr(intent::Column::Refunded, Expr::col(intent::Column::Refunded).add(amount))
        .filter(intent::Column::Shard.eq(shard))
        .filter(intent::Column::Id.eq(id))
        .filter(intent::Column::State.is_in(refundable))
        // Not the sum against what was captured: with an amount that nobody has, the sum is no number any more.
        .filter(Expr::col(intent::Column::Refunded).lte(Expr::col(intent::Column::Captured).sub(amount)))
        .exec(tx)
        .await
        .db()?;
    Ok(done.rows_affected == 1)
}

/// Books a refund that is done (`went_back`) or will never be (the amount is free again).
pub(crate) async fn book(tx: &Tx, payment: PaymentId, amount: i64, went_back: bool) -> Result<()> {
    let (shard, id) = key(payment);
    let query = intent::Entity::update_many();
    let query = if went_back {
        query.col_expr(intent::Column::RefundedDone, Expr::col(intent::Column::RefundedDone).add(amount))
    } else {
        query.col_expr(intent::Column::Refunded, Expr::col(intent::Column::Refunded).sub(amount))
    };
    query
        .col_expr(intent::Column::UpdatedAt, Expr::value(tx.now().micros()))
        .filter(intent::Column::Shard.eq(shard))
        .filter(intent::Column::Id.eq(id))
        .exec(tx)
        .await
        .db()?;
    Ok(())
}

/// Lets a payment whose wrong money all went back begin again, as if none had come; false where some is still here, or was
/// in a currency that is on the attempt only. Its refunds are not part of what it refunds from now on.
pub(crate) async fn start_over(tx: &Tx, payment: &mut intent::Model) -> Result<bool> {
    if payment.captured == 0 || payment.refunded_done != payment.captured {
        return Ok(false);
    }
    refund::Entity::update_many()
        .col_expr(refund::Column::Surplus, Expr::value(true))
        .filter(refund::Column::Shard.eq(payment.shard))
        .filter(refund::Column::IntentId.eq(payment.id))
        .exec(tx)
        .await
        .db()?;
    intent::Entity::update_many()
        .col_expr(intent::Column::Refunded, Expr::value(0))
        .col_expr(intent::Column::RefundedDone, Expr::value(0))
        .filter(intent::Column::Shard.eq(payment.shard))
        .filter(intent::Column::Id.eq(payment.id))
        .exec(tx)
        .await
        .db()?;
    (payment.captured, payment.refunded, payment.refunded_done, payment.paid_at) = (0, 0, 0, None);
    Ok(true)
}

/// Ends a pending refund; false when it had ended.
pub(crate) async fn end_refund(
    tx: &Tx,
    id: RefundId,
    to: RefundState,
    provider_number: Option<String>,
) -> Result<bool> {
    let (shard, id) = key(id);
    let done = refund::Entity::update_many()
        .col_expr(refund::Column::State, Expr::value(refund_name(to)))
        .col_expr(refund::Column::ProviderNumber, Expr::value(provider_number))
        .col_expr(refund::Column::UpdatedAt, Expr::value(tx.now().micros()))
        .filter(refund::Column::Shard.eq(shard))
        .filter(refund::Column::Id.eq(id))
        .filter(refund::Column::State.eq(refund_name(RefundState::Pending)))
        .exec(tx)
        .await
        .db()?;
    Ok(done.rows_affected == 1)
}

/// Says when to ask for a pending refund next.
pub(crate) async fn postpone_refund(tx: &Tx, id: RefundId, at: Timestamp, tries: i32) -> Result<()> {
    let (shard, id) = key(id);
    refund::Entity::update_many()
        .col_expr(refund::Column::NextAt, Expr::value(at.micros()))
        .col_expr(refund::Column::Tries, Expr::value(tries))
        .filter(refund::Column::Shard.eq(shard))
        .filter(refund::Column::Id.eq(id))
        .filter(refund::Column::State.eq(refund_name(RefundState::Pending)))
        .exec(tx)
        .await
        .db()?;
    Ok(())
}
