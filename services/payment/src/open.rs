//! Opens a payment.
//!
//! An order has one payment, whose id follows from the order's: asking twice, in any two regions, is one payment. Intent
//! and attempt are written before the provider is asked, under numbers that the provider takes as its key; when the
//! provider is away the caller is told, and asking again goes on where this ended.

use contracts::{
    Ctx,
    order::OrderId,
    payment::{AttemptId, IntentState, OpenPayment, PaymentId, PaymentView, code},
};
use kernel::{Failure, Result};
use platform_db::{Rows, Tx};

use crate::{
    PaymentService,
    channel::{Channel, ChannelError, NewCharge, Report},
    model::{Fact, Step, after, attempt_number, intent_name, number},
    service::{no_payment, system_only},
    settle::Source,
    store::{
        self, Direction,
        entity::{attempt, intent},
    },
};

/// The id of an order's payment.
pub(crate) fn payment_of(order: OrderId) -> PaymentId {
    PaymentId::derive(order.shard(), &[b"order", order.uuid().as_bytes()])
}

fn attempt_of(payment: PaymentId, n: i32) -> AttemptId {
    AttemptId::derive(payment.shard(), &[b"attempt", payment.uuid().as_bytes(), &n.to_be_bytes()])
}

impl PaymentService {
    pub(crate) async fn open_payment(&self, ctx: &Ctx, command: OpenPayment) -> Result<PaymentView> {
        system_only(ctx)?;
        let channel = self.channel(&command.channel)?;
        if command.amount.amount <= 0 {
            return Err(Failure::invalid("/amount", "must be above zero"));
        }
        if command.expires_at <= self.db.now() {
            return Err(Failure::new(code::STATE).detail("the time to pay is over"));
        }
        let wait = self.config.sync_after;
        let order_number = command.order_number.chars().take(64).collect();
        let command = OpenPayment { order_number, ..command };
        let (payment, attempt) = self
            .db
            .write(command.order_id.shard(), (command, wait), |tx, (command, wait)| {
                Box::pin(async move { write(tx, command, tx.now().plus(*wait)).await })
            })
            .await?;
        if attempt.provider_number.is_none() {
            self.introduce(channel.as_ref(), &payment, &attempt).await?;
        }
        let row = store::intent(self.db.read(), payment.payment()).await?.ok_or_else(no_payment)?;
        row.view(&self.places)
    }

    /// Opens the attempt's charge with the provider, which may know it already.
    pub(crate) async fn introduce(
        &self,
        channel: &dyn Channel,
        payment: &intent::Model,
        attempt: &attempt::Model,
    ) -> Result<()> {
        let charge = charge(payment, attempt)?;
        match channel.create(&charge).await {
            Ok(report) => self.remember(attempt, report).await,
            Err(ChannelError::Refused(reason)) => {
                let words = reason.clone();
                let fact = Fact::Declined { reason: reason.clone() };
                let report = Report { reference: attempt.number.clone(), provider_number: None, fact, words };
                self.settle(attempt, report, Source::Answer).await?;
                Err(ChannelError::Refused(reason).into())
            }
            Err(error) => {
                tracing::warn!(payment.number = attempt.number, ?error, "the provider does not answer");
                Err(error.into())
            }
        }
    }

    /// Keeps the provider's number of an attempt.
    async fn remember(&self, attempt: &attempt::Model, report: Report) -> Result<()> {
        let opened = report.clone();
        let given_up = self
            .db
            .write(attempt.payment().shard(), (attempt.clone(), opened), |tx, (attempt, report)| {
                Box::pin(async move { remember(tx, attempt, report).await })
            })
            .await?;
        if given_up && let Err(failure) = self.ask_after(attempt).await {
            tracing::warn!(payment.number = attempt.number, ?failure, "will be closed at the provider later");
        }
        if report.fact == Fact::Open { Ok(()) } else { self.settle(attempt, report, Source::Answer).await }
    }
}

fn charge(payment: &intent::Model, attempt: &attempt::Model) -> Result<NewCharge> {
    Ok(NewCharge {
        reference: attempt.number.clone(),
        description: format!("Order {}", payment.order_number),
        amount: attempt.money()?,
        expires_at: kernel::Timestamp::from_micros(payment.expires_at),
    })
}

