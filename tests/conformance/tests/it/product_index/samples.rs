//! Documents and searches.

use std::collections::BTreeSet;

use kernel::{Currency, Money};
use platform_index::{Change, Document, Filters, Found, Named, Order, ProductIndex, Query};
use uuid::Uuid;

pub(crate) fn named(prefix: &str, slug: &str, name: &str) -> Named {
    Named { id: format!("{prefix}_{slug}"), slug: slug.to_owned(), name: name.to_owned() }
}

pub(crate) fn document(number: u128, title: &str) -> Document {
    Document {
        id: Uuid::from_u128(number),
        version: 1,
        slug: format!("product-{number}"),
        title: title.to_owned(),
        brand: None,
        categories: Vec::new(),
        tags: Vec::new(),
        attributes: Vec::new(),
        description: String::new(),
        sku_codes: vec![format!("SKU-{number}")],
        prices: vec![Money::new(1_000, Currency::USD)],
        in_stock: true,
        published_at: 0,
        sold: 0,
        card: format!("{{\"n\":{number}}}"),
    }
}

/// 40 products: two brands, a tree of categories, prices from 10.00 to 49.00, every fourth out of stock.
pub(crate) fn shop() -> Vec<Document> {
    (0..40_u32)
        .map(|n| {
            let leaf =
                if n % 2 == 0 { named("cat", "mugs", "Mugs") } else { named("cat", "plates", "Plates") };
            let brand = if n < 10 { named("brd", "acme", "Acme") } else { named("brd", "bolt", "Bolt") };
            Document {
                brand: Some(brand),
                categories: vec![named("cat", "kitchen", "Kitchen"), leaf],
                prices: vec![Money::new(i64::from(1_000 + n * 100), Currency::USD)],
                in_stock: n % 4 != 0,
                published_at: i64::from(n * 7 % 40),
                sold: i64::from(n * 11 % 40),
                ..document(u128::from(n), &format!("Blue thing {n}"))
            }
        })
        .collect()
}

pub(crate) fn upsert(documents: impl IntoIterator<Item = Document>) -> Vec<Change> {
    documents.into_iter().map(|document| Change::Upsert(Box::new(document))).collect()
}

pub(crate) async fn fill(index: &dyn ProductIndex, documents: impl IntoIterator<Item = Document>) {
    index.apply(upsert(documents)).await.expect("documents are taken");
}

/// Products 1, 2, … with these titles.
pub(crate) async fn titles(index: &dyn ProductIndex, titles: &[&str]) {
    fill(index, titles.iter().zip(1..).map(|(title, number)| document(number, title))).await;
}

pub(crate) fn query(words: &str) -> Query {
    Query {
        words: words.to_owned(),
        filters: Filters::default(),
        currency: Currency::USD,
        order: Order::Relevance,
        offset: 0,
        limit: 20,
        facets: true,
    }
}

pub(crate) async fn search(index: &dyn ProductIndex, query: Query) -> Found {
    index.search(query).await.expect("a search has an answer")
}

/// Numbers of the hits, best first.
pub(crate) fn numbers(found: &Found) -> Vec<u128> {
    found.hits.iter().map(|hit| hit.id.as_u128()).collect()
}

/// Numbers of what has these words.
pub(crate) async fn found(index: &dyn ProductIndex, words: &str) -> BTreeSet<u128> {
    numbers(&search(index, query(words)).await).into_iter().collect()
}
