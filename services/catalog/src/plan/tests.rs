//! Plans of small products.

use std::{collections::HashMap, sync::Arc};

use contracts::catalog::{NamedValue, ProductId, SkuId, code};
use kernel::{Ids, Shard, SystemClock, Timestamp};

use super::{ImportMark, Target, plan};
use crate::{
    attributes::Rules,
    draft::{Draft, DraftImage, DraftSku, ImageSource},
    model::{Details, Standing},
    store::{images::DRAWN, products::ProductRows},
};

fn sku(code: Option<&str>, size: &str) -> DraftSku {
    let options = if size.is_empty() {
        Vec::new()
    } else {
        vec![NamedValue { name: "Size".to_owned(), value: size.to_owned() }]
    };
    DraftSku { code: code.map(str::to_owned), options, barcode: None, weight_grams: 0 }
}

fn draft(skus: Vec<DraftSku>, images: &[&str]) -> Draft {
    Draft {
        slug: None,
        title: "Top".to_owned(),
        description: String::new(),
        brand: None,
        category_id: None,
        details: Details::default(),
        skus,
        images: images
            .iter()
            .map(|src| DraftImage { source: ImageSource::Address((*src).to_owned()), alt: String::new() })
            .collect(),
    }
}

fn ids() -> Ids {
    Ids::new(Arc::new(SystemClock))
}

static NONE: std::sync::LazyLock<Rules> = std::sync::LazyLock::new(Rules::default);

fn target(before: Option<&ProductRows>) -> Target<'_> {
    Target {
        id: before.map_or_else(|| ids().mint(Shard::new(3)), |rows| ProductId::from_uuid(rows.product.id)),
        before,
        slug: "top".to_owned(),
        slug_returns: false,
        brand: None,
        standing: Standing::DRAFT,
        rules: &NONE,
        import: None,
        sku_ids: None,
        now: Timestamp::from_micros(1),
    }
}

fn created(draft: &Draft) -> (ProductRows, HashMap<String, SkuId>) {
    let mut taken = HashMap::new();
    let planned = plan(&target(None), draft, &ids(), &mut taken).unwrap();
    let changes = planned.changes;
    assert_eq!(changes.new_codes.len(), draft.skus.len());
    let product = changes.new_products.into_iter().next().unwrap();
    (ProductRows { product, skus: changes.new_skus, images: changes.new_images }, taken)
}

#[test]
fn skus_are_matched_by_values_then_by_code() {
    let (before, mut taken) = created(&draft(vec![sku(Some("A"), "S"), sku(None, "M")], &[]));
    assert_eq!(before.skus[1].code, "TOP-M");
    // M keeps its id and code; "Small" has the code of S; L is new.
    let next = draft(vec![sku(None, "m"), sku(Some("A"), "Small"), sku(None, "L")], &[]);
    let planned = plan(&target(Some(&before)), &next, &ids(), &mut taken).unwrap();
    assert_eq!(planned.sku_ids[0].uuid(), before.skus[1].id);
    assert_eq!(planned.sku_ids[1].uuid(), before.skus[0].id);
    assert_eq!(planned.changes.new_skus.len(), 1);
    assert_eq!(planned.changes.new_codes[0].code, "TOP-L");
    assert!(planned.changes.free_codes.is_empty());
    assert_eq!(planned.version, 2);
}

#[test]
fn skus_that_are_not_named_retire_and_come_back() {
    let (before, mut taken) = created(&draft(vec![sku(None, "S"), sku(None, "M")], &[]));
    let planned =
        plan(&target(Some(&before)), &draft(vec![sku(None, "S")], &[]), &ids(), &mut taken).unwrap();
    let retired = &planned.changes.skus[0];
    assert!(retired.retired && retired.id == before.skus[1].id);
    let mut later = before.clone();
    later.skus[1] = retired.clone();
    let again = draft(vec![sku(None, "S"), sku(None, "M")], &[]);
    let planned = plan(&target(Some(&later)), &again, &ids(), &mut taken).unwrap();
    assert_eq!(planned.sku_ids[1].uuid(), before.skus[1].id);
    assert!(planned.changes.new_skus.is_empty() && !planned.changes.skus[0].retired);
}

/// What a file says, some of whose rows could not be read.
fn with_gaps(before: &ProductRows) -> Target<'_> {
    let import = ImportMark { hash: None, published: None, complete: false };
    Target { import: Some(import), ..target(Some(before)) }
}

fn sized(skus: Vec<DraftSku>, images: &[&str]) -> Draft {
    let details = Details { options: vec!["Size".to_owned()], ..Details::default() };
    Draft { details, ..draft(skus, images) }
}

