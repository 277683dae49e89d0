use std::collections::BTreeMap;

use contracts::{
    catalog::{SkuId, SkuRecord},
    pricing::Destination,
};
use kernel::{Id, Shard};
use proptest::prelude::*;

use super::*;
use crate::{config::MarketConfig, tables};

fn item(name: &str, category: &str, quantity: i64, unit: Money) -> Item {
    let id: SkuId = Id::derive(Shard::new(1), &[name.as_bytes()]);
    Item {
        quantity,
        info: SkuInfo {
            sku: SkuRecord { id, code: name.to_owned(), options: Vec::new(), barcode: None, weight_grams: 0 },
            product_id: Id::derive(Shard::new(1), &[name.as_bytes()]),
            slug: name.to_owned(),
            title: name.to_owned(),
            image: None,
            tax_category: category.to_owned(),
            sold: true,
        },
        price: PriceView {
            sku_id: id,
            price: unit,
            compare_at: None,
            lowest_30_days: None,
            kind: PriceKind::List,
        },
    }
}

fn markets(rate_bp: i64, prices_include_tax: bool) -> BTreeMap<String, MarketConfig> {
    let market = MarketConfig { prices_include_tax, tax_shipping: true, rate_bp, ..MarketConfig::default() };
    BTreeMap::from([("*".to_owned(), market)])
}

fn quote(items: Vec<Item>, markets: &BTreeMap<String, MarketConfig>, shipping: Money) -> Computed {
    let market = Market::of(markets, None, "*").unwrap();
    compute(items, shipping.currency, &market, shipping).unwrap()
}

fn usd(amount: i64) -> Money {
    Money::new(amount, Currency::USD)
}

/// saleor 12348: 20 % of three lines of 3.87 is 0.774 each, 2.322 in all: what lines show must add up.
#[test]
fn tax_is_the_sum_of_the_lines_taxes() {
    let items = || (0..3).map(|n| item(&n.to_string(), "", 1, usd(387))).collect::<Vec<_>>();
    let computed = quote(items(), &markets(2_000, false), usd(0));
    assert_eq!(computed.lines.iter().map(|line| line.tax.amount).collect::<Vec<_>>(), [77, 77, 77]);
    assert_eq!(computed.totals.tax, usd(231), "by line; of the total it would be 232");
    assert_eq!(computed.totals.total, usd(3 * 387 + 231));
}

/// vendure 2662, 3003, 3091: the unit's tax is not rounded first, so a quantity does not multiply the rounding.
#[test]
fn rounding_does_not_grow_with_the_quantity() {
    let computed = quote(vec![item("pen", "", 999, usd(3))], &markets(700, false), usd(0));
    // 0.21 cents a unit: rounded first it would be nothing.
    assert_eq!(computed.totals.tax, usd(210));
    let included = quote(vec![item("pen", "", 999, usd(3))], &markets(700, true), usd(0));
    assert_eq!(included.totals.tax, usd(196));
    assert_eq!(included.totals.total, usd(2_997));
}

/// medusa 4599: a currency of three digits.
#[test]
fn three_digits_stay_three() {
    let jod = |amount| Money::new(amount, Currency::JOD);
    let computed = quote(vec![item("oud", "", 3, jod(12_345))], &markets(1_600, false), jod(7_000));
    assert_eq!(computed.totals.subtotal.to_string(), "37.035 JOD");
    assert_eq!(computed.totals.tax, jod(5_926 + 1_120), "5.9256 rounded half up, and 1.120 on shipping");
    assert_eq!(computed.totals.total.to_string(), "51.081 JOD");
}

