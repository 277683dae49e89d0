//! Takes orders of another shop in, and gives them back.
//!
//! They are facts of the past: no stock is held for them, no money is asked for, and no event tells of them. Their sums must
//! add up all the same. Whoever cancels or refunds one does so where it was placed.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use async_trait::async_trait;
use contracts::{
    Ctx,
    intake::{
        Brought, Digest, GivenBack, Intake, Kept, OrderFacts, Row, TakeOrder, TakenIn, Verdict, digest,
        judge, system_only,
    },
    inventory::HoldId,
    order::{OrderId, OrderLineView},
};
use kernel::{Failure, Result};
use platform_db::{Mark, Tx, mark};
use uuid::Uuid;

use crate::{
    OrderService,
    audit::adds_up,
    model::{Order, OrderLine},
    moves::{Actor, Entry},
    store::{self, TAKEN},
};

/// How each step of a taken in order's history begins: it led here in another shop, whose state machine is not ours.
pub(crate) const ELSEWHERE: &str = "in the shop it came from: ";
/// Longest number of an order.
const NUMBER: usize = 64;

#[async_trait]
impl Intake<TakeOrder> for OrderService {
    async fn take_in(&self, ctx: &Ctx, source: &str, rows: Vec<TakeOrder>) -> Result<Vec<TakenIn>> {
        system_only(ctx)?;
        let Some(first) = rows.first() else { return Ok(Vec::new()) };
        let shard = first.facts.id.shard();
        self.db
            .write(shard, (source.to_owned(), rows), |tx, (source, rows)| {
                Box::pin(async move { take(tx, source, rows).await })
            })
            .await
    }

    async fn kept(&self, ctx: &Ctx, ids: &[Uuid]) -> Result<Vec<Option<Kept>>> {
        system_only(ctx)?;
        let marks = TAKEN.find(self.db.read(), ids).await?;
        let known = store::by_ids(self.db.read(), ids).await?;
        ids.iter().map(|id| marks.get(id).map(|mark| look(mark, &known)).transpose()).collect()
    }

    async fn brought(
        &self,
        ctx: &Ctx,
        source: &str,
        after: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<Brought>> {
        system_only(ctx)?;
        let marks = TAKEN.after(self.db.read(), source, after, limit).await?;
        Ok(marks.into_iter().map(|mark| Brought { id: mark.id, key: mark.source_key }).collect())
    }

    async fn count(&self, ctx: &Ctx, source: &str) -> Result<u64> {
        system_only(ctx)?;
        TAKEN.count(self.db.read(), source).await
    }

    async fn give_back(&self, ctx: &Ctx, ids: &[Uuid], lived_too: bool) -> Result<Vec<GivenBack>> {
        system_only(ctx)?;
        let Some(first) = ids.first() else { return Ok(Vec::new()) };
        self.db
            .write(OrderId::from_uuid(*first).shard(), (ids.to_vec(), lived_too), |tx, (ids, lived_too)| {
                Box::pin(async move { give_back(tx, ids, *lived_too).await })
            })
            .await
    }
}

impl OrderService {
    /// As what takes orders in.
    pub fn intake(self: &Arc<Self>) -> Arc<dyn Intake<TakeOrder>> {
        Arc::clone(self) as Arc<dyn Intake<TakeOrder>>
    }

