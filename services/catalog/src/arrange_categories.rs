//! Adds, changes, moves and removes categories. Every change of the tree first writes one row, so that two of them never
//! decide on the same tree; then it reads all of it, which is small.

use contracts::{
    Ctx, Permission,
    catalog::{CategoryChanged, CategoryId, CategoryInput, CategoryRef, ReplaceCategory, code},
    valid,
};
use kernel::{Failure, Result, normalise};
use platform_db::{Rows, Tx};

use crate::{
    brands::REFERENCE,
    naming,
    service::CatalogService,
    store::{attributes, categories},
    tree::{Category, DEEPEST, Tree, path_below},
};

impl CatalogService {
    pub(crate) async fn add_category(&self, ctx: &Ctx, input: CategoryInput) -> Result<CategoryRef> {
        ctx.require(Permission::CatalogWrite)?;
        let input = read(input)?;
        let id = self.db.ids().mint(REFERENCE);
        let added =
            self.db.write(REFERENCE, (id, input), |tx, (id, input)| Box::pin(add(tx, *id, input))).await?;
        self.forget_tree().await;
        Ok(added)
    }

    pub(crate) async fn replace_category(&self, ctx: &Ctx, command: ReplaceCategory) -> Result<CategoryRef> {
        ctx.require(Permission::CatalogWrite)?;
        let ReplaceCategory { id, category } = command;
        let input = read(category)?;
        let changed = self
            .db
            .write(REFERENCE, (id, input), |tx, (id, input)| {
                Box::pin(async move {
                    let tree = locked(tx).await?;
                    let before = tree.get(*id).ok_or_else(|| Failure::not_found("category"))?;
                    let after = replaced(&tree, before, input)?;
                    replace(tx, &tree, before, &after).await?;
                    Ok(after.reference())
                })
            })
            .await?;
        self.forget_tree().await;
        Ok(changed)
    }

    pub(crate) async fn remove_category(&self, ctx: &Ctx, id: CategoryId) -> Result<()> {
        ctx.require(Permission::CatalogWrite)?;
        self.db
            .write(REFERENCE, id, |tx, &id| {
                Box::pin(async move {
                    let tree = locked(tx).await?;
                    tree.get(id).ok_or_else(|| Failure::not_found("category"))?;
                    if !tree.children(Some(id)).is_empty()
                        || categories::has_products(&tx.unlocked(), id).await?
                    {
                        return Err(Failure::new(code::CATEGORY_NOT_EMPTY));
                    }
                    attributes::assign(tx, id, &[]).await?;
                    categories::remove(tx, id).await?;
                    tx.publish(&CategoryChanged { category_id: id }).await
                })
            })
            .await?;
        self.forget_tree().await;
        Ok(())
    }
}

/// Adds a category; again, it is the one that was added.
pub(crate) async fn add(tx: &Tx, id: CategoryId, input: &CategoryInput) -> Result<CategoryRef> {
    let tree = locked(tx).await?;
    if let Some(own) = tree.get(id) {
        // This very write, whose commit was not heard of.
        return Ok(own.reference());
    }
    let category = new_category(&tree, id, input, None)?;
    Rows::new().row(category.row(tx.now())).insert(tx).await?;
    Ok(category.reference())
}

/// The tree, which nobody else changes until this write ends.
pub(crate) async fn locked(tx: &Tx) -> Result<Tree> {
    categories::lock(tx).await?;
    Ok(Tree::new(categories::all(tx).await?))
}

/// A category to add; its slug is checked against the tree.
pub(crate) fn new_category(
    tree: &Tree,
    id: CategoryId,
    input: &CategoryInput,
    external_id: Option<String>,
) -> Result<Category> {
    let slug = slug(tree, None, input, &id.to_string())?;
    let parent = parent(tree, input.parent_id)?;
    let category = Category {
        id,
        parent: input.parent_id,
        slug,
        name: input.name.clone(),
        position: input.position,
        external_id,
        path: path_below(parent.map_or("", |parent| &parent.path), id),
    };
    if category.depth() > DEEPEST { Err(too_deep()) } else { Ok(category) }
}

/// What a category becomes; refuses to move it below itself.
pub(crate) fn replaced(tree: &Tree, before: &Category, input: &CategoryInput) -> Result<Category> {
    let parent = parent(tree, input.parent_id)?;
    if parent.is_some_and(|parent| before.holds(parent)) {
        let failure =
            Failure::new(code::CATEGORY_CYCLE).field("/parent_id", "is the category itself or below it");
        return Err(failure);
    }
    let after = Category {
        parent: input.parent_id,
        slug: slug(tree, Some(before), input, &before.id.to_string())?,
        name: input.name.clone(),
        position: input.position,
        path: path_below(parent.map_or("", |parent| &parent.path), before.id),
        ..before.clone()
    };
    let deepest =
        tree.categories().filter(|below| before.holds(below)).map(Category::depth).max().unwrap_or(0);
    if after.depth() + deepest.saturating_sub(before.depth()) > DEEPEST { Err(too_deep()) } else { Ok(after) }
}

