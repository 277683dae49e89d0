//! All SQL of intents, attempts and the log; refunds have a file of their own.
//!
//! A transition is written with the state it starts from in its `WHERE`: who was overtaken changes nothing and is told.

mod audit;
pub(crate) mod entity;
mod intake;
mod refunds;

use contracts::{
    UserId,
    order::OrderId,
    payment::{AttemptId, IntentState, PaymentId, PaymentView},
};
use kernel::{Currency, Failure, Id, Kind, Money, Result, Shard, Timestamp, code};
use platform_db::{DbResult, Rows, Tx};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::Expr,
};
use uuid::Uuid;

pub(crate) use self::{audit::*, intake::*, refunds::*};
use crate::{
    model::{intent_name, intent_state},
    places::Places,
};
use entity::{attempt, intent, log};

/// A shard as the database keeps it.
pub(crate) fn shard(shard: Shard) -> i32 {
    i32::from(shard.number())
}

fn key<K: Kind>(id: Id<K>) -> (i32, Uuid) {
    (shard(id.shard()), id.uuid())
}

/// An amount as the database keeps it.
pub(crate) fn money(amount: i64, currency: &str) -> Result<Money> {
    let currency =
        Currency::from_code(currency).ok_or_else(|| Failure::internal(format!("currency {currency}")))?;
    Ok(Money::new(amount, currency))
}

fn state(name: &str) -> Result<IntentState> {
    intent_state(name).ok_or_else(|| Failure::internal(format!("payment state {name}")))
}

/// A guarded write that changed nothing: somebody was faster. Does not happen under the locks taken here, and if it does
/// the caller's retry settles it.
pub(crate) fn overtaken() -> Failure {
    Failure::new(code::CONFLICT).detail("the payment has just changed; try again")
}

impl intent::Model {
    /// Its id.
    pub(crate) fn payment(&self) -> PaymentId {
        PaymentId::from_uuid(self.id)
    }

    /// Its order.
    pub(crate) fn order(&self) -> OrderId {
        OrderId::from_uuid(self.order_id)
    }

    /// Who pays.
    pub(crate) fn user(&self) -> UserId {
        UserId::from_uuid(self.user_id)
    }

    /// Where it stands.
    pub(crate) fn standing(&self) -> Result<IntentState> {
        state(&self.state)
    }

    /// What is to be paid.
    pub(crate) fn money(&self) -> Result<Money> {
        money(self.amount, &self.currency)
    }

    /// As shoppers and staff see it.
    pub(crate) fn view(&self, places: &Places) -> Result<PaymentView> {
        let state = self.standing()?;
        let id = self.payment();
        Ok(PaymentView {
            id,
            number: self.number.clone(),
            order_id: self.order(),
            state,
            amount: self.money()?,
            captured: money(self.captured, &self.currency)?,
            refunded: money(self.refunded, &self.currency)?,
            channel: self.channel.clone(),
            redirect_url: (state == IntentState::Pending).then(|| places.pay_page(&id.to_string())),
            provider_number: self.provider_number.clone(),
            created_at: Timestamp::from_micros(self.created_at),
            paid_at: self.paid_at.map(Timestamp::from_micros),
            expires_at: Timestamp::from_micros(self.expires_at),
            reason: self.reason.clone(),
        })
    }
}

impl attempt::Model {
    /// Its id.
    pub(crate) fn attempt(&self) -> AttemptId {
        AttemptId::from_uuid(self.id)
    }

    /// Its payment.
    pub(crate) fn payment(&self) -> PaymentId {
        PaymentId::from_uuid(self.intent_id)
    }

    /// Where it stands.
    pub(crate) fn standing(&self) -> Result<IntentState> {
        state(&self.state)
    }

    /// What is to be paid.
    pub(crate) fn money(&self) -> Result<Money> {
        money(self.amount, &self.currency)
    }
}

pub(crate) async fn intent(on: &impl ConnectionTrait, id: PaymentId) -> Result<Option<intent::Model>> {
    intent::Entity::find_by_id(key(id)).one(on).await.db()
}

