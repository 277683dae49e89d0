//! Where an order can stand, and what moves it from one state to the next. Pure; [`crate::store`] repeats the same guard
//! in SQL (`WHERE state = :from AND version = :seen`).

use contracts::order::{FulfilmentState, OrderState, PaymentState};
use kernel::{Failure, Result};
use serde::{
    Deserialize,
    de::{IntoDeserializer, value::Error},
};

/// What moves an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// All was paid while the order waited for it.
    Pay,
    /// It was paid after it had expired, and its stock could still be had.
    Revive,
    /// The shopper or staff cancel it.
    Cancel,
    /// It was not paid in time.
    Expire,
    /// It was paid, but its stock is gone: the money goes back.
    SellOut,
    /// All money went back before anything left.
    Close,
}

/// The state after `step`, or none where the step is not allowed. Why an order is cancelled decides further: only an
/// expired one is revived, see [`crate::moves`].
pub(crate) const fn next(state: OrderState, step: Step) -> Option<OrderState> {
    use OrderState::{
        Allocated, Cancelled, Closed, Completed, Delivered, Paid, PartlyShipped, PendingPayment, Shipped,
    };
    match (state, step) {
        (PendingPayment, Step::Pay) | (Cancelled, Step::Revive) => Some(Paid),
        (PendingPayment, Step::Cancel | Step::Expire | Step::SellOut)
        | (Paid, Step::Cancel)
        | (Cancelled, Step::SellOut) => Some(Cancelled),
        (Paid | Allocated, Step::Close) => Some(Closed),
        (PendingPayment, Step::Revive | Step::Close)
        | (Paid, Step::Pay | Step::Revive | Step::Expire | Step::SellOut)
        | (Allocated, Step::Pay | Step::Revive | Step::Cancel | Step::Expire | Step::SellOut)
        | (Cancelled, Step::Pay | Step::Cancel | Step::Expire | Step::Close)
        | (PartlyShipped | Shipped | Delivered | Completed | Closed, _) => None,
    }
}

/// A state as the database keeps it: the word that the wire uses.
pub(crate) trait Word: Sized + Copy {
    /// The word.
    fn word(self) -> &'static str;
    /// The state with this word.
    fn parse(word: &str) -> Result<Self>;
}

fn parse<'de, T: Deserialize<'de>>(word: &'de str) -> Result<T> {
    T::deserialize(IntoDeserializer::<Error>::into_deserializer(word)).map_err(Failure::internal)
}

impl Word for OrderState {
    fn word(self) -> &'static str {
        match self {
            Self::PendingPayment => "pending_payment",
            Self::Paid => "paid",
            Self::Allocated => "allocated",
            Self::PartlyShipped => "partly_shipped",
            Self::Shipped => "shipped",
            Self::Delivered => "delivered",
            Self::Completed => "completed",
            Self::Cancelled => "cancelled",
            Self::Closed => "closed",
        }
    }

    fn parse(word: &str) -> Result<Self> {
        parse(word)
    }
}

impl Word for PaymentState {
    fn word(self) -> &'static str {
        match self {
            Self::Unpaid => "unpaid",
            Self::Paid => "paid",
            Self::PartiallyRefunded => "partially_refunded",
            Self::Refunded => "refunded",
            Self::Conflicted => "conflicted",
        }
    }

    fn parse(word: &str) -> Result<Self> {
        parse(word)
    }
}

impl Word for FulfilmentState {
    fn word(self) -> &'static str {
        match self {
            Self::Unfulfilled => "unfulfilled",
            Self::Partial => "partial",
            Self::Shipped => "shipped",
            Self::Delivered => "delivered",
            Self::Returned => "returned",
        }
    }

    fn parse(word: &str) -> Result<Self> {
        parse(word)
    }
}

/// Why an order was cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CancelReason {
    /// The shopper did it.
    Shopper,
    /// Staff did it.
    Staff,
    /// It was not paid in time: a late payment may revive it. No other reason lets an order come back.
    Expired,
    /// It was paid when its stock was gone.
    OutOfStock,
}

impl Word for CancelReason {
    fn word(self) -> &'static str {
        match self {
            Self::Shopper => "shopper",
            Self::Staff => "staff",
            Self::Expired => "expired",
            Self::OutOfStock => "out_of_stock",
        }
    }

    fn parse(word: &str) -> Result<Self> {
        [Self::Shopper, Self::Staff, Self::Expired, Self::OutOfStock]
            .into_iter()
            .find(|reason| reason.word() == word)
            .ok_or_else(|| Failure::internal(format!("{word:?} is no reason of a cancellation")))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STATES: [OrderState; 9] = [
        OrderState::PendingPayment,
        OrderState::Paid,
        OrderState::Allocated,
        OrderState::PartlyShipped,
        OrderState::Shipped,
        OrderState::Delivered,
        OrderState::Completed,
        OrderState::Cancelled,
        OrderState::Closed,
    ];
    const STEPS: [Step; 6] =
        [Step::Pay, Step::Revive, Step::Cancel, Step::Expire, Step::SellOut, Step::Close];

    #[test]
    fn words_are_those_of_the_wire() {
        for state in STATES {
            assert_eq!(serde_json::to_value(state).unwrap(), state.word());
            assert_eq!(OrderState::parse(state.word()).unwrap(), state);
        }
        for state in [
            PaymentState::Unpaid,
            PaymentState::Paid,
            PaymentState::PartiallyRefunded,
            PaymentState::Refunded,
            PaymentState::Conflicted,
        ] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.word());
            assert_eq!(PaymentState::parse(state.word()).unwrap(), state);
        }
        for state in [
            FulfilmentState::Unfulfilled,
            FulfilmentState::Partial,
            FulfilmentState::Shipped,
            FulfilmentState::Delivered,
            FulfilmentState::Returned,
        ] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.word());
            assert_eq!(FulfilmentState::parse(state.word()).unwrap(), state);
        }
        assert!(OrderState::parse("lost").is_err());
    }

    proptest! {
        #[test]
        fn whatever_happens_an_order_ends_and_never_goes_back(steps in prop::collection::vec(prop::sample::select(&STEPS[..]), 0..40)) {
            let mut state = OrderState::PendingPayment;
            let mut left_pending = false;
            for step in steps {
                if let Some(after) = next(state, step) {
                    prop_assert!(!(left_pending && after == OrderState::PendingPayment), "nothing leads back to waiting");
                    prop_assert!(state != OrderState::Closed, "closed is the end");
                    // Money moves with the state: only these steps lead to paid.
                    prop_assert_eq!(after == OrderState::Paid, matches!(step, Step::Pay | Step::Revive));
                    state = after;
                    left_pending = true;
                }
            }
        }
    }
}