/// Writes what a category became, with the paths of everything below it.
pub(crate) async fn replace(tx: &Tx, tree: &Tree, before: &Category, after: &Category) -> Result<()> {
    if before == after {
        return Ok(());
    }
    categories::replace(tx, after, tx.now()).await?;
    if before.path != after.path {
        for below in tree.categories().filter(|it| it.id != before.id && before.holds(it)) {
            let path = format!("{}{}", after.path, &below.path[before.path.len()..]);
            categories::replace(tx, &Category { path, ..below.clone() }, tx.now()).await?;
        }
    }
    tx.publish(&CategoryChanged { category_id: after.id }).await
}

fn read(mut input: CategoryInput) -> Result<CategoryInput> {
    valid(&input)?;
    input.name = normalise(&input.name);
    if input.name.is_empty() { Err(Failure::invalid("/name", "must not be blank")) } else { Ok(input) }
}

fn parent(tree: &Tree, id: Option<CategoryId>) -> Result<Option<&Category>> {
    id.map(|id| tree.get(id).ok_or_else(|| Failure::invalid("/parent_id", "there is no such category")))
        .transpose()
}

fn too_deep() -> Failure {
    Failure::invalid("/parent_id", format!("the tree may be {DEEPEST} levels deep"))
}

/// The slug asked for, which must be free; without one the category keeps its own, and a new one gets its name's, with its
/// parent's before it where the name alone is taken.
fn slug(tree: &Tree, before: Option<&Category>, input: &CategoryInput, owner: &str) -> Result<String> {
    let free =
        |slug: &str| tree.find(slug).is_none_or(|other| before.is_some_and(|before| before.id == other.id));
    if let Some(wanted) = &input.slug {
        return if free(wanted) {
            Ok(wanted.clone())
        } else {
            Err(Failure::new(code::SLUG_TAKEN).field("/slug", "another category has this slug"))
        };
    }
    if let Some(before) = before {
        return Ok(before.slug.clone());
    }
    let own = naming::slug_of(&input.name);
    let below = input
        .parent_id
        .and_then(|id| tree.get(id))
        .map(|parent| naming::slug_of(&format!("{} {own}", parent.slug)));
    let candidates = naming::candidates(below.as_deref().unwrap_or(&own), owner);
    std::iter::once(own)
        .chain(candidates)
        .find(|slug| free(slug))
        .ok_or_else(|| Failure::new(code::SLUG_TAKEN))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(name: &str, parent: Option<&Category>) -> CategoryInput {
        CategoryInput { name: name.to_owned(), slug: None, parent_id: parent.map(|it| it.id), position: 0 }
    }

    fn add(all: &mut Vec<Category>, n: u8, name: &str, parent: Option<&Category>) -> Category {
        let id = CategoryId::derive(REFERENCE, &[&[n]]);
        let category = new_category(&Tree::new(all.clone()), id, &input(name, parent), None).unwrap();
        all.push(category.clone());
        category
    }

    #[test]
    fn names_that_come_again_get_their_parents_slug_in_front() {
        let mut all = Vec::new();
        let men = add(&mut all, 1, "Men", None);
        let women = add(&mut all, 2, "Women", None);
        assert_eq!(add(&mut all, 3, "Shirts", Some(&men)).slug, "shirts");
        assert_eq!(add(&mut all, 4, "Shirts", Some(&women)).slug, "women-shirts");
        assert_eq!(add(&mut all, 5, "Shirts", Some(&women)).slug, "women-shirts-2");
    }

    #[test]
    fn nothing_moves_below_itself() {
        let mut all = Vec::new();
        let top = add(&mut all, 1, "Top", None);
        let middle = add(&mut all, 2, "Middle", Some(&top));
        let low = add(&mut all, 3, "Low", Some(&middle));
        let tree = Tree::new(all);
        for below in [&top, &middle, &low] {
            assert!(replaced(&tree, &top, &input("Top", Some(below))).unwrap_err().is(code::CATEGORY_CYCLE));
        }
        let moved = replaced(&tree, &low, &input("Low", Some(&top))).unwrap();
        assert_eq!(moved.path, path_below(&top.path, low.id));
        assert_eq!(moved.slug, low.slug);
    }

    #[test]
    fn the_tree_has_a_bottom() {
        let mut all = Vec::new();
        let mut last: Option<Category> = None;
        for n in 0..u8::try_from(DEEPEST).unwrap() {
            last = Some(add(&mut all, n, "Deeper", last.as_ref()));
        }
        let tree = Tree::new(all.clone());
        let id = CategoryId::derive(REFERENCE, &[b"x"]);
        assert!(new_category(&tree, id, &input("Too deep", last.as_ref()), None).is_err());
        // A whole subtree that would reach too deep does not move either.
        let other = add(&mut all, 200, "Other", None);
        let tree = Tree::new(all.clone());
        assert!(replaced(&tree, &all[0], &input("Deeper", Some(&other))).is_err());
    }
}
