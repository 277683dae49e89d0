//! How an order moves: each move is a new version of it, a line of its history, and what others are told. Pure: a move is
//! saved under the guard that the order is still the one it was made from.

use std::time::Duration;

use contracts::{
    UserId,
    inventory::HoldId,
    order::{FulfilmentState, OrderCancelled, OrderPaid, OrderState, PaymentState},
    payment::{PaymentCaptured, PaymentConflicted, PaymentRefunded},
};
use kernel::Timestamp;

use crate::{
    model::Order,
    states::{CancelReason, Step, Word, next},
};

/// Who moves an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Actor {
    /// Its owner.
    Shopper(UserId),
    /// Somebody with `order.write`.
    Staff(UserId),
    /// Meridian itself.
    System,
}

impl Actor {
    /// As history shows it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Shopper(_) => "shopper",
            Self::Staff(_) => "staff",
            Self::System => "system",
        }
    }

    /// Who it was, where it was a person.
    pub(crate) const fn person(self) -> Option<UserId> {
        match self {
            Self::Shopper(id) | Self::Staff(id) => Some(id),
            Self::System => None,
        }
    }
}

/// A line of history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) actor: Actor,
    pub(crate) from: Option<OrderState>,
    pub(crate) to: OrderState,
    pub(crate) reason: String,
}

/// What others are told about a move.
#[derive(Clone, Debug)]
pub(crate) enum News {
    /// Paid, stock deducted.
    Paid(OrderPaid),
    /// Cancelled or expired.
    Cancelled(OrderCancelled),
}

/// A move of an order.
#[derive(Clone, Debug)]
pub(crate) struct Moved {
    /// The order afterwards, one version on.
    pub(crate) order: Order,
    /// The line of history; none for what only we need to know.
    pub(crate) entry: Option<Entry>,
    /// What others are told.
    pub(crate) news: Option<News>,
}

/// What is to be done about captured money.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Capture {
    /// Nothing: it is done already.
    Done,
    /// It is not the order's total: a person looks at it.
    Mismatch,
    /// Take the stock, then the order is paid.
    TakeStock,
    /// The order is cancelled for good: the money goes back, and so does stock that was taken meanwhile.
    TooLate,
    /// The order was paid by another payment: the money goes back.
    Twice,
}

impl Order {
    /// What is to be done about this capture. An expired order can be revived for `revivable` after it was cancelled.
    pub(crate) fn on_capture(
        &self,
        captured: &PaymentCaptured,
        now: Timestamp,
        revivable: Duration,
    ) -> Capture {
        let by_this = self.payment_id == Some(captured.payment_id);
        let right = captured.amount == self.totals.total;
        match self.state {
            OrderState::PendingPayment if right => Capture::TakeStock,
            OrderState::PendingPayment if self.payment_state == PaymentState::Conflicted => Capture::Done,
            OrderState::PendingPayment => Capture::Mismatch,
            // Cancelled after it was paid by this payment: whoever cancelled it gives money and stock back.
            OrderState::Cancelled if by_this && self.paid_at.is_some() => Capture::Done,
            OrderState::Cancelled if right && self.can_revive(now, revivable) => Capture::TakeStock,
            OrderState::Cancelled => Capture::TooLate,
            OrderState::Paid
            | OrderState::Allocated
            | OrderState::PartlyShipped
            | OrderState::Shipped
            | OrderState::Delivered
            | OrderState::Completed
            | OrderState::Closed => {
                if by_this {
                    Capture::Done
                } else {
                    Capture::Twice
                }
            }
        }
    }

    fn can_revive(&self, now: Timestamp, revivable: Duration) -> bool {
        self.cancel_reason == Some(CancelReason::Expired)
            && self.payment_id.is_none()
            && self.cancelled_at.is_some_and(|cancelled| now <= cancelled.plus(revivable))
    }

