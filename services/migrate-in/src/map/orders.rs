//! Orders with their items. Their sums are held to account before anything is taken in.

use std::collections::BTreeMap;

use contracts::{
    account::AddressInput,
    intake::{OrderFacts, PaymentFacts, TakeOrder},
    order::{FulfilmentState, OrderLineView, OrderState, PaymentState},
    payment::IntentState,
    pricing::Totals,
};
use kernel::{Currency, Money, Timestamp};

use super::{Mapper, PaymentRows, refunded};
use crate::values::{Reason, Record, attributes, line};

/// What belongs to an order.
#[derive(Clone, Debug)]
pub(crate) struct OrderRows<'a> {
    pub(crate) order: &'a Record,
    pub(crate) items: &'a [Record],
    pub(crate) payments: &'a [Record],
    pub(crate) refunds: &'a [Record],
    /// Present names of products, by key.
    pub(crate) names: &'a BTreeMap<String, String>,
}

impl Mapper {
    /// An order with its lines.
    pub(crate) fn order(&self, rows: &OrderRows<'_>) -> Result<TakeOrder, Reason> {
        let row = rows.order;
        let key = row.need("id")?.to_owned();
        let user_id = self.ids.user(row.need("user_id")?);
        let id = self.ids.order(user_id, &key);
        let currency = row.currency(self.mapping.currency())?;
        let (totals, lines) = self.sums(rows, currency)?;
        let placed_at = self.moment(row, "created_at")?.ok_or_else(|| "created_at is empty".to_owned())?;
        let meaning = self.meaning("orders", row, "")?;
        let payment = self.paid_by(rows, meaning, totals.total)?;
        let (state, fulfilment_state) = states(meaning);
        let back = payment.as_ref().map_or(0, refunded);
        if meaning == "refunded" && back != totals.total.amount {
            return Err(format!(
                "is refunded, but {} went back of {}",
                Money::new(back, currency),
                totals.total
            ));
        }
        let payment_state = match &payment {
            None => PaymentState::Unpaid,
            Some(_) if back == 0 => PaymentState::Paid,
            Some(_) if back < totals.total.amount => PaymentState::PartiallyRefunded,
            Some(_) => PaymentState::Refunded,
        };
        let paid_at = match &payment {
            Some(payment) => {
                let theirs = payment.speaker().and_then(|attempt| attempt.paid_at);
                self.moment(row, "paid_at")?.or(theirs).or(Some(placed_at))
            }
            None => None,
        };
        let cancelled_at = (state == OrderState::Cancelled)
            .then(|| Ok::<_, Reason>(self.moment(row, "cancelled_at")?.unwrap_or(placed_at)))
            .transpose()?;
        let steps = self.steps(row, state, placed_at, paid_at, cancelled_at)?;
        let facts = OrderFacts {
            id,
            user_id,
            number: line(row.need("order_no")?, 64),
            state,
            payment_state,
            fulfilment_state,
            lines,
            totals,
            refunded: back,
            address: self.destination(row),
            remark: row.get("remark").map(|text| text.chars().take(500).collect()),
            placed_at,
            paid_at,
            cancelled_at,
            payment_id: payment.as_ref().map(|payment| payment.id),
            payment_number: payment
                .as_ref()
                .and_then(|payment| payment.speaker().map(|attempt| attempt.number.clone())),
        };
        Ok(TakeOrder { key, facts, steps })
    }

