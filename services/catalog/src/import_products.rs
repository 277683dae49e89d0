//! Takes products of a file in, many at a time: matched by slug, compared by a hash of what the file said last, so that a
//! product that did not change costs one read.

use std::collections::{BTreeMap, HashMap, HashSet};

use contracts::{
    Ctx, Permission,
    catalog::{
        BrandId, FileProduct, ImportCounts, ImportedProductResult, ProductChanged, ProductId, SettleImported,
        SkuId, SkuInput,
    },
    intake::{Digest, digest},
};
use futures::future::try_join_all;
use kernel::{Failure, Result, Shard, normalise};
use platform_db::Tx;
use uuid::Uuid;

use crate::{
    attributes::Rules,
    draft::Draft,
    model::{Standing, option_key, state_of},
    plan::{ImportMark, Planned, Target, plan, wanted_codes},
    service::CatalogService,
    store::{
        changes::Changes,
        products::{self, ImageRow, Imported, ProductRow, ProductRows, SkuRow, SlugRow, options_of},
    },
};

pub(crate) const MOST: usize = 500;
/// New products that go to one shard together: few statements for many products, and yet every shard gets its share.
const RUN: usize = 128;

/// A product of the batch that has to be written.
struct Entry {
    /// Where in the batch.
    index: usize,
    id: ProductId,
    /// The version it has, for one that exists.
    version: Option<i64>,
    handle: String,
    draft: Draft,
    brand: Option<BrandId>,
    rules: Rules,
    mark: ImportMark,
    said: Digest,
}

/// A product that is new, or that the file describes in other words than last time.
struct Fresh {
    index: usize,
    product: FileProduct,
    handle: String,
    said: Digest,
    /// Which product it is, with its version, where it exists.
    before: Option<(ProductId, i64)>,
}

/// What became of an entry.
type Outcome = (usize, Result<Done, String>);

struct Done {
    id: ProductId,
    sku_ids: Vec<SkuId>,
    created: bool,
    gone_images: Vec<ImageRow>,
    slug: String,
    unsettled: Option<SettleImported>,
}

impl CatalogService {
    pub(crate) async fn import_file_products(
        &self,
        ctx: &Ctx,
        batch: Vec<FileProduct>,
    ) -> Result<Vec<ImportedProductResult>> {
        ctx.require(Permission::ImportRun)?;
        if batch.len() > MOST {
            return Err(Failure::invalid("/", format!("at most {MOST} products a call")));
        }
        let mut results: Vec<Option<ImportedProductResult>> = (0..batch.len()).map(|_| None).collect();
        let (entries, unchanged) = self.sort_out(batch, &mut results).await?;
        self.report_unchanged(unchanged, &mut results).await?;
        let outcomes = self.write_all(entries).await?;
        let (mut ids, mut slugs, mut gone) = (Vec::new(), Vec::new(), Vec::new());
        for (index, outcome) in outcomes {
            results[index] = Some(match outcome {
                Ok(done) => {
                    self.filter.insert(&done.id);
                    ids.push(done.id);
                    slugs.push(done.slug);
                    gone.extend(done.gone_images);
                    let (created, updated) = (u64::from(done.created), u64::from(!done.created));
                    let counts = ImportCounts { created, updated, unchanged: 0 };
                    ImportedProductResult {
                        product_id: Some(done.id),
                        sku_ids: done.sku_ids,
                        counts,
                        error: None,
                        unsettled: done.unsettled,
                    }
                }
                Err(reason) => refused(reason),
            });
        }
        if !ids.is_empty() {
            self.forget(&ids, slugs).await;
            self.drop_files(&gone).await;
        }
        let unsettled = || refused("was not taken in".to_owned());
        Ok(results.into_iter().map(|result| result.unwrap_or_else(unsettled)).collect())
    }

