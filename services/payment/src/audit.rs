//! Holds stored payments to their equations.

use std::{collections::HashSet, sync::Arc};

use contracts::payment::{IntentState, RefundState};
use kernel::Result;
use platform_runtime::{Finding, Scope};

use crate::{
    PaymentService,
    model::{intent_name, refund_name},
    store::{self, Books},
};

/// Payments read at once.
const PAGE: u32 = 200;

impl PaymentService {
    /// Looks at the newest payments, as far as `scope` goes.
    pub(crate) async fn audit(self: Arc<Self>, scope: Scope) -> Result<Vec<Finding>> {
        let mut sums = Finding::of("payment.sums");
        let mut order = Finding::of("payment.order");
        let mut orders = HashSet::new();
        let mut after = None;
        let mut left = scope.most.unwrap_or(u32::MAX);
        while left > 0 {
            let mut page = store::page_of_books(&self.db, after, PAGE.min(left)).await?;
            let more = page.len() > usize::try_from(PAGE.min(left)).unwrap_or(usize::MAX);
            if more {
                page.pop();
            }
            for books in &page {
                let payment = &books.payment;
                if scope.since.is_some_and(|since| payment.created_at < since.micros()) {
                    return Ok(vec![sums, order]);
                }
                let wrong = wrong(books).or_else(|| astray(books));
                sums.hold(wrong.is_none(), || format!("{}: {}", payment.number, wrong.unwrap_or_default()));
                let alone = orders.insert(payment.order_id);
                order.hold(alone, || format!("{}: its order has another payment", payment.number));
            }
            left -= u32::try_from(page.len()).unwrap_or(u32::MAX).min(left);
            match page.last() {
                Some(Books { payment: last, .. }) if more => after = Some((last.created_at, last.id)),
                _ => break,
            }
        }
        Ok(vec![sums, order])
    }
}

/// Which equation of a payment does not hold. Refunds of money that was paid twice are not the order's.
fn wrong(books: &Books) -> Option<String> {
    let payment = &books.payment;
    let sum = |states: &[RefundState]| -> i64 {
        let of_order = books.refunds.iter().filter(|refund| !refund.surplus);
        let counted = of_order.filter(|it| states.iter().any(|state| refund_name(*state) == it.state));
        counted.map(|refund| refund.amount).sum()
    };
    let asked = sum(&[RefundState::Pending, RefundState::Succeeded]);
    let done = sum(&[RefundState::Succeeded]);
    let succeeded = payment.state == intent_name(IntentState::Succeeded);
    let untouched = [IntentState::Pending, IntentState::Failed, IntentState::Cancelled, IntentState::Expired]
        .map(intent_name)
        .contains(&payment.state.as_str());
    if succeeded && payment.captured != payment.amount {
        Some(format!("it succeeded with {} captured of {}", payment.captured, payment.amount))
    } else if untouched && payment.captured != 0 {
        Some(format!("it is {} with {} captured", payment.state, payment.captured))
    } else if asked != payment.refunded {
        Some(format!("its refunds add up to {asked}, it says {}", payment.refunded))
    } else if done != payment.refunded_done {
        Some(format!("{done} went back, it says {}", payment.refunded_done))
    } else if payment.refunded > payment.captured {
        Some(format!("{} goes back of {} captured", payment.refunded, payment.captured))
    } else {
        None
    }
}

