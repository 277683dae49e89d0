//! The index as a shop uses it.

use std::{collections::BTreeSet, time::Duration};

use tempfile::TempDir;
use uuid::Uuid;

use super::{Settings, Tantivy};
use crate::{Change, Document, Filters, Found, Named, Order, ProductIndex, Query};

fn named(prefix: &str, slug: &str, name: &str) -> Named {
    Named { id: format!("{prefix}_{slug}"), slug: slug.to_owned(), name: name.to_owned() }
}

fn document(number: u128, title: &str) -> Document {
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
        price: Some(1_000),
        in_stock: true,
        published_at: 0,
        sold: 0,
        card: format!("{{\"n\":{number}}}"),
    }
}

fn upsert(documents: impl IntoIterator<Item = Document>) -> Vec<Change> {
    documents.into_iter().map(|document| Change::Upsert(Box::new(document))).collect()
}

fn query(words: &str) -> Query {
    Query {
        words: words.to_owned(),
        filters: Filters::default(),
        order: Order::Relevance,
        offset: 0,
        limit: 20,
        facets: true,
    }
}

fn numbers(found: &Found) -> Vec<u128> {
    found.hits.iter().map(|hit| hit.id.as_u128()).collect()
}

/// As the process opens it that runs the search target.
async fn open(folder: &std::path::Path, settings: Settings) -> Tantivy {
    let index = Tantivy::at(folder, settings);
    index.may_write().await.unwrap();
    index
}

async fn index_of(documents: impl IntoIterator<Item = Document>) -> (TempDir, Tantivy) {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path(), Settings::default()).await;
    index.apply(upsert(documents)).await.unwrap();
    (folder, index)
}

async fn titles(titles: &[&str]) -> (TempDir, Tantivy) {
    index_of(titles.iter().zip(1..).map(|(title, number)| document(number, title))).await
}

async fn found(index: &Tantivy, words: &str) -> BTreeSet<u128> {
    numbers(&index.search(query(words)).await.unwrap()).into_iter().collect()
}

#[tokio::test]
async fn english_words_match_by_their_stem() {
    let (_folder, index) =
        titles(&["Running shoes", "Women's T-Shirt", "Crème brûlée torch", "Garden table"]).await;
    assert_eq!(found(&index, "run shoe").await, [1].into());
    assert_eq!(found(&index, "TABLES").await, [4].into());
    assert_eq!(found(&index, "womens tshirts").await, [2].into());
    assert_eq!(found(&index, "women t-shirt").await, [2].into());
    assert_eq!(found(&index, "creme brulee").await, [3].into());
    assert_eq!(found(&index, "the table for the garden").await, [4].into());
    assert_eq!(found(&index, "garden shoes").await, [].into());
    assert_eq!(found(&index, "").await.len(), 4);
    assert_eq!(found(&index, "!!!").await, [].into());
}

#[tokio::test]
async fn typos_are_forgiven_and_the_word_itself_ranks_higher() {
    let (_folder, index) = titles(&["Shirt", "Headphones", "Skirt", "Mug", "Wireless headset"]).await;
    let typo = index.search(query("hedphnoes ")).await.unwrap();
    assert_eq!(numbers(&typo), [2]);
    assert_eq!(typo.corrected.as_deref(), Some("headphones"));
    assert_eq!(typo.hits[0].highlight, "<mark>Headphones</mark>");
    let exact = index.search(query("shirt")).await.unwrap();
    assert_eq!(numbers(&exact), [1, 3], "a rare word may be a typo, but is itself first");
    assert!(exact.corrected.is_none());
    assert_eq!(found(&index, "mgu").await, [].into(), "three letters are taken as they are");
    assert_eq!(index.search(query("zzzzzzzz")).await.unwrap().corrected, None);
    assert_eq!(
        index.search(query("wireles  headset")).await.unwrap().corrected.as_deref(),
        Some("wireless headset")
    );
}

#[tokio::test]
async fn the_last_word_may_still_be_typed() {
    let (_folder, index) = titles(&["Solar lamp", "Solar panel", "Lampshade"]).await;
    assert_eq!(found(&index, "solar la").await, [1].into());
    assert_eq!(found(&index, "la").await, [1, 3].into());
    assert_eq!(found(&index, "la ").await, [].into());
    let both = index.search(query("lamp")).await.unwrap();
    assert_eq!(numbers(&both), [1, 3]);
}

