//! Brands and categories of a source: those that are here are used, the others are made, and noted before they are.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use contracts::{
    Ctx,
    catalog::{BrandId, BrandInput, Catalog, CategoryId, CategoryInput, CategoryNode},
};
use kernel::{Result, Shard};
use platform_db::Db;

use crate::{
    map::Wrong,
    store::{self, MadeRow, Source},
    values::line,
};

const BRAND: &str = "brand";
const CATEGORY: &str = "category";
/// Brands and categories are not sharded.
const SHARD: Shard = Shard::new(0);
/// Longest name.
const NAME: usize = 200;

/// What the source's brands and categories are here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taxonomy {
    /// Name of a brand by its key.
    pub(crate) brands: BTreeMap<String, String>,
    /// Category by its key.
    pub(crate) categories: BTreeMap<String, CategoryId>,
    pub(crate) wrong: Vec<Wrong>,
}

/// Works on them.
pub(crate) struct Shelves<'a> {
    pub(crate) db: &'a Db,
    pub(crate) catalog: &'a dyn Catalog,
    pub(crate) ctx: &'a Ctx,
    pub(crate) source: &'a str,
}

/// Categories here: by the category above and the name in lower case.
type Known = HashMap<(Option<CategoryId>, String), CategoryId>;

fn gather(nodes: &[CategoryNode], parent: Option<CategoryId>, known: &mut Known) {
    for node in nodes {
        known.insert((parent, node.name.to_lowercase()), node.id);
        gather(&node.children, Some(node.id), known);
    }
}

/// A category of the source.
struct Theirs {
    key: String,
    parent: Option<String>,
    name: String,
}