/// The payments of an order, newest first.
pub(crate) async fn of_order(on: &impl ConnectionTrait, order: OrderId) -> Result<Vec<intent::Model>> {
    let (shard, id) = key(order);
    intent::Entity::find()
        .filter(intent::Column::Shard.eq(shard))
        .filter(intent::Column::OrderId.eq(id))
        .order_by_desc(intent::Column::CreatedAt)
        .all(on)
        .await
        .db()
}

/// A page's position: when, and which among those.
pub(crate) type Position = (i64, Uuid);

/// Payments, newest first, one more than `limit`.
pub(crate) async fn intents(
    on: &impl ConnectionTrait,
    state: Option<IntentState>,
    after: Option<Position>,
    limit: u32,
) -> Result<Vec<intent::Model>> {
    let mut query = intent::Entity::find();
    if let Some(state) = state {
        query = query.filter(intent::Column::State.eq(intent_name(state)));
    }
    if let Some((at, id)) = after {
        query = query.filter(
            Condition::any()
                .add(intent::Column::CreatedAt.lt(at))
                .add(Condition::all().add(intent::Column::CreatedAt.eq(at)).add(intent::Column::Id.lt(id))),
        );
    }
    query
        .order_by_desc(intent::Column::CreatedAt)
        .order_by_desc(intent::Column::Id)
        .limit(u64::from(limit) + 1)
        .all(on)
        .await
        .db()
}

/// Payments that nobody paid in time, the longest overdue first.
pub(crate) async fn overdue(
    on: &impl ConnectionTrait,
    now: Timestamp,
    limit: u64,
) -> Result<Vec<intent::Model>> {
    let open = [IntentState::Pending, IntentState::Failed].map(intent_name);
    intent::Entity::find()
        .filter(intent::Column::State.is_in(open))
        .filter(intent::Column::ExpiresAt.lte(now.micros()))
        .order_by_asc(intent::Column::ExpiresAt)
        .limit(limit)
        .all(on)
        .await
        .db()
}

/// Writes `row` in the place of the payment as it was in state `from`.
pub(crate) async fn put_intent(tx: &Tx, from: IntentState, row: &intent::Model) -> Result<()> {
    let done = intent::Entity::update_many()
        .col_expr(intent::Column::Channel, Expr::value(row.channel.clone()))
        .col_expr(intent::Column::State, Expr::value(row.state.clone()))
        .col_expr(intent::Column::Captured, Expr::value(row.captured))
        .col_expr(intent::Column::Attempts, Expr::value(row.attempts))
        .col_expr(intent::Column::AttemptId, Expr::value(row.attempt_id))
        .col_expr(intent::Column::ProviderNumber, Expr::value(row.provider_number.clone()))
        .col_expr(intent::Column::Reason, Expr::value(row.reason.clone()))
        .col_expr(intent::Column::PaidAt, Expr::value(row.paid_at))
        .col_expr(intent::Column::UpdatedAt, Expr::value(tx.now().micros()))
        .filter(intent::Column::Shard.eq(row.shard))
        .filter(intent::Column::Id.eq(row.id))
        .filter(intent::Column::State.eq(intent_name(from)))
        .exec(tx)
        .await
        .db()?;
    if done.rows_affected == 1 { Ok(()) } else { Err(overtaken()) }
}

pub(crate) async fn attempt(on: &impl ConnectionTrait, id: AttemptId) -> Result<Option<attempt::Model>> {
    attempt::Entity::find_by_id(key(id)).one(on).await.db()
}

/// The attempt that has this number of ours.
pub(crate) async fn attempt_by_number(
    on: &impl ConnectionTrait,
    home: Shard,
    number: &str,
) -> Result<Option<attempt::Model>> {
    attempt::Entity::find()
        .filter(attempt::Column::Shard.eq(shard(home)))
        .filter(attempt::Column::Number.eq(number))
        .one(on)
        .await
        .db()
}

