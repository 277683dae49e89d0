//! From a draft to rows: which SKUs and images stay, change, come and go. Pure, apart from the ids it mints.

use std::collections::{HashMap, HashSet};

use contracts::catalog::{BrandId, ImageId, NamedValue, ProductId, SkuId, code};
use kernel::{Failure, Ids, Result, Timestamp};

use crate::{
    attributes::Rules,
    draft::{Draft, DraftSku, ImageSource},
    model::{Standing, option_key, state_name},
    naming,
    store::{
        changes::Changes,
        images::{DRAWN, PENDING, UPLOAD},
        products::{ImageRow, ProductRow, ProductRows, SkuCodeRow, SkuRow, SlugRow, options_of},
        shard_number,
    },
};

/// Which product a draft is for, and what the draft does not say.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    pub(crate) id: ProductId,
    pub(crate) before: Option<&'a ProductRows>,
    pub(crate) slug: String,
    /// Whether the slug is one that this product had before.
    pub(crate) slug_returns: bool,
    pub(crate) brand: Option<BrandId>,
    pub(crate) standing: Standing,
    /// What its category asks of it.
    pub(crate) rules: &'a Rules,
    /// What an import says; absent when staff write.
    pub(crate) import: Option<ImportMark>,
    /// Ids of the draft's SKUs, where they follow from elsewhere; else SKUs are matched, and new ones get new ids.
    pub(crate) sku_ids: Option<&'a [SkuId]>,
    pub(crate) now: Timestamp,
}

/// What an import said of a product.
#[derive(Clone, Debug)]
pub(crate) struct ImportMark {
    /// None until others have what the file says beside the catalog.
    pub(crate) hash: Option<Vec<u8>>,
    /// None where that could not be read.
    pub(crate) published: Option<bool>,
    /// Whether every row could be read.
    pub(crate) complete: bool,
}

impl Target<'_> {
    /// What the draft does not name may stand in a row that could not be read: it stays.
    fn is_incomplete(&self) -> bool {
        self.import.as_ref().is_some_and(|import| !import.complete)
    }
}

/// What comes of it.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) changes: Changes,
    /// In the draft's order.
    pub(crate) sku_ids: Vec<SkuId>,
    pub(crate) version: i64,
}

/// Codes that a draft may want: look up who has them, then plan.
pub(crate) fn wanted_codes(handle: &str, draft: &Draft) -> HashSet<String> {
    let mut codes = HashSet::new();
    for sku in &draft.skus {
        match &sku.code {
            Some(code) => {
                codes.insert(code.clone());
            }
            None => codes.extend([
                naming::sku_code(handle, &sku.values()),
                naming::sku_code_marked(handle, &sku.values()),
            ]),
        }
    }
    codes
}

/// Plans a write. `taken` says who has the [`wanted_codes`] and learns what this product takes.
pub(crate) fn plan(
    target: &Target<'_>,
    draft: &Draft,
    ids: &Ids,
    taken: &mut HashMap<String, SkuId>,
) -> Result<Planned> {
    if target.standing.state == Standing::ON_SHELF.state {
        target.rules.require(&draft.details.attributes)?;
    }
    let mut changes = Changes::default();
    let sku_ids = plan_skus(target, draft, ids, taken, &mut changes)?;
    plan_images(target, draft, ids, &mut changes)?;
    plan_slug(target, &mut changes);
    let row = product_row(target, draft)?;
    let version = row.version;
    if target.before.is_some() {
        changes.products.push(row);
    } else {
        changes.new_products.push(row);
    }
    Ok(Planned { changes, sku_ids, version })
}

