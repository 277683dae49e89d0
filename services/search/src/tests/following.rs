//! Events reach the index.

use std::sync::{Arc, atomic::Ordering};

use contracts::{
    catalog::{BrandChanged, CategoryChanged, ProductChanged},
    inventory::AvailabilityChanged,
    order::{OrderPaid, OrderedLine},
    pricing::PriceChanged,
    search::{SearchQuery, Sort},
};
use kernel::{Currency, Id, Money, Shard};
use platform_bus::Consumer;

use super::world::{brand_id, category, product_id, shop, shop_with, sku_id};
use crate::{SearchConfig, consumers, store};

#[tokio::test]
async fn events_bring_products_in_change_them_and_take_them_out() {
    let mut shop = shop(2).await;
    assert_eq!(shop.total("mug").await, 2);
    shop.world.put(3, "Green teapot");
    shop.product_changed(3).await;
    shop.world.change(1, |thing| (thing.title, thing.version) = ("Red bowl".to_owned(), 2));
    shop.product_changed(1).await;
    shop.world.change(2, |thing| (thing.sold, thing.version) = (false, 2));
    shop.product_changed(2).await;
    assert_eq!(shop.total("mug").await, 2, "nothing happens before the refresher comes");
    shop.refresh().await;
    assert_eq!(shop.total("mug").await, 0);
    assert_eq!(shop.total("teapot").await, 1);
    shop.world.things.lock().unwrap().remove(&1);
    shop.product_changed(1).await;
    shop.refresh().await;
    assert_eq!(shop.total("").await, 1);
}

#[tokio::test]
async fn prices_and_stock_follow_their_events() {
    let mut shop = shop(2).await;
    shop.world.change(1, |thing| (thing.price, thing.stock) = (9_900, 0));
    shop.hears(&AvailabilityChanged { sku_id: sku_id(1), in_stock: false }).await;
    shop.hears(&PriceChanged { sku_id: sku_id(1) }).await;
    shop.refresh().await;
    let dear = shop.find(SearchQuery { min_price: Some(9_900), ..SearchQuery::default() }).await;
    assert_eq!(dear.total, 1);
    assert!(!dear.items[0].product.in_stock);
    assert_eq!(dear.items[0].product.price, Some(Money::new(9_900, Currency::USD)));
    assert_eq!(shop.find(SearchQuery { in_stock: Some(true), ..SearchQuery::default() }).await.total, 1);
}

#[tokio::test]
async fn many_events_are_one_effect_and_a_product_is_indexed_once() {
    // A batch has room for the SKUs' marks, which go first; their products' come along.
    let mut shop = shop_with(200, SearchConfig { batch: 200, ..SearchConfig::default() }).await;
    let mut events = Vec::new();
    for n in 1..=200 {
        shop.world.change(n, |thing| thing.version = 2);
        events.push(Arc::new(shop.event(&ProductChanged { product_id: product_id(n), version: 2 })));
        events.push(Arc::new(shop.event(&PriceChanged { sku_id: sku_id(n) })));
        events.push(Arc::new(shop.event(&AvailabilityChanged { sku_id: sku_id(n), in_stock: true })));
    }
    let mark = consumers::Mark(shop.search.clone());
    assert!(mark.gathers());
    mark.consume_all(&events).await.unwrap();
    mark.consume_all(&events).await.unwrap(); // again, as after a crash
    assert_eq!(store::count_due(&shop.db, "").await.unwrap(), 400);
    let stock = store::due(&shop.db, "", 200).await.unwrap();
    assert!(stock.iter().all(|row| row.priority == 0), "stock goes first");
    let asked = shop.world.asked.load(Ordering::SeqCst);
    assert_eq!(
        shop.search.refresh_once().await.unwrap(),
        400,
        "the marks of SKUs settle their products' too"
    );
    assert_eq!(shop.world.asked.load(Ordering::SeqCst) - asked, 200, "each product is read once");
    assert_eq!(store::count_due(&shop.db, "").await.unwrap(), 0);
}

