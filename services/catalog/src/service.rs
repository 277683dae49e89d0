//! The catalog's dependencies and caches; answers the contract by delegation.

use std::{collections::HashMap, sync::Arc};

use async_trait::async_trait;
use contracts::{
    Ctx,
    catalog::{
        AssignAttributeSets, AttributeSetId, AttributeSetInput, AttributeSetView, BrandId, BrandInput,
        BrandView, Catalog, CategoryAttribute, CategoryId, CategoryInput, CategoryNode, CategoryRef,
        FileProduct, ImageId, ImageView, ImportCounts, ImportedCategory, ImportedProductResult, ListProducts,
        Media, MoveProduct, ProductId, ProductInput, ProductRecord, ReplaceAttributeSet, ReplaceBrand,
        ReplaceCategory, ReplaceProduct, ScanProducts, SettleImported, SkuId, SkuInfo, UploadImage,
    },
};
use kernel::{Page, Result};
use platform_cache::{Cache, Caches, Codec, Filter, Settings};
use platform_db::Db;

use crate::{
    CatalogConfig,
    attributes::Attributes,
    brands::Brands,
    fetch::Fetcher,
    http::pages::Document,
    media::{MediaStore, Picture},
    store::{self, products::Known},
    tree::Tree,
};

/// The catalog.
pub struct CatalogService {
    pub(crate) db: Db,
    pub(crate) media: MediaStore,
    pub(crate) config: CatalogConfig,
    pub(crate) fetcher: Fetcher,
    /// Products by id.
    pub(crate) known: Cache<ProductId, Arc<Known>>,
    /// Products by slug, redirects included.
    pub(crate) slugs: Cache<String, ProductId>,
    /// Products by SKU; a SKU never changes its product.
    pub(crate) homes: Cache<SkuId, ProductId>,
    pub(crate) tree: Cache<(), Arc<Tree>>,
    pub(crate) counts: Cache<(), Arc<HashMap<CategoryId, u64>>>,
    pub(crate) brands: Cache<(), Arc<Brands>>,
    pub(crate) attributes: Cache<(), Arc<Attributes>>,
    /// Placeholders as drawn.
    pub(crate) pictures: Cache<ImageId, Arc<Picture>>,
    /// Ids that certainly name no product.
    pub(crate) filter: Filter,
    /// Public documents: a product by id, lists and the tree by their query.
    pub(crate) documents: Cache<ProductId, Arc<Document>>,
    pub(crate) lists: Cache<String, Arc<Document>>,
}

impl CatalogService {
    /// A catalog over this database and media store; the failure names a configuration value that is out of range.
    pub fn new(db: Db, media: MediaStore, caches: &Caches, config: CatalogConfig) -> Result<Arc<Self>> {
        config.validate()?;
        let (ttl, products) = (config.cache_ttl, config.cached_products);
        let page = config.page_ttl;
        let of = |name, capacity| Settings::new(name, capacity, ttl);
        Ok(Arc::new(Self {
            fetcher: Fetcher::new(&config.images)?,
            known: caches.shared(of("catalog_product", products), Codec::json_shared()),
            slugs: caches.shared(of("catalog_slug", products * 2), Codec::json()),
            homes: caches.shared(
                Settings::new("catalog_sku", products * 4, ttl * 60).negative_ttl(ttl / 10),
                Codec::json(),
            ),
            tree: caches.told(of("catalog_tree", 1)),
            counts: caches.local(Settings::new("catalog_counts", 1, config.counts_ttl)),
            brands: caches.told(of("catalog_brands", 1)),
            attributes: caches.told(of("catalog_attributes", 1)),
            pictures: caches.local(Settings::new("catalog_placeholder", products, ttl * 6)),
            filter: Filter::new(0.001),
            // Stock is in them, which nobody is told of: they stay short-lived.
            documents: caches.told(
                Settings::new("catalog_page", config.cached_pages, page).negative_ttl(page).linked_ttl(page),
            ),
            lists: caches.local(Settings::new("catalog_list", 1_000, page).negative_ttl(page)),
            db,
            media,
            config,
        }))
    }

    /// What commits of this process touched.
    pub(crate) fn stamps(&self) -> &platform_db::Stamps {
        self.db.stamps()
    }

    /// Forgets what is kept of these products.
    pub(crate) async fn forget(&self, ids: &[ProductId], slugs: impl IntoIterator<Item = String> + Send) {
        let slugs: Vec<String> = slugs.into_iter().collect();
        self.known.invalidate_many(ids).await;
        if !slugs.is_empty() {
            self.slugs.invalidate_many(&slugs).await;
        }
        self.documents.invalidate_many(ids).await;
        self.counts.invalidate(&()).await;
        self.lists.invalidate_all();
    }

    /// Forgets the category tree, what its categories ask for and what shows it.
    pub(crate) async fn forget_tree(&self) {
        self.tree.invalidate(&()).await;
        self.attributes.invalidate(&()).await;
        self.documents.invalidate_all();
        self.lists.invalidate_all();
    }

    /// Forgets the attribute sets and what shows them.
    pub(crate) async fn forget_attributes(&self) {
        self.attributes.invalidate(&()).await;
        self.documents.invalidate_all();
    }

    /// Forgets the brands and what shows them.
    pub(crate) async fn forget_brands(&self) {
        self.brands.invalidate(&()).await;
        self.documents.invalidate_all();
        self.lists.invalidate_all();
    }

    /// The category tree.
    pub(crate) async fn category_tree(&self) -> Result<Arc<Tree>> {
        let load = || async { Ok(Some(Arc::new(Tree::new(store::categories::all(self.db.read()).await?)))) };
        Ok(self.tree.get_or_load(&(), load).await?.unwrap_or_default())
    }