#[tokio::test]
async fn chinese_is_found_however_it_is_cut() {
    let (_folder, index) =
        titles(&["苹果手机壳 防摔", "手机充电器", "纯棉女士连衣裙 夏季新款", "iPhone 手机支架", "さくら茶"])
            .await;
    assert_eq!(found(&index, "手机").await, [1, 2, 4].into());
    assert_eq!(found(&index, "手机壳").await, [1].into());
    assert_eq!(found(&index, "机壳").await, [1].into());
    assert_eq!(found(&index, "iphone手机").await, [4].into());
    assert_eq!(found(&index, "连衣裙").await, [3].into());
    assert_eq!(found(&index, "夏季 连衣裙").await, [3].into());
    assert_eq!(found(&index, "さくら").await, [5].into());
    let hit = &index.search(query("手机壳")).await.unwrap().hits[0];
    assert_eq!(hit.highlight, "苹果<mark>手机壳</mark> 防摔");
}

/// 40 products: two brands, a tree of categories, prices from 10.00 to 49.00, every fourth out of stock.
fn shop() -> Vec<Document> {
    (0..40_u32)
        .map(|n| {
            let leaf =
                if n % 2 == 0 { named("cat", "mugs", "Mugs") } else { named("cat", "plates", "Plates") };
            let brand = if n < 10 { named("brd", "acme", "Acme") } else { named("brd", "bolt", "Bolt") };
            Document {
                brand: Some(brand),
                categories: vec![named("cat", "kitchen", "Kitchen"), leaf],
                price: Some(i64::from(1_000 + n * 100)),
                in_stock: n % 4 != 0,
                published_at: i64::from(n * 7 % 40),
                sold: i64::from(n * 11 % 40),
                ..document(u128::from(n), &format!("Blue thing {n}"))
            }
        })
        .collect()
}

#[tokio::test]
async fn filters_narrow_by_id_and_by_slug() {
    let (_folder, index) = index_of(shop()).await;
    let total = async |filters: Filters| {
        let query = Query { filters, ..query("thing") };
        index.search(query).await.unwrap().total
    };
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(total(Filters::default()).await, 40);
    assert_eq!(total(Filters { category: text("kitchen"), ..Filters::default() }).await, 40);
    assert_eq!(total(Filters { category: text("mugs"), ..Filters::default() }).await, 20);
    assert_eq!(total(Filters { category: text("cat_mugs"), ..Filters::default() }).await, 20);
    assert_eq!(total(Filters { category: text("nowhere"), ..Filters::default() }).await, 0);
    assert_eq!(total(Filters { brand: text("acme"), ..Filters::default() }).await, 10);
    assert_eq!(
        total(Filters { brand: text("brd_acme"), category: text("plates"), ..Filters::default() }).await,
        5
    );
    assert_eq!(
        total(Filters { min_price: Some(1_500), max_price: Some(1_900), ..Filters::default() }).await,
        5
    );
    assert_eq!(total(Filters { in_stock: true, ..Filters::default() }).await, 30);
}

#[tokio::test]
async fn each_facet_ignores_its_own_filter() {
    let (_folder, index) = index_of(shop()).await;
    let filters = Filters {
        category: Some("mugs".to_owned()),
        brand: Some("acme".to_owned()),
        in_stock: true,
        ..Filters::default()
    };
    let found = index.search(Query { filters, ..query("thing") }).await.unwrap();
    let values = |facet: &[crate::FacetCount]| -> Vec<(String, u64)> {
        facet.iter().map(|value| (value.of.slug.clone(), value.count)).collect()
    };
    // Acme has 0 to 9; of its mugs 2 and 6 are in stock, and all five plates.
    assert_eq!(found.total, 2);
    assert_eq!(
        values(&found.facets.categories),
        [("kitchen".to_owned(), 7), ("plates".to_owned(), 5), ("mugs".to_owned(), 2)]
    );
    // Mugs in stock: 2, 6, 10, … 38.
    assert_eq!(values(&found.facets.brands), [("bolt".to_owned(), 8), ("acme".to_owned(), 2)]);
    // Acme's mugs: 0, 2, 4, 6, 8.
    assert_eq!((found.facets.in_stock, found.facets.out_of_stock), (2, 3));
    assert_eq!(found.facets.prices.iter().map(|range| range.count).sum::<u64>(), 2);
    let priced = Filters { min_price: Some(4_000), ..Filters::default() };
    let found = index.search(Query { filters: priced, ..query("") }).await.unwrap();
    assert_eq!(found.total, 10);
    assert_eq!(found.facets.prices.iter().map(|range| range.count).sum::<u64>(), 40);
    assert_eq!(found.facets.brands[0].count, 10);
}

