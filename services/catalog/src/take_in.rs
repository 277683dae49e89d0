//! Takes products of another shop in, and gives them back. Ids of products and SKUs follow from the source, so that old orders
//! name them; what shoppers see goes through the same plan as everything else that is written.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use async_trait::async_trait;
use contracts::{
    Ctx,
    catalog::{BrandId, ProductChanged, ProductId, ProductInput, SkuId, SkuInput},
    intake::{
        Brought, Digest, GivenBack, Intake, Kept, ProductFacts, Row, SkuFacts, TakeProduct, TakenIn, Verdict,
        digest, judge, system_only,
    },
};
use kernel::Result;
use platform_db::{Mark, Tx, mark};
use uuid::Uuid;

use crate::{
    attributes::Rules,
    draft::Draft,
    import_products::reason,
    model::{Standing, state_name},
    plan::{ImportMark, Target, plan, wanted_codes},
    service::CatalogService,
    store::{
        changes::Changes,
        intake::{self, TAKEN},
        products::{self, ImageRow, ProductRows, SlugRow, options_of},
    },
};

/// A product as it is to be written.
struct Entry {
    row: TakeProduct,
    /// Or why it cannot be.
    draft: Result<Draft, String>,
    brand: Option<BrandId>,
    rules: Rules,
}

/// What is left to do after the commit.
#[derive(Default)]
struct After {
    ids: Vec<ProductId>,
    slugs: Vec<String>,
    gone_images: Vec<ImageRow>,
}

#[async_trait]
impl Intake<TakeProduct> for CatalogService {
    async fn take_in(&self, ctx: &Ctx, source: &str, rows: Vec<TakeProduct>) -> Result<Vec<TakenIn>> {
        system_only(ctx)?;
        let Some(first) = rows.first() else { return Ok(Vec::new()) };
        let shard = first.facts.id.shard();
        let entries = self.entries(rows).await?;
        let (outcome, after) = self
            .db
            .write(shard, (source.to_owned(), entries), |tx, (source, entries)| {
                Box::pin(async move { take(tx, source, entries).await })
            })
            .await?;
        self.settle(after).await;
        Ok(outcome)
    }

    async fn kept(&self, ctx: &Ctx, ids: &[Uuid]) -> Result<Vec<Option<Kept>>> {
        system_only(ctx)?;
        let marks = TAKEN.find(self.db.read(), ids).await?;
        let known = products::load(self.db.read(), &product_ids(ids)).await?;
        ids.iter().map(|id| marks.get(id).map(|mark| look(mark, &known)).transpose()).collect()
    }

    async fn brought(
        &self,
        ctx: &Ctx,
        source: &str,
        after: Option<Uuid>,
        limit: u64,
    ) -> Result<Vec<Brought>> {
        system_only(ctx)?;
        let marks = TAKEN.after(self.db.read(), source, after, limit).await?;
        Ok(marks.into_iter().map(|mark| Brought { id: mark.id, key: mark.source_key }).collect())
    }

    async fn count(&self, ctx: &Ctx, source: &str) -> Result<u64> {
        system_only(ctx)?;
        TAKEN.count(self.db.read(), source).await
    }

    async fn give_back(&self, ctx: &Ctx, ids: &[Uuid], lived_too: bool) -> Result<Vec<GivenBack>> {
        system_only(ctx)?;
        let Some(first) = ids.first() else { return Ok(Vec::new()) };
        let shard = ProductId::from_uuid(*first).shard();
        let (outcome, after) = self
            .db
            .write(shard, (ids.to_vec(), lived_too), |tx, (ids, lived_too)| {
                Box::pin(async move { give_back(tx, ids, *lived_too).await })
            })
            .await?;
        self.settle(after).await;
        Ok(outcome)
    }
}

impl CatalogService {
    /// As what takes products in.
    pub fn intake(self: &Arc<Self>) -> Arc<dyn Intake<TakeProduct>> {
        Arc::clone(self) as Arc<dyn Intake<TakeProduct>>
    }

