//! What the provider does with charges. Every request may come twice.

use std::time::Duration;

use contracts::payment::SandboxOutcome;
use kernel::{Failure, Money, Result, Timestamp, code};
use platform_db::Tx;
use sha2::{Digest, Sha256};

use super::{
    Inner,
    store::{self, callback, charge, refund},
};
use crate::channel::wire::{CallbackBody, Charge, ChargeRequest, ChargeState, Refund, RefundRequest};

fn conflict(detail: impl Into<String>) -> Failure {
    Failure::new(code::CONFLICT).detail(detail)
}

fn no_charge() -> Failure {
    Failure::not_found("charge")
}

/// The provider's number of something: follows from the merchant's, so that asking twice gives one.
fn number(prefix: &str, key: &str) -> String {
    format!("{prefix}_{}", hex::encode(&Sha256::digest(format!("{prefix} {key}"))[..12]))
}

/// When a paid charge shows, and by how many callbacks.
struct Plan {
    captured: i64,
    state: ChargeState,
    shown_at: Timestamp,
    callbacks: usize,
}

impl Inner {
    pub(super) async fn create(&self, request: ChargeRequest) -> Result<Charge> {
        if request.amount.amount <= 0 || request.reference.is_empty() || request.reference.len() > 40 {
            return Err(Failure::invalid("/amount", "reference and a positive amount are needed"));
        }
        let description = request.description.chars().take(100).collect();
        let request = ChargeRequest { description, ..request };
        let row = self
            .db
            .write(self.db.shard_of(&request.reference), request, |tx, request| {
                Box::pin(async move {
                    if let Some(known) = store::lock_charge(tx, &request.reference).await? {
                        let same = store::money(known.amount, &known.currency)? == request.amount;
                        return if same {
                            Ok(known)
                        } else {
                            Err(conflict("this reference has another amount"))
                        };
                    }
                    let row = charge::Model {
                        reference: request.reference.clone(),
                        number: number("sbx", &request.reference),
                        description: request.description.clone(),
                        amount: request.amount.amount,
                        currency: request.amount.currency.code().to_owned(),
                        state: store::name(ChargeState::Open).to_owned(),
                        captured: 0,
                        reason: None,
                        created_at: tx.now().micros(),
                        expires_at: request.expires_at.micros(),
                        settled_at: None,
                        shown_at: None,
                    };
                    store::insert(tx, row.clone()).await?;
                    Ok(row)
                })
            })
            .await?;
        view(&row, self.db.now())
    }

    pub(super) async fn query(&self, reference: &str) -> Result<Charge> {
        let row = store::charge(self.db.read(), reference).await?.ok_or_else(no_charge)?;
        view(&row, self.db.now())
    }

    /// Closes an open charge; the answer says where it stands afterwards.
    pub(super) async fn cancel(&self, reference: String) -> Result<Charge> {
        let row = self
            .db
            .write(self.db.shard_of(&reference), reference, |tx, reference| {
                Box::pin(async move {
                    let mut row = store::lock_charge(tx, reference).await?.ok_or_else(no_charge)?;
                    if row.state == store::name(ChargeState::Open) {
                        store::name(ChargeState::Cancelled).clone_into(&mut row.state);
                        store::put(tx, &row).await?;
                    }
                    Ok(row)
                })
            })
            .await?;
        view(&row, self.db.now())
    }

    /// Gives money back, once a key and never more than was captured.
    pub(super) async fn refund(&self, reference: String, request: RefundRequest) -> Result<Refund> {
        let amount = request.amount;
        let number = self
            .db
            .write(self.db.shard_of(&reference), (reference, request), |tx, (reference, request)| {
                Box::pin(async move { give_back(tx, reference, request).await })
            })
            .await?;
        Ok(Refund { number, amount })
    }

    /// What the payer does with an open charge.
    pub(super) async fn simulate(&self, reference: String, outcome: SandboxOutcome) -> Result<Charge> {
        let (delay, late_by) = (self.config.sandbox.callback_delay, self.config.sandbox.late_by);
        let row = self
            .db
            .write(self.db.shard_of(&reference), (reference, outcome, delay, late_by), |tx, input| {
                let (reference, outcome, delay, late_by) = input;
                Box::pin(async move { simulate(tx, reference, *outcome, *delay, *late_by).await })
            })
            .await?;
        self.due.notify_one();
        view(&row, self.db.now())
    }
}

