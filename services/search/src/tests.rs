//! Search over a shop whose catalog, prices and stock are in memory.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use contracts::{
    Caller, Ctx, Event, EventBody, Permission, SessionId, Transport, UserId,
    catalog::{
        BrandView, CatalogClient, CategoryChanged, CategoryRef, ListProducts, ProductChanged, ProductId,
        ProductRecord, ProductState, ScanProducts, SkuId, SkuInfo, SkuRecord,
    },
    inventory::{Availability, AvailabilityChanged, InventoryClient},
    order::{OrderPaid, OrderedLine},
    pricing::{PriceChanged, PriceKind, PriceView, PricingClient},
    search::{CheckIndex, Search, SearchQuery, SearchResults, Sort, SuggestQuery},
};
use kernel::{Currency, Failure, FakeClock, Id, Money, Page, Result, Shard, Timestamp, code};
use migrations::Migrator;
use platform_bus::Consumer;
use platform_db::{Db, testing};
use sea_orm_migration::MigratorTrait;
use serde::{Serialize, de::DeserializeOwned};
use tempfile::TempDir;
use tokio::sync::Notify;

use crate::{SearchConfig, SearchService, consumers, store};

const AT: Timestamp = Timestamp::from_micros(1_795_248_000_000_000);

fn product_id(n: u32) -> ProductId {
    // Ids sort by number, and lie on several shards.
    Id::from_uuid(uuid::Uuid::from_u128((u128::from(n) << 64) | u128::from(n % 4)))
}

fn sku_id(n: u32) -> SkuId {
    Id::from_uuid(uuid::Uuid::from_u128((u128::from(n) << 64) | (1 << 20) | u128::from(n % 4)))
}

fn category() -> CategoryRef {
    CategoryRef {
        id: Id::derive(Shard::new(1), &[b"kitchen"]),
        slug: "kitchen".to_owned(),
        name: "Kitchen".to_owned(),
    }
}

/// A product of one SKU.
#[derive(Clone)]
struct Thing {
    title: String,
    version: i64,
    sold: bool,
    price: i64,
    /// Its price in yen, where it is sold for them.
    yen: Option<i64>,
    stock: i64,
}

/// Everything search asks.
#[derive(Default)]
struct World {
    things: Mutex<BTreeMap<u32, Thing>>,
    category_name: Mutex<String>,
    /// Held up: the scan waits after its first page until told to go on.
    hold_scan: AtomicBool,
    scanning: Notify,
    go_on: Notify,
    /// Products that were read by their ids.
    asked: AtomicUsize,
}

impl World {
    fn put(&self, n: u32, title: &str) {
        let thing = Thing {
            title: title.to_owned(),
            version: 1,
            sold: true,
            price: i64::from(1_000 + n),
            yen: None,
            stock: 5,
        };
        self.things.lock().unwrap().insert(n, thing);
    }

    fn change(&self, n: u32, change: impl FnOnce(&mut Thing)) {
        change(self.things.lock().unwrap().get_mut(&n).unwrap());
    }

    fn record(&self, n: u32, thing: &Thing) -> ProductRecord {
        let sku = SkuRecord {
            id: sku_id(n),
            code: format!("CODE-{n}"),
            options: Vec::new(),
            barcode: None,
            weight_grams: 1,
        };
        ProductRecord {
            id: product_id(n),
            slug: format!("thing-{n}"),
            title: thing.title.clone(),
            description: "<p>Words</p>".to_owned(),
            brand: Some(BrandView {
                id: Id::derive(Shard::new(0), &[b"acme"]),
                slug: "acme".to_owned(),
                name: "Acme".to_owned(),
            }),
            categories: vec![CategoryRef { name: self.category_name.lock().unwrap().clone(), ..category() }],
            attributes: Vec::new(),
            tags: Vec::new(),
            images: Vec::new(),
            options: Vec::new(),
            skus: vec![sku],
            state: ProductState::Published,
            on_shelf: thing.sold,
            published_at: Some(AT),
            version: thing.version,
        }
    }

    fn records(&self, wanted: impl Fn(u32, &Thing) -> bool) -> Vec<ProductRecord> {
        let things = self.things.lock().unwrap();
        things
            .iter()
            .filter(|(n, thing)| wanted(**n, thing))
            .map(|(n, thing)| self.record(*n, thing))
            .collect()
    }

