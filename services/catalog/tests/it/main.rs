//! The catalog over a real database.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a fixture that cannot be made fails its test")]

mod attributes;

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};
use catalog::{CatalogConfig, CatalogService, MediaStore};
use contracts::{
    Ctx,
    catalog::{
        BrandInput, Catalog, CategoryInput, ImportedCategory, ListProducts, MoveProduct, NamedValue,
        ProductAction, ProductInput, ProductRecord, ReplaceCategory, ReplaceProduct, SkuInput, UploadImage,
        code,
    },
};
use kernel::{SystemClock, code as request};
use migrations::Migrator;
use platform_cache::Caches;
use platform_db::{Db, testing};
use sea_orm_migration::MigratorTrait;
use tempfile::TempDir;

struct Site {
    catalog: Arc<CatalogService>,
    ctx: Ctx,
    _folder: TempDir,
}

async fn site() -> Site {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(&testing::config(folder.path()), Arc::new(SystemClock)).await.unwrap();
    db.schema(|connection| Box::pin(Migrator::up(connection, None))).await.unwrap();
    db.check_shards().await.unwrap();
    let ctx = Ctx::system("test", db.now().plus(std::time::Duration::from_secs(3_600)));
    let media = MediaStore::open(folder.path()).unwrap();
    Site {
        catalog: CatalogService::new(
            db.clone(),
            media,
            &Caches::alone(db.clock().clone()),
            CatalogConfig::default(),
        )
        .unwrap(),
        ctx,
        _folder: folder,
    }
}

fn input(title: &str, sizes: &[&str]) -> ProductInput {
    let sku = |size: &&str| SkuInput {
        code: None,
        options: vec![NamedValue { name: "Size".to_owned(), value: (*size).to_owned() }],
        barcode: None,
        weight_grams: 0,
    };
    let plain = SkuInput { code: None, options: Vec::new(), barcode: None, weight_grams: 0 };
    ProductInput {
        title: title.to_owned(),
        slug: None,
        description: String::new(),
        brand: None,
        category_id: None,
        attributes: Vec::new(),
        tags: Vec::new(),
        options: Vec::new(),
        skus: if sizes.is_empty() { vec![plain] } else { sizes.iter().map(sku).collect() },
        images: Vec::new(),
    }
}

impl Site {
    async fn add(&self, input: ProductInput) -> ProductRecord {
        self.catalog.add_product(&self.ctx, input).await.unwrap()
    }

    async fn go(&self, record: &ProductRecord, action: ProductAction) -> kernel::Result<ProductRecord> {
        self.catalog.move_product(&self.ctx, MoveProduct { id: record.id, action }).await
    }

    async fn replace(
        &self,
        record: &ProductRecord,
        product: ProductInput,
        expected_version: Option<i64>,
    ) -> kernel::Result<ProductRecord> {
        self.catalog
            .replace_product(&self.ctx, ReplaceProduct { id: record.id, product, expected_version })
            .await
    }

    async fn list(&self, query: ListProducts) -> Vec<String> {
        let page = self.catalog.list_products(&self.ctx, query).await.unwrap();
        page.items.into_iter().map(|record| record.title).collect()
    }

    async fn category(
        &self,
        name: &str,
        parent: Option<&contracts::catalog::CategoryRef>,
    ) -> contracts::catalog::CategoryRef {
        let input = CategoryInput {
            name: name.to_owned(),
            slug: None,
            parent_id: parent.map(|it| it.id),
            position: 0,
        };
        self.catalog.add_category(&self.ctx, input).await.unwrap()
    }
}

fn stranger(ctx: &Ctx) -> Ctx {
    Ctx { caller: contracts::Caller::Anonymous, ..ctx.clone() }
}

#[tokio::test]
async fn drafts_are_hidden_until_published_and_states_are_guarded() {
    let site = site().await;
    let draft = site.add(input("Lamp", &[])).await;
    let guest = stranger(&site.ctx);
    let hidden = site.catalog.product(&guest, "lamp".to_owned()).await.unwrap_err();
    assert!(hidden.is(request::NOT_FOUND));
    assert!(site.go(&draft, ProductAction::Shelve).await.unwrap_err().is(code::STATE));
    let published = site.go(&draft, ProductAction::Publish).await.unwrap();
    assert!(published.is_sold() && published.version == 2 && published.published_at.is_some());
    assert_eq!(site.list(ListProducts::default()).await, ["Lamp"]);
    assert!(site.go(&draft, ProductAction::Publish).await.unwrap_err().is(code::STATE));
    site.go(&draft, ProductAction::Unshelve).await.unwrap();
    assert!(site.list(ListProducts::default()).await.is_empty());
    assert!(site.catalog.product(&guest, draft.id.to_string()).await.is_err());
    assert!(
        site.catalog.add_product(&guest, input("X", &[])).await.unwrap_err().is(request::UNAUTHENTICATED)
    );
}

