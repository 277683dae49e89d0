//! A service over a fresh database, with a clock that stands still.

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use contracts::{
    Caller, Ctx, EventBody, Permission, Transport,
    catalog::{Catalog, CatalogClient, SkuId, SkuInfo, SkuRecord},
    pricing::{PriceChanged, PriceKind, PriceView, PricesOf, Pricing, SetPrice},
};
use kernel::{Clock, Currency, FakeClock, Id, Money, Result, Shard, Timestamp};
use migrations::Migrator;
use platform_cache::Caches;
use platform_db::{Db, testing};
use platform_runtime::SecretKey;
use pricing::{PricingConfig, PricingService};
use sea_orm::{ConnectionTrait, Statement};
use sea_orm_migration::MigratorTrait;

pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

/// A catalog that answers `skus` for names it was told.
#[derive(Default)]
pub(crate) struct Shelf {
    known: Mutex<Vec<SkuInfo>>,
    pub(crate) asked: AtomicUsize,
}

impl Shelf {
    pub(crate) fn put(&self, name: &str, category: &str, sold: bool) -> SkuId {
        let id = sku(name);
        self.known.lock().unwrap().push(SkuInfo {
            sku: SkuRecord {
                id,
                code: name.to_owned(),
                options: Vec::new(),
                barcode: None,
                weight_grams: 100,
            },
            product_id: Id::derive(Shard::new(1), &[name.as_bytes()]),
            slug: name.to_owned(),
            title: format!("A {name}"),
            image: None,
            tax_category: category.to_owned(),
            sold,
        });
        id
    }
}

#[async_trait]
impl Transport for Shelf {
    async fn call(
        &self,
        _: &Ctx,
        domain: &'static str,
        method: &'static str,
        body: Vec<u8>,
    ) -> Result<Vec<u8>> {
        assert_eq!((domain, method), ("catalog", "skus"), "nothing else is asked of the catalog");
        self.asked.fetch_add(1, Ordering::SeqCst);
        let ids: Vec<SkuId> = serde_json::from_slice(&body).unwrap();
        let known = self.known.lock().unwrap();
        let found: Vec<_> =
            ids.iter().filter_map(|id| known.iter().find(|info| info.sku.id == *id)).collect();
        Ok(serde_json::to_vec(&found).unwrap())
    }
}

pub(crate) struct Fixture {
    pub(crate) service: Arc<PricingService>,
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) db: Db,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) folder: tempfile::TempDir,
}

pub(crate) async fn fixture() -> Fixture {
    with(PricingConfig::default()).await
}

pub(crate) async fn with(config: PricingConfig) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(FakeClock::new(Timestamp::from_micros(1_800_000_000_000_000)));
    let db = open(folder.path(), clock.clone()).await;
    let shelf = Arc::new(Shelf::default());
    let catalog = Arc::new(CatalogClient(shelf.clone()));
    let service = over(&db, catalog, config);
    Fixture { service, shelf, db, clock, folder }
}

/// A process of its own over the same database.
pub(crate) fn over(db: &Db, catalog: Arc<dyn Catalog>, config: PricingConfig) -> Arc<PricingService> {
    let caches = Caches::alone(db.clock().clone());
    PricingService::new(db.clone(), &caches, catalog, SecretKey::from_bytes([7; 32]), config).unwrap()
}

pub(crate) async fn open(folder: &Path, clock: Arc<dyn Clock>) -> Db {
    let config = testing::config(folder);
    let db = Db::open(&config, clock).await.unwrap();
    db.schema(|connection| Box::pin(Migrator::up(connection, None))).await.unwrap();
    db
}

pub(crate) fn sku(name: &str) -> SkuId {
    Id::derive(Shard::new(u16::from(name.as_bytes()[0]) % 16), &[name.as_bytes()])
}

pub(crate) fn usd(amount: i64) -> Money {
    Money::new(amount, Currency::USD)
}

pub(crate) fn list(sku_id: SkuId, price: Money) -> SetPrice {
    SetPrice { sku_id, kind: PriceKind::List, price, compare_at: None, starts_at: None, ends_at: None }
}

pub(crate) fn sale(sku_id: SkuId, price: Money, starts_at: Timestamp, ends_at: Timestamp) -> SetPrice {
    SetPrice {
        kind: PriceKind::Sale,
        starts_at: Some(starts_at),
        ends_at: Some(ends_at),
        ..list(sku_id, price)
    }
}

impl Fixture {
    pub(crate) fn ctx(&self) -> Ctx {
        Ctx::system("test", self.db.now().plus(Duration::from_secs(60)))
    }

    pub(crate) fn staff(&self, permissions: &[Permission]) -> Ctx {
        let permissions: BTreeSet<Permission> = permissions.iter().copied().collect();
        let (id, session) = (Id::derive(Shard::new(3), &[b"ada"]), Id::derive(Shard::new(3), &[b"ada"]));
        Ctx { caller: Caller::User { id, session, permissions }, ..self.ctx() }
    }

    pub(crate) fn after(&self, by: Duration) -> Timestamp {
        self.db.now().plus(by)
    }

    pub(crate) async fn set(&self, prices: Vec<SetPrice>) {
        self.service.set_prices(&self.ctx(), prices).await.unwrap();
    }

    pub(crate) async fn view(&self, sku: SkuId) -> Option<PriceView> {
        let query = PricesOf { sku_ids: vec![sku], currency: None };
        self.service.prices(&self.ctx(), query).await.unwrap().pop()
    }

    pub(crate) async fn amount(&self, sku: SkuId) -> Option<i64> {
        self.view(sku).await.map(|view| view.price.amount)
    }

    /// How many changes were announced so far.
    pub(crate) async fn announced(&self) -> usize {
        let backend = self.db.read().get_database_backend();
        let sql = "SELECT body FROM outbox WHERE topic = ?";
        let statement = Statement::from_sql_and_values(backend, sql, [PriceChanged::TOPIC.into()]);
        self.db.read().query_all_raw(statement).await.unwrap().len()
    }
}
