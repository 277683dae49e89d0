//! States in words.

use contracts::{
    order::{FulfilmentState, OrderState, PaymentState},
    payment::{IntentState, SandboxOutcome},
};

/// Every state of an order with its name in addresses and the key of its text.
const ORDER: [(OrderState, &str, &str); 9] = [
    (OrderState::PendingPayment, "pending_payment", "order-state-pending-payment"),
    (OrderState::Paid, "paid", "order-state-paid"),
    (OrderState::Allocated, "allocated", "order-state-allocated"),
    (OrderState::PartlyShipped, "partly_shipped", "order-state-partly-shipped"),
    (OrderState::Shipped, "shipped", "order-state-shipped"),
    (OrderState::Delivered, "delivered", "order-state-delivered"),
    (OrderState::Completed, "completed", "order-state-completed"),
    (OrderState::Cancelled, "cancelled", "order-state-cancelled"),
    (OrderState::Closed, "closed", "order-state-closed"),
];

fn entry(state: OrderState) -> (&'static str, &'static str) {
    // The table has every state; a test holds it to that.
    ORDER.iter().find(|(s, ..)| *s == state).map_or(("", ""), |(_, name, key)| (*name, *key))
}

/// The state of this name.
pub(crate) fn parse(name: &str) -> Option<OrderState> {
    ORDER.iter().find(|(_, n, _)| *n == name).map(|(state, ..)| *state)
}

/// A state's name in addresses.
pub(crate) fn name(state: OrderState) -> &'static str {
    entry(state).0
}

/// The key of a state's text.
pub(crate) fn order_key(state: OrderState) -> &'static str {
    entry(state).1
}

/// How a state looks: `wait`, `good` or `over`.
pub(crate) const fn tone(state: OrderState) -> &'static str {
    match state {
        OrderState::PendingPayment => "wait",
        OrderState::Paid
        | OrderState::Allocated
        | OrderState::PartlyShipped
        | OrderState::Shipped
        | OrderState::Delivered
        | OrderState::Completed => "good",
        OrderState::Cancelled | OrderState::Closed => "over",
    }
}

/// The key of a payment state's text.
pub(crate) const fn payment_key(state: PaymentState) -> &'static str {
    match state {
        PaymentState::Unpaid => "payment-state-unpaid",
        PaymentState::Paid => "payment-state-paid",
        PaymentState::PartiallyRefunded => "payment-state-partially-refunded",
        PaymentState::Refunded => "payment-state-refunded",
        PaymentState::Conflicted => "payment-state-conflicted",
    }
}

/// The key of a fulfilment state's text.
pub(crate) const fn fulfilment_key(state: FulfilmentState) -> &'static str {
    match state {
        FulfilmentState::Unfulfilled => "fulfilment-state-unfulfilled",
        FulfilmentState::Partial => "fulfilment-state-partial",
        FulfilmentState::Shipped => "fulfilment-state-shipped",
        FulfilmentState::Delivered => "fulfilment-state-delivered",
        FulfilmentState::Returned => "fulfilment-state-returned",
    }
}

/// The key of a payment intent's text.
pub(crate) const fn intent_key(state: IntentState) -> &'static str {
    match state {
        IntentState::Pending => "intent-state-pending",
        IntentState::Succeeded => "intent-state-succeeded",
        IntentState::Failed => "intent-state-failed",
        IntentState::Cancelled => "intent-state-cancelled",
        IntentState::Expired => "intent-state-expired",
        IntentState::Conflicted => "intent-state-conflicted",
    }
}

/// What the sandbox can do: outcome, value of the button, key of its text.
pub(crate) const OUTCOMES: [(SandboxOutcome, &str, &str); 6] = [
    (SandboxOutcome::Succeed, "succeed", "sandbox-succeed"),
    (SandboxOutcome::Fail, "fail", "sandbox-fail"),
    (SandboxOutcome::Duplicate, "duplicate", "sandbox-duplicate"),
    (SandboxOutcome::Late, "late", "sandbox-late"),
    (SandboxOutcome::Lost, "lost", "sandbox-lost"),
    (SandboxOutcome::WrongAmount, "wrong_amount", "sandbox-wrong-amount"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_contracts_own() {
        for (state, name, _) in ORDER {
            assert_eq!(serde_json::to_value(state).unwrap(), name);
            assert_eq!(parse(name), Some(state));
        }
        for (outcome, name, _) in OUTCOMES {
            assert_eq!(serde_json::to_value(outcome).unwrap(), name);
        }
    }
}
