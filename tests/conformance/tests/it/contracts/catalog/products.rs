//! Products and SKUs: written, moved, read, imported.

use contracts::{
    Permission,
    catalog::{
        CategoryInput, FileProduct, ImageInput, ImportedProductResult, ListProducts, MoveProduct,
        ProductAction, ProductId, ProductInput, ProductState, ReplaceProduct, ScanProducts, SkuId, SkuInput,
        code,
    },
};
use kernel::{Result, Shard, code as general};

use crate::contracts::{
    callers::{nobody, pages, refused, same, staff, system},
    fixture::Fixture,
    goods::{named, product, sku},
};

fn unknown() -> ProductId {
    ProductId::derive(Shard::new(2), &[b"unknown"])
}

/// A product with everything a product can have.
fn cup() -> ProductInput {
    let small = SkuInput {
        barcode: Some("4006381333931".to_owned()),
        weight_grams: 10_000_000,
        ..sku(Some("杯-S"), &[("尺寸", "S")])
    };
    ProductInput {
        slug: Some("cup-of-the-suite".to_owned()),
        description: "<p>Handgefertigt ☕ &amp; glasiert</p>".to_owned(),
        brand: Some("Jingdezhen 陶".to_owned()),
        attributes: vec![named("Ursprung", "景德镇")],
        tags: vec!["蓝".to_owned(), "blue".to_owned()],
        options: vec!["尺寸".to_owned()],
        skus: vec![small, sku(None, &[("尺寸", "L")])],
        images: vec![ImageInput { src: "https://example.com/cup.png".to_owned(), alt: "杯".to_owned() }],
        ..product("青花瓷 “Größe” \\ cup")
    }
}

pub(crate) async fn a_product_is_written_and_moved(shop: &Fixture) -> Result<()> {
    let catalog = &shop.contracts.catalog;
    let keeper = staff(&[Permission::CatalogRead, Permission::CatalogWrite]);
    let added = catalog.add_product(&keeper, cup()).await?;
    assert_eq!((added.title.as_str(), added.slug.as_str()), ("青花瓷 “Größe” \\ cup", "cup-of-the-suite"));
    assert_eq!((added.state, added.on_shelf, added.published_at), (ProductState::Draft, false, None));
    assert!(added.description.contains('☕') && added.categories.is_empty());
    assert_eq!(added.brand.as_ref().map(|brand| brand.name.as_str()), Some("Jingdezhen 陶"));
    assert_eq!(
        (added.tags.as_slice(), added.images[0].alt.as_str()),
        (&["蓝", "blue"].map(str::to_owned)[..], "杯")
    );
    let [small, large] = added.skus.as_slice() else { panic!("two SKUs: {:?}", added.skus) };
    assert_eq!((small.code.as_str(), small.weight_grams), ("杯-S", 10_000_000));
    assert_eq!(small.options, [named("尺寸", "S")]);
    assert_eq!((small.barcode.as_deref(), &large.barcode), (Some("4006381333931"), &None));

    let id = added.id;
    refused(catalog.product(&nobody(), id.to_string()).await, general::NOT_FOUND, &[]);
    same(&catalog.product(&keeper, added.slug.clone()).await?, &added);
    let change = |expected_version| ReplaceProduct {
        id,
        product: ProductInput { title: "Cup".to_owned(), ..cup() },
        expected_version,
    };
    let newer = change(Some(added.version + 1));
    refused(catalog.replace_product(&keeper, newer).await, general::PRECONDITION, &[]);
    let changed = catalog.replace_product(&keeper, change(Some(added.version))).await?;
    assert_eq!((changed.title.as_str(), &changed.skus), ("Cup", &added.skus));
    assert!(changed.version > added.version);
    catalog.replace_product(&keeper, change(None)).await?;

    let go = async |action| catalog.move_product(&keeper, MoveProduct { id, action }).await;
    refused(go(ProductAction::Shelve).await, code::STATE, &[]);
    let published = go(ProductAction::Publish).await?;
    assert!(published.is_sold() && published.published_at.is_some());
    same(&catalog.product(&nobody(), id.to_string()).await?, &published);
    refused(go(ProductAction::Publish).await, code::STATE, &[]);
    assert!(!go(ProductAction::Unshelve).await?.on_shelf);
    assert!(go(ProductAction::Shelve).await?.on_shelf);
    assert_eq!(go(ProductAction::Unpublish).await?.state, ProductState::Draft);

    let move_unknown = MoveProduct { id: unknown(), action: ProductAction::Publish };
    refused(catalog.move_product(&keeper, move_unknown).await, general::NOT_FOUND, &[]);
    let change_unknown = ReplaceProduct { id: unknown(), ..change(None) };
    refused(catalog.replace_product(&keeper, change_unknown).await, general::NOT_FOUND, &[]);
    refused(catalog.replace_product(&staff(&[]), change(None)).await, general::FORBIDDEN, &[]);
    refused(catalog.move_product(&nobody(), move_unknown).await, general::UNAUTHENTICATED, &[]);
    Ok(())
}

