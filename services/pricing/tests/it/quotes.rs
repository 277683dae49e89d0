//! Quotes.

use std::{sync::atomic::Ordering, time::Duration};

use contracts::{
    catalog::SkuId,
    pricing::{Destination, LineInput, PriceKind, Pricing, QuoteRequest, SetPrice, code},
};
use kernel::{Currency, Money};
use pricing::{MarketConfig, PricingConfig};

use crate::fixture::*;

fn request(lines: &[(SkuId, i64)], to: Option<(&str, &str)>) -> QuoteRequest {
    QuoteRequest {
        lines: lines.iter().map(|&(sku_id, quantity)| LineInput { sku_id, quantity }).collect(),
        destination: to.map(|(country, region)| Destination {
            country: country.to_owned(),
            region: region.to_owned(),
            address_id: None,
        }),
    }
}

#[tokio::test]
async fn a_quote_adds_up_and_keeps_its_word() {
    let f = fixture().await;
    let (shirt, book) = (f.shelf.put("shirt", "apparel", true), f.shelf.put("book", "books", true));
    f.set(vec![list(shirt, usd(1_999)), list(book, usd(1_050))]).await;
    let asked = request(&[(book, 1), (shirt, 2), (book, 2)], Some(("DE", "Berlin")));
    let quote = f.service.quote(&f.ctx(), asked.clone()).await.unwrap();
    // Two lines of the book are one demand, where it was named first.
    let lines: Vec<_> =
        quote.lines.iter().map(|l| (l.sku_id, l.quantity, l.tax_rate_bp, l.tax.amount)).collect();
    assert_eq!(lines, [(book, 3, 700, 221), (shirt, 2, 1_900, 760)]);
    assert_eq!(quote.market, "DE");
    let totals = quote.totals;
    assert_eq!(
        (totals.subtotal, totals.shipping, totals.tax),
        (usd(7_148), usd(1_499), usd(221 + 760 + 285))
    );
    assert_eq!(totals.total, usd(7_148 + 1_499 + 1_266));
    assert_eq!(quote.expires_at, f.after(Duration::from_secs(600)));

    let promise = f.service.verify(&f.ctx(), quote.quote.clone()).await.unwrap();
    assert_eq!(promise.lines, [(book, 3, usd(1_050)), (shirt, 2, usd(1_999))]);
    assert_eq!((promise.total, promise.expires_at), (totals.total, quote.expires_at));
    assert_eq!(promise.destination, asked.destination);
    // Expired or not, it says what it promised; only the signature is judged here.
    f.clock.advance(Duration::from_secs(3_600));
    assert!(f.service.verify(&f.ctx(), quote.quote.clone()).await.is_ok());
    let forged = quote.quote.replacen("q1.", "q1.A", 1);
    assert!(f.service.verify(&f.ctx(), forged).await.unwrap_err().is(code::QUOTE_INVALID));
}

#[tokio::test]
async fn a_sale_is_quoted_and_told() {
    let f = fixture().await;
    let shirt = f.shelf.put("shirt", "apparel", true);
    f.set(vec![list(shirt, usd(2_000)), SetPrice { kind: PriceKind::Sale, ..list(shirt, usd(1_500)) }]).await;
    let quote = f.service.quote(&f.ctx(), request(&[(shirt, 2)], Some(("US", "New York")))).await.unwrap();
    assert_eq!(quote.lines[0].unit_price, usd(1_500));
    assert_eq!((quote.totals.tax, quote.totals.total), (usd(120 + 24), usd(3_000 + 599 + 144)));
    assert!(
        quote
            .explanation
            .iter()
            .any(|step| step.rule == "price.sale" && step.text.contains("instead of 20.00 USD"))
    );
    let total = quote.explanation.last().unwrap();
    assert_eq!((total.rule.as_str(), total.amount), ("total", Some(quote.totals.total)));
}

#[tokio::test]
async fn a_market_whose_prices_include_tax_adds_none() {
    let mut config = PricingConfig::default();
    let germany = MarketConfig {
        prices_include_tax: true,
        tax_shipping: true,
        rate_bp: 1_900,
        shipping: [("EUR".to_owned(), 490)].into(),
        ..MarketConfig::default()
    };
    config.markets.insert("DE".to_owned(), germany);
    let f = with(config).await;
    let shirt = f.shelf.put("shirt", "apparel", true);
    f.set(vec![list(shirt, Money::new(1_190, Currency::EUR))]).await;
    let quote = f.service.quote(&f.ctx(), request(&[(shirt, 3)], Some(("DE", "")))).await.unwrap();
    let totals = quote.totals;
    assert_eq!((totals.subtotal.amount, totals.tax.amount), (3_570, 570 + 78));
    assert_eq!(totals.total.amount, 3_570 + 490);
    assert_eq!(quote.lines[0].total.amount, 3_570);
    assert_eq!(quote.explanation[0].rule, "tax.included");
}

