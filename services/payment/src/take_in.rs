//! Takes payments of another shop in, and gives them back.
//!
//! They are facts of the past: no provider is asked, and no event tells of them. Their channels are named after the shop they
//! come from, so none is configured here and nothing can be refunded over one: that is done where it was paid.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use async_trait::async_trait;
use contracts::{
    Ctx,
    intake::{
        AttemptFacts, Brought, Digest, GivenBack, Intake, Kept, PaymentFacts, RefundFacts, Row, TakePayment,
        TakenIn, Verdict, digest, judge, system_only,
    },
    payment::{IntentState, PaymentId, RefundState},
};
use kernel::{Result, Timestamp};
use platform_db::{Mark, Tx, mark};
use uuid::Uuid;

use crate::{
    PaymentService,
    model::{intent_name, refund_name},
    store::{
        self, Group, TAKEN,
        entity::{attempt, intent, refund},
    },
};

/// Longest number of a payment, and of a provider.
const NUMBER: usize = 40;
const PROVIDER_NUMBER: usize = 64;

#[async_trait]
impl Intake<TakePayment> for PaymentService {
    async fn take_in(&self, ctx: &Ctx, source: &str, rows: Vec<TakePayment>) -> Result<Vec<TakenIn>> {
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
        let known = store::groups(self.db.read(), ids).await?;
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
        let shard = PaymentId::from_uuid(*first).shard();
        self.db
            .write(shard, (ids.to_vec(), lived_too), |tx, (ids, lived_too)| {
                Box::pin(async move { give_back(tx, ids, *lived_too).await })
            })
            .await
    }
}

impl PaymentService {
    /// As what takes payments in.
    pub fn intake(self: &Arc<Self>) -> Arc<dyn Intake<TakePayment>> {
        Arc::clone(self) as Arc<dyn Intake<TakePayment>>
    }
}

type Known = HashMap<Uuid, Group>;

fn digest_of(known: &Known, id: Uuid) -> Result<Option<Digest>> {
    known.get(&id).map(|group| digest(&facts(group)?)).transpose()
}

fn look(mark: &Mark, known: &Known) -> Result<Kept> {
    let (said, kept) = mark.digests();
    let now = digest_of(known, mark.id)?.unwrap_or_default();
    Ok(Kept { said, now, lived: now != kept })
}

