//! The category tree as the pages need it: kept for half a minute, looked up by slug.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
    time::Duration,
};

use contracts::{
    Ctx,
    catalog::{Catalog, CategoryNode},
};
use kernel::{Clock, Result, Timestamp};

/// How long a tree is shown before it is read again.
const KEPT: Duration = Duration::from_secs(30);

/// A category in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    /// Name in URLs.
    pub(crate) slug: String,
    /// Name.
    pub(crate) name: String,
    /// Products in it and below.
    pub(crate) count: i64,
}

/// A category with what is above and below it.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Itself.
    pub(crate) link: Link,
    /// From the top down, without itself.
    pub(crate) above: Vec<Link>,
    /// Directly below, those with products first.
    pub(crate) below: Vec<Link>,
}

/// The tree at one moment.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    /// The top level, those with products first.
    pub(crate) top: Vec<Link>,
    by_slug: HashMap<String, Entry>,
}

impl Tree {
    fn new(nodes: &[CategoryNode]) -> Self {
        let mut tree = Self { top: links(nodes), by_slug: HashMap::new() };
        tree.index(nodes, &[]);
        tree
    }

    fn index(&mut self, nodes: &[CategoryNode], above: &[Link]) {
        for node in nodes {
            let link = link(node);
            let entry = Entry { link: link.clone(), above: above.to_vec(), below: links(&node.children) };
            self.by_slug.insert(node.slug.clone(), entry);
            let mut path = above.to_vec();
            path.push(link);
            self.index(&node.children, &path);
        }
    }

    /// The category with this slug.
    pub(crate) fn find(&self, slug: &str) -> Option<&Entry> {
        self.by_slug.get(slug)
    }
}

fn link(node: &CategoryNode) -> Link {
    Link {
        slug: node.slug.clone(),
        name: node.name.clone(),
        count: i64::try_from(node.product_count).unwrap_or(i64::MAX),
    }
}

/// The catalog's order, but categories that have nothing come last.
fn links(nodes: &[CategoryNode]) -> Vec<Link> {
    let mut links: Vec<Link> = nodes.iter().map(link).collect();
    links.sort_by_key(|link| link.count == 0);
    links
}

/// The tree that is kept.
#[derive(Default)]
pub(crate) struct Categories(RwLock<Option<(Timestamp, Arc<Tree>)>>);

impl Categories {
    /// The tree, at most half a minute old. Where the catalog does not answer the last one is shown on.
    pub(crate) async fn tree(
        &self,
        catalog: &dyn Catalog,
        clock: &dyn Clock,
        ctx: &Ctx,
    ) -> Result<Arc<Tree>> {
        let kept = self.0.read().ok().and_then(|kept| kept.clone());
        if let Some((at, tree)) = &kept
            && clock.now().since(*at) < KEPT
        {
            return Ok(tree.clone());
        }
        match catalog.categories(ctx, ()).await {
            Ok(nodes) => {
                let tree = Arc::new(Tree::new(&nodes));
                if let Ok(mut slot) = self.0.write() {
                    *slot = Some((clock.now(), tree.clone()));
                }
                Ok(tree)
            }
            Err(failure) => kept.map(|(_, tree)| tree).ok_or(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use contracts::catalog::CategoryId;

    use super::*;

    fn node(number: u128, slug: &str, product_count: u64, children: Vec<CategoryNode>) -> CategoryNode {
        let id = CategoryId::derive(kernel::Shard::new(0), &[&number.to_be_bytes()]);
        CategoryNode {
            id,
            slug: slug.to_owned(),
            name: slug.to_uppercase(),
            position: 0,
            product_count,
            children,
        }
    }

    #[test]
    fn a_category_knows_what_is_above_and_below() {
        let leaf = node(3, "mugs", 2, vec![]);
        let tree = Tree::new(&[
            node(1, "empty", 0, vec![]),
            node(2, "home", 2, vec![node(4, "kitchen", 2, vec![leaf])]),
        ]);
        assert_eq!(tree.top.iter().map(|l| l.slug.as_str()).collect::<Vec<_>>(), ["home", "empty"]);
        let mugs = tree.find("mugs").unwrap();
        assert_eq!(mugs.above.iter().map(|l| l.name.as_str()).collect::<Vec<_>>(), ["HOME", "KITCHEN"]);
        assert!(mugs.below.is_empty());
        assert!(tree.find("gone").is_none());
    }
}
