//! Computes a quote. Pure: the same input gives the same lines, totals and explanation.
//!
//! Policy: tax is computed a line, on the line's subtotal less its discount, rounded half up to the minor unit; the tax of
//! the whole is the sum of the lines' taxes and the tax on shipping. So what lines show always adds up, and a quantity is
//! multiplied before it is rounded: rounding does not grow with it.

use contracts::{
    catalog::SkuInfo,
    pricing::{Explanation, PriceKind, PriceView, QuoteLine, Totals},
};
use kernel::{Currency, Money, MoneyError, Result, Rounding, currency_digits};

use crate::market::Market;

const WHOLE: i64 = 10_000;

/// A line to price.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) quantity: i64,
    pub(crate) info: SkuInfo,
    pub(crate) price: PriceView,
}

/// A computed quote.
#[derive(Clone, Debug)]
pub(crate) struct Computed {
    pub(crate) lines: Vec<QuoteLine>,
    pub(crate) totals: Totals,
    pub(crate) explanation: Vec<Explanation>,
}

/// Prices `items`, all in `currency`, for `market`, with a flat `shipping`.
pub(crate) fn compute(
    items: Vec<Item>,
    currency: Currency,
    market: &Market<'_>,
    shipping: Money,
) -> Result<Computed> {
    let mut told = Told(Vec::with_capacity(items.len() * 3 + 6));
    let mut lines = Vec::with_capacity(items.len());
    told.policy(market);
    for item in items {
        lines.push(line(item, currency, market, &mut told)?);
    }
    let sum = |of: fn(&QuoteLine) -> Money| Money::sum(currency, lines.iter().map(of));
    let (subtotal, discount, tax_of_lines) =
        (sum(|line| line.subtotal)?, sum(|line| line.discount)?, sum(|line| line.tax)?);
    told.say("subtotal", "sum of the lines".to_owned(), Some(subtotal));
    told.say(
        "shipping.flat",
        format!("flat rate to {} in {}", market.name(), currency.code()),
        Some(shipping),
    );
    let tax_of_shipping = tax(shipping, market.shipping_rate(), market, "shipping", &mut told)?;
    let tax = tax_of_lines.plus(tax_of_shipping)?;
    let net = subtotal.minus(discount)?.plus(shipping)?;
    let total = if market.prices_include_tax() { net } else { net.plus(tax)? };
    let formula = if market.prices_include_tax() {
        format!("subtotal {subtotal} - discount {discount} + shipping {shipping}; contains {tax} of tax")
    } else {
        format!("subtotal {subtotal} - discount {discount} + shipping {shipping} + tax {tax}")
    };
    told.say("total", formula, Some(total));
    Ok(Computed { lines, totals: Totals { subtotal, discount, shipping, tax, total }, explanation: told.0 })
}

fn line(item: Item, currency: Currency, market: &Market<'_>, told: &mut Told) -> Result<QuoteLine> {
    let Item { quantity, info, price } = item;
    let unit_price = price.price;
    let subtotal = unit_price.times(quantity)?;
    // Promotions will fill it; every sum carries it already.
    let discount = Money::zero(currency);
    let taxable = subtotal.minus(discount)?;
    told.price(&info, &price, quantity, subtotal);
    let tax_rate_bp = market.rate(&info.tax_category);
    let tax = tax(taxable, tax_rate_bp, market, &info.sku.code, told)?;
    let total = if market.prices_include_tax() { taxable } else { taxable.plus(tax)? };
    Ok(QuoteLine {
        sku_id: info.sku.id,
        product_id: info.product_id,
        sku_code: info.sku.code,
        title: info.title,
        options: info.sku.options,
        slug: info.slug,
        image: info.image.map(|image| image.url),
        quantity,
        unit_price,
        subtotal,
        discount,
        tax,
        tax_rate_bp,
        total,
    })
}

/// The tax on `amount`: on top of it, or contained in it where the market's prices include tax.
fn tax(
    amount: Money,
    rate_bp: i64,
    market: &Market<'_>,
    of: &str,
    told: &mut Told,
) -> Result<Money, MoneyError> {
    let whole = if market.prices_include_tax() { WHOLE + rate_bp } else { WHOLE };
    let tax = amount.scaled(rate_bp, whole, Rounding::HalfUp)?;
    told.tax(amount, (rate_bp, whole), tax, of);
    Ok(tax)
}

/// The explanation while it grows.
struct Told(Vec<Explanation>);

impl Told {
    fn say(&mut self, rule: &str, text: String, amount: Option<Money>) {
        self.0.push(Explanation { rule: rule.to_owned(), text, amount });
    }

    fn policy(&mut self, market: &Market<'_>) {
        let (rule, text) = if market.prices_include_tax() {
            (
                "tax.included",
                "prices include tax: the tax of each line is contained in it, told but not added",
            )
        } else {
            ("tax.added", "prices are without tax: the tax of each line is added to it")
        };
        self.say(rule, format!("market {}: {text}", market.name()), None);
    }

    fn price(&mut self, info: &SkuInfo, price: &PriceView, quantity: i64, subtotal: Money) {
        let (rule, name) = match price.kind {
            PriceKind::List => ("price.list", "list price"),
            PriceKind::Sale => ("price.sale", "sale price"),
        };
        let before = price.compare_at.map(|before| format!(" instead of {before}")).unwrap_or_default();
        let text = format!("{}: {quantity} at the {name} of {}{before}", info.sku.code, price.price);
        self.say(rule, text, Some(subtotal));
    }

    fn tax(&mut self, amount: Money, (rate_bp, whole): (i64, i64), tax: Money, of: &str) {
        if rate_bp == 0 {
            return self.say(
                if of == "shipping" { "tax.shipping" } else { "tax.line" },
                format!("{of}: no tax"),
                Some(tax),
            );
        }
        let rule = if of == "shipping" { "tax.shipping" } else { "tax.line" };
        let word = if whole == WHOLE { "of" } else { "contained in" };
        self.say(rule, format!("{of}: {} {word} {amount}", percent(rate_bp)), Some(tax));
        let product = i128::from(amount.amount) * i128::from(rate_bp);
        if product % i128::from(whole) != 0 {
            let text =
                format!("{of}: {} is rounded half up to {tax}", exact(product, whole, amount.currency));
            self.say("rounding.half_up", text, Some(tax));
        }
    }
}

fn percent(rate_bp: i64) -> String {
    let text = format!("{}.{:02}", rate_bp / 100, rate_bp % 100);
    format!("{} %", text.trim_end_matches('0').trim_end_matches('.'))
}

/// `product / whole` minor units as a decimal of the currency, with four digits more than it has, the rest cut off.
fn exact(product: i128, whole: i64, currency: Currency) -> String {
    let digits = usize::from(currency_digits(currency)) + 4;
    let units = product.unsigned_abs() * 10_000 / u128::from(whole.unsigned_abs().max(1));
    let text = format!("{units:0>width$}", width = digits + 1);
    let (major, minor) = text.split_at(text.len() - digits);
    format!("{major}.{minor} {}", currency.code())
}

#[cfg(test)]
mod tests;