    /// Tells apart what has to be written, what is as before, and what is wrong (noted in `results`).
    async fn sort_out(
        &self,
        batch: Vec<FileProduct>,
        results: &mut [Option<ImportedProductResult>],
    ) -> Result<(Vec<Entry>, Vec<Unchanged>)> {
        let digests = batch.iter().map(digest).collect::<Result<Vec<_>>>()?;
        let before = self.look_up(&batch).await?;
        let (mut fresh, mut unchanged) = (Vec::new(), Vec::new());
        let mut seen = HashSet::new();
        for (index, (it, said)) in batch.into_iter().zip(digests).enumerate() {
            let Some(handle) = it.product.slug.clone() else {
                results[index] = Some(refused("/slug is required".to_owned()));
                continue;
            };
            let formerly = || before.formerly(&it).filter(|known| !seen.contains(&known.id.to_string()));
            let before = before.named(&handle).or_else(formerly);
            // Two handles may lead to one product, when one of them is a redirect.
            let identity = before.map_or_else(|| handle.clone(), |before| before.id.to_string());
            if !seen.insert(identity) {
                results[index] = Some(refused(format!("/slug {handle} comes twice")));
                continue;
            }
            match before {
                Some(before) if before.import_hash.as_deref() == Some(&said[..]) => {
                    let skus = it.product.skus;
                    unchanged.push(Unchanged { index, id: ProductId::from_uuid(before.id), skus });
                }
                before => {
                    let before = before.map(|it| (ProductId::from_uuid(it.id), it.version));
                    fresh.push(Fresh { index, product: it, handle, said, before });
                }
            }
        }
        let entries = self.read_entries(fresh, results).await?;
        Ok((entries, unchanged))
    }

    async fn look_up(&self, batch: &[FileProduct]) -> Result<Before> {
        let handles: HashSet<&String> = batch.iter().filter_map(|it| it.product.slug.as_ref()).collect();
        let former = batch.iter().filter_map(|it| it.former_slug.as_ref());
        let wanted = handles.iter().copied().chain(former).cloned().collect();
        let slugs = products::slugs(self.db.read(), wanted).await?;
        let ids = slugs.values().map(|row| row.product_id).collect();
        let known = products::imported(self.db.read(), ids).await?;
        let claimed = handles.into_iter().filter_map(|handle| Some(slugs.get(handle)?.product_id)).collect();
        Ok(Before { slugs, known, claimed })
    }

    /// Checks and normalises, and finds or makes the brands and categories that are named.
    async fn read_entries(
        &self,
        fresh: Vec<Fresh>,
        results: &mut [Option<ImportedProductResult>],
    ) -> Result<Vec<Entry>> {
        let mut entries = Vec::with_capacity(fresh.len());
        let mut categories: Vec<Option<String>> = Vec::with_capacity(fresh.len());
        let mut shard = Shard::new(0);
        let mut made = 0;
        for Fresh { index, product: it, handle, said, before } in fresh {
            let category = it.category.as_deref().map(normalise).filter(|name| !name.is_empty());
            if category.as_ref().is_some_and(|name| name.chars().count() > 200) {
                results[index] = Some(refused("/category is longer than 200 characters".to_owned()));
                continue;
            }
            let draft = match Draft::read(it.product) {
                Ok(draft) => draft,
                Err(failure) => {
                    results[index] = Some(refused(reason(&failure)));
                    continue;
                }
            };
            let id = match before {
                Some((id, _)) => id,
                None => {
                    if made % RUN == 0 {
                        shard = self.db.random_shard();
                    }
                    made += 1;
                    self.db.ids().mint(shard)
                }
            };
            let hash = it.beside.is_none().then(|| said.to_vec());
            let mark = ImportMark { hash, published: it.published, complete: it.complete };
            categories.push(category);
            let version = before.map(|(_, version)| version);
            entries.push(Entry {
                index,
                id,
                version,
                handle,
                draft,
                brand: None,
                rules: Rules::default(),
                mark,
                said,
            });
        }
        let brands =
            self.ensure_brands(entries.iter().filter_map(|entry| entry.draft.brand.as_deref())).await?;
        let category_ids = self.ensure_categories(categories.iter().flatten().map(String::as_str)).await?;
        for (entry, category) in entries.iter_mut().zip(categories) {
            entry.brand =
                entry.draft.brand.as_ref().and_then(|name| brands.get(&name.to_lowercase()).copied());
            if let Some(name) = category {
                entry.draft.category_id = category_ids.get(&name.to_lowercase()).copied();
            }
        }
        let (tree, attributes) = (self.category_tree().await?, self.all_attributes().await?);
        let mut fitting = Vec::with_capacity(entries.len());
        for mut entry in entries {
            entry.rules = attributes.rules(&tree, entry.draft.category_id);
            match entry.rules.fit(std::mem::take(&mut entry.draft.details.attributes)) {
                Ok(fitted) => {
                    entry.draft.details.attributes = fitted;
                    fitting.push(entry);
                }
                Err(failure) => results[entry.index] = Some(refused(reason(&failure))),
            }
        }
        Ok(fitting)
    }

