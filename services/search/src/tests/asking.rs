//! What is asked, and what is answered.

use contracts::{
    Caller, Ctx, Permission, SessionId, UserId,
    inventory::AvailabilityChanged,
    pricing::PriceChanged,
    search::{CheckIndex, Search, SearchQuery, SearchResults, Sort, SuggestQuery},
};
use kernel::{Currency, Id, Money, Shard, code};

use super::world::{product_id, shop, sku_id, system, words};
use crate::store;

#[tokio::test]
async fn prices_are_shown_sorted_and_filtered_in_the_currency_asked_for() {
    let mut shop = shop(3).await;
    for (n, price, yen) in [(1, 900, Some(200)), (2, 800, None), (3, 700, Some(150))] {
        shop.world.change(n, |thing| (thing.price, thing.yen) = (price, yen));
        shop.hears(&PriceChanged { sku_id: sku_id(n) }).await;
    }
    shop.refresh().await;
    let asked = |currency| SearchQuery { currency, sort: Some(Sort::PriceAsc), ..SearchQuery::default() };
    let prices = |results: &SearchResults| -> Vec<Option<Money>> {
        results.items.iter().map(|hit| hit.product.price).collect()
    };
    let money = |amount, currency| Some(Money::new(amount, currency));
    let (usd, jpy) = (Currency::USD, Currency::JPY);
    let dollars = shop.find(asked(None)).await;
    assert_eq!(prices(&dollars), [money(700, usd), money(800, usd), money(900, usd)]);
    let yen = shop.find(asked(Some(jpy))).await;
    assert_eq!(
        prices(&yen),
        [money(150, jpy), money(200, jpy), money(800, usd)],
        "what is not sold in it last"
    );
    assert_eq!(yen.items[0].product.compare_at, money(250, jpy));
    assert!(yen.facets.price[0].label.ends_with("JPY"), "{:?}", yen.facets.price);
    let cheap = SearchQuery { max_price: Some(180), ..asked(Some(jpy)) };
    assert_eq!(shop.find(cheap).await.total, 1);
    let report = shop.search.check(&system(&shop.db), CheckIndex::default()).await.unwrap();
    assert_eq!((report.stale, report.missing), (0, 0));
    shop.world.change(3, |thing| thing.yen = Some(160));
    let report = shop.search.check(&system(&shop.db), CheckIndex { repair: true }).await.unwrap();
    assert_eq!((report.stale, report.repaired), (1, 1), "a price in any currency counts");
}

#[tokio::test]
async fn in_stock_has_two_sides() {
    let mut shop = shop(3).await;
    shop.world.change(1, |thing| thing.stock = 0);
    shop.hears(&AvailabilityChanged { sku_id: sku_id(1), in_stock: false }).await;
    shop.refresh().await;
    let total = async |in_stock| shop.find(SearchQuery { in_stock, ..SearchQuery::default() }).await.total;
    assert_eq!((total(None).await, total(Some(true)).await, total(Some(false)).await), (3, 2, 1));
}

#[tokio::test]
async fn pages_follow_each_other_and_end() {
    let shop = shop(45).await;
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let query = SearchQuery { cursor, limit: Some(20), sort: Some(Sort::PriceAsc), ..words("mug") };
        let page = shop.find(query).await;
        assert_eq!(page.total, 45);
        seen.extend(page.items.iter().map(|hit| hit.product.id));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(seen, (1..=45).map(product_id).collect::<Vec<_>>());
    let ctx = system(&shop.db);
    let of_mugs = shop.find(SearchQuery { limit: Some(20), ..words("mug") }).await.next_cursor.unwrap();
    for (q, cursor) in [("mug", "nonsense".to_owned()), ("acme", of_mugs)] {
        let refused =
            shop.search.search(&ctx, SearchQuery { cursor: Some(cursor), ..words(q) }).await.unwrap_err();
        assert_eq!((refused.status(), refused.fields()[0].pointer.as_str()), (422, "cursor"));
    }
}

#[tokio::test]
async fn unknown_filters_find_nothing_and_wrong_ones_are_refused() {
    let shop = shop(2).await;
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(shop.find(SearchQuery { category: text("nowhere"), ..SearchQuery::default() }).await.total, 0);
    assert_eq!(shop.find(SearchQuery { brand: text("nobody"), ..SearchQuery::default() }).await.total, 0);
    assert_eq!(
        shop.find(SearchQuery { category: text("kitchen"), brand: text("acme"), ..words("mug") }).await.total,
        2
    );
    let wrong = SearchQuery { min_price: Some(2), max_price: Some(1), ..SearchQuery::default() };
    let refused = shop.search.search(&system(&shop.db), wrong).await.unwrap_err();
    assert_eq!((refused.status(), refused.fields()[0].pointer.as_str()), (422, "min_price"));
}

#[tokio::test]
async fn staff_without_the_permission_may_not() {
    let shop = shop(0).await;
    let user: UserId = Id::derive(Shard::new(0), &[b"user"]);
    let session: SessionId = Id::derive(Shard::new(0), &[b"session"]);
    let as_user = |permissions: &[Permission]| Ctx {
        caller: Caller::User { id: user, session, permissions: permissions.iter().copied().collect() },
        ..system(&shop.db)
    };
    let reader = as_user(&[Permission::OperationsRead]);
    assert!(shop.search.rebuild(&reader, ()).await.unwrap_err().is(code::FORBIDDEN));
    assert!(shop.search.check(&reader, CheckIndex { repair: true }).await.unwrap_err().is(code::FORBIDDEN));
    assert!(shop.search.check(&reader, CheckIndex { repair: false }).await.is_ok());
    assert!(shop.search.check(&as_user(&[]), CheckIndex::default()).await.unwrap_err().is(code::FORBIDDEN));
}

#[tokio::test]
async fn hot_words_are_those_with_results() {
    let shop = shop(3).await;
    let ctx = system(&shop.db);
    for q in
        ["mug", "MUG ", "blue mug", "blue mug", "blue mug", "zebra", "zebra", "ada@example.org", "once mug"]
    {
        shop.find(words(q)).await;
    }
    shop.search.flush_words().await.unwrap();
    assert_eq!(shop.search.hot_words(&ctx, ()).await.unwrap().items, ["blue mug", "mug"]);
    let suggested = shop.search.suggest(&ctx, SuggestQuery { q: None }).await.unwrap();
    assert_eq!(suggested.items, ["blue mug", "mug"]);
    let suggested = shop.search.suggest(&ctx, SuggestQuery { q: Some("kit".to_owned()) }).await.unwrap();
    assert_eq!(suggested.items[0], "Kitchen");
}

#[tokio::test]
async fn old_words_are_forgotten() {
    let shop = shop(0).await;
    let hour = shop.db.clock().now().seconds() / 3_600;
    store::add_terms(&shop.db, hour - 200, vec![("old".to_owned(), 5)]).await.unwrap();
    store::add_terms(&shop.db, hour, vec![("new".to_owned(), 5)]).await.unwrap();
    store::add_terms(&shop.db, hour, vec![("new".to_owned(), 1)]).await.unwrap();
    assert_eq!(shop.search.prune().await.unwrap(), 1);
    assert_eq!(store::top_terms(&shop.db, 0, 6, 10).await.unwrap(), ["new"]);
}
