//! Search, suggestions, the index.

use contracts::{
    Permission,
    search::{CheckIndex, IndexReport, SearchQuery, SearchResults, Sort, SuggestQuery},
};
use kernel::{Currency, Money, Result, code as general};

use super::{
    callers::{nobody, refused, staff, system, until, usd},
    fixture::Fixture,
    goods::price,
};

fn words(q: &str) -> SearchQuery {
    SearchQuery { q: Some(q.to_owned()), ..SearchQuery::default() }
}

/// What a search finds, once it finds so many.
async fn found(shop: &Fixture, query: SearchQuery, total: u64) -> Result<SearchResults> {
    until(async || {
        let results = shop.contracts.search.search(&nobody(), query.clone()).await?;
        Ok((results.total == total).then_some(results))
    })
    .await
}

pub(crate) async fn what_is_sold_is_found(shop: &Fixture) -> Result<()> {
    let search = &shop.contracts.search;
    let first = shop.goods("Zephyr <fan> 风扇", usd(100), 1).await?;
    shop.contracts
        .pricing
        .set_prices(&system(), vec![price(first.sku, Money::new(1_500, Currency::JPY))])
        .await?;
    let second = shop.goods("Zephyr kite", usd(1_000_000_000_000), 0).await?;
    let cheapest = SearchQuery { sort: Some(Sort::PriceAsc), limit: Some(1), ..words("zephyr") };
    let page = found(shop, cheapest.clone(), 2).await?;
    let hit = &page.items[0];
    assert_eq!((hit.product.id, hit.product.price), (first.product, Some(usd(100))));
    assert_eq!(hit.highlight, "<mark>Zephyr</mark> &lt;fan&gt; 风扇");
    assert!(hit.product.in_stock && hit.product.brand.is_none() && page.corrected.is_none());
    assert!(page.facets.brand.is_empty());
    let in_stock: Vec<_> = page.facets.in_stock.iter().map(|it| (it.value.as_str(), it.count)).collect();
    assert_eq!(in_stock, [("true", 1), ("false", 1)]);
    let next = SearchQuery { cursor: page.next_cursor, ..cheapest };
    let page = search.search(&nobody(), next).await?;
    assert_eq!((page.items[0].product.id, page.next_cursor), (second.product, None));
    assert_eq!(page.items[0].product.price, Some(usd(1_000_000_000_000)));

    let yen = SearchQuery { currency: Some(Currency::JPY), max_price: Some(1_500), ..words("zephyr") };
    assert_eq!(found(shop, yen, 1).await?.items[0].product.price, Some(Money::new(1_500, Currency::JPY)));
    let beyond = SearchQuery { min_price: Some((1 << 53) + 1), max_price: Some(i64::MAX), ..words("zephyr") };
    let none = search.search(&nobody(), beyond).await?;
    assert!(none.items.is_empty() && none.total == 0 && none.next_cursor.is_none());
    Ok(())
}

pub(crate) async fn a_search_that_makes_no_sense_is_refused(shop: &Fixture) -> Result<()> {
    let search = &shop.contracts.search;
    let ask = async |query| search.search(&nobody(), query).await;
    let upside_down = SearchQuery { min_price: Some(2), max_price: Some(1), ..words("") };
    refused(ask(upside_down).await, general::INVALID, &["min_price"]);
    let below = SearchQuery { min_price: Some(i64::MIN), limit: Some(101), ..words("") };
    refused(ask(below).await, general::INVALID, &["limit", "min_price"]);
    refused(ask(words(&"风".repeat(201))).await, general::INVALID, &["q"]);
    let odd = SearchQuery { cursor: Some("none of ours".to_owned()), ..words("") };
    refused(ask(odd).await, general::INVALID, &["cursor"]);
    let long = SuggestQuery { q: Some("x".repeat(101)) };
    refused(search.suggest(&nobody(), long).await, general::INVALID, &["q"]);
    Ok(())
}

pub(crate) async fn what_is_typed_is_completed(shop: &Fixture) -> Result<()> {
    let search = &shop.contracts.search;
    shop.goods("Quixotic 堂吉诃德", usd(100), 1).await?;
    found(shop, words("quixotic"), 1).await?;
    let typed = SuggestQuery { q: Some("quix".to_owned()) };
    assert_eq!(search.suggest(&nobody(), typed).await?.items, ["Quixotic 堂吉诃德"]);
    let nothing = SuggestQuery { q: Some("xyzzy".to_owned()) };
    assert!(search.suggest(&nobody(), nothing).await?.items.is_empty());
    let hot = search.hot_words(&nobody(), ()).await?.items;
    assert_eq!(search.suggest(&nobody(), SuggestQuery::default()).await?.items, hot);
    Ok(())
}

pub(crate) async fn the_index_is_checked_and_rebuilt(shop: &Fixture) -> Result<()> {
    let search = &shop.contracts.search;
    shop.goods("Indexed", usd(100), 1).await?;
    found(shop, words("indexed"), 1).await?;
    let reader = staff(&[Permission::OperationsRead]);
    let keeper = staff(&[Permission::OperationsWrite]);
    let check = |repair| CheckIndex { repair };
    let report = until(async || {
        let report = search.check(&reader, check(false)).await?;
        Ok((report.missing + report.extra + report.stale == 0).then_some(report))
    });
    let report = report.await?;
    assert!(report.expected > 0);
    assert_eq!(
        report,
        IndexReport { expected: report.expected, indexed: report.expected, ..IndexReport::default() }
    );
    assert_eq!(search.check(&keeper, check(true)).await?, report);
    assert_eq!(search.rebuild(&keeper, ()).await?.indexed, report.indexed);
    assert_eq!(found(shop, words("indexed"), 1).await?.items.len(), 1);
    refused(search.check(&reader, check(true)).await, general::FORBIDDEN, &[]);
    refused(search.check(&nobody(), check(false)).await, general::UNAUTHENTICATED, &[]);
    refused(search.rebuild(&reader, ()).await, general::FORBIDDEN, &[]);
    refused(search.rebuild(&nobody(), ()).await, general::UNAUTHENTICATED, &[]);
    Ok(())
}