    async fn entries(&self, rows: Vec<TakeProduct>) -> Result<Vec<Entry>> {
        let brands = self.ensure_brands(rows.iter().filter_map(|row| row.brand.as_deref())).await?;
        let (tree, attributes) = (self.category_tree().await?, self.all_attributes().await?);
        Ok(rows
            .into_iter()
            .map(|row| {
                let brand = row.brand.as_ref().and_then(|name| brands.get(&name.to_lowercase()).copied());
                let rules = attributes.rules(&tree, row.category_id);
                let draft = Draft::read(input(&row)).map_err(|failure| reason(&failure));
                Entry { row, draft, brand, rules }
            })
            .collect())
    }

    async fn settle(&self, after: After) {
        for id in &after.ids {
            self.filter.insert(id);
        }
        if !after.ids.is_empty() {
            self.forget(&after.ids, after.slugs).await;
            self.drop_files(&after.gone_images).await;
        }
    }
}

fn product_ids(ids: &[Uuid]) -> Vec<ProductId> {
    ids.iter().copied().map(ProductId::from_uuid).collect()
}

fn input(row: &TakeProduct) -> ProductInput {
    let facts = &row.facts;
    ProductInput {
        title: facts.title.clone(),
        slug: Some(facts.slug.clone()),
        description: row.description.clone(),
        brand: row.brand.clone(),
        category_id: row.category_id,
        attributes: Vec::new(),
        tags: Vec::new(),
        options: Vec::new(),
        skus: facts
            .skus
            .iter()
            .map(|sku| SkuInput {
                code: Some(sku.code.clone()),
                options: sku.options.clone(),
                barcode: sku.barcode.clone(),
                weight_grams: sku.weight_grams,
            })
            .collect(),
        images: row.images.clone(),
    }
}

type Known = HashMap<ProductId, ProductRows>;

/// The facts of rows, as their source would have told them.
fn facts(rows: &ProductRows) -> Result<ProductFacts> {
    let product = &rows.product;
    let skus = rows.skus.iter().filter(|sku| !sku.retired);
    let skus = skus.map(|sku| {
        Ok(SkuFacts {
            id: SkuId::from_uuid(sku.id),
            code: sku.code.clone(),
            options: options_of(sku)?,
            barcode: sku.barcode.clone(),
            weight_grams: sku.weight_grams,
        })
    });
    Ok(ProductFacts {
        id: ProductId::from_uuid(product.id),
        slug: product.slug.clone(),
        title: product.title.clone(),
        published: product.on_shelf && product.state == state_name(Standing::ON_SHELF.state),
        skus: skus.collect::<Result<_>>()?,
    })
}

fn look(mark: &Mark, known: &Known) -> Result<Kept> {
    let (said, kept) = mark.digests();
    let rows = known.get(&ProductId::from_uuid(mark.id));
    let now = rows.map(|rows| digest(&facts(rows)?)).transpose()?.unwrap_or_default();
    // Whoever writes a product by hand takes the mark of its last import away.
    let written = rows.is_some_and(|rows| rows.product.import_hash.as_ref() != Some(&mark.said));
    Ok(Kept { said, now, lived: now != kept || written })
}

/// What is there; none where it has lived.
fn untouched(mark: Option<&Mark>, known: &Known) -> Result<Option<Digest>> {
    let kept = mark.map(|mark| look(mark, known)).transpose()?;
    Ok(kept.filter(|kept| !kept.lived).map(|kept| kept.now))
}