    /// Totals and lines, when they add up.
    fn sums(&self, rows: &OrderRows<'_>, currency: Currency) -> Result<(Totals, Vec<OrderLineView>), Reason> {
        let row = rows.order;
        if rows.items.is_empty() {
            return Err("has no items".to_owned());
        }
        let mut lines = Vec::with_capacity(rows.items.len());
        for item in rows.items {
            let key = item.need("id")?;
            let line = self.line(item, currency, rows.names);
            lines.push(line.map_err(|reason| format!("item {key}: {reason}"))?);
        }
        let overflow = |error: kernel::MoneyError| error.to_string();
        let subtotal = Money::sum(currency, lines.iter().map(|line| line.subtotal)).map_err(overflow)?;
        let said = match row.get("item_amount") {
            Some(_) => row.money("item_amount", currency)?,
            None => subtotal,
        };
        if said != subtotal {
            return Err(format!("its items add up to {subtotal}, item_amount is {said}"));
        }
        let discount = row.money_or_none("discount_amount", currency)?;
        let shipping = row.money_or_none("shipping_amount", currency)?;
        let tax = row.money_or_none("tax_amount", currency)?;
        let total = row.money("total_amount", currency)?;
        let sum = subtotal
            .minus(discount)
            .and_then(|sum| sum.plus(shipping))
            .and_then(|sum| sum.plus(tax))
            .map_err(overflow)?;
        if sum != total || discount.amount > subtotal.amount {
            return Err(format!(
                "{subtotal} − {discount} + {shipping} + {tax} is {sum}, total_amount is {total}"
            ));
        }
        let weights: Vec<u64> = lines.iter().map(|line| line.subtotal.amount.unsigned_abs()).collect();
        let parts = discount.allocate(&weights).into_iter().zip(tax.allocate(&weights));
        for (line, (discount, tax)) in lines.iter_mut().zip(parts) {
            (line.discount, line.tax) = (discount, tax);
            line.total = line.subtotal.minus(discount).and_then(|rest| rest.plus(tax)).map_err(overflow)?;
        }
        Ok((Totals { subtotal, discount, shipping, tax, total }, lines))
    }

    fn line(
        &self,
        row: &Record,
        currency: Currency,
        names: &BTreeMap<String, String>,
    ) -> Result<OrderLineView, Reason> {
        let product_key = row.need("product_id")?;
        let product_id = self.ids.product(product_key);
        let title = row.line("product_name", 300);
        let unit_price = row.money("price", currency)?;
        let quantity = row.number("quantity")?;
        if quantity <= 0 {
            return Err(format!("quantity {quantity} must be above zero"));
        }
        let subtotal = unit_price.times(quantity).map_err(|error| error.to_string())?;
        if row.get("subtotal").is_some() && row.money("subtotal", currency)? != subtotal {
            return Err(format!(
                "{unit_price} × {quantity} is {subtotal}, subtotal is {}",
                row.line("subtotal", 40)
            ));
        }
        let zero = Money::zero(currency);
        // The page of the product as it is called now; without one, as it was called then.
        let name = names.get(product_key).map_or(title.as_str(), String::as_str);
        Ok(OrderLineView {
            sku_id: self.ids.sku(product_id, row.need("sku_id")?),
            product_id,
            sku_code: row.line("sku_code", 100),
            slug: self.slug(&line(name, 300), product_key),
            title,
            options: attributes(row.get("attributes"))?,
            image: None,
            quantity,
            unit_price,
            subtotal,
            discount: zero,
            tax: zero,
            total: subtotal,
        })
    }

    /// The payment that paid it; none where it was not paid. A paid order without one is refused: nobody could say where its
    /// money is.
    fn paid_by(
        &self,
        rows: &OrderRows<'_>,
        meaning: &str,
        total: Money,
    ) -> Result<Option<PaymentFacts>, Reason> {
        let must = !matches!(meaning, "pending_payment" | "cancelled");
        if rows.payments.is_empty() {
            return if must { Err(format!("is {meaning}, but has no payment")) } else { Ok(None) };
        }
        let rows = PaymentRows { order: rows.order, payments: rows.payments, refunds: rows.refunds };
        let payment = match self.payment(&rows) {
            Ok(payment) => payment.facts,
            // Told where payments are taken in.
            Err(_) if !must => return Ok(None),
            Err(reason) => return Err(reason),
        };
        if payment.state != IntentState::Succeeded {
            return if must {
                Err(format!("is {meaning}, but none of its payments succeeded"))
            } else {
                Ok(None)
            };
        }
        if payment.amount != total {
            return Err(format!("{} was paid of {total}", payment.amount));
        }
        Ok(Some(payment))
    }