#[test]
fn every_step_is_told() {
    let markets = tables::markets();
    let to = Destination { country: "US".to_owned(), region: "CA".to_owned(), address_id: None };
    let market = Market::of(&markets, Some(&to), "US").unwrap();
    let mut shirt = item("shirt", "apparel", 3, usd(1_999));
    shirt.price.kind = PriceKind::Sale;
    shirt.price.compare_at = Some(usd(2_500));
    let computed =
        compute(vec![shirt], Currency::USD, &market, market.shipping(Currency::USD).unwrap()).unwrap();
    let told: Vec<_> =
        computed.explanation.iter().map(|step| format!("{}: {}", step.rule, step.text)).collect();
    assert_eq!(
        told,
        [
            "tax.added: market US-CA: prices are without tax: the tax of each line is added to it",
            "price.sale: shirt: 3 at the sale price of 19.99 USD instead of 25.00 USD",
            "tax.line: shirt: 7.25 % of 59.97 USD",
            "rounding.half_up: shirt: 4.347825 USD is rounded half up to 4.35 USD",
            "subtotal: sum of the lines",
            "shipping.flat: flat rate to US-CA in USD",
            "tax.shipping: shipping: no tax",
            "total: subtotal 59.97 USD - discount 0.00 USD + shipping 5.99 USD + tax 4.35 USD",
        ]
    );
    assert_eq!(computed.totals.total, usd(5_997 + 599 + 435));
    let codes: Vec<_> = computed.explanation.iter().map(|step| step.code.as_str()).collect();
    assert_eq!(
        codes,
        [
            "tax.added",
            "price.sale.reduced",
            "tax.line.on",
            "rounding.half_up",
            "subtotal",
            "shipping.flat",
            "tax.shipping.none",
            "total.added",
        ]
    );
    let price = &computed.explanation[1].params;
    assert_eq!(price["of"], Parameter::Text("shirt".to_owned()));
    assert_eq!(
        (&price["quantity"], &price["before"]),
        (&Parameter::Number(3), &Parameter::Money(usd(2_500)))
    );
    // On the wire money stays money, and reads back as what it was.
    let wire = serde_json::to_value(&computed.explanation).unwrap();
    assert_eq!(wire[1]["params"]["price"], serde_json::json!({"amount": 1_999, "currency": "USD"}));
    let back: Vec<contracts::pricing::Explanation> = serde_json::from_value(wire).unwrap();
    assert_eq!(back, computed.explanation);
}

#[test]
fn amounts_beyond_64_bits_are_refused() {
    let dear = item("moon", "", 999, usd(i64::MAX / 500));
    let markets = markets(2_000, false);
    let market = Market::of(&markets, None, "*").unwrap();
    let refused = compute(vec![dear], Currency::USD, &market, usd(0)).unwrap_err();
    assert_eq!(refused.status(), 422);
}

proptest! {
    #[test]
    fn lines_add_up_to_totals(
        lines in prop::collection::vec((0_i64..10_000_000, 1_i64..1_000), 1..20),
        currency in prop::sample::select(vec![Currency::JPY, Currency::USD, Currency::JOD, Currency::CLF]),
        rate_bp in 0_i64..3_000,
        shipping in 0_i64..100_000,
        included: bool,
    ) {
        let items = lines.iter().enumerate()
            .map(|(n, &(unit, quantity))| item(&n.to_string(), "", quantity, Money::new(unit, currency)))
            .collect();
        let Computed { lines, totals, .. } = quote(items, &markets(rate_bp, included), Money::new(shipping, currency));
        let sum = |of: fn(&QuoteLine) -> Money| lines.iter().map(|line| of(line).amount).sum::<i64>();
        prop_assert_eq!(sum(|l| l.subtotal), totals.subtotal.amount);
        prop_assert_eq!(sum(|l| l.discount), totals.discount.amount);
        let net = totals.subtotal.amount - totals.discount.amount + totals.shipping.amount;
        prop_assert_eq!(totals.total.amount, if included { net } else { net + totals.tax.amount });
        let of_shipping = totals.tax.amount - sum(|l| l.tax);
        prop_assert_eq!(sum(|l| l.total) + totals.shipping.amount + if included { 0 } else { of_shipping }, totals.total.amount);
        // Each tax is within half a minor unit of the exact one.
        let whole = i128::from(if included { 10_000 + rate_bp } else { 10_000 });
        for line in &lines {
            let exact = i128::from(line.subtotal.amount) * i128::from(rate_bp);
            prop_assert!(2 * (i128::from(line.tax.amount) * whole - exact).abs() <= whole);
        }
        let exact = i128::from(shipping) * i128::from(rate_bp);
        prop_assert!(2 * (i128::from(of_shipping) * whole - exact).abs() <= whole);
    }
}