fn product_row(target: &Target<'_>, draft: &Draft) -> Result<ProductRow> {
    let before = target.before.map(|rows| &rows.product);
    let published_at = before.and_then(|row| row.published_at);
    let published = target.standing.state == Standing::ON_SHELF.state;
    Ok(ProductRow {
        shard: shard_number(target.id.shard()),
        id: target.id.uuid(),
        slug: target.slug.clone(),
        title: draft.title.clone(),
        description: draft.description.clone(),
        brand_id: target.brand.map(BrandId::uuid),
        category_id: draft.category_id.map(|id| id.uuid()),
        details: serde_json::to_vec(&draft.details).map_err(Failure::internal)?,
        state: state_name(target.standing.state).to_owned(),
        on_shelf: target.standing.on_shelf,
        sold: target.standing.is_sold(),
        published_at: published_at.or_else(|| published.then(|| target.now.micros())),
        version: before.map_or(1, |row| row.version + 1),
        // Staff changed it: the same file says something else now and is applied again.
        import_hash: target.import.as_ref().and_then(|import| import.hash.clone()),
        import_published: target
            .import
            .as_ref()
            .and_then(|import| import.published)
            .or_else(|| before.and_then(|row| row.import_published)),
        created_at: before.map_or(target.now.micros(), |row| row.created_at),
        updated_at: target.now.micros(),
    })
}

fn plan_slug(target: &Target<'_>, changes: &mut Changes) {
    match target.before {
        Some(before) if before.product.slug == target.slug => return,
        Some(before) => changes.slugs.push((before.product.slug.clone(), false)),
        None => {}
    }
    if target.slug_returns {
        changes.slugs.push((target.slug.clone(), true));
    } else {
        changes.new_slugs.push(SlugRow {
            slug: target.slug.clone(),
            product_id: target.id.uuid(),
            current: true,
        });
    }
}

/// Which existing SKU each SKU of the draft is: the live one with its option values, else the one with its code, else a
/// retired one with its option values.
fn match_skus(existing: &[SkuRow], wanted: &[DraftSku]) -> Result<Vec<Option<usize>>> {
    let mut keys = Vec::with_capacity(existing.len());
    for row in existing {
        keys.push(option_key(options_of(row)?.iter().map(|option| option.value.as_str())));
    }
    let mut matches: Vec<Option<usize>> = vec![None; wanted.len()];
    let mut used = vec![false; existing.len()];
    let mut pass = |fits: &dyn Fn(usize, &DraftSku, &str) -> bool| {
        for (index, sku) in wanted.iter().enumerate().filter(|_| !existing.is_empty()) {
            if matches[index].is_none() {
                let key = sku.key();
                if let Some(found) = (0..existing.len()).find(|&at| !used[at] && fits(at, sku, &key)) {
                    matches[index] = Some(found);
                    used[found] = true;
                }
            }
        }
    };
    pass(&|at, _, key| !existing[at].retired && keys[at] == key);
    pass(&|at, sku, _| sku.code.as_deref() == Some(existing[at].code.as_str()));
    pass(&|at, _, key| keys[at] == key);
    Ok(matches)
}

fn plan_skus(
    target: &Target<'_>,
    draft: &Draft,
    ids: &Ids,
    taken: &mut HashMap<String, SkuId>,
    changes: &mut Changes,
) -> Result<Vec<SkuId>> {
    let existing = target.before.map_or(&[][..], |rows| &rows.skus);
    let matches = match target.sku_ids {
        Some(ids) => ids.iter().map(|id| existing.iter().position(|row| row.id == id.uuid())).collect(),
        None => match_skus(existing, &draft.skus)?,
    };
    let sku_ids: Vec<SkuId> = matches
        .iter()
        .enumerate()
        .map(|(index, found)| match (found, target.sku_ids) {
            (Some(at), _) => SkuId::from_uuid(existing[*at].id),
            (None, Some(given)) => given[index],
            (None, None) => ids.mint(target.id.shard()),
        })
        .collect();
    let codes = plan_codes(target, draft, existing, &matches, &sku_ids, taken)?;
    for (index, sku) in draft.skus.iter().enumerate() {
        let row = SkuRow {
            shard: shard_number(target.id.shard()),
            id: sku_ids[index].uuid(),
            product_id: target.id.uuid(),
            position: i32::try_from(index + 1).unwrap_or(i32::MAX),
            code: codes[index].clone(),
            options: serde_json::to_vec(&sku.options).map_err(Failure::internal)?,
            barcode: sku.barcode.clone(),
            weight_grams: sku.weight_grams,
            retired: false,
        };
        let before = matches[index].map(|at| &existing[at]);
        if before.is_none_or(|before| before.code != row.code) {
            changes.free_codes.extend(before.map(|before| before.code.clone()));
            changes.new_codes.push(SkuCodeRow { code: row.code.clone(), sku_id: row.id });
        }
        match before {
            None => changes.new_skus.push(row),
            Some(before) if *before != row => changes.skus.push(row),
            Some(_) => {}
        }
    }
    plan_unnamed(target, draft, existing, &matches, changes)?;
    for (code, &id) in codes.into_iter().zip(&sku_ids) {
        taken.insert(code, id);
    }
    Ok(sku_ids)
}

