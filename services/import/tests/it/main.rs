//! Imports into the real catalog, pricing and inventory.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a fixture that cannot be made fails its test")]

use std::{io::Write, path::Path, sync::Arc};

use async_trait::async_trait;
use catalog::{CatalogConfig, CatalogService, MediaStore};
use contracts::{
    Ctx, Transport,
    catalog::{Catalog, FileProduct, MoveProduct, ProductAction, ProductInput, ProductRecord, SkuInput},
    import::{ImportKind, ImportState, ImportView, Imports, ListImportErrors},
    inventory::Inventory,
    pricing::{PriceKind, PricesOf, Pricing, PricingClient, SetPrice},
};
use import::{ImportConfig, ImportService};
use inventory::{InventoryConfig, InventoryService};
use kernel::{Currency, Failure, Money, Result, SystemClock, code};
use migrations::Migrator;
use platform_cache::Caches;
use platform_db::{Db, testing};
use platform_runtime::Keys;
use pricing::{PricingConfig, PricingService};
use sea_orm_migration::MigratorTrait;
use tempfile::TempDir;

struct Site {
    imports: Arc<ImportService>,
    catalog: Arc<CatalogService>,
    pricing: Arc<PricingService>,
    inventory: Arc<InventoryService>,
    db: Db,
    folder: TempDir,
}

impl Site {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(&testing::config(folder.path()), Arc::new(SystemClock)).await.unwrap();
        db.schema(|connection| Box::pin(Migrator::up(connection, None))).await.unwrap();
        db.check_shards().await.unwrap();
        let media = MediaStore::open(folder.path()).unwrap();
        let caches = Caches::alone(db.clock().clone());
        let catalog = CatalogService::new(db.clone(), media, &caches, CatalogConfig::default()).unwrap();
        let secret = Keys::open(folder.path()).unwrap().secret("quote").unwrap();
        let pricing =
            PricingService::new(db.clone(), &caches, catalog.clone(), secret, PricingConfig::default())
                .unwrap();
        let inventory = InventoryService::new(db.clone(), None, InventoryConfig::default()).unwrap();
        let imports = ImportService::new(
            db.clone(),
            catalog.clone(),
            pricing.clone(),
            inventory.clone(),
            ImportConfig::default(),
        )
        .unwrap();
        Self { imports, catalog, pricing, inventory, db, folder }
    }

    /// As the imports, where nobody keeps prices.
    fn without_pricing(&self) -> Arc<ImportService> {
        let pricing = Arc::new(PricingClient(Arc::new(Away)));
        let (catalog, inventory) = (self.catalog.clone(), self.inventory.clone());
        ImportService::new(self.db.clone(), catalog, pricing, inventory, ImportConfig::default()).unwrap()
    }

    fn ctx(&self) -> Ctx {
        Ctx::system("test", self.db.now().plus(std::time::Duration::from_secs(600)))
    }

    fn file(&self, text: &str) -> std::path::PathBuf {
        let path = self.folder.path().join("file");
        std::fs::write(&path, text).unwrap();
        path
    }

    async fn products(&self, path: &Path) -> ImportView {
        self.imports.run_file(ImportKind::Products, path, Currency::USD, |_| {}).await.unwrap()
    }

    async fn product(&self, slug: &str) -> ProductRecord {
        self.catalog.product(&self.ctx(), slug.to_owned()).await.unwrap()
    }

    async fn offer(&self, slug: &str) -> (i64, i64) {
        let ids = vec![self.product(slug).await.skus[0].id];
        let price = self
            .pricing
            .prices(&self.ctx(), PricesOf { sku_ids: ids.clone(), currency: None })
            .await
            .unwrap();
        let stock = self.inventory.availability(&self.ctx(), ids).await.unwrap();
        (price[0].price.amount, stock[0].available)
    }
}

/// A domain that does not answer.
struct Away;

#[async_trait]
impl Transport for Away {
    async fn call(&self, _: &Ctx, _: &'static str, _: &'static str, _: Vec<u8>) -> Result<Vec<u8>> {
        Err(Failure::new(code::UNAVAILABLE))
    }
}