pub(crate) async fn what_a_product_cannot_be_is_named(shop: &Fixture) -> Result<()> {
    let catalog = &shop.contracts.catalog;
    let first = ProductInput { slug: Some("first".to_owned()), ..product("First") };
    let first = ProductInput { skus: vec![sku(Some("FIRST"), &[])], ..first };
    catalog.add_product(&system(), first.clone()).await?;
    let add = async |input| catalog.add_product(&system(), input).await;
    let other = ProductInput { skus: vec![sku(None, &[])], ..first.clone() };
    refused(add(other).await, code::SLUG_TAKEN, &["/slug"]);
    let other = ProductInput { slug: None, ..first };
    refused(add(other).await, code::SKU_CODE_TAKEN, &["/skus/0/code"]);
    refused(add(ProductInput { skus: Vec::new(), ..product("None") }).await, general::INVALID, &["/skus"]);
    let twice = vec![sku(None, &[("Size", "S")]), sku(None, &[("Size", "s")])];
    let twice = ProductInput { options: vec!["Size".to_owned()], skus: twice, ..product("Twice") };
    refused(add(twice).await, general::INVALID, &["/skus/1/options"]);
    let nowhere = contracts::catalog::CategoryId::derive(Shard::new(0), &[b"unknown"]);
    let nowhere = ProductInput { category_id: Some(nowhere), ..product("Nowhere") };
    refused(add(nowhere).await, general::INVALID, &["/category_id"]);
    for weight_grams in [-1, (1 << 53) + 1, i64::MAX] {
        let heavy = SkuInput { weight_grams, ..sku(None, &[]) };
        let heavy = ProductInput { skus: vec![heavy], ..product("Heavy") };
        refused(add(heavy).await, general::INVALID, &["/skus/0/weight_grams"]);
    }
    let draft = catalog.add_product(&staff(&[Permission::CatalogRead]), product("Mine")).await;
    refused(draft, general::FORBIDDEN, &[]);
    Ok(())
}

pub(crate) async fn lists_keep_their_order(shop: &Fixture) -> Result<()> {
    let catalog = &shop.contracts.catalog;
    let input = CategoryInput { name: "Listed".to_owned(), slug: None, parent_id: None, position: 0 };
    let category = catalog.add_category(&system(), input).await?;
    let (mut ids, mut skus) = (Vec::new(), Vec::new());
    for n in 0..3 {
        let listed = ProductInput { category_id: Some(category.id), ..product(&format!("Listed {n}")) };
        let record = shop.published(listed).await?;
        ids.push(record.id);
        skus.push(record.skus[0].id);
    }
    let draft = catalog.add_product(&system(), product("Unlisted")).await?;
    let list = |category: &str, cursor, limit| ListProducts {
        category: Some(category.to_owned()),
        brand: None,
        cursor,
        limit: Some(limit),
    };
    let found = pages(async |cursor| catalog.list_products(&nobody(), list(&category.slug, cursor, 2)).await);
    let found = found.await?;
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    let newest_first: Vec<_> = ids.iter().rev().copied().collect();
    assert_eq!(found.concat().iter().map(|record| record.id).collect::<Vec<_>>(), newest_first);
    let none = catalog.list_products(&nobody(), list("no-such-category", None, 100)).await?;
    assert!(none.items.is_empty() && none.next_cursor.is_none());
    let odd = list(&category.slug, Some("none of ours".to_owned()), 1);
    refused(catalog.list_products(&nobody(), odd).await, general::INVALID, &["cursor"]);
    refused(catalog.list_products(&nobody(), list("x", None, 0)).await, general::INVALID, &["/limit"]);

    let asked = vec![ids[2], unknown(), draft.id, ids[0]];
    let records = catalog.products(&nobody(), asked).await?;
    assert_eq!(records.iter().map(|it| it.id).collect::<Vec<_>>(), [ids[2], draft.id, ids[0]]);
    assert!(catalog.products(&nobody(), Vec::new()).await?.is_empty());
    refused(catalog.products(&nobody(), vec![ids[0]; 501]).await, general::INVALID, &["/"]);
    let of_nothing = SkuId::derive(Shard::new(2), &[b"unknown"]);
    let infos = catalog.skus(&nobody(), vec![draft.skus[0].id, of_nothing, skus[1]]).await?;
    let shown: Vec<_> = infos.iter().map(|it| (it.product_id, it.sold, it.tax_category.as_str())).collect();
    assert_eq!(shown, [(draft.id, false, ""), (ids[1], true, category.slug.as_str())]);
    assert!(catalog.skus(&nobody(), Vec::new()).await?.is_empty());
    refused(catalog.skus(&nobody(), vec![skus[0]; 1_001]).await, general::INVALID, &["/"]);

    let (mut after, mut scanned) = (None, Vec::new());
    loop {
        let some = catalog.scan_products(&system(), ScanProducts { after, limit: 2 }).await?;
        let Some(last) = some.last() else { break };
        after = Some(last.id);
        scanned.extend(some.iter().map(|record| record.id));
    }
    assert!(scanned.is_sorted() && scanned.contains(&draft.id));
    assert!(ids.iter().all(|id| scanned.contains(id)));
    Ok(())
}

