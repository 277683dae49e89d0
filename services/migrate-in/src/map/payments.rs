//! Payments: what an order's attempts to pay and their refunds come to.

use contracts::{
    UserId,
    intake::{AttemptFacts, PaymentFacts, RefundFacts, TakePayment},
    order::OrderId,
    payment::{IntentState, RefundState},
};
use kernel::{Currency, Money, Timestamp};

use super::Mapper;
use crate::values::{Reason, Record, line};

/// What belongs to the payment of one order.
#[derive(Clone, Debug)]
pub(crate) struct PaymentRows<'a> {
    pub(crate) order: &'a Record,
    pub(crate) payments: &'a [Record],
    /// Of any of them.
    pub(crate) refunds: &'a [Record],
}

impl Mapper {
    /// The payment of an order.
    pub(crate) fn payment(&self, rows: &PaymentRows<'_>) -> Result<TakePayment, Reason> {
        let order_key = rows.order.need("id")?.to_owned();
        let user_id: UserId = self.ids.user(rows.order.need("user_id")?);
        let order_id = self.ids.order(user_id, &order_key);
        let mut attempts = Vec::with_capacity(rows.payments.len());
        for row in rows.payments {
            let key = row.need("id")?;
            let attempt = self.attempt(order_id, rows.order, row);
            attempts.push((key, attempt.map_err(|reason| format!("payment {key}: {reason}"))?));
        }
        attempts.sort_by(|a, b| a.1.number.cmp(&b.1.number));
        let paid: Vec<&str> = attempts
            .iter()
            .filter(|(_, attempt)| attempt.state == IntentState::Succeeded)
            .map(|(key, _)| *key)
            .collect();
        if paid.len() > 1 {
            return Err(format!("was paid more than once, by payments {}", paid.join(" and ")));
        }
        let speaks = attempts.iter().find(|(_, attempt)| attempt.state == IntentState::Succeeded);
        let currency = speaks.map_or(self.mapping.currency(), |(_, attempt)| attempt.amount.currency);
        let mut refunds = Vec::with_capacity(rows.refunds.len());
        for row in rows.refunds {
            let key = row.need("id")?;
            let refund = self.refund(order_id, currency, row, &paid);
            refunds.push(refund.map_err(|reason| format!("refund {key}: {reason}"))?);
        }
        refunds.sort_by_key(|refund| refund.id);
        let mut facts = PaymentFacts {
            id: self.ids.payment(order_id, &order_key),
            order_id,
            order_number: line(rows.order.need("order_no")?, 64),
            user_id,
            channel: String::new(),
            state: if paid.is_empty() { IntentState::Cancelled } else { IntentState::Succeeded },
            amount: Money::zero(self.mapping.currency()),
            attempts: attempts.into_iter().map(|(_, attempt)| attempt).collect(),
            refunds,
        };
        let speaker = facts.speaker().cloned().ok_or_else(|| "has no payment".to_owned())?;
        (facts.channel, facts.amount) = (speaker.channel, speaker.amount);
        let back = refunded(&facts);
        if back > facts.amount.amount {
            return Err(format!("{} went back of {}", Money::new(back, currency), facts.amount));
        }
        Ok(TakePayment { key: order_key, facts })
    }

    fn attempt(&self, order: OrderId, order_row: &Record, row: &Record) -> Result<AttemptFacts, Reason> {
        let currency = row.currency(order_row.currency(self.mapping.currency())?)?;
        let state = match self.meaning("payments", row, "succeeded")? {
            "succeeded" => IntentState::Succeeded,
            "failed" => IntentState::Failed,
            "cancelled" => IntentState::Cancelled,
            // Nobody pays it there any more.
            _ => IntentState::Expired,
        };
        let created_at = self.moment(row, "created_at")?.ok_or_else(|| "created_at is empty".to_owned())?;
        let paid = state == IntentState::Succeeded;
        let channel = row.get("channel").map_or_else(|| "unknown".to_owned(), |text| line(text, 20));
        Ok(AttemptFacts {
            id: self.ids.attempt(order, row.need("id")?),
            number: row.need("payment_no")?.to_owned(),
            channel: format!("{}:{channel}", self.mapping.source),
            state,
            amount: row.money("amount", currency)?,
            provider_number: row.get("transaction_no").map(str::to_owned),
            created_at,
            paid_at: self.moment(row, "paid_at")?.or(Some(created_at)).filter(|_| paid),
        })
    }

