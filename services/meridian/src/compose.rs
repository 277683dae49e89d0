//! Composition: which module runs here, and who answers for those that do not.
//!
//! Built in the order of the call graph: whoever is needed comes first. A module that is not among the targets is
//! replaced by the client of its contract; its callers cannot tell.

use std::{path::Path, sync::Arc, time::Duration};

use account::AccountService;
use anyhow::{Result, bail, ensure};
use cart::CartService;
use catalog::{CatalogService, MediaStore};
use contracts::{
    Contracts, Ctx,
    account::{Accounts, AccountsClient},
    cart::{Carts, CartsClient},
    catalog::{Catalog, CatalogClient, SkuId},
    import::{ImportKind, ImportView, Imports, ImportsClient},
    intake::Intakes,
    inventory::{Inventory, InventoryClient},
    order::{Orders, OrdersClient},
    payment::{Payments, PaymentsClient},
    pricing::{Pricing, PricingClient},
    search::{Search, SearchClient},
};
use import::ImportService;
use inventory::InventoryService;
use kernel::{Currency, SystemClock};
use migrate_in::{Mapping, MigrateIn, SourceAddress};
use migrations::Migrator;
use order::OrderService;
use payment::PaymentService;
use platform_cache::{Caches, Redis};
use platform_client::{ClientConfig, HttpTransport};
use platform_db::Db;
use platform_http::{AssertionKey, Auth, Entrance, TokenSigner};
use platform_regions::Regions;
use platform_runtime::{App, AppConfig, Check, Config, Keys, Module, Registry, Running, Telemetry};
use pricing::PricingService;
use sea_orm_migration::MigratorTrait;
use search::SearchService;
use storefront::StorefrontDeps;

use crate::{
    Settings,
    doors::Doors,
    gateway,
    regions::{self, place},
    targets::Peers,
};

pub use crate::targets::Targets;

/// How long a command or a start-up step may take.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// How long a start waits for Redis; it goes on without.
const FIRST_CONTACT: Duration = Duration::from_secs(2);
/// How long a command may take to tell other processes what it changed.
pub(crate) const LEAVE_WITHIN: Duration = Duration::from_secs(5);

/// The shop as this process sees it: every contract, answered here or elsewhere.
pub struct Shop {
    /// What it can do.
    pub contracts: Contracts,
    db: Db,
    registry: Registry,
    importer: Option<Arc<ImportService>>,
    intakes: Option<Intakes>,
    auth: Auth,
    internal: AssertionKey,
    places: payment::Places,
    redis: Option<Redis>,
    entrance: Option<Arc<dyn Entrance>>,
    regions: Regions,
    /// What modules here call and what runs nowhere: without it nothing can be served.
    missing: Vec<&'static str>,
}

/// Opens the database in the data folder and brings its schema up to date.
pub(crate) async fn open_database(settings: &Settings) -> Result<Db> {
    let db = Db::open(&settings.database()?, Arc::new(SystemClock)).await?;
    db.schema(|connection| Box::pin(Migrator::up(connection, None))).await?;
    db.check_shards().await?;
    Ok(db)
}

/// What modules are built from.
struct Site<'a> {
    config: &'a Config,
    data: &'a Path,
    db: Db,
    keys: Keys,
    targets: &'a Targets,
    /// Where the others are.
    peers: Peers,
    transport: Arc<HttpTransport>,
    caches: Caches,
    registry: Registry,
    regions: Regions,
    /// The folder of what a region does not share.
    own: &'a Path,
}

impl Site<'_> {
    /// The service of `name` when it runs here, else its client.
    fn here_or<T: ?Sized>(
        &mut self,
        name: &'static str,
        client: impl FnOnce(Arc<HttpTransport>) -> Arc<T>,
        here: impl FnOnce(&Self) -> Result<(Arc<T>, Module)>,
    ) -> Result<Arc<T>> {
        if self.targets.has(name) {
            let (service, module) = here(self)?;
            self.registry.add(module);
            Ok(service)
        } else {
            self.elsewhere(name);
            Ok(client(Arc::clone(&self.transport)))
        }
    }

    /// Says that `name` runs in another process, where it has an address.
    fn elsewhere(&mut self, name: &'static str) {
        if self.peers.contains_key(name) {
            self.registry.remote(name);
        }
    }
}

