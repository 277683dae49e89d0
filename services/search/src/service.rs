//! The service: what it works with, and the contract by delegation.

use std::{
    path::Path,
    sync::{Arc, OnceLock, Weak, atomic::AtomicBool},
    time::Duration,
};

use async_trait::async_trait;
use contracts::{
    Ctx,
    catalog::Catalog,
    inventory::Inventory,
    pricing::Pricing,
    search::{CheckIndex, IndexReport, Search, SearchQuery, SearchResults, SuggestQuery, Suggestions},
};
use kernel::Result;
use platform_cache::{Cache, Settings};
use platform_db::Db;
use platform_index::{Meilisearch, ProductIndex, Tantivy};
use platform_regions::Regions;
use platform_runtime::Tasks;
use tokio::sync::{Mutex, Notify};

use crate::{
    config::{Engine, SearchConfig},
    hot_words::Counted,
    place::Place,
    query::Asked,
};

/// Hot words are asked for once a minute.
const HOT_TTL: Duration = Duration::from_secs(60);

/// Search over sold products.
pub struct SearchService {
    pub(crate) me: Weak<Self>,
    pub(crate) db: Db,
    pub(crate) index: Arc<dyn ProductIndex>,
    /// Whose index it is; empty in a shop without regions.
    pub(crate) region: String,
    regions: Regions,
    /// Where no lock of the index itself says who writes.
    pub(crate) place: Option<Place>,
    pub(crate) catalog: Arc<dyn Catalog>,
    pub(crate) pricing: Arc<dyn Pricing>,
    pub(crate) inventory: Arc<dyn Inventory>,
    pub(crate) config: SearchConfig,
    pub(crate) results: Cache<Asked, Arc<SearchResults>>,
    pub(crate) hot: Cache<(), Arc<Vec<String>>>,
    pub(crate) counted: Counted,
    /// Rings when something was marked in this process.
    pub(crate) wake: Notify,
    /// Held while a batch of marks is worked on.
    pub(crate) refreshing: Mutex<()>,
    /// Held while an index is built.
    pub(crate) rebuilding: Mutex<()>,
    /// Whether marks stay for an index that is being built; changes only while `refreshing` is held.
    pub(crate) building: AtomicBool,
    /// Set when the service runs in the background and not in a command.
    pub(crate) tasks: OnceLock<Tasks>,
}

impl SearchService {
    /// The service over the index that is configured: in the folder `index` of `data`, or on a server. Every region has its
    /// own: in its own folder, or under its own name. Nothing is opened or asked before it is needed. `request.invalid` names
    /// a setting that is out of range.
    pub fn open(
        db: Db,
        data: &Path,
        catalog: Arc<dyn Catalog>,
        pricing: Arc<dyn Pricing>,
        inventory: Arc<dyn Inventory>,
        mut config: SearchConfig,
        regions: Regions,
    ) -> Result<Arc<Self>> {
        if let Some(region) = regions.me() {
            config.meilisearch.index = format!("{}-{region}", config.meilisearch.index);
        }
        config.validate()?;
        let index: Arc<dyn ProductIndex> = match config.engine {
            Engine::Tantivy => Arc::new(Tantivy::at(data.join("index"), config.index())),
            Engine::Meilisearch => Arc::new(Meilisearch::new(config.meilisearch.index())?),
        };
        Self::of(db, index, catalog, pricing, inventory, config, regions)
    }

    /// The service over any index.
    pub fn new(
        db: Db,
        index: Arc<dyn ProductIndex>,
        catalog: Arc<dyn Catalog>,
        pricing: Arc<dyn Pricing>,
        inventory: Arc<dyn Inventory>,
        config: SearchConfig,
    ) -> Result<Arc<Self>> {
        Self::of(db, index, catalog, pricing, inventory, config, Regions::single())
    }

    fn of(
        db: Db,
        index: Arc<dyn ProductIndex>,
        catalog: Arc<dyn Catalog>,
        pricing: Arc<dyn Pricing>,
        inventory: Arc<dyn Inventory>,
        config: SearchConfig,
        regions: Regions,
    ) -> Result<Arc<Self>> {
        config.validate()?;
        let region = regions.me().map(|region| region.as_str().to_owned()).unwrap_or_default();
        let results = Settings::new("search_results", config.result_capacity, config.result_ttl);
        let clock = db.clock().clone();
        let place = (config.engine == Engine::Meilisearch).then(|| Place::new(&db, &region));
        Ok(Arc::new_cyclic(|me| Self {
            me: me.clone(),
            region,
            regions,
            place,
            results: Cache::new(results, clock.clone()),
            hot: Cache::new(Settings::new("search_hot_words", 1, HOT_TTL), clock),
            db,
            index,
            catalog,
            pricing,
            inventory,
            config,
            counted: Counted::default(),
            wake: Notify::new(),
            refreshing: Mutex::new(()),
            rebuilding: Mutex::new(()),
            building: AtomicBool::new(false),
            tasks: OnceLock::new(),
        }))
    }
}

impl SearchService {
    /// Whether this process may write the index; takes the place when it is free.
    pub(crate) async fn may_write(&self) -> Result<bool> {
        if let Some(place) = &self.place
            && !place.take(&self.db).await?
        {
            return Ok(false);
        }
        self.index.may_write().await
    }

    /// Every region that has an index, as far as is known; the empty name in a shop without regions.
    pub(crate) fn all_regions(&self) -> Vec<String> {
        let world = self.regions.world();
        let known = world.iter().flat_map(|world| world.desired.regions.keys());
        let mut names: Vec<String> = known.map(|region| region.as_str().to_owned()).collect();
        if !names.contains(&self.region) {
            names.push(self.region.clone());
        }
        names
    }

    /// What is left to do when the process ends.
    pub(crate) async fn stop(&self) -> Result<()> {
        if let Some(place) = &self.place {
            place.give_back(&self.db).await?;
        }
        self.flush_words().await
    }
}

impl std::fmt::Debug for SearchService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SearchService").field("index", &self.index).finish_non_exhaustive()
    }
}

#[async_trait]
impl Search for SearchService {
    async fn search(&self, _: &Ctx, query: SearchQuery) -> Result<SearchResults> {
        self.find(query).await
    }

    async fn suggest(&self, _: &Ctx, query: SuggestQuery) -> Result<Suggestions> {
        self.suggestions(query).await
    }

    async fn hot_words(&self, _: &Ctx, (): ()) -> Result<Suggestions> {
        self.hottest().await
    }

    async fn rebuild(&self, ctx: &Ctx, (): ()) -> Result<IndexReport> {
        self.rebuild_index(ctx).await
    }

    async fn check(&self, ctx: &Ctx, command: CheckIndex) -> Result<IndexReport> {
        self.check_index(ctx, command).await
    }
}