    /// Its stock is taken and its money is here. From waiting or expired; none from any other state.
    pub(crate) fn paid(&self, captured: &PaymentCaptured, now: Timestamp) -> Option<Moved> {
        let (step, reason) = match (self.state, self.cancel_reason) {
            (OrderState::Cancelled, Some(CancelReason::Expired)) => {
                (Step::Revive, "paid after it had expired; the stock could still be had")
            }
            (OrderState::Cancelled, _) => return None,
            _ => (Step::Pay, "paid"),
        };
        let mut order = self.moved_by(step)?;
        order.payment_state = PaymentState::Paid;
        order.payment_id = Some(captured.payment_id);
        order.payment_number = Some(captured.number.clone());
        order.paid_at = Some(captured.paid_at.min(now));
        order.cancelled_at = None;
        order.cancel_reason = None;
        let news = News::Paid(OrderPaid {
            order_id: self.id,
            user_id: self.user_id,
            lines: self.ordered(),
            total: self.totals.total,
        });
        Some(self.entered(order, Actor::System, reason, Some(news)))
    }

    /// Its money is here but its stock is gone: cancelled for good.
    pub(crate) fn sold_out(&self, captured: &PaymentCaptured, now: Timestamp) -> Option<Moved> {
        let mut order = self.moved_by(Step::SellOut)?;
        order.cancel_reason = Some(CancelReason::OutOfStock);
        order.cancelled_at = Some(self.cancelled_at.unwrap_or(now));
        order.with_money_of(captured);
        // Others know of the cancellation already when it had expired before.
        let news =
            (self.state == OrderState::PendingPayment).then(|| self.cancelled_news(CancelReason::OutOfStock));
        let reason = "paid, but the stock is gone: the money goes back";
        Some(self.entered(order, Actor::System, reason, news))
    }

    /// Money came for an order that stays cancelled. None when that was noted before.
    pub(crate) fn paid_too_late(&self, captured: &PaymentCaptured) -> Option<Moved> {
        if self.state != OrderState::Cancelled || self.payment_id.is_some() {
            return None;
        }
        let mut order = self.one_on();
        order.with_money_of(captured);
        Some(self.entered(order, Actor::System, "paid after it was cancelled: the money goes back", None))
    }

    /// Something else than its total was paid.
    pub(crate) fn conflicted(&self, reason: &str) -> Option<Moved> {
        if self.payment_state != PaymentState::Unpaid {
            return None;
        }
        let mut order = self.one_on();
        order.payment_state = PaymentState::Conflicted;
        Some(self.entered(order, Actor::System, reason, None))
    }

    /// As [`Order::conflicted`], by an event.
    pub(crate) fn conflicted_by(&self, event: &PaymentConflicted) -> Option<Moved> {
        self.conflicted(&format!("payment {} does not match: {}", event.payment_id, event.reason))
    }

    /// Money went back. None when that was known, or when it was another payment's.
    pub(crate) fn refunded(&self, event: &PaymentRefunded) -> Option<Moved> {
        let all = event.refunded_in_all.amount >= event.captured.amount;
        let Some(payment_id) = self.payment_id else { return self.conflict_refunded(all) };
        if payment_id != event.payment_id || event.refunded_in_all.amount <= self.refunded {
            return None;
        }
        let whole = all && self.fulfilment_state == FulfilmentState::Unfulfilled;
        let mut order = whole.then(|| self.moved_by(Step::Close)).flatten().unwrap_or_else(|| self.one_on());
        order.refunded = event.refunded_in_all.amount;
        order.payment_state = if all { PaymentState::Refunded } else { PaymentState::PartiallyRefunded };
        let reason = format!("{} refunded, {} in all", event.amount, event.refunded_in_all);
        Some(self.entered(order, Actor::System, &reason, None))
    }

    /// A person sent conflicting money back: an order that still waits can be paid again.
    fn conflict_refunded(&self, all: bool) -> Option<Moved> {
        if !all || self.payment_state != PaymentState::Conflicted {
            return None;
        }
        let mut order = self.one_on();
        order.payment_state = match self.state {
            OrderState::PendingPayment => PaymentState::Unpaid,
            _ => PaymentState::Refunded,
        };
        Some(self.entered(order, Actor::System, "the payment that did not match was refunded", None))
    }

    /// Cancelled by a person (or by Meridian on their behalf). None where it is too late or done.
    pub(crate) fn cancelled(&self, actor: Actor, words: Option<&str>, now: Timestamp) -> Option<Moved> {
        let reason = match actor {
            Actor::Shopper(_) => CancelReason::Shopper,
            Actor::Staff(_) | Actor::System => CancelReason::Staff,
        };
        let mut order = self.moved_by(Step::Cancel)?;
        order.cancelled_at = Some(now);
        order.cancel_reason = Some(reason);
        let news = self.cancelled_news(reason);
        Some(self.entered(order, actor, words.unwrap_or("cancelled"), Some(news)))
    }