    /// Refuses what can only be done where an order was placed: of one that came from another shop.
    pub(crate) async fn placed_here(&self, id: OrderId) -> Result<()> {
        if TAKEN.find(self.db.read(), &[id.uuid()]).await?.is_empty() {
            return Ok(());
        }
        let detail = "the order comes from another shop: cancel and refund it there";
        Err(Failure::new(contracts::order::code::STATE).detail(detail))
    }
}

type Known = HashMap<Uuid, Order>;

fn digest_of(known: &Known, id: Uuid) -> Result<Option<Digest>> {
    known.get(&id).map(|order| digest(&facts(order))).transpose()
}

fn look(mark: &Mark, known: &Known) -> Result<Kept> {
    let (said, kept) = mark.digests();
    let now = digest_of(known, mark.id)?.unwrap_or_default();
    Ok(Kept { said, now, lived: now != kept })
}

async fn take(tx: &Tx, source: &str, rows: &[TakeOrder]) -> Result<Vec<TakenIn>> {
    let ids: Vec<Uuid> = rows.iter().map(Row::id).collect();
    let marks = TAKEN.find(tx, &ids).await?;
    let known = store::by_ids(tx, &marks.keys().copied().collect::<Vec<_>>()).await?;
    let mut owners = store::numbers(tx, rows.iter().map(|row| row.facts.number.clone()).collect()).await?;
    let (mut outcome, mut news, mut seen) = (Vec::with_capacity(rows.len()), Vec::new(), HashSet::new());
    for row in rows {
        let id = row.id();
        let taken = match judge(marks.get(&id).map(Mark::digests), row.said()?, digest_of(&known, id)?) {
            Verdict::Same => TakenIn::Unchanged,
            Verdict::ChangedHere => TakenIn::ChangedHere,
            Verdict::Create | Verdict::Replace => {
                let number = &row.facts.number;
                let free = owners.get(number).is_none_or(|owner| *owner == id) && !seen.contains(number);
                match order_of(row).filter(|_| free) {
                    None if !free => TakenIn::Refused(format!("another order has the number {number}")),
                    None => TakenIn::Refused("its sums do not add up".to_owned()),
                    Some(order) => {
                        let before = known.get(&id);
                        if let Some(before) = before {
                            store::remove(tx, before).await?;
                        }
                        let steps = entries(row);
                        store::insert_taken(tx, &order, &steps).await?;
                        seen.insert(number.clone());
                        owners.insert(number.clone(), id);
                        news.push(mark(source, row, tx.now())?);
                        if before.is_some() { TakenIn::Updated } else { TakenIn::Created }
                    }
                }
            }
        };
        outcome.push(taken);
    }
    TAKEN.put(tx, &news).await?;
    Ok(outcome)
}

/// The order that a row describes; none where it does not add up.
fn order_of(row: &TakeOrder) -> Option<Order> {
    let facts = &row.facts;
    let order = Order {
        id: facts.id,
        user_id: facts.user_id,
        number: facts.number.clone(),
        state: facts.state,
        payment_state: facts.payment_state,
        fulfilment_state: facts.fulfilment_state,
        version: i64::try_from(row.steps.len()).ok()?,
        // Of a hold that never was; no two orders have one.
        hold_id: HoldId::derive(facts.id.shard(), &[b"order.taken", facts.id.uuid().as_bytes()]),
        hold_attempt: 0,
        lines: facts.lines.iter().cloned().map(line_of).collect(),
        totals: facts.totals,
        refunded: facts.refunded,
        market: facts.address.country.clone(),
        address: facts.address.clone(),
        explanation: Vec::new(),
        remark: facts.remark.clone(),
        from_cart: false,
        placed_at: facts.placed_at,
        expires_at: facts.placed_at,
        paid_at: facts.paid_at,
        cancelled_at: facts.cancelled_at,
        cancel_reason: None,
        payment_id: facts.payment_id,
        payment_number: facts.payment_number.clone(),
        trace: None,
    };
    let ends = row.steps.last().is_some_and(|(state, _)| *state == facts.state);
    let right = ends
        && (1..=NUMBER).contains(&order.number.chars().count())
        && order.totals.total.amount >= 0
        && order.lines.iter().all(|line| line.quantity > 0 && line.unit_price.amount >= 0)
        && adds_up(&order);
    right.then_some(order)
}

fn line_of(line: OrderLineView) -> OrderLine {
    OrderLine {
        sku_id: line.sku_id,
        product_id: line.product_id,
        sku_code: line.sku_code,
        title: line.title,
        options: line.options,
        slug: line.slug,
        image: line.image,
        quantity: line.quantity,
        unit_price: line.unit_price,
        subtotal: line.subtotal,
        discount: line.discount,
        tax: line.tax,
        tax_rate_bp: 0,
        total: line.total,
    }
}

/// The facts of an order, as its source would have told them.
fn facts(order: &Order) -> OrderFacts {
    let view = order.view();
    OrderFacts {
        id: order.id,
        user_id: order.user_id,
        number: view.number,
        state: view.state,
        payment_state: view.payment_state,
        fulfilment_state: view.fulfilment_state,
        lines: view.lines,
        totals: view.totals,
        refunded: order.refunded,
        address: view.address,
        remark: view.remark,
        placed_at: view.placed_at,
        paid_at: view.paid_at,
        cancelled_at: view.cancelled_at,
        payment_id: order.payment_id,
        payment_number: view.payment_number,
    }
}

/// Its history: who did what is not known.
fn entries(row: &TakeOrder) -> Vec<(Entry, kernel::Timestamp)> {
    let mut from = None;
    row.steps
        .iter()
        .map(|&(to, at)| {
            let reason = format!("{ELSEWHERE}{}", crate::states::Word::word(to));
            (Entry { actor: Actor::System, from: from.replace(to), to, reason }, at)
        })
        .collect()
}

async fn give_back(tx: &Tx, ids: &[Uuid], lived_too: bool) -> Result<Vec<GivenBack>> {
    let marks = TAKEN.find(tx, ids).await?;
    let known = store::by_ids(tx, ids).await?;
    let (mut outcome, mut gone) = (Vec::with_capacity(ids.len()), Vec::new());
    for id in ids {
        if let (Some(mark), Some(order)) = (marks.get(id), known.get(id)) {
            if !lived_too && look(mark, &known)?.lived {
                outcome.push(GivenBack::Kept("was changed here".to_owned()));
                continue;
            }
            store::remove(tx, order).await?;
        }
        gone.push(*id);
        outcome.push(GivenBack::Removed);
    }
    TAKEN.remove(tx, &gone).await?;
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use contracts::order::OrderState;

    use super::*;
    use crate::testing;

    fn row() -> TakeOrder {
        let order = testing::order();
        TakeOrder {
            key: "1".to_owned(),
            facts: facts(&order),
            steps: vec![(OrderState::PendingPayment, order.placed_at)],
        }
    }

    #[test]
    fn an_order_says_what_it_was_taken_in_as() {
        let row = row();
        let order = order_of(&row).unwrap();
        assert_eq!(facts(&order), row.facts);
        assert_eq!(row.kept().unwrap(), digest(&facts(&order)).unwrap());
    }

    #[test]
    fn what_does_not_add_up_is_refused() {
        let spoil: [fn(&mut TakeOrder); 5] = [
            |row| row.facts.totals.total.amount += 1,
            |row| row.facts.lines[0].subtotal.amount += 1,
            |row| row.facts.lines.clear(),
            |row| row.facts.number = "9".repeat(65),
            |row| row.facts.state = OrderState::Completed,
        ];
        for (way, spoil) in spoil.iter().enumerate() {
            let mut wrong = row();
            spoil(&mut wrong);
            assert!(order_of(&wrong).is_none(), "spoiled in way {way}");
        }
    }

    #[test]
    fn history_leads_from_step_to_step() {
        let mut row = row();
        row.steps.push((OrderState::Paid, testing::AT));
        row.steps.push((OrderState::Completed, testing::AT));
        let steps = entries(&row);
        assert_eq!(steps[0].0.from, None);
        assert_eq!(steps[2].0.from, Some(OrderState::Paid));
        assert_eq!(steps[2].0.reason, "in the shop it came from: completed");
    }
}