#[tokio::test]
async fn versions_slugs_and_redirects() {
    let site = site().await;
    let first = site.add(input("Desk Lamp", &["S", "M"])).await;
    let second = site.add(input("Desk Lamp", &[])).await;
    assert_eq!((first.slug.as_str(), second.slug.as_str()), ("desk-lamp", "desk-lamp-2"));
    let renamed =
        ProductInput { slug: Some("reading-lamp".to_owned()), ..input("Reading Lamp", &["M", "L"]) };
    let stale = site.replace(&first, renamed.clone(), Some(7)).await.unwrap_err();
    assert!(stale.is(request::PRECONDITION));
    let after = site.replace(&first, renamed.clone(), Some(1)).await.unwrap();
    assert_eq!((after.version, after.slug.as_str()), (2, "reading-lamp"));
    assert_eq!(after.skus[0].id, first.skus[1].id, "M is still M");
    assert_eq!(
        site.catalog.product(&site.ctx, "desk-lamp".to_owned()).await.unwrap().id,
        first.id,
        "the old slug leads here"
    );
    let thief = ProductInput { slug: Some("desk-lamp".to_owned()), ..input("Desk Lamp", &[]) };
    assert!(site.replace(&second, thief, None).await.unwrap_err().is(code::SLUG_TAKEN));
    let back = ProductInput { slug: Some("desk-lamp".to_owned()), ..renamed };
    assert_eq!(site.replace(&first, back, None).await.unwrap().slug, "desk-lamp");
    assert_eq!(site.catalog.product(&site.ctx, "reading-lamp".to_owned()).await.unwrap().slug, "desk-lamp");

    let retired = site.catalog.skus(&site.ctx, vec![first.skus[0].id, first.skus[1].id]).await.unwrap();
    assert_eq!(retired.iter().map(|info| info.sku.options[0].value.as_str()).collect::<Vec<_>>(), ["S", "M"]);
    site.go(&first, ProductAction::Publish).await.unwrap();
    let infos = site.catalog.skus(&site.ctx, vec![first.skus[0].id, first.skus[1].id]).await.unwrap();
    assert_eq!(infos.iter().map(|info| info.sold).collect::<Vec<_>>(), [false, true], "S retired");
}

#[tokio::test]
async fn the_tree_moves_with_its_products_and_counts_them() {
    let site = site().await;
    let home = site.category("Home", None).await;
    let lamps = site.category("Lamps", Some(&home)).await;
    let desk = site.category("Desk lamps", Some(&lamps)).await;
    let toys = site.category("Toys", None).await;
    for n in 0..3 {
        let record =
            site.add(ProductInput { category_id: Some(desk.id), ..input(&format!("Lamp {n}"), &[]) }).await;
        site.go(&record, ProductAction::Publish).await.unwrap();
        assert_eq!(record.categories.len(), 3);
    }
    let below = |category: &str, limit| ListProducts {
        category: Some(category.to_owned()),
        limit: Some(limit),
        ..ListProducts::default()
    };
    assert_eq!(site.list(below("home", 10)).await, ["Lamp 2", "Lamp 1", "Lamp 0"]);
    assert_eq!(site.list(below(&lamps.id.to_string(), 2)).await, ["Lamp 2", "Lamp 1"]);
    assert!(site.list(below("nowhere", 2)).await.is_empty());
    let page = site.catalog.list_products(&site.ctx, below("home", 2)).await.unwrap();
    let next = ListProducts { cursor: page.next_cursor, ..below("home", 2) };
    assert_eq!(site.list(next.clone()).await, ["Lamp 0"]);
    // A cursor of one category is none of another's.
    for other in [Some("toys".to_owned()), None] {
        let refused = ListProducts { category: other, ..next.clone() };
        let refused = site.catalog.list_products(&site.ctx, refused).await.unwrap_err();
        assert_eq!((refused.status(), refused.fields()[0].pointer.as_str()), (422, "cursor"));
    }

    let into =
        |parent| CategoryInput { name: "Lamps".to_owned(), slug: None, parent_id: parent, position: 0 };
    let cycle = ReplaceCategory { id: lamps.id, category: into(Some(desk.id)) };
    assert!(site.catalog.replace_category(&site.ctx, cycle).await.unwrap_err().is(code::CATEGORY_CYCLE));
    site.catalog
        .replace_category(&site.ctx, ReplaceCategory { id: lamps.id, category: into(Some(toys.id)) })
        .await
        .unwrap();
    assert!(site.list(below("home", 10)).await.is_empty());
    assert_eq!(site.list(below("toys", 10)).await.len(), 3);
    let tree = site.catalog.categories(&site.ctx, ()).await.unwrap();
    assert_eq!(
        tree.iter().map(|node| (node.name.as_str(), node.product_count)).collect::<Vec<_>>(),
        [("Home", 0), ("Toys", 3)]
    );
    for full in [toys.id, desk.id] {
        assert!(
            site.catalog.remove_category(&site.ctx, full).await.unwrap_err().is(code::CATEGORY_NOT_EMPTY)
        );
    }
    site.catalog.remove_category(&site.ctx, home.id).await.unwrap();
}