    /// Not paid in time. None while there is time, or when it does not wait any more.
    pub(crate) fn expired(&self, now: Timestamp) -> Option<Moved> {
        if self.expires_at > now {
            return None;
        }
        let mut order = self.moved_by(Step::Expire)?;
        order.cancelled_at = Some(now);
        order.cancel_reason = Some(CancelReason::Expired);
        let news = self.cancelled_news(CancelReason::Expired);
        Some(self.entered(order, Actor::System, "not paid in time", Some(news)))
    }

    /// Its hold has ended: the next one, whose id is written down before stock is asked for, so that whoever comes after
    /// a crash finds it. The same attempt has the same id.
    pub(crate) fn holding_anew(&self) -> Moved {
        let mut order = self.one_on();
        order.hold_attempt += 1;
        order.hold_id = HoldId::derive(
            self.id.shard(),
            &[b"order.settle", self.id.uuid().as_bytes(), &order.hold_attempt.to_be_bytes()],
        );
        Moved { order, entry: None, news: None }
    }

    fn with_money_of(&mut self, captured: &PaymentCaptured) {
        let right = captured.amount == self.totals.total;
        self.payment_state = if right { PaymentState::Paid } else { PaymentState::Conflicted };
        self.payment_id = Some(captured.payment_id);
        self.payment_number = Some(captured.number.clone());
    }

    fn one_on(&self) -> Self {
        Self { version: self.version + 1, ..self.clone() }
    }

    fn moved_by(&self, step: Step) -> Option<Self> {
        next(self.state, step).map(|state| Self { state, ..self.one_on() })
    }

    fn cancelled_news(&self, reason: CancelReason) -> News {
        News::Cancelled(OrderCancelled {
            order_id: self.id,
            user_id: self.user_id,
            reason: reason.word().to_owned(),
            was_paid: self.state == OrderState::Paid,
        })
    }

    fn entered(&self, order: Self, actor: Actor, reason: &str, news: Option<News>) -> Moved {
        let entry = Entry { actor, from: Some(self.state), to: order.state, reason: reason.to_owned() };
        Moved { order, entry: Some(entry), news }
    }
}

#[cfg(test)]
mod tests {
    use kernel::{Currency, Money};
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{self, AT};

    const DAY: Duration = Duration::from_secs(86_400);

    #[derive(Clone, Copy, Debug)]
    enum Happening {
        Capture(u8),
        WrongAmount(u8),
        SoldOut(u8),
        Refund(u8, i64),
        Cancel,
        Expire,
        HoldAnew,
    }

    fn happening() -> impl Strategy<Value = Happening> {
        prop_oneof![
            (0_u8..2).prop_map(Happening::Capture),
            (0_u8..2).prop_map(Happening::WrongAmount),
            (0_u8..2).prop_map(Happening::SoldOut),
            (0_u8..2, 1_i64..5_000).prop_map(|(payment, amount)| Happening::Refund(payment, amount)),
            Just(Happening::Cancel),
            Just(Happening::Expire),
            Just(Happening::HoldAnew),
        ]
    }

    fn step(order: &Order, happening: Happening) -> Option<Moved> {
        let late = order.expires_at.plus(Duration::from_secs(1));
        match happening {
            Happening::Capture(n) | Happening::SoldOut(n) => {
                let captured = testing::captured(order, n);
                match order.on_capture(&captured, late, DAY) {
                    Capture::TakeStock if matches!(happening, Happening::SoldOut(_)) => {
                        order.sold_out(&captured, late)
                    }
                    Capture::TakeStock => Some(
                        order
                            .paid(&captured, late)
                            .expect("stock is only taken for an order that can be paid"),
                    ),
                    Capture::TooLate => order.paid_too_late(&captured),
                    Capture::Done | Capture::Twice | Capture::Mismatch => None,
                }
            }
            Happening::WrongAmount(n) => {
                let captured =
                    PaymentCaptured { amount: Money::new(1, Currency::USD), ..testing::captured(order, n) };
                match order.on_capture(&captured, late, DAY) {
                    Capture::Mismatch => order.conflicted("another amount"),
                    Capture::TooLate => order.paid_too_late(&captured),
                    Capture::Done | Capture::Twice => None,
                    Capture::TakeStock => panic!("stock taken for {}", captured.amount),
                }
            }
            Happening::Refund(n, amount) => {
                let captured = testing::captured(order, n);
                let amount = amount.min(captured.amount.amount);
                order.refunded(&testing::refunded(&captured, amount))
            }
            Happening::Cancel => order.cancelled(Actor::Shopper(order.user_id), None, late),
            Happening::Expire => order.expired(late),
            Happening::HoldAnew => Some(order.holding_anew()),
        }
    }