/// Live SKUs that the draft does not name retire, or stay after the others.
fn plan_unnamed(
    target: &Target<'_>,
    draft: &Draft,
    existing: &[SkuRow],
    matches: &[Option<usize>],
    changes: &mut Changes,
) -> Result<()> {
    let named: HashSet<usize> = matches.iter().flatten().copied().collect();
    let unnamed = existing.iter().enumerate().filter(|(at, row)| !named.contains(at) && !row.retired);
    for ((_, before), position) in unnamed.zip(draft.skus.len() + 1..) {
        let row = if target.is_incomplete() {
            SkuRow {
                position: i32::try_from(position).unwrap_or(i32::MAX),
                options: renamed(before, &draft.details.options)?,
                ..before.clone()
            }
        } else {
            SkuRow { retired: true, ..before.clone() }
        };
        if row != *before {
            changes.skus.push(row);
        }
    }
    Ok(())
}

/// A SKU's options under these names. Values for other options than it has nobody knows.
fn renamed(row: &SkuRow, names: &[String]) -> Result<Vec<u8>> {
    let options = options_of(row)?;
    if options.len() != names.len() {
        let detail = "are not those that the product has, and some of its rows are wrong";
        return Err(Failure::invalid("/options", detail));
    }
    let options: Vec<NamedValue> =
        names.iter().zip(options).map(|(name, it)| NamedValue { name: name.clone(), ..it }).collect();
    serde_json::to_vec(&options).map_err(Failure::internal)
}

/// The code of each SKU: the one given, the one it has, or one made of handle and option values.
fn plan_codes(
    target: &Target<'_>,
    draft: &Draft,
    existing: &[SkuRow],
    matches: &[Option<usize>],
    sku_ids: &[SkuId],
    taken: &HashMap<String, SkuId>,
) -> Result<Vec<String>> {
    let staying: HashSet<SkuId> = sku_ids.iter().copied().collect();
    let own: HashSet<SkuId> = existing.iter().map(|row| SkuId::from_uuid(row.id)).collect();
    // Somebody else's: another product's, or that of a SKU which retires and keeps it. Among those that stay, codes may move.
    let foreign =
        |code: &str| taken.get(code).is_some_and(|owner| !own.contains(owner) || !staying.contains(owner));
    let mut mine: HashSet<&str> = draft.skus.iter().filter_map(|sku| sku.code.as_deref()).collect();
    for (index, code) in
        draft.skus.iter().enumerate().filter_map(|(index, sku)| Some((index, sku.code.as_deref()?)))
    {
        if foreign(code) {
            let failure =
                Failure::new(code::SKU_CODE_TAKEN).detail(format!("another SKU has the code {code}"));
            return Err(failure.field(format!("/skus/{index}/code"), "another SKU has this code"));
        }
    }
    let mut codes: Vec<Option<String>> = draft.skus.iter().map(|sku| sku.code.clone()).collect();
    for (index, found) in matches.iter().enumerate() {
        if let (None, Some(at)) = (&codes[index], found)
            && mine.insert(&existing[*at].code)
        {
            codes[index] = Some(existing[*at].code.clone());
        }
    }
    let mut mine: HashSet<String> = mine.into_iter().map(str::to_owned).collect();
    for (index, sku) in draft.skus.iter().enumerate() {
        if codes[index].is_none() {
            let values = sku.values();
            let last = format!("SKU-{}", sku_ids[index].uuid().simple()).to_uppercase();
            let made = [
                naming::sku_code(&target.slug, &values),
                naming::sku_code_marked(&target.slug, &values),
                last,
            ]
            .into_iter()
            .find(|code| !taken.contains_key(code) && !mine.contains(code))
            .unwrap_or_default();
            mine.insert(made.clone());
            codes[index] = Some(made);
        }
    }
    Ok(codes.into_iter().flatten().collect())
}