#[tokio::test]
async fn marks_that_somebody_else_removed_are_made_again() {
    let mut shop = shop(2).await;
    shop.product_changed(1).await;
    shop.product_changed(2).await;
    let read = store::due(&shop.db, "", 10).await.unwrap();
    // This process stands still; another one works on the first, and the second changes again.
    store::settle(&shop.db, &read[..1]).await.unwrap();
    shop.hears(&ProductChanged { product_id: product_id(2), version: 1 }).await;
    store::settle(&shop.db, &read).await.unwrap();
    assert_eq!(
        store::count_due(&shop.db, "").await.unwrap(),
        2,
        "what it wrote may be older than what is there"
    );
}

#[tokio::test]
async fn stock_goes_before_a_bulk_import() {
    let mut shop = shop(3).await;
    for n in 1..=3 {
        shop.product_changed(n).await;
    }
    shop.hears(&AvailabilityChanged { sku_id: sku_id(3), in_stock: false }).await;
    let due = store::due(&shop.db, "", 1).await.unwrap();
    assert_eq!(due[0].id, sku_id(3).uuid());
}

#[tokio::test]
async fn a_mark_made_while_it_is_worked_on_stays() {
    let mut shop = shop(1).await;
    shop.product_changed(1).await;
    let read = store::due(&shop.db, "", 10).await.unwrap();
    shop.product_changed(1).await; // comes after the product was read
    store::settle(&shop.db, &read).await.unwrap();
    assert_eq!(store::count_due(&shop.db, "").await.unwrap(), 1);
    shop.refresh().await;
    assert_eq!(store::count_due(&shop.db, "").await.unwrap(), 0);
}

#[tokio::test]
async fn a_product_older_than_its_event_is_waited_for() {
    let mut shop = shop(1).await;
    shop.hears(&ProductChanged { product_id: product_id(1), version: 2 }).await;
    shop.refresh().await;
    assert_eq!(store::count_due(&shop.db, "").await.unwrap(), 1, "a cache has not heard of version 2 yet");
    shop.world.change(1, |thing| (thing.title, thing.version) = ("Red bowl".to_owned(), 2));
    shop.refresh().await;
    assert_eq!(store::count_due(&shop.db, "").await.unwrap(), 0);
    assert_eq!(shop.total("bowl").await, 1);
}

#[tokio::test]
async fn a_renamed_category_reaches_every_product_below_it() {
    let mut shop = shop(5).await;
    *shop.world.category_name.lock().unwrap() = "Cookware".to_owned();
    shop.hears(&CategoryChanged { category_id: category().id }).await;
    shop.refresh().await;
    assert_eq!(shop.total("cookware").await, 5);
    let facets = shop.find(SearchQuery::default()).await.facets;
    assert_eq!((facets.category[0].label.as_str(), facets.category[0].count), ("Cookware", 5));
}

#[tokio::test]
async fn a_renamed_brand_reaches_all_its_products() {
    let mut shop = shop(5).await;
    assert_eq!(shop.total("acme").await, 5);
    *shop.world.brand_name.lock().unwrap() = "Zenith".to_owned();
    shop.hears(&BrandChanged { brand_id: brand_id() }).await;
    shop.refresh().await;
    assert_eq!((shop.total("zenith").await, shop.total("acme").await), (5, 0));
    let facets = shop.find(SearchQuery::default()).await.facets;
    assert_eq!((facets.brand[0].label.as_str(), facets.brand[0].count), ("Zenith", 5));
}

#[tokio::test]
async fn sales_count_once_an_event_and_order_results() {
    let mut shop = shop(3).await;
    let line = |n: u32, quantity| OrderedLine { sku_id: sku_id(n), product_id: product_id(n), quantity };
    let paid = OrderPaid {
        order_id: Id::derive(Shard::new(0), &[b"order"]),
        user_id: Id::derive(Shard::new(0), &[b"user"]),
        lines: vec![line(2, 5), line(3, 1), line(3, 1)],
        total: Money::new(1, Currency::USD),
    };
    let event = shop.event(&paid);
    for _ in 0..3 {
        consumers::CountSales(shop.search.clone()).consume(&event).await.unwrap();
    }
    shop.refresh().await;
    let sold = store::sales(&shop.db, &[product_id(1), product_id(2), product_id(3)]).await.unwrap();
    assert_eq!(sold, [(product_id(2), 5), (product_id(3), 2)].into());
    let best = shop.find(SearchQuery { sort: Some(Sort::BestSelling), ..SearchQuery::default() }).await;
    assert_eq!(best.items.iter().map(|hit| hit.product.id).collect::<Vec<_>>(), [2, 3, 1].map(product_id));
}