#[tokio::test]
async fn without_a_destination_it_is_the_default_market() {
    let f = fixture().await;
    let shirt = f.shelf.put("shirt", "apparel", true);
    f.set(vec![list(shirt, usd(1_000))]).await;
    let quote = f.service.quote(&f.ctx(), request(&[(shirt, 1)], None)).await.unwrap();
    assert_eq!(
        (quote.market.as_str(), quote.totals.tax.amount, quote.totals.shipping.amount),
        ("US", 0, 599)
    );
    let quote = f.service.quote(&f.ctx(), request(&[(shirt, 1)], Some(("XX", "")))).await.unwrap();
    assert_eq!(
        (quote.market.as_str(), quote.totals.tax.amount, quote.totals.shipping.amount),
        ("*", 0, 1_499)
    );
}

#[tokio::test]
async fn what_cannot_be_quoted_is_named() {
    let f = fixture().await;
    let shirt = f.shelf.put("shirt", "apparel", true);
    let gone = f.shelf.put("gone", "apparel", false);
    let free = f.shelf.put("unpriced", "apparel", true);
    let euro = f.shelf.put("euro", "apparel", true);
    f.set(vec![list(shirt, usd(1_000)), list(gone, usd(1)), list(euro, Money::new(1, Currency::EUR))]).await;
    let many: Vec<_> = (0..101).map(|_| (shirt, 1)).collect();
    let cases = [
        (vec![], "request.invalid", vec!["/lines"]),
        (many, "request.invalid", vec!["/lines"]),
        (vec![(shirt, 1), (shirt, 0)], "request.invalid", vec!["/lines/1/quantity"]),
        (vec![(shirt, 600), (gone, 1), (shirt, 400)], "request.invalid", vec!["/lines/2/quantity"]),
        (vec![(shirt, 1), (gone, 1), (sku("unknown"), 1)], "pricing.not_sold", vec!["/lines/1", "/lines/2"]),
        (vec![(free, 1), (shirt, 1)], "pricing.no_price", vec!["/lines/0"]),
        (vec![(shirt, 1), (euro, 1)], "pricing.mixed_currencies", vec!["/lines/0", "/lines/1"]),
    ];
    for (lines, code, pointers) in cases {
        let refused = f.service.quote(&f.ctx(), request(&lines, None)).await.unwrap_err();
        assert_eq!(refused.code(), code);
        assert_eq!(refused.fields().iter().map(|field| field.pointer.as_str()).collect::<Vec<_>>(), pointers);
    }
}

#[tokio::test]
async fn a_common_currency_is_found() {
    let f = fixture().await;
    let (a, b) = (f.shelf.put("a", "", true), f.shelf.put("b", "", true));
    let eur = |amount| Money::new(amount, Currency::EUR);
    f.set(vec![list(a, usd(1_000)), list(a, eur(900)), list(b, eur(500))]).await;
    let quote = f.service.quote(&f.ctx(), request(&[(a, 1), (b, 1)], None)).await.unwrap();
    assert_eq!(quote.totals.subtotal, eur(1_400));
    let quote = f.service.quote(&f.ctx(), request(&[(a, 1)], None)).await.unwrap();
    assert_eq!(quote.totals.subtotal, usd(1_000));
}

/// medusa 4599.
#[tokio::test]
async fn three_digits_stay_three() {
    let f = fixture().await;
    let oud = f.shelf.put("oud", "music", true);
    f.set(vec![list(oud, Money::new(12_345, Currency::JOD))]).await;
    let quote = f.service.quote(&f.ctx(), request(&[(oud, 3)], Some(("SG", "")))).await.unwrap();
    assert_eq!(quote.totals.subtotal.to_string(), "37.035 JOD");
    assert_eq!(quote.lines[0].tax.to_string(), "3.333 JOD", "3.33315 rounded half up");
}

/// The hot path asks the catalog once a quote and the database not at all.
#[tokio::test]
async fn a_second_quote_reads_no_price_again() {
    let f = fixture().await;
    let shirt = f.shelf.put("shirt", "apparel", true);
    f.set(vec![list(shirt, usd(1_000))]).await;
    f.service.quote(&f.ctx(), request(&[(shirt, 1)], None)).await.unwrap();
    let rename = |sql: &'static str| {
        f.db.schema(move |connection| {
            Box::pin(async move {
                sea_orm::ConnectionTrait::execute_unprepared(connection, sql).await.map(|_| ())
            })
        })
    };
    rename("ALTER TABLE price RENAME TO hidden").await.unwrap();
    let quote = f.service.quote(&f.ctx(), request(&[(shirt, 2)], None)).await;
    // The database outlives this test where it is lent.
    rename("ALTER TABLE hidden RENAME TO price").await.unwrap();
    quote.unwrap();
    assert_eq!(f.shelf.asked.load(Ordering::SeqCst), 2);
}