impl Shop {
    /// The shop over the data folder of `settings`, with the modules of `targets` in this process. Nothing is served yet.
    pub async fn open(settings: Settings, targets: &Targets) -> Result<Self> {
        let db = open_database(&settings).await?;
        Self::over(db, settings, targets).await
    }

    /// The same over a database that is open, whose schema is this binary's.
    pub(crate) async fn over(db: Db, settings: Settings, targets: &Targets) -> Result<Self> {
        let Settings { data, config } = settings;
        let keys = Keys::open(&data)?;
        let internal = AssertionKey::new(*keys.secret("internal")?.expose());
        let client: ClientConfig = config.section("client")?;
        let peers = targets.peers(&client.targets)?;
        let redis = Redis::open(&config.section("redis")?)?;
        if let Some(redis) = &redis
            && !redis.connected(FIRST_CONTACT).await
        {
            tracing::warn!("starting without Redis");
        }
        let caches = Caches::new(Arc::clone(db.clock()), redis);
        let mut registry = Registry::new();
        let place = place::open(config.section("region")?, &data, &keys, &db)?;
        if let Some(module) = place.module {
            registry.add(module);
        }
        let (regions, own) = (place.regions, place.data.as_path());
        let clock = Arc::clone(db.clock());
        let transport = HttpTransport::among(&client, internal.clone(), clock, regions.clone())?;
        let site = Site {
            config: &config,
            data: &data,
            db,
            keys,
            targets,
            peers,
            transport,
            caches,
            registry,
            regions,
            own,
        };
        Self::build(site, internal)
    }

