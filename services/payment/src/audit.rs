//! Holds stored payments to their equations.

use std::{collections::HashSet, sync::Arc};

use contracts::payment::{IntentState, RefundState};
use kernel::Result;
use platform_runtime::{Finding, Scope};

use crate::{
    PaymentService,
    model::{intent_name, refund_name},
    store::{
        self,
        entity::{intent, refund},
    },
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
            let mut page = store::page_with_refunds(&self.db, after, PAGE.min(left)).await?;
            let more = page.len() > usize::try_from(PAGE.min(left)).unwrap_or(usize::MAX);
            if more {
                page.pop();
            }
            for (payment, refunds) in &page {
                if scope.since.is_some_and(|since| payment.created_at < since.micros()) {
                    return Ok(vec![sums, order]);
                }
                let wrong = wrong(payment, refunds);
                sums.hold(wrong.is_none(), || format!("{}: {}", payment.number, wrong.unwrap_or_default()));
                let alone = orders.insert(payment.order_id);
                order.hold(alone, || format!("{}: its order has another payment", payment.number));
            }
            left -= u32::try_from(page.len()).unwrap_or(u32::MAX).min(left);
            match page.last() {
                Some((last, _)) if more => after = Some((last.created_at, last.id)),
                _ => break,
            }
        }
        Ok(vec![sums, order])
    }
}

/// Which equation of a payment does not hold. Refunds of money that was paid twice are not the order's.
fn wrong(payment: &intent::Model, refunds: &[refund::Model]) -> Option<String> {
    let sum = |states: &[RefundState]| -> i64 {
        let counts = |refund: &&refund::Model| {
            !refund.surplus && states.iter().any(|state| refund_name(*state) == refund.state)
        };
        refunds.iter().filter(counts).map(|refund| refund.amount).sum()
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

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

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
            attempt_id: Uuid::nil(),
            provider_number: None,
            reason: None,
            created_at: 0,
            updated_at: 0,
            paid_at: None,
            expires_at: 0,
        }
    }

    fn refund(amount: i64, state: RefundState, surplus: bool) -> refund::Model {
        refund::Model {
            shard: 1,
            id: Uuid::nil(),
            intent_id: Uuid::nil(),
            attempt_id: Uuid::nil(),
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

    #[test]
    fn every_equation_is_held() {
        use IntentState::{Pending, Succeeded};
        use RefundState::{Failed, Pending as Open, Succeeded as Done};
        let right: [(intent::Model, Vec<refund::Model>); 4] = [
            (payment(Pending, 0, 0, 0), vec![]),
            (payment(Succeeded, 1_000, 0, 0), vec![refund(1_000, Done, true)]),
            (payment(Succeeded, 1_000, 700, 300), vec![refund(300, Done, false), refund(400, Open, false)]),
            (payment(Succeeded, 1_000, 0, 0), vec![refund(300, Failed, false)]),
        ];
        for (payment, refunds) in right {
            assert_eq!(wrong(&payment, &refunds), None, "{payment:?} {refunds:?}");
        }
        let broken: [(intent::Model, Vec<refund::Model>); 5] = [
            (payment(Succeeded, 999, 0, 0), vec![]),
            (payment(Pending, 1, 0, 0), vec![]),
            (payment(Succeeded, 1_000, 0, 0), vec![refund(1, Open, false)]),
            (payment(Succeeded, 1_000, 300, 0), vec![refund(300, Done, false)]),
            (payment(IntentState::Conflicted, 500, 600, 0), vec![refund(600, Open, false)]),
        ];
        for (payment, refunds) in broken {
            assert!(wrong(&payment, &refunds).is_some(), "{payment:?} {refunds:?}");
        }
    }
}
