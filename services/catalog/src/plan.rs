//! From a draft to rows: which SKUs and images stay, change, come and go. Pure, apart from the ids it mints.

mod images;
mod skus;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};

use contracts::catalog::{BrandId, ProductId, SkuId};
use kernel::{Failure, Ids, Result, Timestamp};

use crate::{
    attributes::Rules,
    draft::Draft,
    model::{Standing, state_name},
    naming,
    store::{
        changes::Changes,
        products::{ProductRow, ProductRows, SlugRow},
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
    let sku_ids = skus::plan(target, draft, ids, taken, &mut changes)?;
    images::plan(target, draft, ids, &mut changes)?;
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
