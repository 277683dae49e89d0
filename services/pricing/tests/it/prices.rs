//! Setting and reading prices.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use contracts::{
    Caller, Event, EventBody, Permission,
    catalog::CatalogClient,
    pricing::{PriceChanged, PriceKind, PricesOf, Pricing, SetPrice, code},
};
use kernel::{Clock, Currency, FakeClock, Id, Money, Shard, Timestamp, code as general};
use platform_bus::Consumer;
use pricing::{Forget, PricingConfig};

use crate::fixture::*;

#[tokio::test]
async fn a_window_opens_and_closes_on_time_whatever_is_cached() {
    let f = fixture().await;
    let a = sku("a");
    f.set(vec![list(a, usd(1_000)), sale(a, usd(800), f.after(DAY), f.after(DAY * 2))]).await;
    assert_eq!(f.amount(a).await, Some(1_000));
    // Nothing is read again from here on: the entry knows what is to come.
    f.clock.advance(DAY);
    let view = f.view(a).await.unwrap();
    assert_eq!((view.price, view.kind, view.compare_at), (usd(800), PriceKind::Sale, Some(usd(1_000))));
    assert_eq!(view.lowest_30_days, Some(usd(1_000)));
    f.clock.advance(DAY);
    assert_eq!(f.amount(a).await, Some(1_000));
}

/// Fails when a price loses for ever to one that was set before it by a clock that was a little ahead.
#[tokio::test]
async fn the_price_that_was_set_last_counts_whatever_the_clocks_say() {
    let f = fixture().await;
    let behind = Arc::new(FakeClock::new(f.db.now().minus(Duration::from_millis(200))));
    let db = open(f.folder.path(), behind).await;
    let there = over(&db, Arc::new(CatalogClient(f.shelf.clone())), PricingConfig::default());
    for (name, kind) in [("a", PriceKind::List), ("b", PriceKind::Sale)] {
        let of = |amount| SetPrice { kind, ..list(sku(name), usd(amount)) };
        f.set(vec![of(1_000)]).await;
        there.set_prices(&f.ctx(), vec![of(900)]).await.unwrap();
        f.clock.advance(Duration::from_micros(1));
        let history = f.service.history(&f.ctx(), sku(name)).await.unwrap();
        assert_eq!(f.amount(sku(name)).await, Some(900), "{history:?}");
    }
}

#[tokio::test]
async fn the_same_price_again_changes_nothing() {
    let f = fixture().await;
    let prices = || {
        ["a", "b", "c"]
            .map(|name| SetPrice { compare_at: Some(usd(1_500)), ..list(sku(name), usd(1_000)) })
            .to_vec()
    };
    f.set(prices()).await;
    assert_eq!(f.announced().await, 3);
    f.clock.advance(DAY);
    f.set(prices()).await;
    assert_eq!(f.announced().await, 3);
    assert_eq!(f.service.history(&f.ctx(), sku("a")).await.unwrap().len(), 1);
    // One of them changes: it alone is announced.
    let mut changed = prices();
    changed[1].price = usd(900);
    f.set(changed).await;
    assert_eq!(f.announced().await, 4);
    let history = f.service.history(&f.ctx(), sku("b")).await.unwrap();
    assert_eq!(history.iter().map(|record| record.price.amount).collect::<Vec<_>>(), [900, 1_000]);
    assert_eq!((history[0].ends_at, history[1].ends_at), (None, Some(f.db.now())));
    assert_eq!(history[0].created_by, "system");
}

#[tokio::test]
async fn own_changes_show_at_once_and_others_after_an_event() {
    let f = fixture().await;
    let a = sku("a");
    let db = open(f.folder.path(), f.clock.clone()).await;
    let catalog = Arc::new(CatalogClient(f.shelf.clone()));
    let other = over(&db, catalog, PricingConfig::default());
    assert_eq!(f.amount(a).await, None);
    f.set(vec![list(a, usd(1_000))]).await;
    assert_eq!(f.amount(a).await, Some(1_000), "a remembered absence is forgotten too");
    other.set_prices(&f.ctx(), vec![list(a, usd(1_100))]).await.unwrap();
    assert_eq!(f.amount(a).await, Some(1_000));
    // Its event reaches this process's consumer, which forgets.
    let event = Event {
        shard: a.shard(),
        pos: 1,
        topic: PriceChanged::TOPIC.to_owned(),
        aggregate: a.to_string(),
        at: f.db.now(),
        body: serde_json::to_vec(&PriceChanged { sku_id: a }).unwrap(),
        trace: None,
    };
    let forget = Forget(Arc::clone(&f.service));
    forget.consume(&event).await.unwrap();
    forget.consume(&event).await.unwrap();
    assert_eq!(f.amount(a).await, Some(1_100));
}