async fn take(tx: &Tx, source: &str, rows: &[TakePayment]) -> Result<Vec<TakenIn>> {
    let ids: Vec<Uuid> = rows.iter().map(Row::id).collect();
    let marks = TAKEN.find(tx, &ids).await?;
    let known = store::groups(tx, &marks.keys().copied().collect::<Vec<_>>()).await?;
    let wanted = rows.iter().flat_map(|row| {
        row.facts.attempts.iter().map(|attempt| (row.facts.id.shard(), attempt.number.clone()))
    });
    // Whose each number is, on its shard.
    let mut owners = store::owners_of_numbers(tx, wanted.collect()).await?;
    let (mut outcome, mut news) = (Vec::with_capacity(rows.len()), Vec::new());
    for row in rows {
        let id = row.id();
        let taken = match judge(marks.get(&id).map(Mark::digests), row.said()?, digest_of(&known, id)?) {
            Verdict::Same => TakenIn::Unchanged,
            Verdict::ChangedHere => TakenIn::ChangedHere,
            Verdict::Create | Verdict::Replace => {
                let home = store::shard(row.facts.id.shard());
                let foreign = row.facts.attempts.iter().find(|attempt| {
                    owners.get(&(home, attempt.number.clone())).is_some_and(|owner| *owner != id)
                });
                match (why_not(&row.facts), foreign) {
                    (Some(why), _) => TakenIn::Refused(why),
                    (None, Some(it)) => {
                        TakenIn::Refused(format!("another payment has the number {}", it.number))
                    }
                    (None, None) => {
                        let before = known.get(&id);
                        if let Some(before) = before {
                            store::remove(tx, before).await?;
                        }
                        store::insert(tx, group_of(&row.facts, tx.now())).await?;
                        for attempt in &row.facts.attempts {
                            owners.insert((home, attempt.number.clone()), id);
                        }
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

/// Which equation of a payment does not hold, or what of it does not fit.
fn why_not(facts: &PaymentFacts) -> Option<String> {
    let mut numbers = HashSet::new();
    for attempt in &facts.attempts {
        let length = attempt.number.chars().count();
        if !(1..=NUMBER).contains(&length) {
            return Some(format!("the number {} must have 1 to {NUMBER} characters", attempt.number));
        }
        if attempt.provider_number.as_ref().is_some_and(|it| it.chars().count() > PROVIDER_NUMBER) {
            return Some(format!("the provider's number has more than {PROVIDER_NUMBER} characters"));
        }
        if !numbers.insert(&attempt.number) {
            return Some(format!("the number {} comes twice", attempt.number));
        }
    }
    let paid = facts.attempts.iter().filter(|attempt| attempt.state == IntentState::Succeeded);
    let paid: Vec<&AttemptFacts> = paid.collect();
    if facts.speaker().is_none() {
        Some("has no attempt".to_owned())
    } else if (facts.state == IntentState::Succeeded) != (paid.len() == 1) {
        Some(format!("was paid by {} attempts", paid.len()))
    } else if paid.iter().any(|attempt| attempt.amount != facts.amount) {
        Some("another amount was paid than was to be".to_owned())
    } else if facts.attempts.iter().any(|attempt| attempt.state == IntentState::Pending) {
        // There is no provider here that could be asked what becomes of it.
        Some("an attempt is not over".to_owned())
    } else {
        why_not_refunds(facts)
    }
}

/// What of a payment's refunds does not hold.
fn why_not_refunds(facts: &PaymentFacts) -> Option<String> {
    let captured = if facts.state == IntentState::Succeeded { facts.amount.amount } else { 0 };
    let currency = facts.amount.currency;
    for refund in &facts.refunds {
        if refund.state == RefundState::Pending {
            return Some("a refund is not over".to_owned());
        }
        if refund.amount.amount <= 0 {
            return Some("a refund must be above zero".to_owned());
        }
        if refund.amount.currency != currency {
            return Some(format!("a refund is not in {}", currency.code()));
        }
    }
    let back = went_back(facts);
    (back > captured).then(|| format!("{back} minor units went back of {captured}"))
}

/// What went back, in minor units; the most there is, where that is more.
fn went_back(facts: &PaymentFacts) -> i64 {
    let back = facts.refunds.iter().filter(|refund| refund.state == RefundState::Succeeded);
    back.map(|refund| refund.amount.amount).fold(0, i64::saturating_add)
}

/// The rows of a payment.
fn group_of(facts: &PaymentFacts, now: Timestamp) -> Group {
    let home = store::shard(facts.id.shard());
    let speaker = facts.speaker();
    let succeeded = facts.state == IntentState::Succeeded;
    let captured = if succeeded { facts.amount.amount } else { 0 };
    let back = went_back(facts);
    let opened = facts.attempts.iter().map(|attempt| attempt.created_at).min().unwrap_or(now);
    let speakers_id = speaker.map_or(Uuid::nil(), |attempt| attempt.id.uuid());
    let intent = intent::Model {
        shard: home,
        id: facts.id.uuid(),
        number: speaker.map(|attempt| attempt.number.clone()).unwrap_or_default(),
        order_id: facts.order_id.uuid(),
        order_number: facts.order_number.clone(),
        user_id: facts.user_id.uuid(),
        channel: facts.channel.clone(),
        state: intent_name(facts.state).to_owned(),
        amount: facts.amount.amount,
        currency: facts.amount.currency.code().to_owned(),
        captured,
        refunded: back,
        refunded_done: back,
        attempts: i32::try_from(facts.attempts.len()).unwrap_or(i32::MAX),
        attempt_id: speakers_id,
        provider_number: speaker.and_then(|attempt| attempt.provider_number.clone()),
        reason: None,
        created_at: opened.micros(),
        updated_at: now.micros(),
        paid_at: speaker.and_then(|attempt| attempt.paid_at).map(Timestamp::micros),
        expires_at: opened.micros(),
    };
    let attempts = facts.attempts.iter().map(|attempt| attempt_row(facts, attempt, now)).collect();
    let refunds = facts
        .refunds
        .iter()
        .map(|refund| refund::Model {
            shard: home,
            id: refund.id.uuid(),
            intent_id: facts.id.uuid(),
            attempt_id: speakers_id,
            amount: refund.amount.amount,
            currency: refund.amount.currency.code().to_owned(),
            state: refund_name(refund.state).to_owned(),
            reason: refund.reason.clone(),
            surplus: false,
            provider_number: refund.provider_number.clone(),
            created_at: refund.created_at.micros(),
            updated_at: now.micros(),
            next_at: refund.created_at.micros(),
            tries: 0,
        })
        .collect();
    Group { intent, attempts, refunds }
}

fn attempt_row(facts: &PaymentFacts, attempt: &AttemptFacts, now: Timestamp) -> attempt::Model {
    let paid = attempt.state == IntentState::Succeeded;
    let currency = attempt.amount.currency.code().to_owned();
    attempt::Model {
        shard: store::shard(facts.id.shard()),
        id: attempt.id.uuid(),
        intent_id: facts.id.uuid(),
        number: attempt.number.clone(),
        channel: attempt.channel.clone(),
        state: intent_name(attempt.state).to_owned(),
        amount: attempt.amount.amount,
        captured: if paid { attempt.amount.amount } else { 0 },
        captured_currency: paid.then(|| currency.clone()),
        currency,
        provider_number: attempt.provider_number.clone(),
        reason: None,
        created_at: attempt.created_at.micros(),
        updated_at: now.micros(),
        paid_at: attempt.paid_at.map(Timestamp::micros),
        called_back_at: None,
        next_sync_at: attempt.created_at.micros(),
        syncs: 0,
        trace: None,
    }
}

/// The facts of rows, as their source would have told them.
fn facts(group: &Group) -> Result<PaymentFacts> {
    let intent = &group.intent;
    let mut attempts = group
        .attempts
        .iter()
        .map(|row| {
            Ok(AttemptFacts {
                id: row.attempt(),
                number: row.number.clone(),
                channel: row.channel.clone(),
                state: row.standing()?,
                amount: row.money()?,
                provider_number: row.provider_number.clone(),
                created_at: Timestamp::from_micros(row.created_at),
                paid_at: row.paid_at.map(Timestamp::from_micros),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    attempts.sort_by(|a, b| a.number.cmp(&b.number));
    let mut refunds = group
        .refunds
        .iter()
        .map(|row| {
            let view = row.view()?;
            Ok(RefundFacts {
                id: view.id,
                amount: view.amount,
                state: view.state,
                reason: view.reason,
                provider_number: row.provider_number.clone(),
                created_at: view.created_at,
            })
        })
        .collect::<Result<Vec<_>>>()?;
    refunds.sort_by_key(|refund| refund.id);
    Ok(PaymentFacts {
        id: intent.payment(),
        order_id: intent.order(),
        order_number: intent.order_number.clone(),
        user_id: intent.user(),
        channel: intent.channel.clone(),
        state: intent.standing()?,
        amount: intent.money()?,
        attempts,
        refunds,
    })
}

async fn give_back(tx: &Tx, ids: &[Uuid], lived_too: bool) -> Result<Vec<GivenBack>> {
    let marks = TAKEN.find(tx, ids).await?;
    let known = store::groups(tx, ids).await?;
    let (mut outcome, mut gone) = (Vec::with_capacity(ids.len()), Vec::new());
    for id in ids {
        if let (Some(mark), Some(group)) = (marks.get(id), known.get(id)) {
            if !lived_too && look(mark, &known)?.lived {
                outcome.push(GivenBack::Kept("was changed here".to_owned()));
                continue;
            }
            store::remove(tx, group).await?;
        }
        gone.push(*id);
        outcome.push(GivenBack::Removed);
    }
    TAKEN.remove(tx, &gone).await?;
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use contracts::payment::{AttemptId, RefundId};
    use kernel::{Currency, Money, Shard};

    use super::*;

    fn paid() -> PaymentFacts {
        let shard = Shard::new(3);
        let at = Timestamp::from_micros(7);
        let amount = Money::new(1_000, Currency::CNY);
        let attempt = |number: &str, state, paid_at| AttemptFacts {
            id: AttemptId::derive(shard, &[number.as_bytes()]),
            number: number.to_owned(),
            channel: "old:alipay".to_owned(),
            state,
            amount,
            provider_number: Some("2024".to_owned()),
            created_at: at,
            paid_at,
        };
        PaymentFacts {
            id: PaymentId::derive(shard, &[b"1"]),
            order_id: contracts::order::OrderId::derive(shard, &[b"1"]),
            order_number: "N1".to_owned(),
            user_id: contracts::UserId::derive(shard, &[b"1"]),
            channel: "old:alipay".to_owned(),
            state: IntentState::Succeeded,
            amount,
            attempts: vec![
                attempt("P1", IntentState::Failed, None),
                attempt("P2", IntentState::Succeeded, Some(at)),
            ],
            refunds: vec![RefundFacts {
                id: RefundId::derive(shard, &[b"1"]),
                amount: Money::new(400, Currency::CNY),
                state: RefundState::Succeeded,
                reason: "torn".to_owned(),
                provider_number: None,
                created_at: at,
            }],
        }
    }

    #[test]
    fn a_payment_says_what_it_was_taken_in_as() {
        let paid = paid();
        let group = group_of(&paid, Timestamp::from_micros(9));
        assert_eq!((group.intent.captured, group.intent.refunded_done), (1_000, 400));
        assert_eq!(group.intent.number, "P2");
        assert_eq!(facts(&group).unwrap(), paid);
    }

    #[test]
    fn what_does_not_add_up_is_refused() {
        assert_eq!(why_not(&paid()), None);
        let spoil: [fn(&mut PaymentFacts); 11] = [
            |it| it.attempts.clear(),
            |it| it.attempts[0].state = IntentState::Succeeded,
            |it| it.state = IntentState::Cancelled,
            |it| it.amount.amount += 1,
            |it| it.refunds[0].amount.amount = 1_001,
            |it| it.refunds[0].amount.amount = 0,
            |it| it.refunds[0].amount.currency = Currency::USD,
            |it| it.refunds[0].state = RefundState::Pending,
            |it| it.attempts[0].state = IntentState::Pending,
            // Added up without a bound they are less than nothing.
            |it| {
                it.refunds[0].amount.amount = i64::MAX;
                it.refunds.push(it.refunds[0].clone());
            },
            |it| it.attempts[0].number = "P2".to_owned(),
        ];
        for (way, spoil) in spoil.iter().enumerate() {
            let mut wrong = paid();
            spoil(&mut wrong);
            assert!(why_not(&wrong).is_some(), "spoiled in way {way}");
        }
    }
}