#[tokio::test]
async fn every_order_sorts_and_pages_neither_repeat_nor_skip() {
    let mut documents = shop();
    // Ties everywhere: equal prices, equal dates, equal sales.
    for (at, document) in documents.iter_mut().enumerate() {
        document.price = (at % 5 != 0).then_some(if at % 3 == 0 { 2_000 } else { 1_000 });
        document.published_at = if at < 20 { 1 } else { 2 };
        document.sold = if at % 2 == 0 { 7 } else { 3 };
    }
    let (_folder, index) = index_of(documents[..13].to_vec()).await;
    for chunk in documents[13..].chunks(9) {
        index.apply(upsert(chunk.to_vec())).await.unwrap(); // several segments
    }
    for order in [Order::Relevance, Order::PriceAsc, Order::PriceDesc, Order::Newest, Order::BestSelling] {
        let mut seen = Vec::new();
        for offset in (0..).step_by(7).take_while(|offset| *offset < 40) {
            let page = index.search(Query { order, offset, limit: 7, ..query("blue") }).await.unwrap();
            assert_eq!(page.total, 40);
            seen.extend(numbers(&page));
        }
        assert_eq!(seen.len(), 40, "{order:?}");
        assert_eq!(seen.iter().collect::<BTreeSet<_>>().len(), 40, "{order:?}");
        let of = |id: &u128| &documents[usize::try_from(*id).unwrap()];
        let last = i64::MAX;
        let keys: Vec<i64> = match order {
            Order::PriceAsc => seen.iter().map(|id| of(id).price.unwrap_or(last)).collect(),
            Order::PriceDesc => seen.iter().map(|id| of(id).price.map_or(last, |price| -price)).collect(),
            Order::Newest => seen.iter().map(|id| -of(id).published_at).collect(),
            Order::BestSelling => seen.iter().map(|id| -of(id).sold).collect(),
            Order::Relevance => Vec::new(),
        };
        assert!(keys.is_sorted(), "{order:?}: {keys:?}");
    }
}

#[tokio::test]
async fn highlights_are_safe_html() {
    let (_folder, index) = titles(&["<script>alert('mug')</script> & Mugs"]).await;
    let found = index.search(query("mugs")).await.unwrap();
    assert_eq!(
        found.hits[0].highlight,
        "&lt;script&gt;alert(&#39;<mark>mug</mark>&#39;)&lt;/script&gt; &amp; <mark>Mugs</mark>"
    );
    assert_eq!(found.hits[0].card, "{\"n\":1}");
}

#[tokio::test]
async fn codes_slugs_and_titles_match_as_a_whole() {
    let (_folder, index) = titles(&["Blue mug", "Blue mug large", "Blue"]).await;
    assert_eq!(numbers(&index.search(query("sku-2")).await.unwrap())[0], 2);
    assert_eq!(numbers(&index.search(query("product-3")).await.unwrap())[0], 3);
    assert_eq!(numbers(&index.search(query("Blue")).await.unwrap())[0], 3);
}

#[tokio::test]
async fn an_upsert_replaces_and_a_delete_removes() {
    let (_folder, index) = titles(&["Blue mug", "Red mug"]).await;
    index.apply(upsert([Document { version: 2, ..document(1, "Green cup") }])).await.unwrap();
    assert_eq!(found(&index, "blue").await, [].into());
    assert_eq!(found(&index, "green").await, [1].into());
    index.apply(vec![Change::Delete(Uuid::from_u128(2)), Change::Delete(Uuid::from_u128(99))]).await.unwrap();
    assert_eq!(found(&index, "").await, [1].into());
    let entries = index.entries(None, 10).await.unwrap();
    assert_eq!((entries.len(), entries[0].version, entries[0].price), (1, 2, Some(1_000)));
}

