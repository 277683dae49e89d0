//! Brands: small, read everywhere; kept on shard 0.

use std::collections::{BTreeMap, HashMap};

use contracts::{
    Ctx, Permission,
    catalog::{BrandChanged, BrandId, BrandInput, BrandView, ReplaceBrand, code},
    valid,
};
use kernel::{Failure, Result, Shard, normalise};
use platform_db::{Rows, Tx};

use crate::{
    naming,
    service::CatalogService,
    store::brands::{self, BrandRow},
};

/// Brands and categories are not sharded; their writes and events go through this shard.
pub(crate) const REFERENCE: Shard = Shard::new(0);

/// All brands, in memory.
#[derive(Debug, Default)]
pub(crate) struct Brands {
    by_id: HashMap<BrandId, BrandView>,
    by_slug: HashMap<String, BrandId>,
    /// By lower-case name, which is the order they are shown in.
    by_key: BTreeMap<String, BrandId>,
}

impl Brands {
    pub(crate) fn new(rows: Vec<BrandRow>) -> Self {
        let mut all = Self::default();
        for row in rows {
            let id = BrandId::from_uuid(row.id);
            all.by_slug.insert(row.slug.clone(), id);
            all.by_key.insert(row.name_key.clone(), id);
            all.by_id.insert(id, row.into());
        }
        all
    }

    pub(crate) fn get(&self, id: BrandId) -> Option<&BrandView> {
        self.by_id.get(&id)
    }

    /// By id or slug.
    pub(crate) fn find(&self, id_or_slug: &str) -> Option<&BrandView> {
        let id = id_or_slug.parse().ok().or_else(|| self.by_slug.get(id_or_slug).copied())?;
        self.get(id)
    }

    pub(crate) fn named(&self, name: &str) -> Option<BrandId> {
        self.by_key.get(&name.to_lowercase()).copied()
    }

    /// By name.
    pub(crate) fn views(&self) -> Vec<BrandView> {
        self.by_key.values().filter_map(|id| self.by_id.get(id).cloned()).collect()
    }
}

impl CatalogService {
    pub(crate) async fn add_brand(&self, ctx: &Ctx, input: BrandInput) -> Result<BrandView> {
        ctx.require(Permission::CatalogWrite)?;
        let name = brand_name(&input)?;
        let id = self.db.ids().mint(REFERENCE);
        let row = self.db.write(REFERENCE, (id, name), |tx, (id, name)| Box::pin(add(tx, *id, name))).await?;
        self.forget_brands().await;
        Ok(row.into())
    }

    pub(crate) async fn replace_brand(&self, ctx: &Ctx, command: ReplaceBrand) -> Result<BrandView> {
        ctx.require(Permission::CatalogWrite)?;
        let name = brand_name(&command.brand)?;
        let row = self
            .db
            .write(REFERENCE, (command.id, name), |tx, (id, name)| {
                Box::pin(async move {
                    let before = brands::find(tx, *id).await?.ok_or_else(|| Failure::not_found("brand"))?;
                    let key = name.to_lowercase();
                    let others = brands::by_keys(tx, vec![key.clone()]).await?;
                    if others.iter().any(|other| other.id != before.id) {
                        return Err(name_taken());
                    }
                    brands::rename(tx, *id, name, &key).await?;
                    tx.publish(&BrandChanged { brand_id: *id }).await?;
                    Ok(BrandRow { name: name.clone(), name_key: key, ..before })
                })
            })
            .await?;
        self.forget_brands().await;
        Ok(row.into())
    }

    pub(crate) async fn remove_brand(&self, ctx: &Ctx, id: BrandId) -> Result<()> {
        ctx.require(Permission::CatalogWrite)?;
        self.db
            .write(REFERENCE, id, |tx, &id| {
                Box::pin(async move {
                    brands::find(tx, id).await?.ok_or_else(|| Failure::not_found("brand"))?;
                    if brands::in_use(&tx.unlocked(), id).await? {
                        return Err(Failure::new(code::BRAND_IN_USE));
                    }
                    brands::remove(tx, id).await
                })
            })
            .await?;
        self.forget_brands().await;
        Ok(())
    }

    /// Ids of brands by lower-case name; those that do not exist are made.
    pub(crate) async fn ensure_brands<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str> + Send,
    ) -> Result<HashMap<String, BrandId>> {
        let known = self.all_brands().await?;
        let mut ids = HashMap::new();
        let mut missing: BTreeMap<String, String> = BTreeMap::new();
        for name in names {
            match known.named(name) {
                Some(id) => {
                    ids.insert(name.to_lowercase(), id);
                }
                None => {
                    missing.entry(name.to_lowercase()).or_insert_with(|| name.to_owned());
                }
            }
        }
        if missing.is_empty() {
            return Ok(ids);
        }
        let made = self
            .db
            .write(REFERENCE, missing, |tx, missing| {
                Box::pin(async move {
                    let mut rows = brands::by_keys(tx, missing.keys().cloned().collect()).await?;
                    let names =
                        missing.iter().filter(|(key, _)| !rows.iter().any(|row| row.name_key == **key));
                    let names = names.map(|(_, name)| (tx.ids().mint(REFERENCE), name.clone())).collect();
                    rows.extend(insert(tx, names).await?);
                    Ok(rows)
                })
            })
            .await?;
        self.forget_brands().await;
        ids.extend(made.into_iter().map(|row| (row.name_key, BrandId::from_uuid(row.id))));
        Ok(ids)
    }
}

fn brand_name(input: &BrandInput) -> Result<String> {
    valid(input)?;
    let name = normalise(&input.name);
    if name.is_empty() { Err(Failure::invalid("/name", "must not be blank")) } else { Ok(name) }
}

fn name_taken() -> Failure {
    Failure::new(code::SLUG_TAKEN)
        .detail("another brand has this name")
        .field("/name", "another brand has this name")
}

/// Adds a brand; again, it is the one that was added.
pub(crate) async fn add(tx: &Tx, id: BrandId, name: &str) -> Result<BrandRow> {
    match brands::by_keys(tx, vec![name.to_lowercase()]).await?.pop() {
        // This very write, whose commit was not heard of.
        Some(own) if own.id == id.uuid() => Ok(own),
        Some(_) => Err(name_taken()),
        None => insert(tx, vec![(id, name.to_owned())])
            .await?
            .pop()
            .ok_or_else(|| Failure::internal("no brand was made")),
    }
}

/// Adds brands of these names, which no brand has.
async fn insert(tx: &Tx, names: Vec<(BrandId, String)>) -> Result<Vec<BrandRow>> {
    let mut rows: Vec<BrandRow> = Vec::with_capacity(names.len());
    for (id, name) in names {
        let wanted = naming::candidates(&naming::slug_of(&name), &id.to_string());
        let taken = brands::taken_slugs(tx, wanted.clone()).await?;
        let free = |slug: &String| !taken.contains(slug) && !rows.iter().any(|row| row.slug == *slug);
        let slug = wanted.into_iter().find(free).ok_or(code::SLUG_TAKEN)?;
        rows.push(BrandRow {
            id: id.uuid(),
            slug,
            name_key: name.to_lowercase(),
            name,
            created_at: tx.now().micros(),
        });
    }
    Rows::new().rows(rows.clone()).insert(tx).await?;
    Ok(rows)
}
