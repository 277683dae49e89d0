//! Filters, facets, orders, pages, currencies.

use std::collections::BTreeSet;

use kernel::{Currency, Money};
use platform_index::{Document, FacetCount, Filters, Order, ProductIndex, Query};

use super::samples::{document, fill, numbers, query, search, shop, titles};

async fn total(index: &dyn ProductIndex, filters: Filters) -> u64 {
    search(index, Query { filters, ..query("thing") }).await.total
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

pub(crate) async fn filters_narrow_by_id_and_by_slug(index: &dyn ProductIndex) {
    fill(index, shop()).await;
    let category = |key| Filters { category: text(key), ..Filters::default() };
    assert_eq!(total(index, Filters::default()).await, 40);
    assert_eq!(total(index, category("kitchen")).await, 40);
    assert_eq!(total(index, category("mugs")).await, 20);
    assert_eq!(total(index, category("cat_mugs")).await, 20);
    assert_eq!(total(index, category("Mugs")).await, 20, "in any case");
    assert_eq!(total(index, category("nowhere")).await, 0);
    assert_eq!(total(index, Filters { brand: text("acme"), ..Filters::default() }).await, 10);
    assert_eq!(total(index, Filters { brand: text("brd_acme"), ..category("plates") }).await, 5);
    let priced = Filters { min_price: Some(1_500), max_price: Some(1_900), ..Filters::default() };
    assert_eq!(total(index, priced).await, 5, "both ends belong to it");
}

pub(crate) async fn filter_values_are_never_syntax(index: &dyn ProductIndex) {
    fill(index, shop()).await;
    for key in [
        "mugs\" OR in_stock = true OR category_keys = \"mugs",
        "mugs' OR in_stock = true OR category_keys = 'mugs",
        "\"",
        "'",
        "\\",
        "\\\"",
        "mugs\\",
        "mugs OR kitchen",
        "*",
        "(",
        "[mugs]",
        "mugs\nkitchen",
        "\u{1f}",
        "",
    ] {
        assert_eq!(total(index, Filters { category: text(key), ..Filters::default() }).await, 0, "{key:?}");
        assert_eq!(total(index, Filters { brand: text(key), ..Filters::default() }).await, 0, "{key:?}");
    }
}

pub(crate) async fn each_facet_ignores_its_own_filter(index: &dyn ProductIndex) {
    fill(index, shop()).await;
    let filters =
        Filters { category: text("mugs"), brand: text("acme"), in_stock: Some(true), ..Filters::default() };
    let found = search(index, Query { filters, ..query("thing") }).await;
    let values = |facet: &[FacetCount]| -> Vec<(String, u64)> {
        facet.iter().map(|value| (value.of.slug.clone(), value.count)).collect()
    };
    // Acme has 0 to 9; of its mugs 2 and 6 are in stock, and all five plates.
    assert_eq!(found.total, 2);
    assert_eq!(
        values(&found.facets.categories),
        [("kitchen".to_owned(), 7), ("plates".to_owned(), 5), ("mugs".to_owned(), 2)]
    );
    assert_eq!(found.facets.categories[0].of.name, "Kitchen");
    // Mugs in stock: 2, 6, 10, … 38.
    assert_eq!(values(&found.facets.brands), [("bolt".to_owned(), 8), ("acme".to_owned(), 2)]);
    // Acme's mugs: 0, 2, 4, 6, 8.
    assert_eq!((found.facets.in_stock, found.facets.out_of_stock), (2, 3));
    assert_eq!(found.facets.prices.iter().map(|range| range.count).sum::<u64>(), 2);
    let priced = Filters { min_price: Some(4_000), ..Filters::default() };
    let found = search(index, Query { filters: priced, ..query("") }).await;
    assert_eq!(found.total, 10);
    assert_eq!(found.facets.prices.iter().map(|range| range.count).sum::<u64>(), 40);
    assert_eq!(found.facets.brands[0].count, 10);
    let none = search(index, Query { facets: false, ..query("") }).await;
    assert_eq!(none.facets, Default::default(), "only where asked for");
}

pub(crate) async fn in_stock_has_two_sides(index: &dyn ProductIndex) {
    fill(index, shop()).await;
    let stock = |in_stock| Filters { in_stock, ..Filters::default() };
    assert_eq!(total(index, stock(None)).await, 40);
    assert_eq!(total(index, stock(Some(true))).await, 30);
    assert_eq!(total(index, stock(Some(false))).await, 10);
}

pub(crate) async fn prices_are_compared_in_the_currency_of_the_search(index: &dyn ProductIndex) {
    let priced = |number, prices: &[(i64, Currency)]| Document {
        prices: prices.iter().map(|&(amount, currency)| Money::new(amount, currency)).collect(),
        ..document(number, "Lantern")
    };
    // 150 yen are less than ten dollars, but more as a number.
    fill(
        index,
        [
            priced(1, &[(1_000, Currency::USD), (150_000, Currency::JPY)]),
            priced(2, &[(2_000, Currency::USD)]),
            priced(3, &[(900, Currency::JPY)]),
            priced(4, &[]),
            priced(5, &[(500, Currency::USD), (1_200, Currency::JPY)]),
        ],
    )
    .await;
    let sorted = async |order, currency| {
        let query = Query { order, currency, ..query("lantern") };
        numbers(&search(index, query).await)
    };
    assert_eq!(sorted(Order::PriceAsc, Currency::USD).await, [5, 1, 2, 4, 3], "without a price last");
    assert_eq!(sorted(Order::PriceDesc, Currency::USD).await, [2, 1, 5, 4, 3], "without a price last");
    assert_eq!(sorted(Order::PriceAsc, Currency::JPY).await, [3, 5, 1, 4, 2]);
    let within = async |min, max, currency| {
        let filters = Filters { min_price: Some(min), max_price: Some(max), ..Filters::default() };
        let found = search(index, Query { filters, currency, ..query("lantern") }).await;
        numbers(&found).into_iter().collect::<BTreeSet<_>>()
    };
    assert_eq!(within(0, 1_500, Currency::USD).await, [1, 5].into());
    assert_eq!(within(0, 1_500, Currency::JPY).await, [3, 5].into());
    assert_eq!(within(0, 1_000_000, Currency::EUR).await, [].into());
    let ranges = search(index, Query { currency: Currency::JPY, ..query("lantern") }).await.facets.prices;
    assert_eq!(ranges.iter().map(|range| range.count).sum::<u64>(), 3);
    let entries = index.entries(None, 10).await.expect("entries");
    assert_eq!(
        entries[0].prices,
        [Money::new(150_000, Currency::JPY), Money::new(1_000, Currency::USD)],
        "by currency code"
    );
    assert!(entries[3].prices.is_empty());
}

pub(crate) async fn every_order_sorts_and_pages_neither_repeat_nor_skip(index: &dyn ProductIndex) {
    let mut documents = shop();
    // Ties everywhere: equal prices, equal dates, equal sales.
    for (at, document) in documents.iter_mut().enumerate() {
        let amount = if at % 3 == 0 { 2_000 } else { 1_000 };
        document.prices = if at % 5 != 0 { vec![Money::new(amount, Currency::USD)] } else { Vec::new() };
        document.published_at = if at < 20 { 1 } else { 2 };
        document.sold = if at % 2 == 0 { 7 } else { 3 };
    }
    for chunk in documents.chunks(9) {
        fill(index, chunk.to_vec()).await;
    }
    for order in [Order::Relevance, Order::PriceAsc, Order::PriceDesc, Order::Newest, Order::BestSelling] {
        let mut seen = Vec::new();
        for offset in (0..).step_by(7).take_while(|offset| *offset < 40) {
            let page = search(index, Query { order, offset, limit: 7, ..query("blue") }).await;
            assert_eq!(page.total, 40);
            seen.extend(numbers(&page));
        }
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 40, "{order:?}");
        assert_eq!(seen.len(), 40, "{order:?}");
        let of = |id: &u128| &documents[usize::try_from(*id).expect("a small number")];
        let price = |id: &u128| of(id).prices.first().map(|price| price.amount);
        let keys: Vec<(i64, i128)> = seen
            .iter()
            .map(|id| {
                let key = match order {
                    Order::PriceAsc => price(id).unwrap_or(i64::MAX),
                    Order::PriceDesc => price(id).map_or(i64::MAX, |price| -price),
                    Order::Newest => -of(id).published_at,
                    Order::BestSelling => -of(id).sold,
                    Order::Relevance => 0,
                };
                (key, -i128::try_from(*id).expect("a small number"))
            })
            .collect();
        assert!(
            order == Order::Relevance || keys.is_sorted(),
            "equal ones by their ids, {order:?}: {keys:?}"
        );
    }
    let beyond = search(index, Query { offset: 100, ..query("blue") }).await;
    assert_eq!((beyond.hits.len(), beyond.total), (0, 40));
}