pub(crate) async fn products_of_a_file_stand_for_themselves(shop: &Fixture) -> Result<()> {
    let catalog = &shop.contracts.catalog;
    let importer = staff(&[Permission::ImportRun]);
    let from_file = |slug: &str, skus: Vec<SkuInput>| {
        let product = ProductInput { slug: Some(slug.to_owned()), skus, ..product("从文件 imported") };
        FileProduct::whole(product, true, Some("从文件".to_owned()))
    };
    let file = vec![
        from_file("imported-1", vec![sku(None, &[("Size", "S")]), sku(None, &[("Size", "L")])]),
        from_file("imported-2", Vec::new()),
        from_file("imported-3", vec![sku(None, &[])]),
    ];
    let taken = catalog.import_file_products(&importer, file.clone()).await?;
    let counts = |it: &ImportedProductResult| (it.counts.created, it.counts.updated, it.counts.unchanged);
    assert_eq!(taken.iter().map(counts).collect::<Vec<_>>(), [(1, 0, 0), (0, 0, 0), (1, 0, 0)]);
    assert_eq!(taken.iter().map(|it| it.sku_ids.len()).collect::<Vec<_>>(), [2, 0, 1]);
    assert!(taken[1].product_id.is_none() && taken[1].error.as_ref().is_some_and(|it| it.contains("/skus")));
    let again = catalog.import_file_products(&importer, file).await?;
    assert_eq!(counts(&again[0]), (0, 0, 1));
    assert_eq!((again[0].product_id, &again[0].sku_ids), (taken[0].product_id, &taken[0].sku_ids));
    let record = catalog.product(&nobody(), "imported-1".to_owned()).await?;
    assert_eq!((Some(record.id), record.categories[0].name.as_str()), (taken[0].product_id, "从文件"));
    assert!(catalog.import_file_products(&importer, Vec::new()).await?.is_empty());
    let long = vec![from_file("imported-4", vec![sku(None, &[])]); 501];
    refused(catalog.import_file_products(&importer, long).await, general::INVALID, &["/"]);
    refused(catalog.import_file_products(&staff(&[]), Vec::new()).await, general::FORBIDDEN, &[]);
    what_a_file_says_beside_the_catalog_is_settled(shop, from_file("imported-5", vec![sku(None, &[])])).await
}

async fn what_a_file_says_beside_the_catalog_is_settled(shop: &Fixture, it: FileProduct) -> Result<()> {
    let catalog = &shop.contracts.catalog;
    let importer = staff(&[Permission::ImportRun]);
    let priced = |price: u8| FileProduct { beside: Some([price; 32]), ..it.clone() };
    let take = async |price: u8| -> Result<ImportedProductResult> {
        Ok(catalog.import_file_products(&importer, vec![priced(price)]).await?.remove(0))
    };
    let first = take(1).await?;
    let again = take(1).await?;
    assert_eq!((first.counts.created, again.counts.updated), (1, 1), "nobody has set its price yet");
    let [old, new] = [first, again].map(|it| it.unsettled.expect("something to settle"));
    assert_eq!((old.said, old.version + 1), (new.said, new.version));
    catalog.settle_imported(&importer, vec![old]).await?;
    let last = take(1).await?;
    assert_eq!(last.counts.updated, 1, "it moved on since the first");
    catalog.settle_imported(&importer, last.unsettled.into_iter().collect()).await?;
    let same = take(1).await?;
    assert_eq!((same.counts.unchanged, same.unsettled), (1, None));
    assert_eq!(take(2).await?.counts.updated, 1, "another price");
    catalog.settle_imported(&importer, Vec::new()).await?;
    refused(catalog.settle_imported(&importer, vec![new; 501]).await, general::INVALID, &["/"]);
    refused(catalog.settle_imported(&staff(&[]), Vec::new()).await, general::FORBIDDEN, &[]);
    Ok(())
}