async fn give_back(tx: &Tx, reference: &str, request: &RefundRequest) -> Result<String> {
    let charge = store::lock_charge(tx, reference).await?.ok_or_else(no_charge)?;
    if let Some(known) = store::refund(tx, &request.key).await? {
        let same = known.reference == reference && known.amount == request.amount.amount;
        return if same { Ok(known.number) } else { Err(conflict("this key belongs to another refund")) };
    }
    let back = store::refunded(tx, reference).await?;
    let shown = view(&charge, tx.now())?.state;
    if shown == ChargeState::Processing {
        // By this clock; whoever has seen it captured may have looked by another.
        return Err(Failure::new(code::UNAVAILABLE).detail("the charge is not settled yet").retry_after(1));
    }
    let fits = request.amount.amount > 0
        && request.amount.currency.code() == charge.currency
        && back.saturating_add(request.amount.amount) <= charge.captured;
    if shown != ChargeState::Captured || !fits {
        return Err(Failure::invalid("/amount", "more than was captured"));
    }
    let row = refund::Model {
        refund_key: request.key.clone(),
        number: number("sbr", &request.key),
        reference: reference.to_owned(),
        amount: request.amount.amount,
        created_at: tx.now().micros(),
    };
    let number = row.number.clone();
    store::insert(tx, row).await?;
    Ok(number)
}

async fn simulate(
    tx: &Tx,
    reference: &str,
    outcome: SandboxOutcome,
    delay: Duration,
    late_by: Duration,
) -> Result<charge::Model> {
    let mut row = store::lock_charge(tx, reference).await?.ok_or_else(no_charge)?;
    if row.state != store::name(ChargeState::Open) {
        return Err(conflict("the charge does not wait for its payer"));
    }
    if row.expires_at <= tx.now().micros() {
        return Err(conflict("the time to pay is over"));
    }
    let expires_at = Timestamp::from_micros(row.expires_at);
    let plan = plan(outcome, row.amount, tx.now(), expires_at.plus(late_by));
    store::name(plan.state).clone_into(&mut row.state);
    row.captured = plan.captured;
    row.reason = (plan.state == ChargeState::Declined).then(|| "declined by the payer's bank".to_owned());
    row.settled_at = Some(tx.now().micros());
    row.shown_at = Some(plan.shown_at.micros());
    store::put(tx, &row).await?;
    for _ in 0..plan.callbacks {
        // As it will be when it is sent.
        let data = view(&row, plan.shown_at)?;
        let kind = if plan.state == ChargeState::Captured { "charge.captured" } else { "charge.declined" };
        let body = serde_json::to_string(&CallbackBody { kind: kind.to_owned(), data })
            .map_err(Failure::internal)?;
        let row = callback::Model {
            id: tx.ids().uuid(tx.shard()),
            reference: reference.to_owned(),
            body,
            next_at: plan.shown_at.plus(delay).micros(),
            tries: 0,
            dead: false,
        };
        store::insert(tx, row).await?;
    }
    Ok(row)
}

fn plan(outcome: SandboxOutcome, amount: i64, now: Timestamp, late: Timestamp) -> Plan {
    let captured =
        |shown_at, callbacks| Plan { captured: amount, state: ChargeState::Captured, shown_at, callbacks };
    match outcome {
        SandboxOutcome::Succeed => captured(now, 1),
        SandboxOutcome::Duplicate => captured(now, 2),
        SandboxOutcome::Lost => captured(now, 0),
        SandboxOutcome::Late => captured(late, 1),
        SandboxOutcome::WrongAmount => Plan { captured: amount.saturating_add(1), ..captured(now, 1) },
        SandboxOutcome::Fail => {
            Plan { captured: 0, state: ChargeState::Declined, shown_at: now, callbacks: 1 }
        }
    }
}

/// The charge as it looks at `now`: what is paid shows only when it is settled.
fn view(row: &charge::Model, now: Timestamp) -> Result<Charge> {
    let state = store::state(&row.state)?;
    let settled = row.shown_at.is_none_or(|at| at <= now.micros());
    let hidden = state == ChargeState::Captured && !settled;
    let amount = store::money(row.amount, &row.currency)?;
    Ok(Charge {
        number: row.number.clone(),
        reference: row.reference.clone(),
        state: if hidden { ChargeState::Processing } else { state },
        amount,
        captured: Money::new(if hidden { 0 } else { row.captured }, amount.currency),
        settled_at: row.settled_at.filter(|_| !hidden).map(Timestamp::from_micros),
        reason: row.reason.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_its_plan() {
        let (now, late) = (Timestamp::from_micros(5), Timestamp::from_micros(9));
        for (outcome, captured, shown_at, callbacks) in [
            (SandboxOutcome::Succeed, 100, now, 1),
            (SandboxOutcome::Fail, 0, now, 1),
            (SandboxOutcome::Duplicate, 100, now, 2),
            (SandboxOutcome::Late, 100, late, 1),
            (SandboxOutcome::Lost, 100, now, 0),
            (SandboxOutcome::WrongAmount, 101, now, 1),
        ] {
            let plan = plan(outcome, 100, now, late);
            assert_eq!(
                (plan.captured, plan.shown_at, plan.callbacks),
                (captured, shown_at, callbacks),
                "{outcome:?}"
            );
        }
    }

    #[test]
    fn numbers_follow_from_the_merchants() {
        assert_eq!(number("sbx", "P1-1"), number("sbx", "P1-1"));
        assert_ne!(number("sbx", "P1-1"), number("sbx", "P1-2"));
        assert_ne!(number("sbx", "P1-1"), number("sbr", "P1-1"));
    }
}
