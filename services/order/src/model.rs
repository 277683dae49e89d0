//! An order and how it is drafted. Pure.

use contracts::{
    UserId,
    account::AddressInput,
    catalog::{NamedValue, ProductId, SkuId},
    inventory::HoldId,
    order::{FulfilmentState, OrderId, OrderLineView, OrderState, OrderView, OrderedLine, PaymentState},
    payment::PaymentId,
    pricing::{Explanation, LineInput, MAX_LINES, QuoteLine, QuoteView, Totals},
};
use kernel::{Failure, Money, Result, Timestamp};

use crate::{
    demand::Demand,
    states::{CancelReason, Word},
};

/// The most characters of a remark.
const MAX_REMARK: usize = 500;

/// An order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) id: OrderId,
    pub(crate) user_id: UserId,
    pub(crate) number: String,
    pub(crate) state: OrderState,
    pub(crate) payment_state: PaymentState,
    pub(crate) fulfilment_state: FulfilmentState,
    /// Grows by one with every change; changes are guarded by it.
    pub(crate) version: i64,
    /// The hold whose stock is this order's.
    pub(crate) hold_id: HoldId,
    /// How often stock was held anew after the first hold ended.
    pub(crate) hold_attempt: i32,
    pub(crate) lines: Vec<OrderLine>,
    pub(crate) totals: Totals,
    /// Minor units that went back so far, of the payment it was paid by.
    pub(crate) refunded: i64,
    pub(crate) market: String,
    pub(crate) address: AddressInput,
    pub(crate) explanation: Vec<Explanation>,
    pub(crate) remark: Option<String>,
    pub(crate) from_cart: bool,
    pub(crate) placed_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) paid_at: Option<Timestamp>,
    pub(crate) cancelled_at: Option<Timestamp>,
    pub(crate) cancel_reason: Option<CancelReason>,
    pub(crate) payment_id: Option<PaymentId>,
    pub(crate) payment_number: Option<String>,
    /// The trace it was placed in; what is done about it later belongs there.
    pub(crate) trace: Option<String>,
}

/// A line, as it was when the order was placed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OrderLine {
    pub(crate) sku_id: SkuId,
    pub(crate) product_id: ProductId,
    pub(crate) sku_code: String,
    pub(crate) title: String,
    pub(crate) options: Vec<NamedValue>,
    pub(crate) slug: String,
    pub(crate) image: Option<String>,
    pub(crate) quantity: i64,
    pub(crate) unit_price: Money,
    pub(crate) subtotal: Money,
    pub(crate) discount: Money,
    pub(crate) tax: Money,
    pub(crate) tax_rate_bp: i64,
    pub(crate) total: Money,
}

/// What an order is drafted from.
#[derive(Clone, Debug)]
pub(crate) struct Draft<'a> {
    pub(crate) id: OrderId,
    pub(crate) user_id: UserId,
    pub(crate) number: String,
    pub(crate) hold_id: HoldId,
    pub(crate) demand: &'a Demand,
    pub(crate) quote: QuoteView,
    pub(crate) address: AddressInput,
    pub(crate) remark: Option<&'a str>,
    pub(crate) from_cart: bool,
    pub(crate) placed_at: Timestamp,
    pub(crate) expires_at: Timestamp,
    pub(crate) trace: Option<String>,
}

impl Order {
    /// The order that these inputs make, waiting for its payment. What the shopper got wrong is named; a quote that does
    /// not add up, or is not for the demand, is our fault and `server.internal`.
    pub(crate) fn draft(draft: Draft<'_>) -> Result<Self> {
        let remark = remark(draft.remark)?;
        check(&draft.quote, draft.demand).map_err(Failure::internal)?;
        if draft.quote.totals.total.amount <= 0 {
            // No provider takes a payment of nothing: such an order could only expire.
            return Err(Failure::invalid("/items", "come to nothing: an order needs something to pay"));
        }
        Ok(Self {
            id: draft.id,
            user_id: draft.user_id,
            number: draft.number,
            state: OrderState::PendingPayment,
            payment_state: PaymentState::Unpaid,
            fulfilment_state: FulfilmentState::Unfulfilled,
            version: 1,
            hold_id: draft.hold_id,
            hold_attempt: 0,
            lines: draft.quote.lines.into_iter().map(OrderLine::from).collect(),
            totals: draft.quote.totals,
            refunded: 0,
            market: draft.quote.market,
            address: draft.address,
            explanation: draft.quote.explanation,
            remark,
            from_cart: draft.from_cart,
            placed_at: draft.placed_at,
            expires_at: draft.expires_at,
            paid_at: None,
            cancelled_at: None,
            cancel_reason: None,
            payment_id: None,
            payment_number: None,
            trace: draft.trace,
        })
    }