#[tokio::test]
async fn windows_are_announced_once() {
    let f = fixture().await;
    let names: Vec<String> = (0..40).map(|n| format!("{n} sku")).collect();
    f.set(names.iter().map(|name| list(sku(name), usd(1_000))).collect()).await;
    let (from, to) = (f.after(DAY), f.after(DAY * 2));
    f.set(names.iter().map(|name| sale(sku(name), usd(900), from, to)).collect()).await;
    assert_eq!(f.announced().await, 40, "what lies ahead is not announced yet");
    assert_eq!(f.service.announce_windows(|| false).await.unwrap(), 0);
    f.clock.advance(DAY);
    assert_eq!(f.service.announce_windows(|| false).await.unwrap(), 40);
    assert_eq!(f.service.announce_windows(|| false).await.unwrap(), 0);
    f.clock.advance(DAY * 3);
    assert_eq!(f.service.announce_windows(|| false).await.unwrap(), 40);
    assert_eq!(f.announced().await, 120);
}

/// More windows open at one moment than fit into one transaction.
#[tokio::test]
async fn a_great_sale_is_announced_in_batches() {
    let f = fixture().await;
    let start = f.after(DAY);
    for batch in 0..2 {
        let prices = (0..800).map(|n| sale(sku(&format!("x{batch}-{n}")), usd(900), start, start.plus(DAY)));
        f.set(prices.collect()).await;
    }
    f.clock.advance(DAY);
    assert_eq!(f.service.announce_windows(|| false).await.unwrap(), 1_600);
    assert_eq!(f.announced().await, 1_600);
}

#[tokio::test]
async fn currencies_are_asked_for_or_chosen() {
    let f = fixture().await;
    let (a, b) = (sku("a"), sku("b"));
    let eur = |amount| Money::new(amount, Currency::EUR);
    let jod = Money::new(7_125, Currency::JOD);
    f.set(vec![list(a, usd(1_000)), list(a, eur(900)), list(b, eur(500)), list(b, jod)]).await;
    let amounts =
        |views: Vec<contracts::pricing::PriceView>| views.iter().map(|view| view.price).collect::<Vec<_>>();
    let ctx = f.ctx();
    let query = |currency| PricesOf { sku_ids: vec![b, sku("none"), a], currency };
    assert_eq!(amounts(f.service.prices(&ctx, query(None)).await.unwrap()), [eur(500), usd(1_000)]);
    assert_eq!(
        amounts(f.service.prices(&ctx, query(Some(Currency::EUR))).await.unwrap()),
        [eur(500), eur(900)]
    );
    assert_eq!(amounts(f.service.prices(&ctx, query(Some(Currency::JOD))).await.unwrap()), [jod]);
    let many = PricesOf { sku_ids: vec![a; 1_001], currency: None };
    assert_eq!(f.service.prices(&ctx, many).await.unwrap_err().status(), 422);
}

#[tokio::test]
async fn bad_prices_are_named_and_nothing_is_set() {
    let f = fixture().await;
    let a = sku("a");
    let good = list(a, usd(1_000));
    let wrong = [
        ("/prices/1/price", list(a, usd(-1))),
        ("/prices/1/price", list(a, usd(1_000_000_000_001))),
        ("/prices/1/compare_at", SetPrice { compare_at: Some(Money::new(5, Currency::EUR)), ..good.clone() }),
        (
            "/prices/1/compare_at",
            SetPrice { compare_at: Some(usd(5)), ..sale(a, usd(1), f.after(DAY), f.after(DAY * 2)) },
        ),
        ("/prices/1/ends_at", sale(a, usd(1), f.after(DAY), f.after(DAY))),
        ("/prices/1/ends_at", SetPrice { ends_at: Some(f.db.now()), ..good.clone() }),
        ("/prices/1/sku_id", list(Id::derive(Shard::new(f.db.shards()), &[b"a"]), usd(1))),
    ];
    for (pointer, price) in wrong {
        let window = pointer.ends_with("ends_at");
        let refused = f.service.set_prices(&f.ctx(), vec![good.clone(), price]).await.unwrap_err();
        assert_eq!(refused.fields()[0].pointer, pointer);
        assert_eq!(refused.is(code::WINDOW), window);
    }
    assert_eq!(f.amount(a).await, None);
    assert_eq!(f.service.set_prices(&f.ctx(), vec![good; 1_001]).await.unwrap_err().status(), 422);
    f.set(vec![]).await;
}

/// A clock on which a second goes by between two looks.
#[derive(Debug)]
struct Hasty(AtomicI64);

impl Clock for Hasty {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.fetch_add(1_000_000, Ordering::SeqCst))
    }
}

/// Set then, the price in force would end in the past.
#[tokio::test]
async fn a_window_that_closes_before_it_is_written_is_refused() {
    let f = fixture().await;
    let clock = Arc::new(Hasty(AtomicI64::new(f.db.now().micros())));
    let db = open(f.folder.path(), clock.clone()).await;
    let service = over(&db, Arc::new(CatalogClient(f.shelf.clone())), PricingConfig::default());
    let good = list(sku("a"), usd(1_000));
    service.set_prices(&f.ctx(), vec![good.clone()]).await.unwrap();
    let soon = Timestamp::from_micros(clock.0.load(Ordering::SeqCst)).plus(Duration::from_millis(500));
    let short = vec![list(sku("b"), usd(1)), SetPrice { ends_at: Some(soon), ..good }];
    let refused = service.set_prices(&f.ctx(), short).await.unwrap_err();
    assert!(refused.is(code::WINDOW));
    assert_eq!(refused.fields()[0].pointer, "/prices/1/ends_at");
    let history = service.history(&f.ctx(), sku("a")).await.unwrap();
    assert_eq!((history.len(), history[0].ends_at), (1, None));
}

