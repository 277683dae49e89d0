//! The built-in tax and shipping tables.
//!
//! A start, not advice: standard and reduced rates of value added tax, goods and services tax, consumption tax and state
//! sales tax as published for 2025, without local surcharges and thresholds. Whoever sells there checks them. Rates are
//! whole basis points, so states and provinces with finer ones (New Jersey, Minnesota, Quebec) are not in the table and
//! have the rate of their country. Tax categories are slugs of top categories.

use std::collections::BTreeMap;

use crate::config::{ELSEWHERE, MarketConfig, RegionConfig};

const BOOKS: &[&str] = &["books"];
const FOOD: &[&str] = &["food", "groceries", "food-and-drink", "food-beverages-tobacco"];

type Reduced<'a> = &'a [(&'a [&'a str], i64)];

/// Country, standard rate, whether shipping is taxed, reduced rates, own currency's shipping.
type Country = (&'static str, i64, bool, Reduced<'static>, (&'static str, i64));

/// All of them.
const COUNTRIES: &[Country] = &[
    // No federal sales tax: see the states.
    ("US", 0, false, &[], ("USD", 599)),
    ("GB", 2_000, true, &[(BOOKS, 0), (FOOD, 0)], ("GBP", 399)),
    ("DE", 1_900, true, &[(BOOKS, 700), (FOOD, 700)], ("EUR", 490)),
    ("FR", 2_000, true, &[(BOOKS, 550), (FOOD, 550)], ("EUR", 490)),
    ("NL", 2_100, true, &[(BOOKS, 900), (FOOD, 900)], ("EUR", 495)),
    ("CN", 1_300, true, &[(BOOKS, 900), (FOOD, 900)], ("CNY", 1_200)),
    ("JP", 1_000, true, &[(FOOD, 800)], ("JPY", 600)),
    ("SG", 900, true, &[], ("SGD", 399)),
    ("AU", 1_000, true, &[(FOOD, 0)], ("AUD", 995)),
    // Goods and services tax; see the provinces for the harmonised tax.
    ("CA", 500, true, &[(FOOD, 0)], ("CAD", 999)),
    (ELSEWHERE, 0, false, &[], ("USD", 1_499)),
];

/// Country, code, name, rate, whether shipping is taxed, reduced rates.
const REGIONS: &[(&str, &str, &str, i64, bool, Reduced<'static>)] = &[
    ("US", "AZ", "Arizona", 560, false, &[(FOOD, 0)]),
    ("US", "CA", "California", 725, false, &[(FOOD, 0)]),
    ("US", "CO", "Colorado", 290, false, &[(FOOD, 0)]),
    ("US", "FL", "Florida", 600, false, &[(FOOD, 0)]),
    ("US", "GA", "Georgia", 400, true, &[(FOOD, 0)]),
    ("US", "IL", "Illinois", 625, false, &[(FOOD, 100)]),
    ("US", "MA", "Massachusetts", 625, false, &[(FOOD, 0)]),
    ("US", "MI", "Michigan", 600, true, &[(FOOD, 0)]),
    ("US", "NC", "North Carolina", 475, true, &[(FOOD, 0)]),
    ("US", "NV", "Nevada", 685, false, &[(FOOD, 0)]),
    ("US", "NY", "New York", 400, true, &[(FOOD, 0)]),
    ("US", "OH", "Ohio", 575, true, &[(FOOD, 0)]),
    ("US", "PA", "Pennsylvania", 600, true, &[(FOOD, 0), (&["apparel", "clothing"], 0)]),
    ("US", "TN", "Tennessee", 700, true, &[(FOOD, 400)]),
    ("US", "TX", "Texas", 625, true, &[(FOOD, 0)]),
    ("US", "VA", "Virginia", 530, false, &[(FOOD, 100)]),
    ("US", "WA", "Washington", 650, true, &[(FOOD, 0)]),
    ("CA", "BC", "British Columbia", 1_200, true, &[(BOOKS, 500)]),
    ("CA", "MB", "Manitoba", 1_200, true, &[(BOOKS, 500)]),
    ("CA", "NB", "New Brunswick", 1_500, true, &[(BOOKS, 500)]),
    ("CA", "NL", "Newfoundland and Labrador", 1_500, true, &[(BOOKS, 500)]),
    ("CA", "NS", "Nova Scotia", 1_400, true, &[(BOOKS, 500)]),
    ("CA", "ON", "Ontario", 1_300, true, &[(BOOKS, 500)]),
    ("CA", "PE", "Prince Edward Island", 1_500, true, &[(BOOKS, 500)]),
    ("CA", "SK", "Saskatchewan", 1_100, true, &[(BOOKS, 500)]),
];

/// Flat rates in other currencies than the market's own, in minor units; about what USD 9.99 comes to.
const SHIPPING: &[(&str, i64)] = &[
    ("AED", 3_690),
    ("AUD", 1_499),
    ("BHD", 3_800),
    ("BRL", 4_990),
    ("CAD", 1_399),
    ("CHF", 899),
    ("CLF", 250),
    ("CLP", 9_500),
    ("CNY", 6_900),
    ("CZK", 22_900),
    ("DKK", 6_900),
    ("EUR", 899),
    ("GBP", 799),
    ("HKD", 7_900),
    ("HUF", 389_000),
    ("IDR", 16_000_000),
    ("ILS", 3_690),
    ("INR", 84_900),
    ("JOD", 7_000),
    ("JPY", 1_500),
    ("KRW", 14_000),
    ("KWD", 3_000),
    ("MXN", 18_900),
    ("MYR", 4_490),
    ("NOK", 10_900),
    ("NZD", 1_699),
    ("OMR", 3_800),
    ("PHP", 57_900),
    ("PLN", 3_900),
    ("SAR", 3_790),
    ("SEK", 9_900),
    ("SGD", 1_299),
    ("THB", 33_900),
    ("TND", 29_000),
    ("TRY", 41_900),
    ("TWD", 31_900),
    ("UAH", 41_900),
    ("VND", 259_000),
    ("ZAR", 17_900),
];

/// The markets of the tables.
pub(crate) fn markets() -> BTreeMap<String, MarketConfig> {
    let mut markets: BTreeMap<String, MarketConfig> = COUNTRIES
        .iter()
        .map(|&(country, rate_bp, tax_shipping, reduced, (currency, shipping))| {
            let market = MarketConfig {
                prices_include_tax: false,
                tax_shipping,
                rate_bp,
                categories: categories(reduced),
                regions: BTreeMap::new(),
                shipping: BTreeMap::from([(currency.to_owned(), shipping)]),
            };
            (country.to_owned(), market)
        })
        .collect();
    for &(country, code, name, rate_bp, tax_shipping, reduced) in REGIONS {
        if let Some(market) = markets.get_mut(country) {
            let region = RegionConfig {
                name: name.to_owned(),
                rate_bp,
                tax_shipping: Some(tax_shipping),
                categories: categories(reduced),
            };
            market.regions.insert(code.to_owned(), region);
        }
    }
    if let Some(elsewhere) = markets.get_mut(ELSEWHERE) {
        elsewhere.shipping.extend(SHIPPING.iter().map(|&(currency, rate)| (currency.to_owned(), rate)));
    }
    markets
}

fn categories(reduced: Reduced<'_>) -> BTreeMap<String, i64> {
    reduced
        .iter()
        .flat_map(|&(slugs, rate)| slugs.iter().map(move |slug| ((*slug).to_owned(), rate)))
        .collect()
}
