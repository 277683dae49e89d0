//! Prices, tax, quotes.

use contracts::{
    Permission,
    catalog::SkuId,
    pricing::{
        Destination, LineInput, Parameter, PriceKind, PriceView, PricesOf, QuotePromise, QuoteRequest,
        SetPrice, code,
    },
};
use kernel::{Currency, Money, Result, Shard, Timestamp, code as general};

use super::{
    callers::{later, nobody, refused, staff, system, usd},
    fixture::Fixture,
    goods::{price, product},
};

fn unknown() -> SkuId {
    SkuId::derive(Shard::new(4), &[b"unknown"])
}

pub(crate) async fn prices_are_those_in_force(shop: &Fixture) -> Result<()> {
    let pricing = &shop.contracts.pricing;
    let keeper = staff(&[Permission::PricingRead, Permission::PricingWrite]);
    let sku = shop.published(product("Priced")).await?.skus[0].id;
    let (dearest, yen) = (usd(1_000_000_000_000), Money::new(0, Currency::JPY));
    let list = SetPrice { compare_at: Some(dearest), ..price(sku, usd(999_999_999_999)) };
    // To the microsecond.
    let ends_at = Timestamp::from_micros(later(3_600).micros() / 1_000 * 1_000 + 123);
    let sale = SetPrice { kind: PriceKind::Sale, ends_at: Some(ends_at), ..price(sku, usd(123_456_789_012)) };
    pricing.set_prices(&keeper, vec![list, price(sku, yen)]).await?;
    let wanted = |currency| PricesOf { sku_ids: vec![unknown(), sku], currency };
    let shown = |view: &PriceView| (view.sku_id, view.kind, view.price, view.compare_at);
    let found = pricing.prices(&nobody(), wanted(None)).await?;
    assert_eq!(
        found.iter().map(shown).collect::<Vec<_>>(),
        [(sku, PriceKind::List, usd(999_999_999_999), Some(dearest))]
    );
    pricing.set_prices(&keeper, vec![sale]).await?;
    let reduced = (sku, PriceKind::Sale, usd(123_456_789_012), Some(usd(999_999_999_999)));
    let found = pricing.prices(&nobody(), wanted(Some(Currency::USD))).await?;
    assert_eq!(found.iter().map(shown).collect::<Vec<_>>(), [reduced]);
    assert_eq!(found[0].lowest_30_days, Some(usd(999_999_999_999)));
    assert!(pricing.prices(&nobody(), wanted(Some(Currency::EUR))).await?.is_empty());
    assert!(pricing.prices(&nobody(), PricesOf { sku_ids: Vec::new(), currency: None }).await?.is_empty());
    let every = pricing.every_price(&nobody(), vec![unknown(), sku]).await?;
    assert_eq!(
        every.iter().map(shown).collect::<Vec<_>>(),
        [(sku, PriceKind::List, yen, None), reduced],
        "by currency"
    );
    assert!(pricing.every_price(&nobody(), Vec::new()).await?.is_empty());

    let history = pricing.history(&keeper, sku).await?;
    assert_eq!(history.len(), 3);
    assert_eq!((history[0].kind, history[0].ends_at), (PriceKind::Sale, Some(ends_at)), "newest first");
    assert!(history.iter().all(|price| price.created_by == keeper.principal()));
    assert!(history.iter().any(|price| price.compare_at == Some(dearest)));
    assert!(pricing.history(&keeper, unknown()).await?.is_empty());
    refused(pricing.history(&staff(&[Permission::PricingWrite]), sku).await, general::FORBIDDEN, &[]);
    refused(pricing.history(&nobody(), sku).await, general::UNAUTHENTICATED, &[]);
    Ok(())
}

pub(crate) async fn prices_that_cannot_be_are_refused(shop: &Fixture) -> Result<()> {
    let pricing = &shop.contracts.pricing;
    let sku = shop.published(product("Odd prices")).await?.skus[0].id;
    let set = async |second: SetPrice| pricing.set_prices(&system(), vec![price(sku, usd(1)), second]).await;
    for amount in [-1, (1 << 53) + 1, i64::MAX, i64::MIN] {
        refused(set(price(sku, usd(amount))).await, general::INVALID, &["/prices/1/price"]);
    }
    let foreign = SetPrice { compare_at: Some(Money::new(2, Currency::EUR)), ..price(sku, usd(1)) };
    refused(set(foreign).await, general::INVALID, &["/prices/1/compare_at"]);
    let over = SetPrice { ends_at: Some(Timestamp::from_micros(1)), ..price(sku, usd(1)) };
    refused(set(over).await, code::WINDOW, &["/prices/1/ends_at"]);
    assert!(pricing.every_price(&nobody(), vec![sku]).await?.is_empty(), "all or none");
    let many = vec![price(sku, usd(1)); 1_001];
    refused(pricing.set_prices(&system(), many).await, general::INVALID, &["/prices"]);
    let many = PricesOf { sku_ids: vec![sku; 1_001], currency: None };
    refused(pricing.prices(&nobody(), many).await, general::INVALID, &["/sku_ids"]);
    let strange = vec![price(sku, usd(1)), price(unknown(), usd(1))];
    let keeper = staff(&[Permission::PricingWrite]);
    refused(pricing.set_prices(&keeper, strange).await, general::INVALID, &["/prices/1/sku_id"]);
    assert!(pricing.every_price(&nobody(), vec![sku, unknown()]).await?.is_empty(), "all or none");
    let one = vec![price(sku, usd(1))];
    refused(pricing.set_prices(&staff(&[]), one.clone()).await, general::FORBIDDEN, &[]);
    refused(pricing.set_prices(&nobody(), one).await, general::UNAUTHENTICATED, &[]);
    pricing.set_prices(&system(), Vec::new()).await
}

