//! Rules of payments; pure.

use std::time::Duration;

use contracts::payment::{IntentState, PaymentId, RefundState};
use kernel::{Money, Shard, Timestamp};

/// What can happen to a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The whole amount was captured.
    Capture,
    /// Something else was captured.
    Mismatch,
    /// The provider declined.
    Decline,
    /// The order was cancelled.
    Cancel,
    /// Time ran out.
    Expire,
    /// Another attempt is made.
    Reopen,
}

/// Where a payment stands after `step`; `None` when the step is not possible there. Money that was captured counts in
/// every state: what comes after a cancellation or too late is recorded all the same, and the order decides.
pub(crate) fn after(state: IntentState, step: Step) -> Option<IntentState> {
    use IntentState::{Cancelled, Conflicted, Expired, Failed, Pending, Succeeded};
    match (state, step) {
        (Pending | Failed | Cancelled | Expired, Step::Capture) => Some(Succeeded),
        (Pending | Failed | Cancelled | Expired, Step::Mismatch) => Some(Conflicted),
        (Pending, Step::Decline) => Some(Failed),
        (Pending | Failed, Step::Cancel) => Some(Cancelled),
        (Pending | Failed, Step::Expire) => Some(Expired),
        (Failed, Step::Reopen) => Some(Pending),
        (Succeeded | Conflicted, _)
        | (Failed | Cancelled | Expired, Step::Decline)
        | (Cancelled | Expired, Step::Cancel | Step::Expire | Step::Reopen)
        | (Pending, Step::Reopen) => None,
    }
}

/// Whether the provider may still tell something new of an attempt in this state.
fn unsettled(attempt: IntentState) -> bool {
    !matches!(attempt, IntentState::Succeeded | IntentState::Conflicted)
}

/// What a provider says of a charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fact {
    /// Nothing happened yet, or it is on its way.
    Open,
    /// It has the money.
    Captured {
        /// How much.
        amount: Money,
        /// Since when.
        at: Timestamp,
    },
    /// It declined.
    Declined {
        /// Why.
        reason: String,
    },
    /// It will not capture any more.
    Cancelled,
}

/// What follows from a fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is known already.
    Nothing,
    /// The attempt ended without money; the payment too, where it says so.
    Ended { attempt: IntentState, intent: Option<IntentState>, reason: String },
    /// The attempt paid the payment.
    Paid,
    /// The payment was paid already: this money, however much, goes back by itself.
    Surplus,
    /// A person must look.
    Conflict { intent: Option<IntentState>, reason: String },
}

/// Where things stand when a fact comes in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Standing {
    /// The payment.
    pub(crate) intent: IntentState,
    /// The attempt the fact is about.
    pub(crate) attempt: IntentState,
    /// Whether it is the payment's latest attempt.
    pub(crate) latest: bool,
    /// What was asked for.
    pub(crate) expected: Money,
    /// Whether the provider calls the charge by the number it gave.
    pub(crate) number_matches: bool,
}

/// Decides what follows from `fact`. Pure, so that a fact that comes twice, in any order and over any way (callback,
/// query, cancellation), has one effect.
pub(crate) fn judge(standing: Standing, fact: &Fact) -> Verdict {
    match fact {
        Fact::Open => Verdict::Nothing,
        Fact::Captured { amount, .. } if unsettled(standing.attempt) => captured(standing, *amount),
        Fact::Captured { .. } => Verdict::Nothing,
        Fact::Declined { reason } => ended(standing, IntentState::Failed, reason.clone()),
        Fact::Cancelled => ended(standing, IntentState::Cancelled, "closed by the provider".to_owned()),
    }
}

fn captured(standing: Standing, amount: Money) -> Verdict {
    let conflict = |reason| Verdict::Conflict { intent: after(standing.intent, Step::Mismatch), reason };
    if !standing.number_matches {
        return conflict("the provider's number is another one than it gave".to_owned());
    }
    if standing.intent == IntentState::Succeeded {
        return Verdict::Surplus;
    }
    if amount != standing.expected {
        return conflict(format!("{amount} was captured instead of {}", standing.expected));
    }
    match standing.intent {
        IntentState::Conflicted => conflict("the payment is in conflict already".to_owned()),
        _ => Verdict::Paid,
    }
}

fn ended(standing: Standing, attempt: IntentState, reason: String) -> Verdict {
    if standing.attempt != IntentState::Pending {
        return Verdict::Nothing;
    }
    let intent = if standing.latest { after(standing.intent, Step::Decline) } else { None };
    Verdict::Ended { attempt, intent, reason }
}

/// How long to wait before trying for the `tries`-th time again: doubles from `first` up to `longest`.
pub(crate) fn backoff(first: Duration, longest: Duration, tries: i32) -> Duration {
    let doublings = u32::try_from(tries).unwrap_or(0).min(30);
    first.saturating_mul(1 << doublings).min(longest)
}

/// The number people and providers see: date, shard, and ten characters that follow from the id, so that the number of
/// payments cannot be guessed from it. Made once, when the payment is opened.
pub(crate) fn number(id: PaymentId, at: Timestamp) -> String {
    let text = id.to_string().to_uppercase();
    // The last two characters of an id are its shard; the ten before them are random.
    let random = text.get(text.len().saturating_sub(12)..text.len().saturating_sub(2)).unwrap_or_default();
    format!("P{}{:04}{random}", at.to_datetime().format("%Y%m%d"), id.shard().number())
}

/// The number of a payment's `n`th attempt.
pub(crate) fn attempt_number(payment: &str, n: i32) -> String {
    format!("{payment}-{n}")
}

/// The shard a number of ours lives on.
pub(crate) fn shard_of_number(number: &str) -> Option<Shard> {
    let digits = number.strip_prefix('P')?.get(8..12)?;
    digits.parse::<u16>().ok().filter(|&shard| shard < kernel::MAX_SHARDS).map(Shard::new)
}

/// A state as the database keeps it.
pub(crate) fn intent_name(state: IntentState) -> &'static str {
    match state {
        IntentState::Pending => "pending",
        IntentState::Succeeded => "succeeded",
        IntentState::Failed => "failed",
        IntentState::Cancelled => "cancelled",
        IntentState::Expired => "expired",
        IntentState::Conflicted => "conflicted",
    }
}

/// The state of that name.
pub(crate) fn intent_state(name: &str) -> Option<IntentState> {
    use IntentState::{Cancelled, Conflicted, Expired, Failed, Pending, Succeeded};
    [Pending, Succeeded, Failed, Cancelled, Expired, Conflicted]
        .into_iter()
        .find(|&state| intent_name(state) == name)
}

/// A refund's state as the database keeps it.
pub(crate) fn refund_name(state: RefundState) -> &'static str {
    match state {
        RefundState::Pending => "pending",
        RefundState::Succeeded => "succeeded",
        RefundState::Failed => "failed",
    }
}

/// The refund's state of that name.
pub(crate) fn refund_state(name: &str) -> Option<RefundState> {
    [RefundState::Pending, RefundState::Succeeded, RefundState::Failed]
        .into_iter()
        .find(|&state| refund_name(state) == name)
}

#[cfg(test)]
mod tests;
