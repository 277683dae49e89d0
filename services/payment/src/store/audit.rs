//! Payments with their refunds, for the audit.

use std::collections::HashMap;

use kernel::Result;
use platform_db::{Db, DbResult};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::{
    Position,
    entity::{intent, refund},
    intents,
};

/// Payments, newest first, one more than `limit`, each with its refunds: all of one moment.
pub(crate) async fn page_with_refunds(
    db: &Db,
    after: Option<Position>,
    limit: u32,
) -> Result<Vec<(intent::Model, Vec<refund::Model>)>> {
    let snapshot = db.read().snapshot().await.db()?;
    let payments = intents(&snapshot, None, after, limit).await?;
    // By shard first: the index of a payment's refunds begins with it.
    let shards = payments.iter().map(|payment| payment.shard);
    let refunds = refund::Entity::find()
        .filter(refund::Column::Shard.is_in(shards))
        .filter(refund::Column::IntentId.is_in(payments.iter().map(|payment| payment.id)))
        .all(&snapshot)
        .await
        .db()?;
    snapshot.rollback().await.db()?;
    let mut by_payment: HashMap<Uuid, Vec<refund::Model>> = HashMap::with_capacity(payments.len());
    for refund in refunds {
        by_payment.entry(refund.intent_id).or_default().push(refund);
    }
    let with_refunds = |payment: intent::Model| {
        let refunds = by_payment.remove(&payment.id).unwrap_or_default();
        (payment, refunds)
    };
    Ok(payments.into_iter().map(with_refunds).collect())
}