    async fn report_unchanged(
        &self,
        unchanged: Vec<Unchanged>,
        results: &mut [Option<ImportedProductResult>],
    ) -> Result<()> {
        let ids: Vec<ProductId> = unchanged.iter().map(|it| it.id).collect();
        let mut skus: HashMap<ProductId, Vec<SkuRow>> = HashMap::new();
        for sku in products::skus_of(self.db.read(), &ids).await? {
            skus.entry(ProductId::from_uuid(sku.product_id)).or_default().push(sku);
        }
        for it in unchanged {
            let sku_ids = ids_of(skus.get(&it.id).map_or(&[], Vec::as_slice), &it.skus)?;
            let counts = ImportCounts { unchanged: 1, ..ImportCounts::default() };
            results[it.index] = Some(ImportedProductResult {
                product_id: Some(it.id),
                sku_ids,
                counts,
                error: None,
                unsettled: None,
            });
        }
        Ok(())
    }

    /// One write a shard; writes that wait together share a commit.
    async fn write_all(&self, entries: Vec<Entry>) -> Result<Vec<Outcome>> {
        let mut by_shard: BTreeMap<Shard, Vec<Entry>> = BTreeMap::new();
        for entry in entries {
            by_shard.entry(entry.id.shard()).or_default().push(entry);
        }
        let writes = by_shard.into_iter().map(|(shard, entries)| {
            self.db.write(shard, entries, |tx, entries| Box::pin(write(tx, entries)))
        });
        Ok(try_join_all(writes).await?.into_iter().flatten().collect())
    }
}

/// What is there that a batch may be about.
struct Before {
    slugs: HashMap<String, SlugRow>,
    known: HashMap<ProductId, Imported>,
    /// Products that have a handle of the batch.
    claimed: HashSet<Uuid>,
}

impl Before {
    fn named(&self, handle: &str) -> Option<&Imported> {
        self.known.get(&ProductId::from_uuid(self.slugs.get(handle)?.product_id))
    }

    /// The product that an older version made of these rows.
    fn formerly(&self, it: &FileProduct) -> Option<&Imported> {
        let known = self.named(it.former_slug.as_deref()?)?;
        let same = known.title == normalise(&it.product.title) && !self.claimed.contains(&known.id);
        same.then_some(known)
    }
}

/// A product that the last import described in the same words.
struct Unchanged {
    index: usize,
    id: ProductId,
    skus: Vec<SkuInput>,
}

/// Ids of the SKUs of a file that said the same before, in its order.
fn ids_of(rows: &[SkuRow], wanted: &[SkuInput]) -> Result<Vec<SkuId>> {
    let mut by_key: HashMap<String, SkuId> = HashMap::new();
    // Live ones come first and win.
    for row in rows {
        let key = option_key(options_of(row)?.iter().map(|option| option.value.as_str()));
        by_key.entry(key).or_insert(SkuId::from_uuid(row.id));
    }
    Ok(wanted
        .iter()
        .filter_map(|sku| {
            let values: Vec<String> = sku.options.iter().map(|option| normalise(&option.value)).collect();
            by_key.get(&option_key(values.iter().map(String::as_str))).copied()
        })
        .collect())
}