/// Which money that a provider captured neither paid the payment nor goes back. What is in conflict a person looks at.
fn astray(books: &Books) -> Option<String> {
    let Books { payment, refunds, paid } = books;
    let succeeded = payment.state == intent_name(IntentState::Succeeded);
    let (its, others): (Vec<_>, Vec<_>) = paid.iter().partition(|attempt| attempt.id == payment.attempt_id);
    let captured: i64 = its.iter().map(|attempt| attempt.captured).sum();
    if succeeded && captured != payment.captured {
        return Some(format!("its attempt captured {captured}, it says {}", payment.captured));
    }
    if !succeeded && !paid.is_empty() {
        return Some(format!("it is {}, but an attempt paid it", payment.state));
    }
    others.into_iter().find_map(|attempt| {
        let back = refunds.iter().filter(|refund| refund.surplus && refund.attempt_id == attempt.id);
        let back: i64 = back.map(|refund| refund.amount).sum();
        let number = &attempt.number;
        (back != attempt.captured)
            .then(|| format!("{number} captured {} beside what paid it, {back} goes back", attempt.captured))
    })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::store::entity::{attempt, intent, refund};

    /// The attempt that paid it; another one.
    const FIRST: Uuid = Uuid::nil();
    const SECOND: Uuid = Uuid::max();

    fn payment(state: IntentState, captured: i64, refunded: i64, done: i64) -> intent::Model {
        intent::Model {
            shard: 1,
            id: Uuid::nil(),
            number: "P1".into(),
            order_id: Uuid::nil(),
            order_number: "M1".into(),
            user_id: Uuid::nil(),
            channel: "sandbox".into(),
            state: intent_name(state).into(),
            amount: 1_000,
            currency: "USD".into(),
            captured,
            refunded,
            refunded_done: done,
            attempts: 1,
            attempt_id: FIRST,
            provider_number: None,
            reason: None,
            created_at: 0,
            updated_at: 0,
            paid_at: None,
            expires_at: 0,
        }
    }

    fn attempt(id: Uuid, captured: i64) -> attempt::Model {
        attempt::Model {
            shard: 1,
            id,
            intent_id: Uuid::nil(),
            number: "P1-1".into(),
            channel: "sandbox".into(),
            state: intent_name(IntentState::Succeeded).into(),
            amount: 1_000,
            currency: "USD".into(),
            captured,
            captured_currency: Some("USD".into()),
            provider_number: None,
            reason: None,
            created_at: 0,
            updated_at: 0,
            paid_at: None,
            called_back_at: None,
            next_sync_at: 0,
            syncs: 0,
            trace: None,
        }
    }

    fn refund(amount: i64, state: RefundState, surplus: bool) -> refund::Model {
        refund::Model {
            shard: 1,
            id: Uuid::nil(),
            intent_id: Uuid::nil(),
            attempt_id: if surplus { SECOND } else { FIRST },
            amount,
            currency: "USD".into(),
            state: refund_name(state).into(),
            reason: String::new(),
            surplus,
            provider_number: None,
            created_at: 0,
            updated_at: 0,
            next_at: 0,
            tries: 0,
        }
    }

    /// A payment whose attempt captured what it says.
    fn books(payment: intent::Model, refunds: Vec<refund::Model>) -> Books {
        let succeeded = payment.state == intent_name(IntentState::Succeeded);
        let paid = if succeeded { vec![attempt(FIRST, payment.captured)] } else { Vec::new() };
        Books { payment, refunds, paid }
    }

    #[test]
    fn every_equation_is_held() {
        use IntentState::{Pending, Succeeded};
        use RefundState::{Failed, Pending as Open, Succeeded as Done};
        let right = [
            books(payment(Pending, 0, 0, 0), vec![]),
            books(
                payment(Succeeded, 1_000, 700, 300),
                vec![refund(300, Done, false), refund(400, Open, false)],
            ),
            books(payment(Succeeded, 1_000, 0, 0), vec![refund(300, Failed, false)]),
        ];
        for books in right {
            assert_eq!(wrong(&books).or_else(|| astray(&books)), None, "{books:?}");
        }
        let broken = [
            books(payment(Succeeded, 999, 0, 0), vec![]),
            books(payment(Pending, 1, 0, 0), vec![]),
            books(payment(Succeeded, 1_000, 0, 0), vec![refund(1, Open, false)]),
            books(payment(Succeeded, 1_000, 300, 0), vec![refund(300, Done, false)]),
            books(payment(IntentState::Conflicted, 500, 600, 0), vec![refund(600, Open, false)]),
        ];
        for books in broken {
            assert!(wrong(&books).is_some(), "{books:?}");
        }
    }

    #[test]
    fn money_that_was_captured_paid_or_goes_back() {
        use RefundState::Pending as Open;
        let paid = || books(payment(IntentState::Succeeded, 1_000, 0, 0), vec![]);
        let twice =
            |refunds| Books { refunds, paid: vec![attempt(FIRST, 1_000), attempt(SECOND, 990)], ..paid() };
        assert_eq!(astray(&twice(vec![refund(990, Open, true)])), None);
        let broken = [
            twice(vec![]),
            twice(vec![refund(989, Open, true)]),
            Books { paid: vec![], ..paid() },
            Books { paid: vec![attempt(FIRST, 999)], ..paid() },
            Books {
                paid: vec![attempt(FIRST, 0)],
                ..books(payment(IntentState::Cancelled, 0, 0, 0), vec![])
            },
        ];
        for books in broken {
            assert_eq!(wrong(&books), None, "{books:?}");
            assert!(astray(&books).is_some(), "{books:?}");
        }
    }
}