const FILE: &str = "Handle,Title,Type,Vendor,Published,Option1 Name,Option1 Value,Variant Price,Variant Inventory Qty\n\
    lamp,Lamp,Lights,Acme,true,Title,Default Title,5.00,7\n\
    top,Top,Clothes,acme,true,Size,S,9.00,3\n\
    top,,,,,,M,9.50,0\n\
    rug,Rug,Lights,,false,Title,Default Title,20.00,1\n";

fn counts(view: &ImportView) -> (u64, u64, u64, u64) {
    (view.created, view.updated, view.unchanged, view.failed)
}

#[tokio::test]
async fn the_second_import_changes_nothing_and_a_changed_row_changes_its_product() {
    let site = Site::new().await;
    let first = site.products(&site.file(FILE)).await;
    assert_eq!((first.state, first.rows, first.rows_done), (ImportState::Done, 4, 4));
    assert_eq!(counts(&first), (3, 0, 0, 0));
    assert_eq!(site.offer("lamp").await, (500, 7));
    let before = site.catalog.product(&site.ctx(), "top".to_owned()).await.unwrap();
    assert_eq!(before.skus.iter().map(|sku| sku.code.as_str()).collect::<Vec<_>>(), ["TOP-S", "TOP-M"]);
    assert_eq!(before.brand.as_ref().unwrap().name, "Acme", "a brand is the same whatever its case");
    assert!(!site.catalog.product(&site.ctx(), "rug".to_owned()).await.unwrap().is_sold());

    assert_eq!(counts(&site.products(&site.file(FILE)).await), (0, 0, 3, 0));
    assert_eq!(site.catalog.product(&site.ctx(), "top".to_owned()).await.unwrap().version, before.version);

    let changed = FILE.replace("5.00,7", "6.00,99").replace("top,Top,", "top,Wool Top,");
    assert_eq!(counts(&site.products(&site.file(&changed)).await), (0, 2, 1, 0));
    assert_eq!(site.offer("lamp").await, (600, 7), "the price follows the file, the stock was set once");
    let after = site.catalog.product(&site.ctx(), "top".to_owned()).await.unwrap();
    assert_eq!((after.title.as_str(), after.version), ("Wool Top", before.version + 1));
    assert_eq!(after.skus, before.skus);
}

#[tokio::test]
async fn a_price_that_staff_set_stays_until_the_file_says_another() {
    let site = Site::new().await;
    site.products(&site.file(FILE)).await;
    let sku_id = site.product("lamp").await.skus[0].id;
    let price = Money::new(450, Currency::USD);
    let reduced =
        SetPrice { sku_id, kind: PriceKind::List, price, compare_at: None, starts_at: None, ends_at: None };
    site.pricing.set_prices(&site.ctx(), vec![reduced]).await.unwrap();
    assert_eq!(counts(&site.products(&site.file(FILE)).await), (0, 0, 3, 0));
    assert_eq!(site.offer("lamp").await, (450, 7));
    let dearer = FILE.replace("5.00,7", "5.50,7");
    assert_eq!(counts(&site.products(&site.file(&dearer)).await), (0, 1, 2, 0));
    assert_eq!(site.offer("lamp").await, (550, 7));
}

#[tokio::test]
async fn prices_that_an_import_did_not_come_to_are_set_by_the_next() {
    let site = Site::new().await;
    for (text, price) in [(FILE.to_owned(), 500), (FILE.replace("5.00,7", "6.00,7"), 600)] {
        let path = site.file(&text);
        let broke = site.without_pricing();
        broke.run_file(ImportKind::Products, &path, Currency::USD, |_| {}).await.unwrap_err();
        site.products(&path).await;
        assert_eq!(site.offer("lamp").await.0, price);
        assert_eq!(counts(&site.products(&path).await), (0, 0, 3, 0));
    }
}