/// A payment's attempts that the provider has not settled.
pub(crate) async fn pending_attempts(
    on: &impl ConnectionTrait,
    payment: PaymentId,
) -> Result<Vec<attempt::Model>> {
    let (shard, id) = key(payment);
    attempt::Entity::find()
        .filter(attempt::Column::Shard.eq(shard))
        .filter(attempt::Column::IntentId.eq(id))
        .filter(attempt::Column::State.eq(intent_name(IntentState::Pending)))
        .all(on)
        .await
        .db()
}

/// Attempts that are to be asked after, the longest due first.
pub(crate) async fn due_attempts(
    on: &impl ConnectionTrait,
    now: Timestamp,
    limit: u64,
) -> Result<Vec<attempt::Model>> {
    attempt::Entity::find()
        .filter(attempt::Column::State.eq(intent_name(IntentState::Pending)))
        .filter(attempt::Column::NextSyncAt.lte(now.micros()))
        .order_by_asc(attempt::Column::NextSyncAt)
        .limit(limit)
        .all(on)
        .await
        .db()
}

/// Writes `row` in the place of the attempt as it was in state `from`.
pub(crate) async fn put_attempt(tx: &Tx, from: IntentState, row: &attempt::Model) -> Result<()> {
    let done = attempt::Entity::update_many()
        .col_expr(attempt::Column::State, Expr::value(row.state.clone()))
        .col_expr(attempt::Column::Captured, Expr::value(row.captured))
        .col_expr(attempt::Column::CapturedCurrency, Expr::value(row.captured_currency.clone()))
        .col_expr(attempt::Column::ProviderNumber, Expr::value(row.provider_number.clone()))
        .col_expr(attempt::Column::Reason, Expr::value(row.reason.clone()))
        .col_expr(attempt::Column::PaidAt, Expr::value(row.paid_at))
        .col_expr(attempt::Column::CalledBackAt, Expr::value(row.called_back_at))
        .col_expr(attempt::Column::UpdatedAt, Expr::value(tx.now().micros()))
        .filter(attempt::Column::Shard.eq(row.shard))
        .filter(attempt::Column::Id.eq(row.id))
        .filter(attempt::Column::State.eq(intent_name(from)))
        .exec(tx)
        .await
        .db()?;
    if done.rows_affected == 1 { Ok(()) } else { Err(overtaken()) }
}

/// Says when to ask after pending attempts next: those with `only`'s id, or all of the payment.
pub(crate) async fn ask_at(
    tx: &Tx,
    payment: PaymentId,
    only: Option<Uuid>,
    at: Timestamp,
    syncs: i32,
) -> Result<()> {
    let (shard, id) = key(payment);
    let mut query = attempt::Entity::update_many()
        .col_expr(attempt::Column::NextSyncAt, Expr::value(at.micros()))
        .col_expr(attempt::Column::Syncs, Expr::value(syncs))
        .filter(attempt::Column::Shard.eq(shard))
        .filter(attempt::Column::IntentId.eq(id))
        .filter(attempt::Column::State.eq(intent_name(IntentState::Pending)));
    if let Some(only) = only {
        query = query.filter(attempt::Column::Id.eq(only));
    }
    query.exec(tx).await.db()?;
    Ok(())
}

/// Which way a message went.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Direction {
    /// To the provider.
    Sent,
    /// From the provider.
    Received,
}

/// Adds to the payment's log. `body` holds no secrets; what is too long is cut.
pub(crate) async fn note(
    tx: &Tx,
    payment: PaymentId,
    direction: Direction,
    what: &str,
    body: &str,
) -> Result<()> {
    let row = log::Model {
        shard: shard(payment.shard()),
        id: tx.ids().uuid(payment.shard()),
        intent_id: payment.uuid(),
        at: tx.now().micros(),
        direction: match direction {
            Direction::Sent => "sent",
            Direction::Received => "received",
        }
        .to_owned(),
        what: what.to_owned(),
        body: body.chars().take(4_000).collect(),
    };
    Rows::new().row(row).insert(tx).await
}