    #[test]
    fn only_an_expired_order_comes_back_and_only_for_a_while() {
        let order = testing::order();
        let captured = testing::captured(&order, 0);
        let late = order.expires_at;
        let expired = order.expired(late).unwrap().order;
        assert_eq!(expired.on_capture(&captured, late.plus(DAY), DAY), Capture::TakeStock);
        assert_eq!(expired.on_capture(&captured, late.plus(DAY).plus(DAY), DAY), Capture::TooLate);
        let cancelled = order.cancelled(Actor::Shopper(order.user_id), None, AT).unwrap().order;
        assert_eq!(cancelled.on_capture(&captured, AT, DAY), Capture::TooLate);
        assert!(cancelled.paid(&captured, AT).is_none());
        assert!(order.expired(AT).is_none(), "there is time left");
    }

    #[test]
    fn a_second_payment_is_told_from_the_first_one_again() {
        let order = testing::order();
        let first = testing::captured(&order, 0);
        let paid = order.paid(&first, AT).unwrap().order;
        assert_eq!(paid.on_capture(&first, AT, DAY), Capture::Done);
        assert_eq!(paid.on_capture(&testing::captured(&order, 1), AT, DAY), Capture::Twice);
        let cancelled = paid.cancelled(Actor::Shopper(order.user_id), None, AT).unwrap();
        let Some(News::Cancelled(news)) = cancelled.news else { panic!("others are told") };
        assert!(news.was_paid);
        assert_eq!(cancelled.order.on_capture(&first, AT, DAY), Capture::Done);
        assert_eq!(cancelled.order.on_capture(&testing::captured(&order, 1), AT, DAY), Capture::TooLate);
    }

    #[test]
    fn a_paid_order_refunded_whole_is_closed() {
        let order = testing::order();
        let captured = testing::captured(&order, 0);
        let paid = order.paid(&captured, AT).unwrap().order;
        let part = paid.refunded(&testing::refunded(&captured, 100)).unwrap().order;
        assert_eq!((part.state, part.payment_state), (OrderState::Paid, PaymentState::PartiallyRefunded));
        assert!(part.refunded(&testing::refunded(&captured, 100)).is_none(), "again is nothing");
        let whole = part.refunded(&testing::refunded(&captured, captured.amount.amount)).unwrap().order;
        assert_eq!((whole.state, whole.payment_state), (OrderState::Closed, PaymentState::Refunded));
        assert!(
            whole.refunded(&testing::refunded(&captured, 100)).is_none(),
            "an older refund changes nothing"
        );
    }

    proptest! {
        #[test]
        fn whatever_happens_in_whatever_order(happenings in prop::collection::vec(happening(), 0..30)) {
            let mut order = testing::order();
            let mut sold = 0_i32;
            for happening in happenings {
                let Some(moved) = step(&order, happening) else { continue };
                let after = moved.order;
                prop_assert_eq!(after.version, order.version + 1);
                if let Some(entry) = &moved.entry {
                    prop_assert_eq!((entry.from, entry.to), (Some(order.state), after.state));
                }
                sold += i32::from(matches!(moved.news, Some(News::Paid(_))));
                // Paid means: a payment, a time, and no cancellation.
                if after.state == OrderState::Paid {
                    prop_assert!(after.payment_id.is_some() && after.paid_at.is_some() && after.cancelled_at.is_none());
                }
                prop_assert_eq!(after.state == OrderState::Cancelled, after.cancel_reason.is_some());
                prop_assert_eq!(after.state == OrderState::Cancelled, after.cancelled_at.is_some());
                prop_assert!(after.refunded >= order.refunded, "refunds only grow");
                prop_assert!(order.payment_id.is_none() || after.payment_id == order.payment_id, "a payment is never exchanged");
                prop_assert!(order.state != OrderState::Closed || after.state == OrderState::Closed);
                order = after;
            }
            prop_assert!(sold <= 1, "sold {} times", sold);
        }
    }
}