#[tokio::test]
async fn suggestions_are_names_then_titles() {
    let mut documents = shop();
    documents.push(document(50, "Muggle cup"));
    let (_folder, index) = index_of(documents).await;
    assert_eq!(
        index.suggest("mug".to_owned(), 10).await.unwrap(),
        ["Mugs", "Muggle cup"].map(str::to_owned).to_vec()
    );
    assert_eq!(index.suggest("acm".to_owned(), 3).await.unwrap()[0], "Acme");
    assert!(index.suggest("blue th".to_owned(), 10).await.unwrap().len() == 10);
    assert!(index.suggest("  ".to_owned(), 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn entries_are_listed_in_order_of_ids() {
    let (_folder, index) = index_of(shop()).await;
    let mut after = None;
    let mut ids = Vec::new();
    loop {
        let page = index.entries(after, 7).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        ids.extend(page.iter().map(|entry| entry.id.as_u128()));
    }
    assert_eq!(ids, (0..40).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_was_applied_is_there_after_a_restart() {
    let (folder, index) = titles(&["Blue mug"]).await;
    drop(index);
    let index = open(folder.path(), Settings::default()).await;
    assert_eq!(found(&index, "mug").await, [1].into());
    index.apply(upsert([document(2, "Red mug")])).await.unwrap();
    assert_eq!(found(&index, "mug").await, [1, 2].into());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_is_not_noticed_by_searches() {
    let (folder, index) = titles(&["Blue mug", "Red mug"]).await;
    let searching = {
        let index = index.clone();
        async move {
            let mut seen = BTreeSet::new();
            for _ in 0..300 {
                seen.insert(found(&index, "mug").await.len());
            }
            seen
        }
    };
    let rebuilding = async {
        for round in 0..5_u128 {
            let rebuild = index.rebuild().await.unwrap();
            assert!(index.rebuild().await.is_err(), "one at a time");
            rebuild.apply(upsert((0..3).map(|n| document(10 + n + round, "New mug")))).await.unwrap();
            rebuild.finish().await.unwrap();
        }
    };
    let (seen, ()) = tokio::join!(searching, rebuilding);
    assert!(seen.iter().all(|count| [2, 3].contains(count)), "{seen:?}");
    assert_eq!(found(&index, "mug").await.len(), 3);
    index.apply(upsert([document(1, "Late mug")])).await.unwrap();
    assert_eq!(found(&index, "mug").await.len(), 4);
    let folders = std::fs::read_dir(folder.path()).unwrap().filter_map(Result::ok);
    let generations = folders.filter(|entry| entry.file_name().to_string_lossy().starts_with("gen-"));
    assert_eq!(generations.count(), 1);
}

#[tokio::test]
async fn a_rebuild_that_is_given_up_or_dies_leaves_the_old_index() {
    let (folder, index) = titles(&["Blue mug"]).await;
    let rebuild = index.rebuild().await.unwrap();
    rebuild.apply(upsert([document(7, "Half done")])).await.unwrap();
    drop(rebuild);
    assert_eq!(found(&index, "").await, [1].into());
    // A crash cannot run destructors: the folder stays, and goes at the next start.
    let rebuild = index.rebuild().await.unwrap();
    std::mem::forget(rebuild);
    std::fs::create_dir(folder.path().join("gen-1-000099")).unwrap();
    drop(index);
    std::fs::write(folder.path().join("CURRENT.new"), "gen-1-0000").unwrap();
    let other = tempfile::tempdir().unwrap();
    copy(folder.path(), other.path()); // what the disk holds after the crash
    let index = open(other.path(), Settings::default()).await;
    assert_eq!(found(&index, "").await, [1].into());
    assert!(!other.path().join("gen-1-000099").exists());
    index.apply(upsert([document(2, "Goes on")])).await.unwrap();
    assert_eq!(found(&index, "").await, [1, 2].into());
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    for entry in std::fs::read_dir(from).unwrap().filter_map(Result::ok) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            std::fs::create_dir(&target).unwrap();
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test]
async fn an_index_that_cannot_be_read_is_replaced_by_an_empty_one() {
    let (folder, index) = titles(&["Blue mug"]).await;
    drop(index);
    let current = std::fs::read_to_string(folder.path().join("CURRENT")).unwrap();
    std::fs::write(folder.path().join(current.trim()).join("meta.json"), "garbage").unwrap();
    let index = open(folder.path(), Settings::default()).await;
    assert_eq!(index.count().await.unwrap(), 0);
}

#[tokio::test]
async fn a_second_handle_reads_what_the_first_writes_and_takes_over_when_it_is_gone() {
    let settings = Settings { refresh: Duration::ZERO, ..Settings::default() };
    let folder = tempfile::tempdir().unwrap();
    let writer = open(folder.path(), settings).await;
    let reader = Tantivy::at(folder.path(), settings);
    assert!(!reader.may_write().await.unwrap());
    assert!(reader.apply(upsert([document(9, "Not mine")])).await.is_err());
    writer.apply(upsert([document(1, "Blue mug")])).await.unwrap();
    assert_eq!(found(&reader, "mug").await, [1].into());
    let before = reader.revision();
    let rebuild = writer.rebuild().await.unwrap();
    rebuild.apply(upsert([document(2, "Red mug")])).await.unwrap();
    rebuild.finish().await.unwrap();
    assert_eq!(found(&reader, "mug").await, [2].into());
    assert!(reader.revision() > before);
    drop(writer);
    assert!(reader.may_write().await.unwrap());
    reader.apply(upsert([document(3, "Green mug")])).await.unwrap();
    assert_eq!(found(&reader, "mug").await, [2, 3].into());
}
