//! Computes a quote. Pure: the same input gives the same lines, totals and explanation.
//!
//! Policy: tax is computed a line, on the line's subtotal less its discount, rounded half up to the minor unit; the tax of
//! the whole is the sum of the lines' taxes and the tax on shipping. So what lines show always adds up, and a quantity is
//! multiplied before it is rounded: rounding does not grow with it.

use contracts::{
    catalog::SkuInfo,
    pricing::{Explanation, Parameter, PriceKind, PriceView, QuoteLine, Totals},
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
    told.say("subtotal", ("subtotal", &[]), "sum of the lines".to_owned(), Some(subtotal));
    told.say(
        "shipping.flat",
        ("shipping.flat", &[("market", market.name().into()), ("currency", currency.code().into())]),
        format!("flat rate to {} in {}", market.name(), currency.code()),
        Some(shipping),
    );
    let tax_of_shipping = tax(shipping, market.shipping_rate(), market, "shipping", &mut told)?;
    let tax = tax_of_lines.plus(tax_of_shipping)?;
    let net = subtotal.minus(discount)?.plus(shipping)?;
    let total = if market.prices_include_tax() { net } else { net.plus(tax)? };
    let (sentence, formula) = if market.prices_include_tax() {
        let formula =
            format!("subtotal {subtotal} - discount {discount} + shipping {shipping}; contains {tax} of tax");
        ("total.contains", formula)
    } else {
        (
            "total.added",
            format!("subtotal {subtotal} - discount {discount} + shipping {shipping} + tax {tax}"),
        )
    };
    let sums = [
        ("subtotal", subtotal.into()),
        ("discount", discount.into()),
        ("shipping", shipping.into()),
        ("tax", tax.into()),
    ];
    told.say("total", (sentence, &sums), formula, Some(total));
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

/// A sentence by its code, and what stands in it.
type Sentence<'a> = (&'a str, &'a [(&'static str, Parameter)]);

impl Told {
    fn say(&mut self, rule: &str, (code, params): Sentence<'_>, text: String, amount: Option<Money>) {
        let params = params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        self.0.push(Explanation { rule: rule.to_owned(), text, code: code.to_owned(), params, amount });
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
        let params = [("market", market.name().into())];
        self.say(rule, (rule, &params), format!("market {}: {text}", market.name()), None);
    }

    fn price(&mut self, info: &SkuInfo, price: &PriceView, quantity: i64, subtotal: Money) {
        let (rule, name, reduced) = match price.kind {
            PriceKind::List => ("price.list", "list price", "price.list.reduced"),
            PriceKind::Sale => ("price.sale", "sale price", "price.sale.reduced"),
        };
        let before = price.compare_at.map(|before| format!(" instead of {before}")).unwrap_or_default();
        let text = format!("{}: {quantity} at the {name} of {}{before}", info.sku.code, price.price);
        let mut params = vec![
            ("of", info.sku.code.as_str().into()),
            ("quantity", quantity.into()),
            ("price", price.price.into()),
        ];
        params.extend(price.compare_at.map(|before| ("before", before.into())));
        let code = if price.compare_at.is_some() { reduced } else { rule };
        self.say(rule, (code, &params), text, Some(subtotal));
    }

    fn tax(&mut self, amount: Money, (rate_bp, whole): (i64, i64), tax: Money, of: &str) {
        let rule = if of == "shipping" { "tax.shipping" } else { "tax.line" };
        let sentence = |end: &str| format!("{rule}.{end}");
        if rate_bp == 0 {
            let params = [("of", of.into())];
            return self.say(rule, (&sentence("none"), &params), format!("{of}: no tax"), Some(tax));
        }
        let (word, end) = if whole == WHOLE { ("of", "on") } else { ("contained in", "in") };
        let params = [("of", of.into()), ("rate", percent(rate_bp).into()), ("base", amount.into())];
        let text = format!("{of}: {} {word} {amount}", percent(rate_bp));
        self.say(rule, (&sentence(end), &params), text, Some(tax));
        let product = i128::from(amount.amount) * i128::from(rate_bp);
        if product % i128::from(whole) != 0 {
            let exact = exact(product, whole, amount.currency);
            let params = [("of", of.into()), ("exact", exact.as_str().into()), ("rounded", tax.into())];
            let text = format!("{of}: {exact} is rounded half up to {tax}");
            let code = if of == "shipping" { "rounding.half_up.shipping" } else { "rounding.half_up" };
            self.say("rounding.half_up", (code, &params), text, Some(tax));
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
