//! What an order comes to, in words: shared by checkout, orders and payments.

use contracts::{
    order::OrderLineView,
    pricing::{Explanation, Parameter, QuoteLine, Totals},
};
use kernel::Money;

use crate::{assets, format, layer::error_key, locale::Locale, pages::cart::options};

/// A priced line, ready to be shown.
pub(crate) struct PricedRow {
    pub(crate) href: String,
    pub(crate) title: String,
    pub(crate) options: String,
    pub(crate) image: String,
    pub(crate) quantity: i64,
    pub(crate) unit_price: String,
    pub(crate) subtotal: String,
}

impl PricedRow {
    /// A line of a quote.
    pub(crate) fn quoted(locale: Locale, line: &QuoteLine) -> Self {
        Self {
            href: format!("/p/{}?sku={}", line.slug, line.sku_id),
            title: line.title.clone(),
            options: options(&line.options),
            image: line.image.clone().unwrap_or_else(|| assets::url("no-image.svg")),
            quantity: line.quantity,
            unit_price: format::money(locale, line.unit_price),
            subtotal: format::money(locale, line.subtotal),
        }
    }

    /// A line of an order.
    pub(crate) fn ordered(locale: Locale, line: &OrderLineView) -> Self {
        Self {
            href: format!("/p/{}", line.slug),
            title: line.title.clone(),
            options: options(&line.options),
            image: line.image.clone().unwrap_or_else(|| assets::url("no-image.svg")),
            quantity: line.quantity,
            unit_price: format::money(locale, line.unit_price),
            subtotal: format::money(locale, line.subtotal),
        }
    }
}

/// A line of a sum.
pub(crate) struct Sum {
    pub(crate) label: String,
    pub(crate) amount: String,
}

/// What it comes to.
pub(crate) struct Sums {
    /// Subtotal, discount where there is one, shipping, tax.
    pub(crate) parts: Vec<Sum>,
    pub(crate) total: String,
}

impl Sums {
    /// Totals in words.
    pub(crate) fn new(locale: Locale, totals: &Totals) -> Self {
        let part =
            |key: &str, money: Money| Sum { label: locale.text(key), amount: format::money(locale, money) };
        let mut parts = vec![part("sum-subtotal", totals.subtotal)];
        if totals.discount.amount != 0 {
            let less = Money::new(-totals.discount.amount, totals.discount.currency);
            parts.push(part("sum-discount", less));
        }
        let shipping = if totals.shipping.amount == 0 {
            Sum { label: locale.text("sum-shipping"), amount: locale.text("sum-free") }
        } else {
            part("sum-shipping", totals.shipping)
        };
        parts.push(shipping);
        // Where prices include tax it is told, but not added.
        let before_tax = totals.total.amount - totals.tax.amount;
        let added = before_tax == totals.subtotal.amount - totals.discount.amount + totals.shipping.amount;
        parts.push(part(if added { "sum-tax" } else { "sum-tax-included" }, totals.tax));
        Self { parts, total: format::money(locale, totals.total) }
    }
}

/// A step of the computation: the rule's name in the visitor's language where we have one, and what it did.
pub(crate) struct Step {
    pub(crate) rule: Option<String>,
    pub(crate) text: String,
    pub(crate) amount: Option<String>,
}

/// What a step did, in the visitor's language; in the quote's own words where we have no such sentence.
pub(crate) fn sentence(locale: Locale, step: &Explanation) -> String {
    let key = format!("explain-{}", step.code.replace(['.', '_'], "-"));
    let values: Vec<(&str, String)> = step
        .params
        .iter()
        .map(|(name, value)| {
            let value = match value {
                Parameter::Money(amount) => format::money(locale, *amount),
                Parameter::Number(number) => format::number(*number),
                Parameter::Text(text) => text.clone(),
            };
            (name.as_str(), value)
        })
        .collect();
    let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    locale.find_with(&key, &values).unwrap_or_else(|| step.text.clone())
}

/// The steps.
pub(crate) fn steps(locale: Locale, explanation: &[Explanation]) -> Vec<Step> {
    explanation
        .iter()
        .map(|step| Step {
            rule: locale.find(&error_key(&step.rule).replacen("error-", "rule-", 1)),
            text: sentence(locale, step),
            amount: step.amount.map(|amount| format::money(locale, amount)),
        })
        .collect()
}