    /// What the wire shows.
    pub(crate) fn view(&self) -> OrderView {
        OrderView {
            id: self.id,
            number: self.number.clone(),
            state: self.state,
            payment_state: self.payment_state,
            fulfilment_state: self.fulfilment_state,
            lines: self.lines.iter().map(OrderLine::view).collect(),
            totals: self.totals,
            address: self.address.clone(),
            remark: self.remark.clone(),
            placed_at: self.placed_at,
            expires_at: self.expires_at,
            paid_at: self.paid_at,
            cancelled_at: self.cancelled_at,
            cancel_reason: self.cancel_reason.map(|reason| reason.word().to_owned()),
            payment_number: self.payment_number.clone(),
        }
    }

    /// Its lines as events tell them.
    pub(crate) fn ordered(&self) -> Vec<OrderedLine> {
        self.lines
            .iter()
            .map(|line| OrderedLine {
                sku_id: line.sku_id,
                product_id: line.product_id,
                quantity: line.quantity,
            })
            .collect()
    }

    /// Its lines as stock is asked for.
    pub(crate) fn wanted(&self) -> Vec<LineInput> {
        self.lines.iter().map(|line| LineInput { sku_id: line.sku_id, quantity: line.quantity }).collect()
    }
}

impl OrderLine {
    fn view(&self) -> OrderLineView {
        OrderLineView {
            sku_id: self.sku_id,
            product_id: self.product_id,
            sku_code: self.sku_code.clone(),
            title: self.title.clone(),
            options: self.options.clone(),
            slug: self.slug.clone(),
            image: self.image.clone(),
            quantity: self.quantity,
            unit_price: self.unit_price,
            subtotal: self.subtotal,
            discount: self.discount,
            tax: self.tax,
            total: self.total,
        }
    }
}

impl From<QuoteLine> for OrderLine {
    fn from(line: QuoteLine) -> Self {
        Self {
            sku_id: line.sku_id,
            product_id: line.product_id,
            sku_code: line.sku_code,
            title: line.title,
            options: line.options,
            slug: line.slug,
            image: line.image,
            quantity: line.quantity,
            unit_price: line.unit_price,
            subtotal: line.subtotal,
            discount: line.discount,
            tax: line.tax,
            tax_rate_bp: line.tax_rate_bp,
            total: line.total,
        }
    }
}

/// What people typed, without control characters but with its line breaks; none where nothing is left.
pub(crate) fn words(text: &str) -> Option<String> {
    let kept: String = text.chars().filter(|c| !c.is_control() || *c == '\n').collect();
    let kept = kept.trim();
    (!kept.is_empty()).then(|| kept.to_owned())
}

fn remark(remark: Option<&str>) -> Result<Option<String>> {
    let remark = remark.and_then(words);
    if remark.as_ref().is_some_and(|remark| remark.chars().count() > MAX_REMARK) {
        return Err(Failure::invalid("/remark", format!("must have at most {MAX_REMARK} characters")));
    }
    Ok(remark)
}