    #[expect(clippy::too_many_lines, reason = "one paragraph a module, in the order of the call graph")]
    fn build(mut site: Site<'_>, internal: AssertionKey) -> Result<Self> {
        let (config, db, caches) = (site.config, site.db.clone(), site.caches.clone());
        let signer = TokenSigner::new(site.keys.secret("access-token")?.expose())?;
        let verifying_key = signer.verifying_key();
        let mut doors = Doors::default();

        let accounts = site.here_or::<dyn Accounts>(
            "account",
            |t| Arc::new(AccountsClient(t)),
            |site| {
                let secret = site.keys.secret("account")?;
                let (config, regions) = (config.section("account")?, site.regions.clone());
                let service = AccountService::among(db.clone(), &caches, signer, secret, config, regions)?;
                doors.users = Some(service.intake());
                Ok((service.clone() as Arc<dyn Accounts>, account::module(service)))
            },
        )?;
        // The catalog's pages show prices and stock; its contract knows neither. Pricing is built on the contract, and so are
        // the routes of stock.
        let catalog_service = if site.targets.has("catalog") {
            // A page shows prices: it ends when one of them changes elsewhere.
            if let Some(redis) = caches.redis() {
                let stamps = db.stamps().clone();
                redis.listen(pricing::PRICES, move |line| {
                    if let Ok(sku) = line.parse::<SkuId>() {
                        stamps.touch(sku.uuid());
                    }
                });
            }
            let media = MediaStore::open(site.data)?;
            Some(CatalogService::new(db.clone(), media, &caches, config.section("catalog")?)?)
        } else {
            site.elsewhere("catalog");
            None
        };
        doors.products = catalog_service.as_ref().map(CatalogService::intake);
        let catalog: Arc<dyn Catalog> = match &catalog_service {
            Some(service) => service.clone(),
            None => Arc::new(CatalogClient(site.transport.clone())),
        };
        let inventory = site.here_or::<dyn Inventory>(
            "inventory",
            |t| Arc::new(InventoryClient(t)),
            |site| {
                let (config, regions) = (config.section("inventory")?, site.regions.clone());
                let service = InventoryService::among(db.clone(), caches.redis(), config, regions)?;
                doors.stock = Some(service.forgetting());
                Ok((service.clone() as Arc<dyn Inventory>, inventory::module(service, catalog.clone())))
            },
        )?;
        let pricing = site.here_or::<dyn Pricing>(
            "pricing",
            |t| Arc::new(PricingClient(t)),
            |site| {
                let service = PricingService::new(
                    db.clone(),
                    &caches,
                    catalog.clone(),
                    site.keys.secret("quote")?,
                    config.section("pricing")?,
                )?;
                doors.prices = Some(service.forgetting());
                Ok((service.clone() as Arc<dyn Pricing>, pricing::module(service)))
            },
        )?;
        if let Some(service) = catalog_service {
            site.registry.add(catalog::module(service, pricing.clone(), inventory.clone()));
        }
        let carts = site.here_or::<dyn Carts>(
            "cart",
            |t| Arc::new(CartsClient(t)),
            |_| {
                let service = CartService::new(
                    db.clone(),
                    catalog.clone(),
                    pricing.clone(),
                    inventory.clone(),
                    config.section("cart")?,
                )?;
                Ok((service.clone() as Arc<dyn Carts>, cart::module(service)))
            },
        )?;
        let payment_config: payment::PaymentConfig = config.section("payment")?;
        let places = payment::Places::new(&payment_config);
        let sandbox_secret = site.keys.secret("sandbox")?;
        if site.targets.has("sandbox") && payment_config.sandbox.enabled {
            site.registry.add(payment::sandbox(db.clone(), &payment_config, &places, &sandbox_secret)?);
        } else {
            site.elsewhere("sandbox");
        }
        let payments = site.here_or::<dyn Payments>(
            "payment",
            |t| Arc::new(PaymentsClient(t)),
            |_| {
                let channels =
                    payment::Channels::new(&payment_config, &places, db.clock().clone(), &sandbox_secret)?;
                let service =
                    PaymentService::new(db.clone(), channels, places.clone(), payment_config.clone())?;
                doors.payments = Some(service.intake());
                Ok((service.clone() as Arc<dyn Payments>, payment::module(service)))
            },
        )?;
        let orders = site.here_or::<dyn Orders>(
            "order",
            |t| Arc::new(OrdersClient(t)),
            |_| {
                let service = OrderService::new(
                    db.clone(),
                    pricing.clone(),
                    inventory.clone(),
                    payments.clone(),
                    accounts.clone(),
                    carts.clone(),
                    config.section("order")?,
                )?;
                doors.orders = Some(service.intake());
                Ok((service.clone() as Arc<dyn Orders>, order::module(service)))
            },
        )?;
        let search = site.here_or::<dyn Search>(
            "search",
            |t| Arc::new(SearchClient(t)),
            |site| {
                let service = SearchService::open(
                    db.clone(),
                    site.own,
                    catalog.clone(),
                    pricing.clone(),
                    inventory.clone(),
                    config.section("search")?,
                    site.regions.clone(),
                )?;
                Ok((service.clone() as Arc<dyn Search>, search::module(service)))
            },
        )?;
        let mut importer = None;
        let imports = site.here_or::<dyn Imports>(
            "import",
            |t| Arc::new(ImportsClient(t)),
            |_| {
                let service = ImportService::new(
                    db.clone(),
                    catalog.clone(),
                    pricing.clone(),
                    inventory.clone(),
                    config.section("import")?,
                )?;
                importer = Some(service.clone());
                Ok((service.clone() as Arc<dyn Imports>, import::module(service)))
            },
        )?;
        let auth = Auth::new(&[verifying_key], accounts.clone(), db.clock().clone());
        // Every process has the database, and so the map.
        let desk = regions::RegionsDesk::new(regions::journal(&db), site.regions.me().cloned());
        site.registry.add(regions::module(desk.clone(), &db));
        let contracts = Contracts {
            accounts,
            catalog,
            pricing,
            inventory,
            carts,
            orders,
            payments,
            search,
            imports,
            regions: desk,
        };
        let clock = Arc::clone(db.clock());
        let entrance =
            edge::entrance(config.section("edge")?, &site.regions, auth.clone(), internal.clone(), clock)?;
        if site.targets.has("storefront") {
            site.registry.add(storefront::module(StorefrontDeps {
                contracts: contracts.clone(),
                clock: db.clock().clone(),
                form_key: site.keys.secret("storefront")?,
                config: config.section("storefront")?,
            })?);
        }
        if !site.peers.is_empty() {
            let http: platform_http::HttpServerConfig = config.section("http")?;
            site.registry.add(gateway::module(&site.peers, http.upload_limit)?);
        }
        Ok(Self {
            contracts,
            db: site.db,
            registry: site.registry,
            importer,
            intakes: doors.all(),
            auth,
            internal,
            places,
            redis: caches.redis().cloned(),
            entrance,
            regions: site.regions,
            missing: site.targets.missing(&site.peers),
        })
    }