async fn take(tx: &Tx, source: &str, entries: &[Entry]) -> Result<(Vec<TakenIn>, After)> {
    let ids: Vec<Uuid> = entries.iter().map(|entry| entry.row.id()).collect();
    let marks = TAKEN.find(tx, &ids).await?;
    let known = products::load(tx, &product_ids(&ids)).await?;
    let slugs =
        products::slugs(tx, entries.iter().map(|entry| entry.row.facts.slug.clone()).collect()).await?;
    let mut wanted = HashSet::new();
    for entry in entries {
        if let Ok(draft) = &entry.draft {
            wanted.extend(wanted_codes(&entry.row.facts.slug, draft));
        }
    }
    let mut taken = products::codes(tx, wanted).await?;
    let (mut outcome, mut news) = (Vec::with_capacity(entries.len()), Vec::new());
    let (mut changes, mut after) = (Changes::default(), After::default());
    for entry in entries {
        let mark_before = marks.get(&entry.row.id());
        let now = untouched(mark_before, &known)?;
        let became = match judge(mark_before.map(Mark::digests), entry.row.said()?, now) {
            Verdict::Same => TakenIn::Unchanged,
            Verdict::ChangedHere => TakenIn::ChangedHere,
            Verdict::Create | Verdict::Replace => {
                let before = known.get(&entry.row.facts.id);
                match write(tx, entry, before, slugs.get(&entry.row.facts.slug), &mut taken)? {
                    Ok((planned, version)) => {
                        let id = entry.row.facts.id;
                        tx.publish(&ProductChanged { product_id: id, version }).await?;
                        after.ids.push(id);
                        after.slugs.push(entry.row.facts.slug.clone());
                        after.slugs.extend(before.map(|rows| rows.product.slug.clone()));
                        after.gone_images.extend(planned.gone_images.clone());
                        changes.absorb(planned);
                        news.push(mark(source, &entry.row, tx.now())?);
                        if before.is_some() { TakenIn::Updated } else { TakenIn::Created }
                    }
                    Err(why) => TakenIn::Refused(why),
                }
            }
        };
        outcome.push(became);
    }
    changes.apply(tx).await?;
    TAKEN.put(tx, &news).await?;
    Ok((outcome, after))
}

/// What a product's write comes to, with its version then, or why it cannot be written.
fn write(
    tx: &Tx,
    entry: &Entry,
    before: Option<&ProductRows>,
    slug: Option<&SlugRow>,
    taken: &mut HashMap<String, SkuId>,
) -> Result<Result<(Changes, i64), String>> {
    let facts = &entry.row.facts;
    let draft = match &entry.draft {
        Ok(draft) => draft,
        Err(why) => return Ok(Err(why.clone())),
    };
    if slug.is_some_and(|slug| slug.product_id != facts.id.uuid()) {
        return Ok(Err(format!("another product has the slug {}", facts.slug)));
    }
    let sku_ids: Vec<SkuId> = facts.skus.iter().map(|sku| sku.id).collect();
    let target = Target {
        id: facts.id,
        before,
        slug: facts.slug.clone(),
        slug_returns: slug.is_some(),
        brand: entry.brand,
        standing: if facts.published { Standing::ON_SHELF } else { Standing::DRAFT },
        rules: &entry.rules,
        import: Some(ImportMark {
            hash: Some(entry.row.said()?.to_vec()),
            published: Some(facts.published),
            complete: true,
        }),
        sku_ids: Some(&sku_ids),
        now: tx.now(),
    };
    match plan(&target, draft, tx.ids(), taken) {
        Ok(planned) => Ok(Ok((planned.changes, planned.version))),
        Err(failure) if failure.status() < 500 => Ok(Err(reason(&failure))),
        Err(failure) => Err(failure),
    }
}

async fn give_back(tx: &Tx, ids: &[Uuid], lived_too: bool) -> Result<(Vec<GivenBack>, After)> {
    let marks = TAKEN.find(tx, ids).await?;
    let known = products::load(tx, &product_ids(ids)).await?;
    let (mut outcome, mut gone) = (Vec::with_capacity(ids.len()), Vec::new());
    let mut after = After::default();
    for id in ids {
        let product_id = ProductId::from_uuid(*id);
        if let (Some(mark), Some(rows)) = (marks.get(id), known.get(&product_id)) {
            if !lived_too && look(mark, &known)?.lived {
                outcome.push(GivenBack::Kept("was changed here".to_owned()));
                continue;
            }
            intake::remove(tx, rows).await?;
            tx.publish(&ProductChanged { product_id, version: rows.product.version + 1 }).await?;
            after.ids.push(product_id);
            after.slugs.push(rows.product.slug.clone());
            after.gone_images.extend(rows.images.clone());
        }
        gone.push(*id);
        outcome.push(GivenBack::Removed);
    }
    TAKEN.remove(tx, &gone).await?;
    Ok((outcome, after))
}