async fn write(tx: &Tx, entries: &[Entry]) -> Result<Vec<Outcome>> {
    let known: Vec<ProductId> =
        entries.iter().filter(|entry| entry.version.is_some()).map(|entry| entry.id).collect();
    let before = products::load(tx, &known).await?;
    let slugs = products::slugs(tx, entries.iter().map(|entry| entry.handle.clone()).collect()).await?;
    let mut wanted = HashSet::new();
    for entry in entries {
        let slug = before.get(&entry.id).map_or(&entry.handle, |rows| &rows.product.slug);
        wanted.extend(wanted_codes(slug, &entry.draft));
    }
    let mut taken = products::codes(tx, wanted).await?;
    let mut changes = Changes::default();
    let mut outcomes = Vec::with_capacity(entries.len());
    for entry in entries {
        let outcome = match plan_entry(tx, entry, before.get(&entry.id), slugs.get(&entry.handle), &mut taken)
        {
            Ok((planned, slug)) => {
                tx.publish(&ProductChanged { product_id: entry.id, version: planned.version }).await?;
                let gone_images = planned.changes.gone_images.clone();
                changes.absorb(planned.changes);
                Ok(Done {
                    id: entry.id,
                    sku_ids: planned.sku_ids,
                    created: entry.version.is_none(),
                    gone_images,
                    slug,
                    unsettled: unsettled(entry, planned.version),
                })
            }
            Err(failure) if failure.status() < 500 => Err(reason(&failure)),
            Err(failure) => return Err(failure),
        };
        outcomes.push((entry.index, outcome));
    }
    changes.apply(tx).await?;
    Ok(outcomes)
}

/// What is still to be said of an entry once it is written.
fn unsettled(entry: &Entry, version: i64) -> Option<SettleImported> {
    let settle = SettleImported { product_id: entry.id, version, said: entry.said };
    entry.mark.hash.is_none().then_some(settle)
}

fn plan_entry(
    tx: &Tx,
    entry: &Entry,
    before: Option<&ProductRows>,
    found: Option<&SlugRow>,
    taken: &mut HashMap<String, SkuId>,
) -> Result<(Planned, String)> {
    // Read before the write began: somebody may have been quicker.
    let moved = before.map(|rows| rows.product.version) != entry.version
        || found.is_some_and(|row| row.product_id != entry.id.uuid());
    if moved {
        return Err(
            Failure::new(kernel::code::CONFLICT).detail("was changed at the same time; import it again")
        );
    }
    let slug = before.map_or_else(|| entry.handle.clone(), |rows| rows.product.slug.clone());
    let target = Target {
        id: entry.id,
        before,
        slug: slug.clone(),
        slug_returns: before.is_some(),
        brand: entry.brand,
        standing: standing(before, entry.mark.published),
        rules: &entry.rules,
        import: Some(entry.mark.clone()),
        sku_ids: None,
        now: tx.now(),
    };
    let mut planned = plan(&target, &entry.draft, tx.ids(), taken)?;
    if before.is_some() && found.is_none() {
        // An older version called it otherwise: from now on its handle leads to it.
        let (slug, product_id) = (entry.handle.clone(), entry.id.uuid());
        planned.changes.new_slugs.push(SlugRow { slug, product_id, current: false });
    }
    Ok((planned, slug))
}

/// A product stands where the file says, unless that could not be read or is what the file said last time: then what staff did
/// since stays.
fn standing(before: Option<&ProductRows>, published: Option<bool>) -> Standing {
    let stays = |row: &&ProductRow| published.is_none_or(|it| row.import_published == Some(it));
    match before.map(|rows| &rows.product).filter(stays) {
        Some(row) => Standing { state: state_of(&row.state), on_shelf: row.on_shelf },
        None if published == Some(true) => Standing::ON_SHELF,
        None => Standing::DRAFT,
    }
}

fn refused(reason: String) -> ImportedProductResult {
    ImportedProductResult {
        product_id: None,
        sku_ids: Vec::new(),
        counts: ImportCounts::default(),
        error: Some(reason),
        unsettled: None,
    }
}

/// A failure in one line: each field with what is wrong with it, else the message.
pub(crate) fn reason(failure: &Failure) -> String {
    let fields: Vec<String> =
        failure.fields().iter().map(|field| format!("{} {}", field.pointer, field.detail)).collect();
    if fields.is_empty() { failure.message().to_owned() } else { fields.join("; ") }
}