    /// Its database.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// What must be true of the rows that the modules here own.
    pub(crate) fn checks(&self) -> Vec<Check> {
        self.registry.checks()
    }

    /// The context of a command: Meridian itself, with an hour's patience.
    pub fn system_ctx(&self, command: &str) -> Ctx {
        Ctx::system(format!("command-{command}"), self.db.now().plus(PATIENCE))
    }

    /// Imports a file from the disk, telling `progress` after each batch.
    pub async fn import_file(
        &self,
        kind: ImportKind,
        file: &Path,
        currency: Currency,
        progress: Box<dyn Fn(&ImportView) + Send + Sync>,
    ) -> Result<ImportView> {
        match &self.importer {
            Some(importer) => Ok(importer.run_file(kind, file, currency, progress).await?),
            None => bail!("imports run in another process"),
        }
    }

    /// A migration from another shop into this one. Without an address it tells how far it is, and gives back.
    pub async fn migrate_in(&self, mapping: Mapping, address: Option<&SourceAddress>) -> Result<MigrateIn> {
        let Some(intakes) = self.intakes.clone() else { bail!("a module runs in another process") };
        let deps = migrate_in::Deps { db: self.db.clone(), contracts: self.contracts.clone(), intakes };
        Ok(MigrateIn::open(deps, mapping, address).await?)
    }

    /// Tells other processes what changed here; for commands, which serve nothing.
    pub async fn close(&self) {
        if let Some(redis) = &self.redis
            && !redis.close(LEAVE_WITHIN).await
        {
            tracing::warn!(
                "Redis was not told of everything that changed: restart it, or wait for `redis.l2_ttl`"
            );
        }
    }

    /// Starts serving. Refused where modules here call others that have no address.
    pub async fn start(self, config: AppConfig, telemetry: Telemetry) -> Result<Running> {
        ensure!(
            self.missing.is_empty(),
            "the modules here call others that run neither here nor elsewhere: {}. Their addresses belong in \
             `client.targets`",
            self.missing.join(", ")
        );
        let app = App::new(self.db, self.registry, config)
            .auth(self.auth)
            .entrance(self.entrance, self.internal.clone())
            .internal(self.internal)
            .redis(self.redis)
            .regions(self.regions)
            .telemetry(telemetry);
        let running = app.start().await?;
        self.places.shop_is_at(&format!("http://{}", running.address()));
        Ok(running)
    }

    /// The public routes of the modules here, for the API's document.
    fn into_routes(self) -> Result<Vec<platform_http::Routes>> {
        Ok(self.registry.in_order()?.into_iter().flat_map(Module::into_routes).collect())
    }
}

/// The OpenAPI document of the whole shop.
pub(crate) async fn openapi() -> Result<String> {
    let folder = tempfile::tempdir()?;
    let config = Config::builder(crate::DEFAULT_CONFIGURATION).build()?;
    let settings = Settings { data: folder.path().to_path_buf(), config };
    let mut routes = Shop::open(settings, &Targets::all()).await?.into_routes()?;
    routes.push(platform_runtime::operations_routes_for_document());
    Ok(serde_json::to_string_pretty(&platform_http::openapi(&routes))? + "\n")
}