#[test]
fn what_a_file_with_wrong_rows_does_not_name_stays() {
    let both = ["https://a/1.png", "https://a/2.png"];
    let (before, mut taken) = created(&sized(vec![sku(None, "S"), sku(None, "M"), sku(None, "L")], &both));
    let rest = sized(vec![sku(None, "S"), sku(None, "L")], &both[1..]);
    let planned = plan(&with_gaps(&before), &rest, &ids(), &mut taken).unwrap();
    assert!(planned.changes.skus.iter().all(|row| !row.retired) && planned.changes.free_codes.is_empty());
    let medium = planned.changes.skus.iter().find(|row| row.id == before.skus[1].id).unwrap();
    assert_eq!((medium.position, medium.code.as_str()), (3, "TOP-M"), "after those that are named");
    assert!(planned.changes.gone_images.is_empty() && planned.changes.new_images.is_empty());
    let first = planned.changes.images.iter().find(|row| row.id == before.images[0].id).unwrap();
    assert_eq!(first.position, 2);
    // The whole file says the same: now they go.
    let whole = ImportMark { hash: None, published: None, complete: true };
    let target = Target { import: Some(whole), ..target(Some(&before)) };
    let planned = plan(&target, &rest, &ids(), &mut taken).unwrap();
    assert!(planned.changes.skus.iter().any(|row| row.retired && row.id == before.skus[1].id));
    assert_eq!(planned.changes.gone_images.len(), 1);
}

#[test]
fn a_file_with_wrong_rows_does_not_change_how_many_options_there_are() {
    let (before, mut taken) = created(&sized(vec![sku(None, "S"), sku(None, "M")], &[]));
    let single = draft(vec![sku(None, "")], &[]);
    let refused = plan(&with_gaps(&before), &single, &ids(), &mut taken).unwrap_err();
    assert_eq!(refused.fields()[0].pointer, "/options");
}

#[test]
fn codes_may_be_swapped_but_not_stolen() {
    let (before, mut taken) = created(&draft(vec![sku(Some("A"), "S"), sku(Some("B"), "M")], &[]));
    let swapped = draft(vec![sku(Some("B"), "S"), sku(Some("A"), "M")], &[]);
    let planned = plan(&target(Some(&before)), &swapped, &ids(), &mut taken.clone()).unwrap();
    assert_eq!(planned.changes.free_codes.len(), 2);
    taken.insert("C".to_owned(), ids().mint(Shard::new(1)));
    let thief = draft(vec![sku(Some("A"), "S"), sku(Some("C"), "M")], &[]);
    let refused = plan(&target(Some(&before)), &thief, &ids(), &mut taken).unwrap_err();
    assert!(refused.is(code::SKU_CODE_TAKEN));
    assert_eq!(refused.fields()[0].pointer, "/skus/1/code");
}

#[test]
fn made_codes_give_way_and_stay_unique() {
    let mut taken = HashMap::from([("TOP-A".to_owned(), ids().mint(Shard::new(1)))]);
    let planned =
        plan(&target(None), &draft(vec![sku(None, "A+"), sku(None, "A-")], &[]), &ids(), &mut taken).unwrap();
    let codes: Vec<&str> = planned.changes.new_skus.iter().map(|row| row.code.as_str()).collect();
    assert!(codes.iter().all(|code| code.starts_with("TOP-A-")) && codes[0] != codes[1], "{codes:?}");
}

#[test]
fn images_keep_their_ids_and_a_product_without_gets_a_drawn_one() {
    let one = vec![sku(None, "")];
    let (before, mut taken) = created(&draft(one.clone(), &[]));
    assert_eq!(before.images[0].state, DRAWN);
    let with = draft(one.clone(), &["https://a/1.png", "https://a/2.png", "https://a/1.png"]);
    let planned = plan(&target(Some(&before)), &with, &ids(), &mut taken).unwrap();
    assert_eq!(planned.changes.gone_images, before.images);
    assert_eq!(planned.changes.new_images.len(), 2, "the same address twice is one image");
    let later = ProductRows { images: planned.changes.new_images, ..before };
    let turned = draft(one, &["https://a/2.png", "https://a/1.png"]);
    let planned = plan(&target(Some(&later)), &turned, &ids(), &mut taken).unwrap();
    assert!(planned.changes.new_images.is_empty());
    assert_eq!(planned.changes.images.iter().find(|row| row.src.ends_with("2.png")).unwrap().position, 1);
}
