//! Brands and categories of a source: those that are here are used, the others are made, and noted before they are.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use contracts::{
    Ctx,
    catalog::{BrandId, BrandInput, Catalog, CategoryId, CategoryInput, CategoryNode},
};
use kernel::{Result, Shard};
use platform_db::Db;
use uuid::Uuid;

use crate::{
    map::Wrong,
    store::{self, MadeRow, Source},
    values::line,
};

const BRAND: &str = "brand";
const CATEGORY: &str = "category";
/// A category that is going to be made. Its note holds the mark of its place, by which it is found where a crash comes between.
const BEGUN: &str = "begun";
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

/// Where a category stands: the category above it, and its name in lower case.
type Spot = (Option<CategoryId>, String);

/// Categories here.
type Known = HashMap<Spot, CategoryId>;

/// What a place is known by in a note.
fn mark((parent, name): &Spot) -> Uuid {
    let parent = parent.map_or([0; 16], |parent| parent.uuid().into_bytes());
    CategoryId::derive(SHARD, &[b"migrate-in", &parent, name.as_bytes()]).uuid()
}

/// Which of the categories that were begun are there, by their keys in the source.
fn arrived(begun: &[MadeRow], known: &Known) -> Vec<(String, CategoryId)> {
    let there: HashMap<Uuid, CategoryId> = known.iter().map(|(spot, id)| (mark(spot), *id)).collect();
    begun.iter().filter_map(|row| Some((row.name.clone(), *there.get(&row.id?)?))).collect()
}

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

    fn row(&self, kind: &str, name: &str, id: Option<Uuid>) -> MadeRow {
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
        let mut known = self.known().await?;
        if make {
            self.note_arrived(&known).await?;
        }
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
            let spot = (parent, theirs.name.to_lowercase());
            let id = match (ours.get(&theirs.key), known.get(&spot)) {
                (Some(Some(id)), _) => Some(*id),
                // Noted by a version that did not mark its place.
                (Some(None), Some(id)) if make => {
                    self.note_made(&theirs.key, *id).await?;
                    Some(*id)
                }
                (_, Some(id)) => Some(*id),
                (_, None) if make => Some(self.make(&theirs, &spot).await?),
                (_, None) => None,
            };
            if let Some(id) = id {
                known.insert(spot, id);
                taxonomy.categories.insert(theirs.key, id);
            }
        }
        Ok(())
    }

    /// The categories that are here.
    async fn known(&self) -> Result<Known> {
        let mut known = Known::new();
        gather(&self.catalog.categories(self.ctx, ()).await?, None, &mut known);
        Ok(known)
    }

    async fn make(&self, theirs: &Theirs, spot: &Spot) -> Result<CategoryId> {
        self.note(self.row(BEGUN, &theirs.key, Some(mark(spot)))).await?;
        let input = CategoryInput { name: theirs.name.clone(), slug: None, parent_id: spot.0, position: 0 };
        let made = self.catalog.add_category(self.ctx, input).await?;
        self.note_made(&theirs.key, made.id).await?;
        Ok(made.id)
    }

    /// Notes what was made before a crash, before that was noted.
    async fn note_arrived(&self, known: &Known) -> Result<()> {
        let begun = store::made(self.db.read(), self.source, BEGUN).await?;
        for (key, id) in arrived(&begun, known) {
            self.note_made(&key, id).await?;
        }
        Ok(())
    }

    async fn note_made(&self, key: &str, id: CategoryId) -> Result<()> {
        let rows = (self.row(BEGUN, key, None), self.row(CATEGORY, key, Some(id.uuid())));
        self.db
            .write(SHARD, rows, |tx, (begun, made)| {
                Box::pin(async move {
                    store::remove_made(tx, begun).await?;
                    store::put_made(tx, made).await
                })
            })
            .await
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
        self.note_arrived(&self.known().await?).await?;
        for never_made in store::made(self.db.read(), self.source, BEGUN).await? {
            self.forget(never_made).await?;
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn id(name: &str) -> CategoryId {
        CategoryId::derive(SHARD, &[name.as_bytes()])
    }

    fn begun(key: &str, spot: &Spot) -> MadeRow {
        let (source, kind, name) = ("legacy".to_owned(), BEGUN.to_owned(), key.to_owned());
        MadeRow { source, kind, name, id: Some(mark(spot)) }
    }

    #[test]
    fn a_category_that_was_made_and_not_noted_is_found_by_its_place() {
        let at = |parent: Option<&str>, name: &str| -> Spot { (parent.map(id), name.to_owned()) };
        let (top, below) = (at(None, "shoes"), at(Some("men"), "shoes"));
        let known = Known::from([(top.clone(), id("top")), (below.clone(), id("below"))]);
        let rows = [
            begun("7", &below),
            // Of these nothing came.
            begun("8", &at(Some("women"), "shoes")),
            begun("9", &at(Some("men"), "hats")),
        ];
        assert_eq!(arrived(&rows, &known), [("7".to_owned(), id("below"))]);
        assert_eq!(arrived(&[begun("6", &top)], &known), [("6".to_owned(), id("top"))]);
        assert!(arrived(&rows, &Known::new()).is_empty());
    }
}
