//! A shop whose catalog, prices and stock are in memory.

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
    Ctx, Event, EventBody, Transport,
    catalog::{
        BrandId, BrandView, CatalogClient, CategoryRef, ListProducts, ProductChanged, ProductId,
        ProductRecord, ProductState, ScanProducts, SkuId, SkuInfo, SkuRecord,
    },
    inventory::{Availability, InventoryClient},
    pricing::{PriceKind, PriceView, PricingClient},
    search::{Search, SearchQuery, SearchResults},
};
use kernel::{Currency, Failure, FakeClock, Id, Money, Page, Result, Shard, Timestamp};
use migrations::Migrator;
use platform_bus::Consumer;
use platform_db::{Db, testing};
use sea_orm_migration::MigratorTrait;
use serde::{Serialize, de::DeserializeOwned};
use tempfile::TempDir;
use tokio::sync::Notify;

use crate::{SearchConfig, SearchService, consumers};

pub(super) const AT: Timestamp = Timestamp::from_micros(1_795_248_000_000_000);

pub(super) fn product_id(n: u32) -> ProductId {
    // Ids sort by number, and lie on several shards.
    Id::from_uuid(uuid::Uuid::from_u128((u128::from(n) << 64) | u128::from(n % 4)))
}

pub(super) fn sku_id(n: u32) -> SkuId {
    Id::from_uuid(uuid::Uuid::from_u128((u128::from(n) << 64) | (1 << 20) | u128::from(n % 4)))
}

pub(super) fn brand_id() -> BrandId {
    Id::derive(Shard::new(0), &[b"acme"])
}

pub(super) fn category() -> CategoryRef {
    CategoryRef {
        id: Id::derive(Shard::new(1), &[b"kitchen"]),
        slug: "kitchen".to_owned(),
        name: "Kitchen".to_owned(),
    }
}

/// A product of one SKU.
#[derive(Clone)]
pub(super) struct Thing {
    pub(super) title: String,
    pub(super) version: i64,
    pub(super) sold: bool,
    pub(super) price: i64,
    /// Its price in yen, where it is sold for them.
    pub(super) yen: Option<i64>,
    pub(super) stock: i64,
}

/// Everything search asks.
#[derive(Default)]
pub(super) struct World {
    pub(super) things: Mutex<BTreeMap<u32, Thing>>,
    pub(super) category_name: Mutex<String>,
    pub(super) brand_name: Mutex<String>,
    /// Held up: the scan waits after its first page until told to go on.
    pub(super) hold_scan: AtomicBool,
    pub(super) scanning: Notify,
    pub(super) go_on: Notify,
    /// Products that were read by their ids.
    pub(super) asked: AtomicUsize,
}

impl World {
    pub(super) fn put(&self, n: u32, title: &str) {
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

    pub(super) fn change(&self, n: u32, change: impl FnOnce(&mut Thing)) {
        change(self.things.lock().unwrap().get_mut(&n).unwrap());
    }

    pub(super) fn record(&self, n: u32, thing: &Thing) -> ProductRecord {
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
                id: brand_id(),
                slug: "acme".to_owned(),
                name: self.brand_name.lock().unwrap().clone(),
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

    pub(super) fn records(&self, wanted: impl Fn(u32, &Thing) -> bool) -> Vec<ProductRecord> {
        let things = self.things.lock().unwrap();
        things
            .iter()
            .filter(|(n, thing)| wanted(**n, thing))
            .map(|(n, thing)| self.record(*n, thing))
            .collect()
    }

    pub(super) async fn scan(&self, scan: ScanProducts) -> Vec<ProductRecord> {
        if scan.after.is_some() && self.hold_scan.swap(false, Ordering::SeqCst) {
            self.scanning.notify_one();
            self.go_on.notified().await;
        }
        let limit = usize::try_from(scan.limit).unwrap();
        let mut records = self.records(|n, _| scan.after.is_none_or(|after| product_id(n) > after));
        records.truncate(limit);
        records
    }

    pub(super) fn skus(&self, ids: &[SkuId]) -> Vec<SkuInfo> {
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

    pub(super) fn of_skus<T>(&self, ids: &[SkuId], view: impl Fn(SkuId, &Thing) -> T) -> Vec<T> {
        let things = self.things.lock().unwrap();
        let found = things.iter().filter(|(n, _)| ids.contains(&sku_id(**n)));
        found.map(|(n, thing)| view(sku_id(*n), thing)).collect()
    }
}

pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> T {
    serde_json::from_slice(body).unwrap()
}

pub(super) fn answer<T: Serialize>(value: T) -> Result<Vec<u8>> {
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
                let query: ListProducts = read(&body);
                let asked = [Some(category().id.to_string()), Some(brand_id().to_string())];
                assert!(asked.contains(&query.category.or(query.brand)));
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

pub(super) struct Shop {
    pub(super) folder: TempDir,
    pub(super) db: Db,
    pub(super) world: Arc<World>,
    pub(super) search: Arc<SearchService>,
    pub(super) pos: i64,
}

pub(super) async fn shop(things: u32) -> Shop {
    shop_with(things, SearchConfig::default()).await
}

pub(super) async fn shop_with(things: u32, search: SearchConfig) -> Shop {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(FakeClock::new(AT));
    let config = testing::config(folder.path());
    let db = Db::open(&config, clock.clone()).await.unwrap();
    db.schema(|connection| Box::pin(Migrator::up(connection, None))).await.unwrap();
    db.check_shards().await.unwrap();
    let world = Arc::new(World {
        category_name: Mutex::new("Kitchen".to_owned()),
        brand_name: Mutex::new("Acme".to_owned()),
        ..World::default()
    });
    for n in 1..=things {
        world.put(n, &format!("Blue mug {n}"));
    }
    let search = open(&db, folder.path(), &world, search);
    search.rebuild(&system(&db), ()).await.unwrap();
    Shop { folder, db, world, search, pos: 0 }
}

pub(super) fn open(
    db: &Db,
    folder: &std::path::Path,
    world: &Arc<World>,
    config: SearchConfig,
) -> Arc<SearchService> {
    let transport: Arc<dyn Transport> = world.clone();
    SearchService::open(
        db.clone(),
        folder,
        Arc::new(CatalogClient(transport.clone())),
        Arc::new(PricingClient(transport.clone())),
        Arc::new(InventoryClient(transport)),
        config,
        platform_regions::Regions::single(),
    )
    .unwrap()
}

pub(super) fn system(db: &Db) -> Ctx {
    Ctx::system("test", db.now().plus(Duration::from_secs(60)))
}

impl Shop {
    pub(super) fn event<E: EventBody>(&mut self, event: &E) -> Event {
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
    pub(super) async fn hears<E: EventBody>(&mut self, event: &E) {
        let event = self.event(event);
        consumers::Mark(self.search.clone()).consume(&event).await.unwrap();
    }

    pub(super) async fn product_changed(&mut self, n: u32) {
        let version = self.world.things.lock().unwrap().get(&n).map_or(9, |thing| thing.version);
        self.hears(&ProductChanged { product_id: product_id(n), version }).await;
    }

    pub(super) async fn refresh(&self) {
        while self.search.refresh_once().await.unwrap() > 0 {}
    }

    pub(super) async fn find(&self, query: SearchQuery) -> SearchResults {
        self.search.search(&system(&self.db), query).await.unwrap()
    }

    pub(super) async fn total(&self, q: &str) -> u64 {
        self.find(words(q)).await.total
    }
}

pub(super) fn words(q: &str) -> SearchQuery {
    SearchQuery { q: Some(q.to_owned()), ..SearchQuery::default() }
}
