//! What is added runs again where its commit was not heard of: it finds itself and is added once.

use std::sync::Arc;

use contracts::catalog::{
    BrandId, CategoryId, CategoryInput, ImageId, ImageInput, ProductId, ProductInput, SkuInput, code,
};
use kernel::SystemClock;
use migrations::Migrator;
use platform_cache::Caches;
use platform_db::{Db, testing};
use sea_orm_migration::MigratorTrait;

use crate::{
    CatalogConfig, CatalogService, MediaStore, arrange_categories, brands, brands::REFERENCE, store,
    write_product,
};

async fn open() -> (Db, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let db = Db::open(&testing::config(folder.path()), Arc::new(SystemClock)).await.unwrap();
    db.schema(|connection| Box::pin(Migrator::up(connection, None))).await.unwrap();
    db.check_shards().await.unwrap();
    (db, folder)
}

fn product(slug: Option<&str>) -> ProductInput {
    ProductInput {
        title: "Lamp".to_owned(),
        slug: slug.map(str::to_owned),
        description: String::new(),
        brand: None,
        category_id: None,
        attributes: Vec::new(),
        tags: Vec::new(),
        options: Vec::new(),
        skus: vec![SkuInput { code: None, options: Vec::new(), barcode: None, weight_grams: 0 }],
        images: Vec::new(),
    }
}

#[tokio::test]
async fn a_product_is_added_once() {
    let (db, folder) = open().await;
    let media = MediaStore::open(folder.path()).unwrap();
    let caches = Caches::alone(db.clock().clone());
    let catalog = CatalogService::new(db.clone(), media, &caches, CatalogConfig::default()).unwrap();
    let add = async |id: ProductId, slug| {
        let write = catalog.read_draft(id, product(slug), None).await.unwrap();
        db.write(id.shard(), write, |tx, write| Box::pin(write_product::add(tx, write))).await.map(drop)
    };
    for (slug, made) in [(Some("named"), "named"), (None, "lamp")] {
        let id: ProductId = db.ids().mint(db.random_shard());
        add(id, slug).await.unwrap();
        add(id, slug).await.unwrap();
        let rows = store::products::load(db.read(), &[id]).await.unwrap();
        assert_eq!(rows[&id].product.slug, made);
        let other = add(db.ids().mint(id.shard()), Some(made)).await.unwrap_err();
        assert!(other.is(code::SLUG_TAKEN), "another product is another one");
    }
}

#[tokio::test]
async fn an_image_stays_stored() {
    let (db, folder) = open().await;
    let media = MediaStore::open(folder.path()).unwrap();
    let caches = Caches::alone(db.clock().clone());
    let catalog = CatalogService::new(db.clone(), media, &caches, CatalogConfig::default()).unwrap();
    let image = ImageInput { src: "https://shop.example/lamp.png".to_owned(), alt: String::new() };
    let input = ProductInput { images: vec![image], ..product(None) };
    let id: ProductId = db.ids().mint(db.random_shard());
    let write = catalog.read_draft(id, input, None).await.unwrap();
    db.write(id.shard(), write, |tx, write| Box::pin(write_product::add(tx, write))).await.unwrap();
    let rows = store::products::load(db.read(), &[id]).await.unwrap();
    let image = ImageId::from_uuid(rows[&id].images[0].id);
    let stored = async |id: ImageId| {
        let note = db.write(REFERENCE, id, |tx, id| {
            Box::pin(async move { store::images::stored(tx, *id, "image/png").await })
        });
        note.await.unwrap()
    };
    // Who hears false removes the file.
    assert!(
        stored(image).await && stored(image).await,
        "another run was faster, or this one was not heard of"
    );
    assert!(!stored(db.ids().mint(image.shard())).await, "one that was removed meanwhile");
}

#[tokio::test]
async fn a_category_is_added_once() {
    let (db, _folder) = open().await;
    let input = CategoryInput { name: "Lights".to_owned(), slug: None, parent_id: None, position: 0 };
    let add = async |id: CategoryId| {
        let input = (id, input.clone());
        db.write(REFERENCE, input, |tx, (id, input)| Box::pin(arrange_categories::add(tx, *id, input)))
            .await
            .unwrap()
    };
    let id = db.ids().mint(REFERENCE);
    assert_eq!(add(id).await, add(id).await);
    assert_eq!(add(db.ids().mint(REFERENCE)).await.slug, "lights-2", "another category is another one");
}

#[tokio::test]
async fn a_brand_is_added_once() {
    let (db, _folder) = open().await;
    let add = async |id: BrandId| {
        let input = (id, "Acme".to_owned());
        db.write(REFERENCE, input, |tx, (id, name)| Box::pin(brands::add(tx, *id, name))).await
    };
    let id: BrandId = db.ids().mint(REFERENCE);
    add(id).await.unwrap();
    assert_eq!(add(id).await.unwrap().id, id.uuid());
    let other = add(db.ids().mint(REFERENCE)).await.unwrap_err();
    assert!(other.is(code::SLUG_TAKEN), "another brand is another one");
}