    fn steps(
        &self,
        row: &Record,
        state: OrderState,
        placed_at: Timestamp,
        paid_at: Option<Timestamp>,
        cancelled_at: Option<Timestamp>,
    ) -> Result<Vec<(OrderState, Timestamp)>, Reason> {
        let mut steps = vec![(OrderState::PendingPayment, placed_at)];
        steps.extend(paid_at.map(|at| (OrderState::Paid, at)));
        let left = matches!(state, OrderState::Shipped | OrderState::Delivered | OrderState::Completed);
        if left && let Some(at) = self.moment(row, "shipped_at")? {
            steps.push((OrderState::Shipped, at));
        }
        if steps.last().is_some_and(|(last, _)| *last != state) {
            let at = match state {
                OrderState::Cancelled => cancelled_at,
                OrderState::Completed => self.moment(row, "completed_at")?,
                _ => None,
            };
            let before = steps.last().map_or(placed_at, |(_, at)| *at);
            steps.push((state, at.unwrap_or(before)));
        }
        Ok(steps)
    }

    fn destination(&self, row: &Record) -> AddressInput {
        let country = row.get("receiver_country").map(str::to_uppercase);
        AddressInput {
            recipient: row.line("receiver_name", 100),
            phone: row.line("receiver_phone", 32),
            country: country.filter(|text| text.len() == 2).unwrap_or_else(|| self.mapping.country.clone()),
            region: row.line("receiver_province", 100),
            city: row.line("receiver_city", 100),
            district: row.line("receiver_district", 100),
            line1: row.line("receiver_detail", 300),
            line2: String::new(),
            postal_code: row.line("receiver_postal", 20),
            is_default: false,
        }
    }
}