fn plan_images(target: &Target<'_>, draft: &Draft, ids: &Ids, changes: &mut Changes) -> Result<()> {
    let existing = target.before.map_or(&[][..], |rows| &rows.images);
    let mut used = vec![false; existing.len()];
    let mut position = 0;
    let mut put = |found: Option<usize>, src: &str, alt: &str, state: &str, changes: &mut Changes| {
        position += 1;
        match found {
            None => changes.new_images.push(ImageRow {
                shard: shard_number(target.id.shard()),
                id: ids.mint::<contracts::catalog::Image>(target.id.shard()).uuid(),
                product_id: target.id.uuid(),
                position,
                src: src.to_owned(),
                alt: alt.to_owned(),
                state: state.to_owned(),
                attempts: 0,
                due_at: target.now.micros(),
                content_type: None,
            }),
            Some(at) => {
                used[at] = true;
                let row = ImageRow { position, alt: alt.to_owned(), ..existing[at].clone() };
                if row != existing[at] {
                    changes.images.push(row);
                }
            }
        }
    };
    let (mut named, mut fresh) = (HashSet::new(), HashSet::new());
    for (index, image) in draft.images.iter().enumerate() {
        let found = find_image(existing, &image.source);
        if let Some(at) = found
            && !named.insert(at)
        {
            continue; // the same image twice
        }
        if let (None, ImageSource::Address(src)) = (found, &image.source)
            && !fresh.insert(src.as_str())
        {
            continue;
        }
        match &image.source {
            ImageSource::Address(src) => put(found, src, &image.alt, PENDING, changes),
            ImageSource::Known(_) if found.is_some() => put(found, "", &image.alt, "", changes),
            ImageSource::Known(_) => {
                return Err(Failure::invalid(format!("/images/{index}/src"), "is no image of this product"));
            }
        }
    }
    if target.import.is_some() {
        // A file does not know of uploads: they stay, after its own images.
        let incomplete = target.is_incomplete();
        let stays = |row: &ImageRow| row.src.starts_with(UPLOAD) || (incomplete && row.state != DRAWN);
        for (at, row) in existing.iter().enumerate() {
            if stays(row) && named.insert(at) {
                put(Some(at), "", &row.alt, "", changes);
            }
        }
    }
    if named.is_empty() && changes.new_images.is_empty() {
        put(existing.iter().position(|row| row.state == DRAWN), "", "", DRAWN, changes);
    }
    changes
        .gone_images
        .extend(existing.iter().zip(used).filter(|(_, used)| !used).map(|(row, _)| row.clone()));
    Ok(())
}

fn find_image(existing: &[ImageRow], source: &ImageSource) -> Option<usize> {
    existing.iter().position(|row| match source {
        ImageSource::Address(src) => row.src == *src,
        ImageSource::Known(id) => ImageId::from_uuid(row.id) == *id,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use kernel::{Shard, SystemClock};

    use super::*;
    use crate::{draft::DraftImage, model::Details};

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
            id: before
                .map_or_else(|| ids().mint(Shard::new(3)), |rows| ProductId::from_uuid(rows.product.id)),
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
        let (before, mut taken) =
            created(&sized(vec![sku(None, "S"), sku(None, "M"), sku(None, "L")], &both));
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
            plan(&target(None), &draft(vec![sku(None, "A+"), sku(None, "A-")], &[]), &ids(), &mut taken)
                .unwrap();
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
}
