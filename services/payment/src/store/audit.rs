//! Payments with what belongs to them, for the audit.

use std::collections::HashMap;

use contracts::payment::IntentState;
use kernel::Result;
use platform_db::{Db, DbResult};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::{
    Position,
    entity::{attempt, intent, refund},
    intents,
};
use crate::model::intent_name;

/// A payment with its refunds and with those of its attempts that brought money.
#[derive(Debug)]
pub(crate) struct Books {
    pub(crate) payment: intent::Model,
    pub(crate) refunds: Vec<refund::Model>,
    pub(crate) paid: Vec<attempt::Model>,
}

/// The books of payments, newest first, one more than `limit`: all of one moment.
pub(crate) async fn page_of_books(db: &Db, after: Option<Position>, limit: u32) -> Result<Vec<Books>> {
    let snapshot = db.read().snapshot().await.db()?;
    let payments = intents(&snapshot, None, after, limit).await?;
    // By shard first: the indexes of a payment's refunds and attempts begin with it.
    let shards = || payments.iter().map(|payment| payment.shard);
    let ids = || payments.iter().map(|payment| payment.id);
    let refunds = refund::Entity::find()
        .filter(refund::Column::Shard.is_in(shards()))
        .filter(refund::Column::IntentId.is_in(ids()))
        .all(&snapshot)
        .await
        .db()?;
    let paid = attempt::Entity::find()
        .filter(attempt::Column::Shard.is_in(shards()))
        .filter(attempt::Column::IntentId.is_in(ids()))
        .filter(attempt::Column::State.eq(intent_name(IntentState::Succeeded)))
        .all(&snapshot)
        .await
        .db()?;
    snapshot.rollback().await.db()?;
    let (mut refunds, mut paid) =
        (by_payment(refunds, |row| row.intent_id), by_payment(paid, |row| row.intent_id));
    let books = |payment: intent::Model| Books {
        refunds: refunds.remove(&payment.id).unwrap_or_default(),
        paid: paid.remove(&payment.id).unwrap_or_default(),
        payment,
    };
    Ok(payments.into_iter().map(books).collect())
}

fn by_payment<T>(rows: Vec<T>, of: impl Fn(&T) -> Uuid) -> HashMap<Uuid, Vec<T>> {
    let mut by_payment: HashMap<Uuid, Vec<T>> = HashMap::with_capacity(rows.len());
    for row in rows {
        by_payment.entry(of(&row)).or_default().push(row);
    }
    by_payment
}