    /// A refund of the payment that succeeded, in its `currency` unless it says otherwise.
    fn refund(
        &self,
        order: OrderId,
        currency: Currency,
        row: &Record,
        paid: &[&str],
    ) -> Result<RefundFacts, Reason> {
        if !paid.contains(&row.need("payment_id")?) {
            return Err("its payment did not succeed".to_owned());
        }
        let state = match self.meaning("refunds", row, "succeeded")? {
            "succeeded" => RefundState::Succeeded,
            _ => RefundState::Failed,
        };
        let created_at: Timestamp =
            self.moment(row, "created_at")?.ok_or_else(|| "created_at is empty".to_owned())?;
        let reason = row.line("reason", 500);
        Ok(RefundFacts {
            id: self.ids.refund(order, row.need("id")?),
            amount: row.money("amount", row.currency(currency)?)?,
            state,
            reason: if reason.is_empty() { "refunded in the shop it came from".to_owned() } else { reason },
            provider_number: row.get("refund_no").map(|text| line(text, 64)),
            created_at,
        })
    }
}

/// What went back of a payment, in minor units; the most there is, where that is more.
pub(crate) fn refunded(facts: &PaymentFacts) -> i64 {
    let done = facts.refunds.iter().filter(|refund| refund.state == RefundState::Succeeded);
    done.map(|refund| refund.amount.amount).fold(0, i64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::testing::{mapper, row, with};

    pub(in crate::map) fn order() -> Record {
        row(&[("id", "5"), ("user_id", "7"), ("order_no", "N-5"), ("currency", "CNY")])
    }

    pub(in crate::map) fn paid() -> Record {
        row(&[
            ("id", "50"),
            ("payment_no", "P-50"),
            ("order_id", "5"),
            ("channel", "alipay"),
            ("amount", "39.80"),
            ("status", "1"),
            ("transaction_no", "2024011522001"),
            ("created_at", "2024-01-15 10:31:00"),
            ("paid_at", "2024-01-15 10:32:00"),
        ])
    }

    fn map(payments: &[Record], refunds: &[Record]) -> Result<TakePayment, Reason> {
        mapper().payment(&PaymentRows { order: &order(), payments, refunds })
    }

    #[test]
    fn attempts_of_an_order_are_one_payment() {
        let failed = with(&paid(), &[("id", "49"), ("payment_no", "P-49"), ("status", "2")]);
        let back = row(&[
            ("id", "1"),
            ("payment_id", "50"),
            ("amount", "9.80"),
            ("status", "1"),
            ("created_at", "2024-01-20 00:00:00"),
        ]);
        let payment = map(&[paid(), failed.clone()], std::slice::from_ref(&back)).unwrap();
        assert_eq!(payment.facts.state, IntentState::Succeeded);
        assert_eq!((payment.facts.amount.amount, refunded(&payment.facts)), (3_980, 980));
        assert_eq!(payment.facts.channel, "legacy:alipay");
        assert_eq!(payment.facts.attempts.len(), 2);
        let open = map(&[failed], &[]).unwrap();
        assert_eq!((open.facts.state, refunded(&open.facts)), (IntentState::Cancelled, 0));
        let waiting = map(&[with(&paid(), &[("status", "0")])], &[]).unwrap();
        assert_eq!(waiting.facts.attempts[0].state, IntentState::Expired);
        // Of an order in CNY: its money goes back as it came.
        let dollars = map(&[with(&paid(), &[("currency", "USD")])], &[back]).unwrap().facts;
        assert_eq!(dollars.refunds[0].amount, Money::new(980, Currency::USD));
    }

    #[test]
    fn what_is_wrong_is_told() {
        let again = with(&paid(), &[("id", "51"), ("payment_no", "P-51")]);
        let refund = row(&[
            ("id", "1"),
            ("payment_id", "49"),
            ("amount", "1"),
            ("status", "1"),
            ("created_at", "2024-01-20 00:00:00"),
        ]);
        let too_much = with(&refund, &[("payment_id", "50"), ("amount", "39.81")]);
        let most = with(&too_much, &[("amount", "92233720368547758.07")]);
        for (payments, refunds, part) in [
            (vec![paid(), again], vec![], "more than once, by payments 50 and 51"),
            (vec![with(&paid(), &[("amount", "-1.00")])], vec![], "payment 50: amount -1.00 is negative"),
            (vec![with(&paid(), &[("currency", "RMB")])], vec![], "unknown currency"),
            (vec![with(&paid(), &[("status", "8")])], vec![], "unknown status"),
            (vec![paid()], vec![refund], "refund 1: its payment did not succeed"),
            (vec![paid()], vec![too_much], "39.81 CNY went back of 39.80 CNY"),
            (vec![paid()], vec![most.clone(), with(&most, &[("id", "2")])], "went back of 39.80 CNY"),
            (vec![], vec![], "has no payment"),
        ] {
            let reason = map(&payments, &refunds).unwrap_err();
            assert!(reason.contains(part), "{reason}");
        }
    }
}
