//! The category tree in memory: pure.

use std::collections::HashMap;

use contracts::catalog::{CategoryId, CategoryNode, CategoryRef};

/// How deep the tree may be: `path` in the database has room for as many ids.
pub(crate) const DEEPEST: usize = 20;

/// A category.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Category {
    pub(crate) id: CategoryId,
    pub(crate) parent: Option<CategoryId>,
    pub(crate) slug: String,
    pub(crate) name: String,
    pub(crate) position: i32,
    pub(crate) external_id: Option<String>,
    /// Ids from the top down to this one, see [`path_below`].
    pub(crate) path: String,
}

impl Category {
    pub(crate) fn reference(&self) -> CategoryRef {
        CategoryRef { id: self.id, slug: self.slug.clone(), name: self.name.clone() }
    }

    /// Categories from the top down to this one, itself included.
    pub(crate) fn depth(&self) -> usize {
        self.path.matches('/').count()
    }

    /// Whether `other` is this one or below it.
    pub(crate) fn holds(&self, other: &Self) -> bool {
        other.path.starts_with(&self.path)
    }
}

/// The path of `id` below the category with path `parent` (empty for the top).
pub(crate) fn path_below(parent: &str, id: CategoryId) -> String {
    format!("{parent}{}/", id.uuid().simple())
}

/// All categories.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    all: HashMap<CategoryId, Category>,
    by_slug: HashMap<String, CategoryId>,
    by_name: HashMap<String, CategoryId>,
    children: HashMap<Option<CategoryId>, Vec<CategoryId>>,
}

impl Tree {
    /// The tree of these categories.
    pub(crate) fn new(mut categories: Vec<Category>) -> Self {
        categories.sort_by(|a, b| {
            (a.depth(), a.position, &a.name, a.id).cmp(&(b.depth(), b.position, &b.name, b.id))
        });
        let mut tree = Self::default();
        for category in categories {
            tree.add(category);
        }
        tree
    }

    /// Adds a category, after its siblings.
    pub(crate) fn add(&mut self, category: Category) {
        self.by_slug.insert(category.slug.clone(), category.id);
        // The highest category of a name answers for it.
        self.by_name.entry(category.name.to_lowercase()).or_insert(category.id);
        self.children.entry(category.parent).or_default().push(category.id);
        self.all.insert(category.id, category);
    }

    pub(crate) fn get(&self, id: CategoryId) -> Option<&Category> {
        self.all.get(&id)
    }

    /// By id or slug.
    pub(crate) fn find(&self, id_or_slug: &str) -> Option<&Category> {
        let id = id_or_slug.parse().ok().or_else(|| self.by_slug.get(id_or_slug).copied())?;
        self.get(id)
    }

    /// By name, whatever its case; the highest where several have it.
    pub(crate) fn named(&self, name: &str) -> Option<&Category> {
        self.by_name.get(&name.to_lowercase()).and_then(|&id| self.get(id))
    }

    pub(crate) fn children(&self, parent: Option<CategoryId>) -> &[CategoryId] {
        self.children.get(&parent).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn categories(&self) -> impl Iterator<Item = &Category> {
        self.all.values()
    }

    /// From the top down to `id`; empty when it is unknown.
    pub(crate) fn trail(&self, id: Option<CategoryId>) -> Vec<CategoryRef> {
        let mut trail = Vec::new();
        let mut next = id.and_then(|id| self.get(id));
        while let Some(category) = next
            && trail.len() < DEEPEST
        {
            trail.push(category.reference());
            next = category.parent.and_then(|parent| self.get(parent));
        }
        trail.reverse();
        trail
    }

    /// The tree as shoppers see it; `counts` are products directly in a category.
    pub(crate) fn nested(&self, counts: &HashMap<CategoryId, u64>) -> Vec<CategoryNode> {
        self.nodes(None, counts)
    }

    fn nodes(&self, parent: Option<CategoryId>, counts: &HashMap<CategoryId, u64>) -> Vec<CategoryNode> {
        let below = self.children(parent).iter().filter_map(|&id| self.get(id));
        below
            .map(|category| {
                let children = self.nodes(Some(category.id), counts);
                let own = counts.get(&category.id).copied().unwrap_or(0);
                CategoryNode {
                    id: category.id,
                    slug: category.slug.clone(),
                    name: category.name.clone(),
                    position: category.position,
                    product_count: own + children.iter().map(|child| child.product_count).sum::<u64>(),
                    children,
                }
            })
            .collect()
    }

    /// Products in `id` and below.
    pub(crate) fn count_below(&self, id: CategoryId, counts: &HashMap<CategoryId, u64>) -> u64 {
        let own = counts.get(&id).copied().unwrap_or(0);
        own + self.children(Some(id)).iter().map(|&child| self.count_below(child, counts)).sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use kernel::Shard;

    use super::*;

    fn id(n: u8) -> CategoryId {
        CategoryId::derive(Shard::new(0), &[&[n]])
    }

    fn category(n: u8, parent: Option<&Category>, name: &str, position: i32) -> Category {
        Category {
            id: id(n),
            parent: parent.map(|parent| parent.id),
            slug: format!("c{n}"),
            name: name.to_owned(),
            position,
            external_id: None,
            path: path_below(parent.map_or("", |parent| &parent.path), id(n)),
        }
    }

    #[test]
    fn counts_roll_up_and_siblings_keep_their_order() {
        let home = category(1, None, "Home", 2);
        let toys = category(2, None, "Toys", 1);
        let lamps = category(3, Some(&home), "Lamps", 0);
        let desk = category(4, Some(&lamps), "Lamps", 0);
        let tree = Tree::new(vec![desk.clone(), lamps.clone(), home.clone(), toys.clone()]);
        let counts = HashMap::from([(lamps.id, 2), (desk.id, 3), (toys.id, 1)]);
        let nested = tree.nested(&counts);
        assert_eq!(nested.iter().map(|node| node.name.as_str()).collect::<Vec<_>>(), ["Toys", "Home"]);
        assert_eq!(nested[1].product_count, 5);
        assert_eq!(tree.count_below(home.id, &counts), 5);
        let names: Vec<String> = tree.trail(Some(desk.id)).into_iter().map(|it| it.slug).collect();
        assert_eq!(names, ["c1", "c3", "c4"]);
        assert_eq!(tree.named("LAMPS").unwrap().id, lamps.id, "the highest of a name");
        assert!(home.holds(&desk) && !desk.holds(&home) && desk.holds(&desk));
        assert_eq!(desk.depth(), 3);
        assert!(tree.trail(Some(id(9))).is_empty());
    }
}