#[tokio::test]
async fn a_wrong_row_takes_nothing_off_sale_and_the_right_one_is_applied() {
    let site = Site::new().await;
    site.products(&site.file(FILE)).await;
    let before = site.product("top").await;
    let wrong_price = FILE.replace("M,9.50", "M,\"9,50\"");
    let wrong_status = FILE.replace("Clothes,acme,true", "Clothes,acme,ture");
    for wrong in [wrong_price, wrong_status] {
        let path = site.file(&wrong);
        assert_eq!(counts(&site.products(&path).await), (0, 1, 2, 1));
        let kept = site.product("top").await;
        assert!(kept.is_sold() && kept.skus == before.skus, "{wrong}");
        assert_eq!(counts(&site.products(&path).await), (0, 0, 3, 1), "nothing the second time");
        // The same without the row: it is meant to go.
        let shorter = FILE.replace("top,,,,,,M,9.50,0\n", "");
        site.products(&site.file(&shorter)).await;
        assert_eq!(site.product("top").await.skus.len(), 1);
        assert_eq!(counts(&site.products(&site.file(FILE)).await), (0, 1, 2, 0));
        assert_eq!(site.product("top").await.skus, before.skus, "M is M again");
    }
}

#[tokio::test]
async fn a_wrong_image_address_costs_no_image() {
    let site = Site::new().await;
    let text =
        "Handle,Title,Price,Image Src\nlamp,Lamp,5,https://a.invalid/1.png\nlamp,,,https://a.invalid/2.png\n";
    site.products(&site.file(text)).await;
    let before = site.product("lamp").await;
    let wrong = text.replace("https://a.invalid/2.png", "a.invalid/2.png");
    assert_eq!(counts(&site.products(&site.file(&wrong)).await), (0, 1, 0, 1));
    let images = site.product("lamp").await.images;
    assert!(images.len() == 2 && images[1].url == before.images[1].url, "{images:?}");
}

#[tokio::test]
async fn what_staff_took_off_the_shelf_stays_off() {
    let site = Site::new().await;
    site.products(&site.file(FILE)).await;
    let lamp = site.catalog.product(&site.ctx(), "lamp".to_owned()).await.unwrap();
    let off = MoveProduct { id: lamp.id, action: ProductAction::Unshelve };
    site.catalog.move_product(&site.ctx(), off).await.unwrap();
    site.products(&site.file(&FILE.replace("lamp,Lamp,", "lamp,Bright Lamp,"))).await;
    let lamp = site.catalog.product(&site.ctx(), "lamp".to_owned()).await.unwrap();
    assert!(lamp.title == "Bright Lamp" && !lamp.on_shelf);
}

#[tokio::test]
async fn handles_that_sound_alike_are_products_of_their_own_and_older_ones_keep_their_slug() {
    let site = Site::new().await;
    let made_before = ProductInput {
        title: "C++ Mug".to_owned(),
        slug: Some("c-mug".to_owned()),
        description: String::new(),
        brand: None,
        category_id: None,
        attributes: Vec::new(),
        tags: Vec::new(),
        options: Vec::new(),
        skus: vec![SkuInput { code: None, options: Vec::new(), barcode: None, weight_grams: 0 }],
        images: Vec::new(),
    };
    let made_before = FileProduct::whole(made_before, true, None);
    site.catalog.import_file_products(&site.ctx(), vec![made_before]).await.unwrap();
    let before = site.product("c-mug").await;
    let path = site.file("Title,Price\nC++ Mug,5\nC# Mug,6\n");
    assert_eq!(counts(&site.products(&path).await), (1, 1, 0, 0));
    let after = site.product("c-mug").await;
    assert_eq!((after.id, after.title.as_str(), after.skus), (before.id, "C++ Mug", before.skus));
    assert_eq!(site.offer("c-mug").await.0, 500);
    assert_eq!(counts(&site.products(&path).await), (0, 0, 2, 0));
    // Its handle leads to it by now, whatever it is called.
    let renamed = site.file("Handle,Title,Price\nC++ Mug,Coffee Mug,5\n");
    assert_eq!(counts(&site.products(&renamed).await), (0, 1, 0, 0));
    assert_eq!(site.product("c-mug").await.title, "Coffee Mug");
}