    /// Sold products directly in each category.
    pub(crate) async fn product_counts(&self) -> Result<Arc<HashMap<CategoryId, u64>>> {
        let load = || async { Ok(Some(Arc::new(store::categories::counts(self.db.read()).await?))) };
        Ok(self.counts.get_or_load(&(), load).await?.unwrap_or_default())
    }

    /// All attribute sets.
    pub(crate) async fn all_attributes(&self) -> Result<Arc<Attributes>> {
        let load = || async {
            let sets = store::attributes::all(self.db.read()).await?;
            let assignments = store::attributes::assignments(self.db.read()).await?;
            Ok(Some(Arc::new(Attributes::new(sets, assignments)?)))
        };
        Ok(self.attributes.get_or_load(&(), load).await?.unwrap_or_default())
    }

    /// All brands.
    pub(crate) async fn all_brands(&self) -> Result<Arc<Brands>> {
        let load = || async { Ok(Some(Arc::new(Brands::new(store::brands::all(self.db.read()).await?)))) };
        Ok(self.brands.get_or_load(&(), load).await?.unwrap_or_default())
    }
}

#[async_trait]
impl Catalog for CatalogService {
    async fn categories(&self, _: &Ctx, (): ()) -> Result<Vec<CategoryNode>> {
        let (tree, counts) = (self.category_tree().await?, self.product_counts().await?);
        Ok(tree.nested(&counts))
    }

    async fn add_category(&self, ctx: &Ctx, category: CategoryInput) -> Result<CategoryRef> {
        self.add_category(ctx, category).await
    }

    async fn replace_category(&self, ctx: &Ctx, command: ReplaceCategory) -> Result<CategoryRef> {
        self.replace_category(ctx, command).await
    }

    async fn remove_category(&self, ctx: &Ctx, id: CategoryId) -> Result<()> {
        self.remove_category(ctx, id).await
    }

    async fn import_categories(&self, ctx: &Ctx, categories: Vec<ImportedCategory>) -> Result<ImportCounts> {
        self.import_categories(ctx, categories).await
    }

    async fn brands(&self, _: &Ctx, (): ()) -> Result<Vec<BrandView>> {
        Ok(self.all_brands().await?.views())
    }

    async fn add_brand(&self, ctx: &Ctx, brand: BrandInput) -> Result<BrandView> {
        self.add_brand(ctx, brand).await
    }

    async fn replace_brand(&self, ctx: &Ctx, command: ReplaceBrand) -> Result<BrandView> {
        self.replace_brand(ctx, command).await
    }

    async fn remove_brand(&self, ctx: &Ctx, id: BrandId) -> Result<()> {
        self.remove_brand(ctx, id).await
    }

    async fn attribute_sets(&self, _: &Ctx, (): ()) -> Result<Vec<AttributeSetView>> {
        Ok(self.all_attributes().await?.views())
    }

    async fn add_attribute_set(&self, ctx: &Ctx, set: AttributeSetInput) -> Result<AttributeSetView> {
        self.add_attribute_set(ctx, set).await
    }

    async fn replace_attribute_set(
        &self,
        ctx: &Ctx,
        command: ReplaceAttributeSet,
    ) -> Result<AttributeSetView> {
        self.replace_attribute_set(ctx, command).await
    }

    async fn remove_attribute_set(&self, ctx: &Ctx, id: AttributeSetId) -> Result<()> {
        self.remove_attribute_set(ctx, id).await
    }

    async fn assign_attribute_sets(
        &self,
        ctx: &Ctx,
        command: AssignAttributeSets,
    ) -> Result<Vec<CategoryAttribute>> {
        self.assign_attribute_sets(ctx, command).await
    }

    async fn category_attributes(&self, _: &Ctx, id: CategoryId) -> Result<Vec<CategoryAttribute>> {
        self.attributes_of(id).await
    }

    async fn product(&self, ctx: &Ctx, id_or_slug: String) -> Result<ProductRecord> {
        self.product_for(ctx, &id_or_slug).await
    }

    async fn products(&self, _: &Ctx, ids: Vec<ProductId>) -> Result<Vec<ProductRecord>> {
        self.records(ids).await
    }

    async fn list_products(&self, _: &Ctx, query: ListProducts) -> Result<Page<ProductRecord>> {
        self.list(query).await
    }

    async fn scan_products(&self, _: &Ctx, scan: ScanProducts) -> Result<Vec<ProductRecord>> {
        self.scan(scan).await
    }

    async fn skus(&self, _: &Ctx, ids: Vec<SkuId>) -> Result<Vec<SkuInfo>> {
        self.sku_infos(ids).await
    }

    async fn add_product(&self, ctx: &Ctx, product: ProductInput) -> Result<ProductRecord> {
        self.add_product(ctx, product).await
    }

    async fn replace_product(&self, ctx: &Ctx, command: ReplaceProduct) -> Result<ProductRecord> {
        self.replace_product(ctx, command).await
    }

    async fn move_product(&self, ctx: &Ctx, command: MoveProduct) -> Result<ProductRecord> {
        self.move_product(ctx, command).await
    }

    async fn import_file_products(
        &self,
        ctx: &Ctx,
        products: Vec<FileProduct>,
    ) -> Result<Vec<ImportedProductResult>> {
        self.import_file_products(ctx, products).await
    }

    async fn settle_imported(&self, ctx: &Ctx, all: Vec<SettleImported>) -> Result<()> {
        self.settle_imported(ctx, all).await
    }

    async fn upload_image(&self, ctx: &Ctx, upload: UploadImage) -> Result<ImageView> {
        self.upload_encoded(ctx, upload).await
    }

    async fn media(&self, _: &Ctx, id: ImageId) -> Result<Media> {
        self.media_encoded(id).await
    }
}