    async fn scan(&self, scan: ScanProducts) -> Vec<ProductRecord> {
        if scan.after.is_some() && self.hold_scan.swap(false, Ordering::SeqCst) {
            self.scanning.notify_one();
            self.go_on.notified().await;
        }
        let limit = usize::try_from(scan.limit).unwrap();
        let mut records = self.records(|n, _| scan.after.is_none_or(|after| product_id(n) > after));
        records.truncate(limit);
        records
    }

    fn skus(&self, ids: &[SkuId]) -> Vec<SkuInfo> {
        let records = self.records(|n, _| ids.contains(&sku_id(n)));
        records
            .into_iter()
            .map(|record| SkuInfo {
                sku: record.skus[0].clone(),
                product_id: record.id,
                slug: record.slug,
                title: record.title,
                image: None,
                tax_category: String::new(),
                sold: record.on_shelf,
            })
            .collect()
    }

    fn of_skus<T>(&self, ids: &[SkuId], view: impl Fn(SkuId, &Thing) -> T) -> Vec<T> {
        let things = self.things.lock().unwrap();
        let found = things.iter().filter(|(n, _)| ids.contains(&sku_id(**n)));
        found.map(|(n, thing)| view(sku_id(*n), thing)).collect()
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> T {
    serde_json::from_slice(body).unwrap()
}

fn answer<T: Serialize>(value: T) -> Result<Vec<u8>> {
    serde_json::to_vec(&value).map_err(Failure::internal)
}

#[async_trait]
impl Transport for World {
    async fn call(
        &self,
        _: &Ctx,
        domain: &'static str,
        method: &'static str,
        body: Vec<u8>,
    ) -> Result<Vec<u8>> {
        match (domain, method) {
            ("catalog", "products") => {
                let ids: Vec<ProductId> = read(&body);
                assert!(ids.len() <= 500);
                self.asked.fetch_add(ids.len(), Ordering::SeqCst);
                answer(self.records(|n, _| ids.contains(&product_id(n))))
            }
            ("catalog", "skus") => answer(self.skus(&read::<Vec<SkuId>>(&body))),
            ("catalog", "scan_products") => answer(self.scan(read(&body)).await),
            ("catalog", "list_products") => {
                assert_eq!(read::<ListProducts>(&body).category, Some(category().id.to_string()));
                answer(Page { items: self.records(|_, thing| thing.sold), next_cursor: None })
            }
            ("pricing", "every_price") => {
                let ids: Vec<SkuId> = read(&body);
                assert!(ids.len() <= 1_000);
                let view = |sku_id, price, compare_at| PriceView {
                    sku_id,
                    price,
                    compare_at,
                    lowest_30_days: None,
                    kind: PriceKind::List,
                };
                let dollars = self.of_skus(&ids, |sku_id, thing| {
                    view(sku_id, Money::new(thing.price, Currency::USD), None)
                });
                let yen = self.of_skus(&ids, |sku_id, thing| {
                    let money = |yen| Money::new(yen, Currency::JPY);
                    thing.yen.map(|yen| view(sku_id, money(yen), Some(money(yen + 100))))
                });
                answer(dollars.into_iter().chain(yen.into_iter().flatten()).collect::<Vec<_>>())
            }
            ("inventory", "availability") => {
                let ids: Vec<SkuId> = read(&body);
                answer(self.of_skus(&ids, |sku_id, thing| Availability { sku_id, available: thing.stock }))
            }
            (domain, method) => panic!("search has no business with {domain}.{method}"),
        }
    }
}

struct Shop {
    folder: TempDir,
    db: Db,
    world: Arc<World>,
    search: Arc<SearchService>,
    pos: i64,
}

async fn shop(things: u32) -> Shop {
    shop_with(things, SearchConfig::default()).await
}

async fn shop_with(things: u32, search: SearchConfig) -> Shop {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(FakeClock::new(AT));
    let config = testing::config(folder.path());
    let db = Db::open(&config, clock.clone()).await.unwrap();
    db.schema(|connection| Box::pin(Migrator::up(connection, None))).await.unwrap();
    db.check_shards().await.unwrap();
    let world = Arc::new(World { category_name: Mutex::new("Kitchen".to_owned()), ..World::default() });
    for n in 1..=things {
        world.put(n, &format!("Blue mug {n}"));
    }
    let search = open(&db, folder.path(), &world, search);
    search.rebuild(&system(&db), ()).await.unwrap();
    Shop { folder, db, world, search, pos: 0 }
}

fn open(db: &Db, folder: &std::path::Path, world: &Arc<World>, config: SearchConfig) -> Arc<SearchService> {
    let transport: Arc<dyn Transport> = world.clone();
    SearchService::open(
        db.clone(),
        folder,
        Arc::new(CatalogClient(transport.clone())),
        Arc::new(PricingClient(transport.clone())),
        Arc::new(InventoryClient(transport)),
        config,
    )
    .unwrap()
}

fn system(db: &Db) -> Ctx {
    Ctx::system("test", db.now().plus(Duration::from_secs(60)))
}

impl Shop {
    fn event<E: EventBody>(&mut self, event: &E) -> Event {
        self.pos += 1;
        Event {
            shard: Shard::new(0),
            pos: self.pos,
            topic: E::TOPIC.to_owned(),
            aggregate: event.aggregate(),
            at: self.db.now(),
            body: serde_json::to_vec(event).unwrap(),
            trace: None,
        }
    }

    /// An event arrives.
    async fn hears<E: EventBody>(&mut self, event: &E) {
        let event = self.event(event);
        consumers::Mark(self.search.clone()).consume(&event).await.unwrap();
    }

    async fn product_changed(&mut self, n: u32) {
        let version = self.world.things.lock().unwrap().get(&n).map_or(9, |thing| thing.version);
        self.hears(&ProductChanged { product_id: product_id(n), version }).await;
    }

    async fn refresh(&self) {
        while self.search.refresh_once().await.unwrap() > 0 {}
    }

    async fn find(&self, query: SearchQuery) -> SearchResults {
        self.search.search(&system(&self.db), query).await.unwrap()
    }

    async fn total(&self, q: &str) -> u64 {
        self.find(words(q)).await.total
    }
}

fn words(q: &str) -> SearchQuery {
    SearchQuery { q: Some(q.to_owned()), ..SearchQuery::default() }
}

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
    assert_eq!(store::count_due(&shop.db).await.unwrap(), 400);
    let stock = store::due(&shop.db, 200).await.unwrap();
    assert!(stock.iter().all(|row| row.priority == 0), "stock goes first");
    let asked = shop.world.asked.load(Ordering::SeqCst);
    assert_eq!(
        shop.search.refresh_once().await.unwrap(),
        400,
        "the marks of SKUs settle their products' too"
    );
    assert_eq!(shop.world.asked.load(Ordering::SeqCst) - asked, 200, "each product is read once");
    assert_eq!(store::count_due(&shop.db).await.unwrap(), 0);
}

#[tokio::test]
async fn marks_that_somebody_else_removed_are_made_again() {
    let mut shop = shop(2).await;
    shop.product_changed(1).await;
    shop.product_changed(2).await;
    let read = store::due(&shop.db, 10).await.unwrap();
    // This process stands still; another one works on the first, and the second changes again.
    store::settle(&shop.db, &read[..1]).await.unwrap();
    shop.hears(&ProductChanged { product_id: product_id(2), version: 1 }).await;
    store::settle(&shop.db, &read).await.unwrap();
    assert_eq!(store::count_due(&shop.db).await.unwrap(), 2, "what it wrote may be older than what is there");
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
async fn stock_goes_before_a_bulk_import() {
    let mut shop = shop(3).await;
    for n in 1..=3 {
        shop.product_changed(n).await;
    }
    shop.hears(&AvailabilityChanged { sku_id: sku_id(3), in_stock: false }).await;
    let due = store::due(&shop.db, 1).await.unwrap();
    assert_eq!(due[0].id, sku_id(3).uuid());
}

#[tokio::test]
async fn a_mark_made_while_it_is_worked_on_stays() {
    let mut shop = shop(1).await;
    shop.product_changed(1).await;
    let read = store::due(&shop.db, 10).await.unwrap();
    shop.product_changed(1).await; // comes after the product was read
    store::settle(&shop.db, &read).await.unwrap();
    assert_eq!(store::count_due(&shop.db).await.unwrap(), 1);
    shop.refresh().await;
    assert_eq!(store::count_due(&shop.db).await.unwrap(), 0);
}

#[tokio::test]
async fn a_product_older_than_its_event_is_waited_for() {
    let mut shop = shop(1).await;
    shop.hears(&ProductChanged { product_id: product_id(1), version: 2 }).await;
    shop.refresh().await;
    assert_eq!(store::count_due(&shop.db).await.unwrap(), 1, "a cache has not heard of version 2 yet");
    shop.world.change(1, |thing| (thing.title, thing.version) = ("Red bowl".to_owned(), 2));
    shop.refresh().await;
    assert_eq!(store::count_due(&shop.db).await.unwrap(), 0);
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
    let deep = kernel::Cursor::encode(&serde_json::json!({"offset": 10_000}));
    for cursor in [deep, "nonsense".to_owned()] {
        let refused =
            shop.search.search(&ctx, SearchQuery { cursor: Some(cursor), ..words("mug") }).await.unwrap_err();
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
async fn what_changes_during_a_rebuild_is_in_the_new_index() {
    let mut shop = shop(600).await; // more than one page of the scan
    shop.world.hold_scan.store(true, Ordering::SeqCst);
    let (search, world) = (shop.search.clone(), shop.world.clone());
    let ctx = system(&shop.db);
    let rebuild = search.rebuild(&ctx, ());
    let meanwhile = async {
        world.scanning.notified().await;
        // Read by the scan already, and not yet.
        for n in [3, 590] {
            world.change(n, |thing| (thing.title, thing.version) = ("Purple hat".to_owned(), 2));
            shop.product_changed(n).await;
        }
        world.things.lock().unwrap().remove(&5);
        shop.product_changed(5).await;
        shop.refresh().await;
        assert_eq!(shop.total("purple").await, 2, "the index that answers goes on");
        assert_eq!(store::parked(&shop.db, 10).await.unwrap().len(), 3);
        assert!(search.rebuild(&ctx, ()).await.is_err(), "one at a time");
        world.go_on.notify_one();
    };
    let (report, ()) = futures::join!(rebuild, meanwhile);
    assert_eq!(report.unwrap().indexed, 599);
    assert_eq!(shop.total("purple").await, 2);
    assert_eq!(store::count_due(&shop.db).await.unwrap(), 0);
    let report = shop.search.check(&system(&shop.db), CheckIndex { repair: false }).await.unwrap();
    assert_eq!((report.expected, report.missing, report.extra, report.stale), (599, 0, 0, 0));
}

#[tokio::test]
async fn a_check_finds_what_no_event_told_and_repairs_it() {
    let shop = shop(4).await;
    shop.world.put(9, "Silent mug");
    shop.world.change(1, |thing| thing.price = 1);
    shop.world.change(2, |thing| thing.stock = 0);
    shop.world.change(3, |thing| thing.sold = false);
    let ctx = system(&shop.db);
    let found = shop.search.check(&ctx, CheckIndex { repair: false }).await.unwrap();
    assert_eq!((found.expected, found.indexed), (4, 4));
    assert_eq!((found.missing, found.extra, found.stale, found.repaired), (1, 1, 2, 0));
    let found = shop.search.check(&ctx, CheckIndex { repair: true }).await.unwrap();
    assert_eq!((found.missing, found.extra, found.stale, found.repaired), (1, 1, 2, 4));
    let found = shop.search.check(&ctx, CheckIndex { repair: false }).await.unwrap();
    assert_eq!((found.missing, found.extra, found.stale), (0, 0, 0));
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
async fn a_second_process_hands_its_rebuild_over() {
    let mut shop = shop(3).await;
    let other = open(&shop.db, shop.folder.path(), &shop.world, SearchConfig::default());
    assert_eq!(other.search(&system(&shop.db), words("mug")).await.unwrap().total, 3);
    shop.world.put(4, "Silent mug");
    let ctx = system(&shop.db);
    let asked = other.rebuild(&ctx, ());
    let works = async {
        while store::open_rebuilds(&shop.db).await.unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        shop.search.rebuild_as_requested().await.unwrap();
    };
    let (report, ()) = futures::join!(asked, works);
    assert_eq!(report.unwrap().indexed, 4);
    shop.world.change(4, |thing| (thing.title, thing.version) = ("Loud cup".to_owned(), 2));
    shop.product_changed(4).await;
    assert!(other.refresh_once().await.unwrap_err().is(code::UNAVAILABLE), "one process writes");
    shop.refresh().await;
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