pub(crate) async fn a_quote_adds_up_and_binds(shop: &Fixture) -> Result<()> {
    let pricing = &shop.contracts.pricing;
    let lamp = shop.goods("Lamp “Größe” 灯", usd(1_999), 9).await?;
    let destination =
        Destination { country: "US".to_owned(), region: "california".to_owned(), address_id: None };
    let request =
        QuoteRequest { lines: vec![lamp.line(1), lamp.line(2)], destination: Some(destination.clone()) };
    let quote = pricing.quote(&nobody(), request).await?;
    let [line] = quote.lines.as_slice() else { panic!("one SKU is one line: {:?}", quote.lines) };
    assert_eq!((line.sku_id, line.quantity, line.title.as_str()), (lamp.sku, 3, "Lamp “Größe” 灯"));
    assert_eq!((line.subtotal, line.tax, line.tax_rate_bp), (usd(5_997), usd(435), 725));
    assert_eq!((quote.totals.shipping, quote.totals.total), (usd(599), usd(7_031)));
    assert_eq!(quote.market, "US");
    let total = quote.explanation.iter().find(|step| step.rule == "total").expect("the sum's explanation");
    assert_eq!(total.amount, Some(usd(7_031)));
    assert_eq!(total.params.get("subtotal"), Some(&Parameter::Money(usd(5_997))));
    let kinds = |wanted: fn(&Parameter) -> bool| {
        quote.explanation.iter().flat_map(|step| step.params.values()).any(wanted)
    };
    assert!(kinds(|it| matches!(it, Parameter::Number(3))) && kinds(|it| matches!(it, Parameter::Text(_))));
    let promise = QuotePromise {
        lines: vec![(lamp.sku, 3, usd(1_999))],
        total: usd(7_031),
        destination: Some(destination),
        expires_at: quote.expires_at,
    };
    assert_eq!(pricing.verify(&nobody(), quote.quote.clone()).await?, promise);
    for odd in [String::new(), quote.quote.replacen("q1.", "q1.e", 1), "x".repeat(70_000)] {
        refused(pricing.verify(&nobody(), odd).await, code::QUOTE_INVALID, &["/quote"]);
    }
    let at_home = QuoteRequest { lines: vec![lamp.line(1)], destination: None };
    assert_eq!(pricing.quote(&nobody(), at_home).await?.totals.total, usd(1_999 + 599));
    Ok(())
}

pub(crate) async fn what_cannot_be_priced_is_named(shop: &Fixture) -> Result<()> {
    let lamp = shop.goods("Named lamp", usd(1_999), 9).await?;
    let euro = shop.goods("Euro lamp", Money::new(1_999, Currency::EUR), 9).await?;
    let unpriced = shop.published(product("Unpriced lamp")).await?.skus[0].id;
    let quote = async |lines: Vec<LineInput>| {
        shop.contracts.pricing.quote(&nobody(), QuoteRequest { lines, destination: None }).await
    };
    let of = |sku_id, quantity| LineInput { sku_id, quantity };
    refused(quote(vec![lamp.line(1), of(unknown(), 1)]).await, code::NOT_SOLD, &["/lines/1"]);
    refused(quote(vec![of(unpriced, 1), lamp.line(1)]).await, code::NO_PRICE, &["/lines/0"]);
    refused(quote(vec![lamp.line(1), euro.line(1)]).await, code::MIXED_CURRENCIES, &["/lines/0", "/lines/1"]);
    refused(quote(Vec::new()).await, general::INVALID, &["/lines"]);
    refused(quote(vec![lamp.line(1); 101]).await, general::INVALID, &["/lines"]);
    for quantity in [0, 1_000, (1 << 53) + 1, i64::MAX] {
        refused(quote(vec![lamp.line(quantity)]).await, general::INVALID, &["/lines/0/quantity"]);
    }
    Ok(())
}