impl Shelves<'_> {
    /// What brands and categories are here; those that are not are made where `make`.
    pub(crate) async fn taxonomy(&self, source: &Source, make: bool) -> Result<Taxonomy> {
        let mut taxonomy = Taxonomy::default();
        self.brands(source, make, &mut taxonomy).await?;
        self.categories(source, make, &mut taxonomy).await?;
        Ok(taxonomy)
    }

    async fn note(&self, row: MadeRow) -> Result<()> {
        self.db.write(SHARD, row, |tx, row| Box::pin(async move { store::put_made(tx, row).await })).await
    }

    fn row(&self, kind: &str, name: &str, id: Option<uuid::Uuid>) -> MadeRow {
        MadeRow { source: self.source.to_owned(), kind: kind.to_owned(), name: name.to_owned(), id }
    }

    async fn brands(&self, source: &Source, make: bool, taxonomy: &mut Taxonomy) -> Result<()> {
        let known = self.catalog.brands(self.ctx, ()).await?;
        let mut known: HashMap<String, BrandId> =
            known.into_iter().map(|brand| (brand.name.to_lowercase(), brand.id)).collect();
        let made = store::made(self.db.read(), self.source, BRAND).await?;
        let open: BTreeSet<&str> =
            made.iter().filter(|row| row.id.is_none()).map(|row| row.name.as_str()).collect();
        for row in source.all("brands").await? {
            let (Some(key), name) = (row.get("id"), row.line("name", NAME)) else { continue };
            if name.is_empty() {
                let reason = "name is empty".to_owned();
                taxonomy.wrong.push(Wrong { name: "brands", key: key.to_owned(), reason });
                continue;
            }
            let lower = name.to_lowercase();
            match known.get(&lower) {
                // Made before a crash, before that was noted.
                Some(id) if make && open.contains(lower.as_str()) => {
                    self.note(self.row(BRAND, &lower, Some(id.uuid()))).await?;
                }
                Some(_) => {}
                None if make => {
                    self.note(self.row(BRAND, &lower, None)).await?;
                    let brand = self.catalog.add_brand(self.ctx, BrandInput { name: name.clone() }).await?;
                    self.note(self.row(BRAND, &lower, Some(brand.id.uuid()))).await?;
                    known.insert(lower, brand.id);
                }
                None => {}
            }
            taxonomy.brands.insert(key.to_owned(), name);
        }
        Ok(())
    }

    async fn categories(&self, source: &Source, make: bool, taxonomy: &mut Taxonomy) -> Result<()> {
        let mut known = Known::new();
        gather(&self.catalog.categories(self.ctx, ()).await?, None, &mut known);
        let made = store::made(self.db.read(), self.source, CATEGORY).await?;
        let mut ours: HashMap<String, Option<CategoryId>> =
            made.into_iter().map(|row| (row.name, row.id.map(CategoryId::from_uuid))).collect();
        // One that was removed here since is made again.
        let there: BTreeSet<CategoryId> = known.values().copied().collect();
        ours.retain(|_, id| id.is_none_or(|id| there.contains(&id)));
        for theirs in in_order(source, taxonomy).await? {
            let parent = match &theirs.parent {
                None => None,
                Some(key) => match taxonomy.categories.get(key) {
                    Some(id) => Some(*id),
                    // Not made: this is only looked at.
                    None => continue,
                },
            };
            let place = (parent, theirs.name.to_lowercase());
            let id = match (ours.get(&theirs.key), known.get(&place)) {
                (Some(Some(id)), _) => Some(*id),
                (Some(None), Some(id)) if make => {
                    self.note(self.row(CATEGORY, &theirs.key, Some(id.uuid()))).await?;
                    Some(*id)
                }
                (_, Some(id)) => Some(*id),
                (_, None) if make => Some(self.make(&theirs, parent).await?),
                (_, None) => None,
            };
            if let Some(id) = id {
                known.insert(place, id);
                taxonomy.categories.insert(theirs.key, id);
            }
        }
        Ok(())
    }

    async fn make(&self, theirs: &Theirs, parent_id: Option<CategoryId>) -> Result<CategoryId> {
        self.note(self.row(CATEGORY, &theirs.key, None)).await?;
        let input = CategoryInput { name: theirs.name.clone(), slug: None, parent_id, position: 0 };
        let made = self.catalog.add_category(self.ctx, input).await?;
        self.note(self.row(CATEGORY, &theirs.key, Some(made.id.uuid()))).await?;
        Ok(made.id)
    }

    /// Removes what was made and nobody uses; how many were removed, and which stay and why.
    pub(crate) async fn give_back(&self) -> Result<(u64, Vec<Wrong>)> {
        let (mut removed, mut kept) = (0, Vec::new());
        for row in store::made(self.db.read(), self.source, BRAND).await? {
            let id = match row.id.map(BrandId::from_uuid) {
                Some(id) => Some(id),
                None => {
                    let brands = self.catalog.brands(self.ctx, ()).await?;
                    brands.into_iter().find(|it| it.name.to_lowercase() == row.name).map(|it| it.id)
                }
            };
            let outcome = match id {
                Some(id) => self.catalog.remove_brand(self.ctx, id).await,
                None => Ok(()),
            };
            match outcome {
                Err(failure) if failure.status() != 404 && failure.status() < 500 => {
                    let reason = failure.message().to_owned();
                    kept.push(Wrong { name: "brands", key: row.name, reason });
                }
                Err(failure) if failure.status() >= 500 => return Err(failure),
                _ => {
                    self.forget(row).await?;
                    removed += 1;
                }
            }
        }
        let (gone, stay) = self.give_categories_back().await?;
        kept.extend(stay);
        Ok((removed + gone, kept))
    }

    /// Those below others go first: again and again, until nothing more goes.
    async fn give_categories_back(&self) -> Result<(u64, Vec<Wrong>)> {
        let mut removed = 0;
        loop {
            let (mut kept, mut went) = (Vec::new(), false);
            for row in store::made(self.db.read(), self.source, CATEGORY).await? {
                let outcome = match row.id.map(CategoryId::from_uuid) {
                    Some(id) => self.catalog.remove_category(self.ctx, id).await,
                    None => Ok(()),
                };
                match outcome {
                    Err(failure) if failure.status() >= 500 => return Err(failure),
                    Err(failure) if failure.status() != 404 => {
                        let reason = failure.message().to_owned();
                        kept.push(Wrong { name: "categories", key: row.name, reason });
                    }
                    _ => {
                        self.forget(row).await?;
                        (removed, went) = (removed + 1, true);
                    }
                }
            }
            if !went || kept.is_empty() {
                return Ok((removed, kept));
            }
        }
    }

    async fn forget(&self, row: MadeRow) -> Result<()> {
        self.db.write(SHARD, row, |tx, row| Box::pin(async move { store::remove_made(tx, row).await })).await
    }
}

/// Categories of the source, each after the one above it. What hangs on nothing, or on itself, is told.
async fn in_order(source: &Source, taxonomy: &mut Taxonomy) -> Result<Vec<Theirs>> {
    let mut waiting: Vec<Theirs> = Vec::new();
    for row in source.all("categories").await? {
        let Some(key) = row.get("id").map(str::to_owned) else { continue };
        let parent = row.get("parent_id").filter(|parent| *parent != "0").map(str::to_owned);
        waiting.push(Theirs { key, parent, name: line(row.get("name").unwrap_or_default(), NAME) });
    }
    let mut ordered: Vec<Theirs> = Vec::with_capacity(waiting.len());
    let mut placed: BTreeSet<String> = BTreeSet::new();
    loop {
        let before = ordered.len();
        let (now, later): (Vec<Theirs>, Vec<Theirs>) = waiting.into_iter().partition(|it| {
            !it.name.is_empty() && it.parent.as_ref().is_none_or(|parent| placed.contains(parent))
        });
        placed.extend(now.iter().map(|it| it.key.clone()));
        ordered.extend(now);
        waiting = later;
        if ordered.len() == before {
            break;
        }
    }
    for theirs in waiting {
        let reason = if theirs.name.is_empty() { "name is empty" } else { "there is no category above it" };
        taxonomy.wrong.push(Wrong { name: "categories", key: theirs.key, reason: reason.to_owned() });
    }
    Ok(ordered)
}