#[tokio::test]
async fn imported_categories_are_known_again_and_move() {
    let site = site().await;
    let it = |id: &str, name: &str, parent: Option<&str>| ImportedCategory {
        external_id: id.to_owned(),
        name: name.to_owned(),
        parent_external_id: parent.map(str::to_owned),
    };
    let import = |batch| site.catalog.import_categories(&site.ctx, batch);
    let counts =
        import(vec![it("a", "A", None), it("b", "B", Some("a")), it("c", "C", Some("b"))]).await.unwrap();
    assert_eq!(counts.created, 3);
    let counts = import(vec![
        it("a", "A", None),
        it("b", "B", None),
        it("c", "C!", Some("b")),
        it("d", "D", Some("c")),
    ])
    .await
    .unwrap();
    assert_eq!((counts.created, counts.updated, counts.unchanged), (1, 2, 1));
    let tree = site.catalog.categories(&site.ctx, ()).await.unwrap();
    assert_eq!(tree.len(), 2);
    assert_eq!(tree.iter().find(|node| node.name == "B").unwrap().children[0].children[0].name, "D");
    assert!(import(vec![it("e", "E", Some("missing"))]).await.is_err());
}

#[tokio::test]
async fn brands_belong_to_products() {
    let site = site().await;
    let record = site.add(ProductInput { brand: Some("Acme".to_owned()), ..input("Lamp", &[]) }).await;
    let brand = record.brand.unwrap();
    let same = BrandInput { name: "ACME".to_owned() };
    assert!(site.catalog.add_brand(&site.ctx, same).await.is_err());
    assert!(site.catalog.remove_brand(&site.ctx, brand.id).await.unwrap_err().is(code::BRAND_IN_USE));
    site.go(&site.catalog.product(&site.ctx, "lamp".to_owned()).await.unwrap(), ProductAction::Publish)
        .await
        .unwrap();
    let of_brand = ListProducts { brand: Some("acme".to_owned()), ..ListProducts::default() };
    assert_eq!(site.list(of_brand).await, ["Lamp"]);
}

#[tokio::test]
async fn images_are_drawn_until_there_is_one() {
    let site = site().await;
    let record = site.add(input("Blue Lamp", &[])).await;
    let drawn = record.images[0].url.trim_start_matches("/media/").parse().unwrap();
    let media = site.catalog.media(&site.ctx, drawn).await.unwrap();
    assert!(media.placeholder && media.content_type == "image/svg+xml");
    let png = b"\x89PNG\r\n\x1a\nrest of it";
    let upload = |bytes: &[u8]| UploadImage {
        product_id: record.id,
        bytes_base64: STANDARD.encode(bytes),
        alt: String::new(),
    };
    assert!(
        site.catalog.upload_image(&site.ctx, upload(b"<svg/>")).await.unwrap_err().is(code::IMAGE_REJECTED)
    );
    let view = site.catalog.upload_image(&site.ctx, upload(png)).await.unwrap();
    assert_eq!((view.position, view.alt.as_str()), (1, "Blue Lamp"));
    let id = view.url.trim_start_matches("/media/").parse().unwrap();
    let media = site.catalog.media(&site.ctx, id).await.unwrap();
    assert_eq!(
        (media.content_type.as_str(), STANDARD.decode(media.bytes_base64).unwrap().as_slice()),
        ("image/png", &png[..])
    );
    let record = site.catalog.product(&site.ctx, record.id.to_string()).await.unwrap();
    assert_eq!(record.images, std::slice::from_ref(&view), "the drawn one is gone");
    assert!(site.catalog.media(&site.ctx, drawn).await.is_err());
    // A change that names the image keeps it; one that does not removes it.
    let images = vec![contracts::catalog::ImageInput { src: view.url.clone(), alt: "Front".to_owned() }];
    let kept = site.replace(&record, ProductInput { images, ..input("Blue Lamp", &[]) }, None).await.unwrap();
    assert_eq!((kept.images[0].url.as_str(), kept.images[0].alt.as_str()), (view.url.as_str(), "Front"));
    let bare = site.replace(&record, input("Blue Lamp", &[]), None).await.unwrap();
    assert_ne!(bare.images[0].url, view.url);
    assert!(site.catalog.media(&site.ctx, id).await.is_err());
}
