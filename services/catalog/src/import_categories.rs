//! Takes categories of a file in: known by their source's id, parents before children.

use std::collections::HashMap;

use contracts::{
    Ctx, Permission,
    catalog::{CategoryId, CategoryInput, ImportCounts, ImportedCategory},
};
use kernel::{Failure, Result, normalise};
use platform_db::{Rows, Tx};

use crate::{
    arrange_categories::{locked, new_category, replace, replaced},
    brands::REFERENCE,
    service::CatalogService,
    store::categories,
    tree::{Category, Tree},
};

const MOST: usize = 1_000;

impl CatalogService {
    pub(crate) async fn import_categories(
        &self,
        ctx: &Ctx,
        batch: Vec<ImportedCategory>,
    ) -> Result<ImportCounts> {
        ctx.require(Permission::ImportRun)?;
        if batch.len() > MOST {
            return Err(Failure::invalid("/", format!("at most {MOST} categories a call")));
        }
        let batch = batch.into_iter().enumerate().map(read).collect::<Result<Vec<_>>>()?;
        let counts = self.db.write(REFERENCE, batch, |tx, batch| Box::pin(import(tx, batch))).await?;
        if counts.created + counts.updated > 0 {
            self.forget_tree().await;
        }
        Ok(counts)
    }

    /// Categories by lower-case name, wherever they are in the tree; those that do not exist are made at the top.
    pub(crate) async fn ensure_categories<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str> + Send,
    ) -> Result<HashMap<String, CategoryId>> {
        let tree = self.category_tree().await?;
        let mut ids = HashMap::new();
        let mut missing: Vec<String> = Vec::new();
        for name in names {
            match tree.named(name) {
                Some(category) => {
                    ids.insert(name.to_lowercase(), category.id);
                }
                None => missing.push(name.to_owned()),
            }
        }
        if missing.is_empty() {
            return Ok(ids);
        }
        let made = self.db.write(REFERENCE, missing, |tx, names| Box::pin(make_at_top(tx, names))).await?;
        self.forget_tree().await;
        ids.extend(made);
        Ok(ids)
    }
}

fn read((index, it): (usize, ImportedCategory)) -> Result<ImportedCategory> {
    let pointer = |field: &str| format!("/{index}/{field}");
    let name = normalise(&it.name);
    if name.is_empty() || name.chars().count() > 200 {
        return Err(Failure::invalid(pointer("name"), "must have 1 to 200 characters"));
    }
    if it.external_id.is_empty() || it.external_id.chars().count() > 200 {
        return Err(Failure::invalid(pointer("external_id"), "must have 1 to 200 characters"));
    }
    Ok(ImportedCategory { name, ..it })
}

async fn import(tx: &Tx, batch: &[ImportedCategory]) -> Result<ImportCounts> {
    let mut counts = ImportCounts::default();
    let mut all: Vec<Category> = {
        categories::lock(tx).await?;
        categories::all(tx).await?
    };
    let mut known: HashMap<String, CategoryId> =
        all.iter().filter_map(|it| Some((it.external_id.clone()?, it.id))).collect();
    let mut tree = Tree::new(all.clone());
    let mut fresh: Vec<Category> = Vec::new();
    let mut siblings: HashMap<Option<CategoryId>, i32> = HashMap::new();
    for (index, it) in batch.iter().enumerate() {
        let parent_id = match &it.parent_external_id {
            None => None,
            Some(parent) => Some(*known.get(parent).ok_or_else(|| {
                Failure::invalid(
                    format!("/{index}/parent_external_id"),
                    format!("there is no category {parent}"),
                )
            })?),
        };
        let existing = known.get(&it.external_id).and_then(|&id| tree.get(id)).cloned();
        if let Some(before) = existing {
            let input =
                CategoryInput { name: it.name.clone(), slug: None, parent_id, position: before.position };
            let after = replaced(&tree, &before, &input)?;
            if after == before {
                counts.unchanged += 1;
                continue;
            }
            replace(tx, &tree, &before, &after).await?;
            counts.updated += 1;
            // Paths below may have changed: read the tree again. Rare: only what a file moves or renames.
            all = categories::all(tx).await?;
            all.extend(fresh.iter().cloned());
            tree = Tree::new(all.clone());
        } else {
            let position = *siblings
                .entry(parent_id)
                .and_modify(|position| *position += 1)
                .or_insert_with(|| i32::try_from(tree.children(parent_id).len() + 1).unwrap_or(i32::MAX));
            let input = CategoryInput { name: it.name.clone(), slug: None, parent_id, position };
            let category =
                new_category(&tree, tx.ids().mint(REFERENCE), &input, Some(it.external_id.clone()))?;
            known.insert(it.external_id.clone(), category.id);
            tree.add(category.clone());
            fresh.push(category);
            counts.created += 1;
        }
    }
    Rows::new().rows(fresh.iter().map(|category| category.row(tx.now()))).insert(tx).await?;
    Ok(counts)
}

async fn make_at_top(tx: &Tx, names: &[String]) -> Result<Vec<(String, CategoryId)>> {
    let mut tree = locked(tx).await?;
    let mut made = Vec::new();
    let mut fresh = Vec::new();
    for name in names {
        let key = name.to_lowercase();
        let id = match tree.named(name) {
            Some(category) => category.id,
            None => {
                let position = i32::try_from(tree.children(None).len() + 1).unwrap_or(i32::MAX);
                let input = CategoryInput { name: name.clone(), slug: None, parent_id: None, position };
                let category = new_category(&tree, tx.ids().mint(REFERENCE), &input, None)?;
                fresh.push(category.row(tx.now()));
                tree.add(category.clone());
                category.id
            }
        };
        made.push((key, id));
    }
    Rows::new().rows(fresh).insert(tx).await?;
    Ok(made)
}