#[tokio::test]
async fn staff_set_prices_only_of_what_the_catalog_has() {
    let f = fixture().await;
    let (lamp, retired) = (f.shelf.put("lamp", "lights", true), f.shelf.put("rug", "lights", false));
    let (staff, unknown) = (f.staff(&[Permission::PricingWrite]), sku("unknown"));
    let asked = || f.shelf.asked.load(Ordering::SeqCst);
    let both = vec![list(lamp, usd(1)), list(retired, usd(2))];
    let more =
        [both.clone(), vec![list(unknown, usd(3)), list(lamp, usd(4)), list(unknown, usd(5))]].concat();
    let refused = f.service.set_prices(&staff, more).await.unwrap_err();
    assert!(refused.is(general::INVALID));
    let pointers: Vec<&str> = refused.fields().iter().map(|field| field.pointer.as_str()).collect();
    assert_eq!(pointers, ["/prices/2/sku_id", "/prices/4/sku_id"]);
    assert_eq!(f.amount(lamp).await, None, "all or none");
    assert_eq!(asked(), 2, "once more for what was missing");

    f.service.set_prices(&staff, both).await.unwrap();
    assert_eq!((f.amount(lamp).await, f.amount(retired).await), (Some(1), Some(2)));
    assert_eq!(asked(), 3, "one question for all of them");
    f.set(vec![list(unknown, usd(6))]).await;
    assert_eq!((f.amount(unknown).await, asked()), (Some(6), 3), "an import asks nothing");
    let reader = f.staff(&[Permission::PricingRead]);
    let one = vec![list(unknown, usd(7))];
    assert!(f.service.set_prices(&reader, one).await.unwrap_err().is(general::FORBIDDEN));
    assert_eq!(asked(), 3, "who may not learns nothing");
}

#[tokio::test]
async fn a_sku_has_a_bounded_number_of_prices_to_come() {
    let f = fixture().await;
    let (a, b) = (sku("a"), sku("b"));
    let window = |n: u32| sale(a, usd(1), f.after(DAY * n), f.after(DAY * (n + 1)));
    let thousand: Vec<SetPrice> = (1..=1_000).map(window).collect();
    f.set(thousand.clone()).await;
    f.set(thousand).await;
    let more = vec![list(b, usd(1)), window(1_001)];
    let refused = f.service.set_prices(&f.ctx(), more.clone()).await.unwrap_err();
    assert!(refused.is(general::INVALID));
    assert_eq!(refused.fields()[0].pointer, "/prices/1");
    assert_eq!(f.amount(b).await, None, "all or none");
    // The first of them is over.
    f.clock.advance(DAY * 2);
    f.set(more).await;
}

#[tokio::test]
async fn two_prices_of_a_sku_in_one_batch_count_in_their_order() {
    let f = fixture().await;
    let a = sku("a");
    f.set(vec![list(a, usd(1_000)), list(a, usd(1_100))]).await;
    assert_eq!(f.amount(a).await, Some(1_100));
}

#[tokio::test]
async fn the_lowest_price_is_found_however_long_ago_the_reduction_began() {
    let f = fixture().await;
    let a = sku("a");
    f.set(vec![list(a, usd(700))]).await;
    f.clock.advance(DAY * 10);
    f.set(vec![list(a, usd(1_000))]).await;
    f.clock.advance(DAY * 5);
    f.set(vec![SetPrice { kind: PriceKind::Sale, ..list(a, usd(800)) }]).await;
    f.clock.advance(DAY * 200);
    // Read afresh: the price of the beginning ended two hundred days ago and still counts.
    let db = open(f.folder.path(), f.clock.clone()).await;
    let catalog = Arc::new(CatalogClient(f.shelf.clone()));
    let fresh = over(&db, catalog, PricingConfig::default());
    let query = PricesOf { sku_ids: vec![a], currency: None };
    let view = fresh.prices(&f.ctx(), query).await.unwrap().remove(0);
    assert_eq!(
        (view.price, view.compare_at, view.lowest_30_days),
        (usd(800), Some(usd(1_000)), Some(usd(700)))
    );
}

#[tokio::test]
async fn staff_need_permissions() {
    let f = fixture().await;
    let mut ctx = f.ctx();
    ctx.caller = Caller::Anonymous;
    assert!(f.service.set_prices(&ctx, vec![]).await.unwrap_err().is(general::UNAUTHENTICATED));
    assert!(f.service.history(&ctx, sku("a")).await.unwrap_err().is(general::UNAUTHENTICATED));
}