async fn write(
    tx: &Tx,
    command: &OpenPayment,
    next_sync_at: kernel::Timestamp,
) -> Result<(intent::Model, attempt::Model)> {
    let id = payment_of(command.order_id);
    let Some(mut payment) = store::intent(tx, id).await? else {
        let payment = new_intent(tx, id, command);
        let attempt = new_attempt(tx, &payment, 1, next_sync_at);
        Rows::new().row(payment.clone()).row(attempt.clone()).insert(tx).await?;
        sent(tx, &payment, &attempt).await?;
        return Ok((payment, attempt));
    };
    let latest = store::attempt(tx, attempt_of(id, payment.attempts)).await?;
    let latest = latest.ok_or_else(|| Failure::internal("a payment without its attempt"))?;
    if payment.money()? != command.amount || payment.user() != command.user_id {
        return Err(Failure::new(code::STATE).detail("the order's payment was opened for another amount"));
    }
    let from = payment.standing()?;
    let reopen = match from {
        IntentState::Pending if latest.channel == command.channel => return Ok((payment, latest)),
        // Another channel: the charge of the one before is closed by the synchronisation.
        IntentState::Pending => from,
        IntentState::Conflicted if store::start_over(tx, &mut payment).await? => IntentState::Pending,
        _ => after(from, Step::Reopen).ok_or_else(|| ended(from))?,
    };
    payment.state = intent_name(reopen).to_owned();
    payment.channel.clone_from(&command.channel);
    payment.attempts += 1;
    payment.provider_number = None;
    payment.reason = None;
    let attempt = new_attempt(tx, &payment, payment.attempts, next_sync_at);
    payment.attempt_id = attempt.id;
    store::put_intent(tx, from, &payment).await?;
    Rows::new().row(attempt.clone()).insert(tx).await?;
    sent(tx, &payment, &attempt).await?;
    Ok((payment, attempt))
}

fn ended(state: IntentState) -> Failure {
    let detail = match state {
        IntentState::Succeeded => "the order is paid already",
        IntentState::Expired => "the time to pay is over",
        IntentState::Conflicted => "somebody is looking into this payment",
        IntentState::Cancelled | IntentState::Pending | IntentState::Failed => "the payment was cancelled",
    };
    Failure::new(code::STATE).detail(detail)
}

fn new_intent(tx: &Tx, id: PaymentId, command: &OpenPayment) -> intent::Model {
    let now = tx.now();
    intent::Model {
        shard: store::shard(id.shard()),
        id: id.uuid(),
        number: number(id, now),
        order_id: command.order_id.uuid(),
        order_number: command.order_number.clone(),
        user_id: command.user_id.uuid(),
        channel: command.channel.clone(),
        state: intent_name(IntentState::Pending).to_owned(),
        amount: command.amount.amount,
        currency: command.amount.currency.code().to_owned(),
        captured: 0,
        refunded: 0,
        refunded_done: 0,
        attempts: 1,
        attempt_id: attempt_of(id, 1).uuid(),
        provider_number: None,
        reason: None,
        created_at: now.micros(),
        updated_at: now.micros(),
        paid_at: None,
        expires_at: command.expires_at.micros(),
    }
}

fn new_attempt(tx: &Tx, payment: &intent::Model, n: i32, next_sync_at: kernel::Timestamp) -> attempt::Model {
    attempt::Model {
        shard: payment.shard,
        id: attempt_of(payment.payment(), n).uuid(),
        intent_id: payment.id,
        number: attempt_number(&payment.number, n),
        channel: payment.channel.clone(),
        state: intent_name(IntentState::Pending).to_owned(),
        amount: payment.amount,
        currency: payment.currency.clone(),
        captured: 0,
        captured_currency: None,
        provider_number: None,
        reason: None,
        created_at: tx.now().micros(),
        updated_at: tx.now().micros(),
        paid_at: None,
        called_back_at: None,
        next_sync_at: next_sync_at.micros(),
        syncs: 0,
        trace: platform_trace::traceparent(),
    }
}

async fn sent(tx: &Tx, payment: &intent::Model, attempt: &attempt::Model) -> Result<()> {
    let body = serde_json::to_string(&charge(payment, attempt)?).map_err(Failure::internal)?;
    store::note(tx, payment.payment(), Direction::Sent, "charge", &body).await
}

/// Whether the attempt had been given up meanwhile as one that the provider had never heard of. Then the request was still on
/// its way: the attempt is pending again, and so is closed at the provider like any other that nobody is to pay.
async fn remember(tx: &Tx, attempt: &attempt::Model, report: &Report) -> Result<bool> {
    let Some(mut payment) = store::intent(tx, attempt.payment()).await? else {
        return Err(no_payment());
    };
    let Some(mut row) = store::attempt(tx, attempt.attempt()).await? else { return Err(no_payment()) };
    if row.provider_number.is_some() {
        // A callback or a twin was faster.
        return Ok(false);
    }
    row.provider_number.clone_from(&report.provider_number);
    let from = row.standing()?;
    let given_up = from == IntentState::Cancelled && report.fact == Fact::Open;
    if given_up {
        intent_name(IntentState::Pending).clone_into(&mut row.state);
        row.reason = None;
    }
    store::put_attempt(tx, from, &row).await?;
    if given_up {
        store::ask_at(tx, attempt.payment(), Some(row.id), tx.now(), 0).await?;
    }
    if payment.attempt_id == row.id {
        payment.provider_number.clone_from(&report.provider_number);
        store::put_intent(tx, payment.standing()?, &payment).await?;
    }
    store::note(tx, payment.payment(), Direction::Received, "charge", &report.words).await?;
    Ok(given_up)
}