pub(crate) async fn best_matches_come_first_and_equal_ones_by_sales(index: &dyn ProductIndex) {
    titles(index, &["Kettle", "Steel kettle", "Lid"]).await;
    let described = Document { description: "for every kettle".to_owned(), ..document(3, "Lid") };
    fill(index, [described]).await;
    assert_eq!(numbers(&search(index, query("kettle")).await), [1, 2, 3]);
    let sold = |number, sold| Document { sold, ..document(number, "Whisk") };
    fill(index, [sold(10, 1), sold(11, 9), sold(12, 5)]).await;
    assert_eq!(numbers(&search(index, query("whisk")).await), [11, 12, 10]);
    let scores: Vec<f32> = search(index, query("kettle")).await.hits.iter().map(|hit| hit.score).collect();
    assert!(scores.iter().all(|score| *score > 0.0), "{scores:?}");
    let newest = |number, published_at| Document { published_at, ..document(number, "Ladle") };
    fill(index, [newest(20, 3), newest(21, 9), newest(22, 6)]).await;
    let page = search(index, Query { limit: 3, ..query("") }).await;
    assert_eq!(numbers(&page), [21, 22, 20], "without words, newest first");
}

pub(crate) async fn price_ranges_cover_every_price_once(index: &dyn ProductIndex) {
    let amounts = [0, 99, 100, 1_999, 2_000, 4_999, 150_000, 10_i64.pow(12)];
    let priced = |(number, amount): (u128, i64)| Document {
        prices: vec![Money::new(amount, Currency::USD)],
        ..document(number, "Priced")
    };
    fill(index, (1..).zip(amounts).map(priced)).await;
    let ranges = search(index, query("priced")).await.facets.prices;
    assert!(ranges.len() <= 6, "{ranges:?}");
    assert!(ranges.windows(2).all(|pair| pair[0].max + 1 == pair[1].min), "{ranges:?}");
    for range in ranges {
        let filters =
            Filters { min_price: Some(range.min), max_price: Some(range.max), ..Filters::default() };
        let within = search(index, Query { filters, ..query("priced") }).await.total;
        assert_eq!(within, range.count, "a range finds what it counts: {range:?}");
        let truth = amounts.iter().filter(|amount| (range.min..=range.max).contains(*amount)).count();
        assert_eq!(range.count, truth as u64, "{range:?}");
    }
}