/// Where an order of this meaning stands. One that waited for its payment is paid there or never.
fn states(meaning: &str) -> (OrderState, FulfilmentState) {
    match meaning {
        "paid" => (OrderState::Paid, FulfilmentState::Unfulfilled),
        "shipped" => (OrderState::Shipped, FulfilmentState::Shipped),
        "delivered" => (OrderState::Delivered, FulfilmentState::Delivered),
        "completed" => (OrderState::Completed, FulfilmentState::Delivered),
        "refunded" => (OrderState::Closed, FulfilmentState::Unfulfilled),
        _ => (OrderState::Cancelled, FulfilmentState::Unfulfilled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::testing::{mapper, row, with};

    fn order() -> Record {
        row(&[
            ("id", "5"),
            ("user_id", "7"),
            ("order_no", "20240115000000000005"),
            ("status", "4"),
            ("item_amount", "40.00"),
            ("discount_amount", "5.00"),
            ("shipping_amount", "4.80"),
            ("tax_amount", "0.00"),
            ("total_amount", "39.80"),
            ("receiver_name", "Ada"),
            ("receiver_phone", "13800138000"),
            ("receiver_detail", "1 West Lake"),
            ("created_at", "2024-01-15 10:30:00"),
            ("shipped_at", "2024-01-16 10:30:00"),
            ("completed_at", "2024-01-20 10:30:00"),
        ])
    }

    fn items() -> Vec<Record> {
        let first = row(&[
            ("id", "1"),
            ("order_id", "5"),
            ("product_id", "12"),
            ("sku_id", "1"),
            ("product_name", "Lamp"),
            ("sku_code", "L-1"),
            ("price", "10.00"),
            ("quantity", "3"),
            ("subtotal", "30.00"),
        ]);
        let second = with(&first, &[("id", "2"), ("sku_id", "2"), ("quantity", "1"), ("subtotal", "10.00")]);
        vec![first, second]
    }

    fn paid() -> Record {
        row(&[
            ("id", "50"),
            ("payment_no", "P-50"),
            ("order_id", "5"),
            ("channel", "alipay"),
            ("amount", "39.80"),
            ("status", "1"),
            ("created_at", "2024-01-15 10:31:00"),
            ("paid_at", "2024-01-15 10:32:00"),
        ])
    }

    fn refund(amount: &str) -> Record {
        row(&[
            ("id", "1"),
            ("payment_id", "50"),
            ("amount", amount),
            ("status", "1"),
            ("created_at", "2024-01-21 00:00:00"),
        ])
    }

    fn map(
        order: &Record,
        items: &[Record],
        payments: &[Record],
        refunds: &[Record],
    ) -> Result<TakeOrder, Reason> {
        let names = BTreeMap::from([("12".to_owned(), "Desk Lamp".to_owned())]);
        mapper().order(&OrderRows { order, items, payments, refunds, names: &names })
    }

    #[test]
    fn an_order_keeps_what_it_was() {
        let taken = map(&order(), &items(), &[paid()], &[]).unwrap();
        let facts = &taken.facts;
        assert_eq!((facts.state, facts.payment_state), (OrderState::Completed, PaymentState::Paid));
        assert_eq!((facts.totals.total.amount, facts.totals.discount.amount), (3_980, 500));
        let discounts: Vec<i64> = facts.lines.iter().map(|line| line.discount.amount).collect();
        assert_eq!(discounts, [375, 125], "the discount is shared by what the lines cost");
        assert_eq!(facts.lines[0].slug, "desk-lamp-legacy-12");
        assert_eq!(facts.payment_number.as_deref(), Some("P-50"));
        let states: Vec<OrderState> = taken.steps.iter().map(|(state, _)| *state).collect();
        let way = [OrderState::PendingPayment, OrderState::Paid, OrderState::Shipped, OrderState::Completed];
        assert_eq!(states, way);
    }

    #[test]
    fn statuses_and_money_must_agree() {
        let with_status = |status| with(&order(), &[("status", status)]);
        let waiting = map(&with_status("0"), &items(), &[], &[]).unwrap().facts;
        assert_eq!((waiting.state, waiting.payment_state), (OrderState::Cancelled, PaymentState::Unpaid));
        assert!(waiting.cancelled_at.is_some() && waiting.paid_at.is_none());
        let part = map(&with_status("4"), &items(), &[paid()], &[refund("9.80")]).unwrap().facts;
        assert_eq!((part.payment_state, part.refunded), (PaymentState::PartiallyRefunded, 980));
        let whole = map(&with_status("6"), &items(), &[paid()], &[refund("39.80")]).unwrap().facts;
        assert_eq!((whole.state, whole.payment_state), (OrderState::Closed, PaymentState::Refunded));
        let short = with(&paid(), &[("amount", "39.00")]);
        for (status, payments, refunds, part) in [
            ("1", vec![], vec![], "is paid, but has no payment"),
            ("2", vec![with(&paid(), &[("status", "2")])], vec![], "none of its payments succeeded"),
            ("3", vec![short], vec![], "39.00 CNY was paid of 39.80 CNY"),
            ("6", vec![paid()], vec![refund("9.80")], "is refunded, but 9.80 CNY went back"),
            ("9", vec![paid()], vec![], "unknown status"),
        ] {
            let reason = map(&with_status(status), &items(), &payments, &refunds).unwrap_err();
            assert!(reason.contains(part), "{reason}");
        }
    }

    #[test]
    fn sums_that_do_not_add_up_are_told_as_they_are() {
        let mut short = items();
        short[0] = with(&short[0], &[("subtotal", "29.99")]);
        let mut none = items();
        none[1] = with(&none[1], &[("quantity", "0")]);
        for (columns, items, part) in [
            (&[("total_amount", "39.81")][..], items(), "is 39.80 CNY, total_amount is 39.81 CNY"),
            (&[("item_amount", "41.00")], items(), "add up to 40.00 CNY, item_amount is 41.00 CNY"),
            (&[("total_amount", "-1.00")], items(), "total_amount -1.00 is negative"),
            (&[("currency", "XYZ")], items(), "unknown currency"),
            (&[], short, "item 1: 10.00 CNY × 3 is 30.00 CNY"),
            (&[], none, "item 2: quantity 0 must be above zero"),
            (&[], vec![], "has no items"),
        ] {
            let reason = map(&with(&order(), columns), &items, &[paid()], &[]).unwrap_err();
            assert!(reason.contains(part), "{reason}");
        }
    }
}