#[tokio::test]
async fn codes_that_others_have_are_laid_at_their_row() {
    let site = Site::new().await;
    let text = "Handle,Title,Variant SKU,Option1 Name,Option1 Value,Variant Price\n\
        a,A,X-1,Title,Default Title,5\n\
        b,B,X-2,Size,S,5\n\
        b,,X-1,,M,5\n\
        c,C,X-3,Title,Default Title,5\n";
    let view = site.products(&site.file(text)).await;
    assert_eq!(counts(&view), (2, 0, 0, 1));
    let query = ListImportErrors { import_id: view.id, cursor: None, limit: None };
    let errors = site.imports.errors(&site.ctx(), query).await.unwrap().items;
    assert_eq!(
        (errors[0].line, errors[0].key.as_str(), errors[0].column.as_deref()),
        (4, "b", Some("Variant SKU"))
    );
}

#[tokio::test]
async fn categories_packed_or_not() {
    let site = Site::new().await;
    let text = r#"[{"id":"b","name":"Pots &amp; Pans","path":[{"id":"a","name":"Home"},{"id":"b","name":"x"}]},{"id":"a"}]"#;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(text.as_bytes()).unwrap();
    let path = site.folder.path().join("categories.json.gz");
    std::fs::write(&path, packed.finish().unwrap()).unwrap();
    for expected in [(2, 0, 0, 1), (0, 0, 2, 1)] {
        let view = site.imports.run_file(ImportKind::Categories, &path, Currency::USD, |_| {}).await.unwrap();
        assert_eq!((view.state, counts(&view)), (ImportState::Done, expected));
    }
    let tree = site.catalog.categories(&site.ctx(), ()).await.unwrap();
    assert_eq!((tree[0].name.as_str(), tree[0].children[0].name.as_str()), ("Home", "Pots & Pans"));
    // A file of products finds the category by its name.
    site.products(&site.file("Title,Type,Price\nWok,pots & pans,30\n")).await;
    let wok = site.catalog.product(&site.ctx(), "wok".to_owned()).await.unwrap();
    assert_eq!(wok.categories.len(), 2);
}

#[tokio::test]
async fn a_file_that_is_none_fails_as_a_whole() {
    let site = Site::new().await;
    for (text, why) in [("", "empty"), ("id,name\n1,x\n", "Title")] {
        let view = site.products(&site.file(text)).await;
        assert_eq!(view.state, ImportState::Failed);
        assert!(view.error.as_ref().unwrap().contains(why), "{:?}", view.error);
    }
    let missing = site.folder.path().join("missing.csv");
    assert_eq!(site.products(&missing).await.state, ImportState::Failed);
}

/// More batches than are under way at once, with rows that fail among them, several products of one brand and category.
/// At full size: `cargo xtask prove load`.
#[tokio::test(flavor = "multi_thread")]
async fn many_batches_lose_and_double_nothing() {
    let site = Site::new().await;
    let mut text =
        "Handle,Title,Vendor,Type,Published,Option1 Name,Option1 Value,Variant Price,Variant Inventory Qty\n"
            .to_owned();
    for n in 0..2_000 {
        let price = if n % 500 == 499 { "cheap".to_owned() } else { format!("{}.99", n % 500) };
        let row =
            format!("item-{n},Item {n},Brand {},Type {},true,Title,Default Title,{price},5\n", n % 30, n % 6);
        text.push_str(&row);
    }
    let path = site.file(&text);
    assert_eq!(counts(&site.products(&path).await), (1_996, 0, 0, 4));
    assert_eq!(counts(&site.products(&path).await), (0, 0, 1_996, 4));
    assert_eq!(site.catalog.brands(&site.ctx(), ()).await.unwrap().len(), 30);
    let tree = site.catalog.categories(&site.ctx(), ()).await.unwrap();
    assert_eq!(tree.len(), 6);
    assert_eq!(tree.iter().map(|node| node.product_count).sum::<u64>(), 1_996);
    for n in [0, 255, 256, 1_998] {
        let price = (n % 500) * 100 + 99;
        assert_eq!(site.offer(&format!("item-{n}")).await, (price, 5), "item {n}");
    }
}