/// A quote that we are about to bind ourselves to, checked once more: for exactly the demand, in one currency, every line
/// and every sum right.
fn check(quote: &QuoteView, demand: &Demand) -> Result<(), String> {
    let lines = quote.lines.iter().map(|line| LineInput { sku_id: line.sku_id, quantity: line.quantity });
    if quote.lines.is_empty() || quote.lines.len() > MAX_LINES || !lines.eq(demand.lines().iter().copied()) {
        return Err("the quote is for other lines than were asked".to_owned());
    }
    let totals = &quote.totals;
    let currency = totals.total.currency;
    for line in &quote.lines {
        let right = line.unit_price.amount >= 0
            && line.unit_price.times(line.quantity).is_ok_and(|subtotal| subtotal == line.subtotal)
            && (0..=line.subtotal.amount).contains(&line.discount.amount)
            && line.discount.currency == currency
            && line.tax.amount >= 0
            && line.tax.currency == currency
            && line.total.currency == currency;
        if !right {
            return Err(format!("the quote's line of {} does not add up", line.sku_id));
        }
    }
    let sum = |of: fn(&QuoteLine) -> Money| Money::sum(currency, quote.lines.iter().map(of));
    let adds_up = || -> Result<bool, kernel::MoneyError> {
        let net = totals.subtotal.minus(totals.discount)?.plus(totals.shipping)?;
        // Where prices include tax it is told, but not added.
        Ok(sum(|line| line.subtotal)? == totals.subtotal
            && sum(|line| line.discount)? == totals.discount
            && totals.shipping.amount >= 0
            && totals.tax.amount >= 0
            && (totals.total == net || totals.total == net.plus(totals.tax)?))
    };
    match adds_up() {
        Ok(true) => Ok(()),
        Ok(false) => Err("the quote's totals do not add up".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use kernel::Currency;
    use proptest::prelude::*;

    use super::*;
    use crate::testing;

    fn draft(quote: QuoteView, demand: &Demand, remark: Option<&str>) -> Result<Order> {
        Order::draft(testing::draft_of(quote, demand, remark))
    }

    #[test]
    fn refuses_a_quote_that_does_not_add_up() {
        let demand = Demand::of(&[testing::item(1, 2), testing::item(2, 1)]).unwrap();
        let good = testing::quote_of(demand.lines());
        assert!(draft(good.clone(), &demand, None).is_ok());
        let spoil: [fn(&mut QuoteView); 7] = [
            |quote| quote.totals.total.amount += 1,
            |quote| quote.totals.subtotal.amount += 1,
            |quote| quote.totals.shipping.amount = -1,
            |quote| quote.lines[0].subtotal.amount -= 1,
            |quote| quote.lines[0].quantity += 1,
            |quote| quote.lines[1].discount.amount = i64::MAX,
            |quote| quote.lines[1].tax.currency = Currency::EUR,
        ];
        for (index, spoil) in spoil.iter().enumerate() {
            let mut quote = good.clone();
            spoil(&mut quote);
            assert_eq!(draft(quote, &demand, None).unwrap_err().status(), 500, "spoiled in way {index}");
        }
        let mut free = good.clone();
        for line in &mut free.lines {
            (line.unit_price.amount, line.subtotal.amount, line.tax.amount, line.total.amount) = (0, 0, 0, 0);
        }
        for money in [
            &mut free.totals.subtotal,
            &mut free.totals.shipping,
            &mut free.totals.tax,
            &mut free.totals.total,
        ] {
            money.amount = 0;
        }
        assert_eq!(draft(free, &demand, None).unwrap_err().fields()[0].pointer, "/items");
        let mut fewer = good;
        fewer.lines.pop();
        assert!(draft(fewer, &demand, None).is_err());
    }

    #[test]
    fn keeps_a_remark_without_control_characters() {
        let demand = Demand::of(&[testing::item(1, 1)]).unwrap();
        let quote = testing::quote_of(demand.lines());
        let remark = |text: &str| draft(quote.clone(), &demand, Some(text)).map(|order| order.remark);
        assert_eq!(remark("  ring twice\u{7}\nplease ").unwrap().unwrap(), "ring twice\nplease");
        assert_eq!(remark(" \n ").unwrap(), None);
        assert_eq!(remark(&"x".repeat(501)).unwrap_err().fields()[0].pointer, "/remark");
    }

    proptest! {
        #[test]
        fn an_order_is_what_was_quoted(items in prop::collection::vec((0_u8..50, 1_i64..9), 1..30)) {
            let items: Vec<_> = items.into_iter().map(|(sku, quantity)| testing::item(sku, quantity)).collect();
            let demand = Demand::of(&items).unwrap();
            let quote = testing::quote_of(demand.lines());
            let order = draft(quote.clone(), &demand, None).unwrap();
            prop_assert_eq!(order.wanted(), demand.lines());
            let view = order.view();
            prop_assert_eq!(view.totals, quote.totals);
            prop_assert_eq!(view.lines.iter().map(|line| line.subtotal.amount).sum::<i64>(), view.totals.subtotal.amount);
            prop_assert_eq!((view.state, view.payment_state), (OrderState::PendingPayment, PaymentState::Unpaid));
        }
    }
}
