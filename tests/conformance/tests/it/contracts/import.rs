//! Imports of files.

use base64::{Engine, engine::general_purpose::STANDARD};
use contracts::{
    Permission,
    import::{ImportId, ImportKind, ImportState, ImportView, ListImportErrors, StartImport},
};
use kernel::{Currency, Money, Result, Shard, code as general};

use super::{
    callers::{nobody, pages, refused, same, staff, until},
    fixture::Fixture,
};

fn file(kind: ImportKind, text: &str) -> StartImport {
    StartImport {
        kind,
        file_name: "Größen 尺寸.csv".to_owned(),
        bytes_base64: STANDARD.encode(text),
        currency: Currency::EUR,
    }
}

/// The import once it has ended.
async fn ended(shop: &Fixture, id: ImportId) -> Result<ImportView> {
    let importer = staff(&[Permission::ImportRun]);
    until(async || {
        let view = shop.contracts.imports.import(&importer, id).await?;
        Ok((view.state != ImportState::Running).then_some(view))
    })
    .await
}

pub(crate) async fn products_of_a_file_come_in(shop: &Fixture) -> Result<()> {
    let imports = &shop.contracts.imports;
    let importer = staff(&[Permission::ImportRun]);
    let text = "Handle,Title,Variant Price,Variant Inventory Qty\n\
                imported-tea,\"Tee, “grün” 茶\",9007199254.99,7\n\
                imported-odd,Odd,much,1\n\
                imported-sad,Sad,-1,1\n";
    let started = imports.start(&importer, file(ImportKind::Products, text)).await?;
    assert_eq!((started.kind, started.file_name.as_str()), (ImportKind::Products, "Größen 尺寸.csv"));
    let done = ended(shop, started.id).await?;
    assert_eq!((done.state, done.rows, done.rows_done), (ImportState::Done, 3, 3), "{done:?}");
    assert_eq!((done.created, done.failed, &done.error), (1, 2, &None));
    assert!(done.finished_at.is_some());
    let record = shop.contracts.catalog.product(&nobody(), "imported-tea".to_owned()).await?;
    assert_eq!(record.title, "Tee, “grün” 茶");
    let sku = record.skus[0].id;
    let prices = shop.contracts.pricing.every_price(&nobody(), vec![sku]).await?;
    assert_eq!(prices[0].price, Money::new(900_719_925_499, Currency::EUR));
    assert_eq!(shop.available(sku).await?, 7);

    let list = |cursor, limit| ListImportErrors { import_id: started.id, cursor, limit };
    let errors = pages(async |cursor| imports.errors(&importer, list(cursor, Some(1))).await).await?;
    assert_eq!(
        errors.concat().iter().map(|it| (it.line, it.key.as_str())).collect::<Vec<_>>(),
        [(3, "imported-odd"), (4, "imported-sad"),]
    );
    refused(imports.errors(&importer, list(None, Some(0))).await, general::INVALID, &["limit"]);
    let odd = list(Some("none of ours".to_owned()), None);
    refused(imports.errors(&importer, odd).await, general::INVALID, &["cursor"]);
    refused(imports.errors(&staff(&[]), list(None, None)).await, general::FORBIDDEN, &[]);
    Ok(())
}

pub(crate) async fn a_file_of_categories_comes_in_and_another_does_not(shop: &Fixture) -> Result<()> {
    let imports = &shop.contracts.imports;
    let importer = staff(&[Permission::ImportRun]);
    let text = r#"[{"id": "i-1", "name": "Bücher 书", "path": []}]"#;
    let good = imports.start(&importer, file(ImportKind::Categories, text)).await?;
    let good = ended(shop, good.id).await?;
    assert_eq!((good.state, good.created), (ImportState::Done, 1));
    let odd = imports.start(&importer, file(ImportKind::Categories, "no list")).await?;
    let odd = ended(shop, odd.id).await?;
    assert!(odd.state == ImportState::Failed && odd.error.is_some());
    let none = ListImportErrors { import_id: good.id, cursor: None, limit: None };
    assert!(imports.errors(&importer, none).await?.items.is_empty());
    let latest = imports.imports(&importer, ()).await?;
    same(&latest[..2].to_vec(), &vec![odd, good]);
    Ok(())
}

pub(crate) async fn what_is_no_file_is_refused(shop: &Fixture) -> Result<()> {
    let imports = &shop.contracts.imports;
    let importer = staff(&[Permission::ImportRun]);
    let odd = || StartImport { bytes_base64: "%%%".to_owned(), ..file(ImportKind::Products, "") };
    refused(imports.start(&importer, odd()).await, general::INVALID, &["/bytes_base64"]);
    refused(imports.start(&importer, file(ImportKind::Products, "")).await, general::INVALID, &[]);
    let named = StartImport { file_name: "名".repeat(301), ..file(ImportKind::Products, "x") };
    refused(imports.start(&importer, named).await, general::INVALID, &["file_name"]);
    refused(imports.start(&staff(&[]), file(ImportKind::Products, "x")).await, general::FORBIDDEN, &[]);
    refused(imports.start(&nobody(), odd()).await, general::UNAUTHENTICATED, &[]);
    refused(imports.imports(&staff(&[]), ()).await, general::FORBIDDEN, &[]);
    let unknown = ImportId::derive(Shard::new(2), &[b"unknown"]);
    refused(imports.import(&importer, unknown).await, general::NOT_FOUND, &[]);
    refused(imports.import(&staff(&[]), unknown).await, general::FORBIDDEN, &[]);
    Ok(())
}
