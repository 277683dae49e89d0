//! SQL of payments that come from another shop.

use std::collections::{BTreeMap, HashMap};

use contracts::payment::PaymentId;
use kernel::{Result, Shard};
use platform_db::{DbResult, Marks, Rows, Tx};
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter};
use uuid::Uuid;

use super::{
    entity::{attempt, intent, refund},
    shard,
};

/// What was taken in.
pub(crate) const TAKEN: Marks = Marks::of("payment_taken");

/// A payment with everything that belongs to it.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) intent: intent::Model,
    pub(crate) attempts: Vec<attempt::Model>,
    pub(crate) refunds: Vec<refund::Model>,
}

/// Payments by id.
pub(crate) async fn groups(on: &impl ConnectionTrait, ids: &[Uuid]) -> Result<HashMap<Uuid, Group>> {
    let mut by_shard: BTreeMap<i32, Vec<Uuid>> = BTreeMap::new();
    for id in ids {
        by_shard.entry(shard(PaymentId::from_uuid(*id).shard())).or_default().push(*id);
    }
    let mut known = HashMap::with_capacity(ids.len());
    for (home, ids) in by_shard {
        let intents = intent::Entity::find()
            .filter(intent::Column::Shard.eq(home))
            .filter(intent::Column::Id.is_in(ids.iter().copied()))
            .all(on)
            .await
            .db()?;
        known.extend(
            intents
                .into_iter()
                .map(|intent| (intent.id, Group { intent, attempts: Vec::new(), refunds: Vec::new() })),
        );
        let attempts = attempt::Entity::find()
            .filter(attempt::Column::Shard.eq(home))
            .filter(attempt::Column::IntentId.is_in(ids.iter().copied()))
            .all(on)
            .await
            .db()?;
        for row in attempts {
            if let Some(group) = known.get_mut(&row.intent_id) {
                group.attempts.push(row);
            }
        }
        let refunds = refund::Entity::find()
            .filter(refund::Column::Shard.eq(home))
            .filter(refund::Column::IntentId.is_in(ids))
            .all(on)
            .await
            .db()?;
        for row in refunds {
            if let Some(group) = known.get_mut(&row.intent_id) {
                group.refunds.push(row);
            }
        }
    }
    Ok(known)
}

/// Which payment has each of these numbers, among intents and attempts of its shard.
pub(crate) async fn owners_of_numbers(
    on: &impl ConnectionTrait,
    wanted: Vec<(Shard, String)>,
) -> Result<HashMap<(i32, String), Uuid>> {
    let mut by_shard: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    for (home, number) in wanted {
        by_shard.entry(shard(home)).or_default().push(number);
    }
    let mut owners = HashMap::new();
    for (home, numbers) in by_shard {
        let attempts = attempt::Entity::find()
            .filter(attempt::Column::Shard.eq(home))
            .filter(attempt::Column::Number.is_in(numbers.iter().cloned()))
            .all(on)
            .await
            .db()?;
        owners.extend(attempts.into_iter().map(|row| ((home, row.number), row.intent_id)));
        let intents = intent::Entity::find()
            .filter(intent::Column::Shard.eq(home))
            .filter(intent::Column::Number.is_in(numbers))
            .all(on)
            .await
            .db()?;
        owners.extend(intents.into_iter().map(|row| ((home, row.number), row.id)));
    }
    Ok(owners)
}

/// Inserts a payment. No event tells of it.
pub(crate) async fn insert(tx: &Tx, group: Group) -> Result<()> {
    Rows::new().row(group.intent).rows(group.attempts).rows(group.refunds).insert(tx).await
}

/// Removes a payment with everything that belongs to it.
pub(crate) async fn remove(tx: &Tx, group: &Group) -> Result<()> {
    let (home, id) = (group.intent.shard, group.intent.id);
    refund::Entity::delete_many()
        .filter(refund::Column::Shard.eq(home))
        .filter(refund::Column::IntentId.eq(id))
        .exec(tx)
        .await
        .db()?;
    attempt::Entity::delete_many()
        .filter(attempt::Column::Shard.eq(home))
        .filter(attempt::Column::IntentId.eq(id))
        .exec(tx)
        .await
        .db()?;
    intent::Entity::delete_by_id((home, id)).exec(tx).await.db()?;
    Ok(())
}
