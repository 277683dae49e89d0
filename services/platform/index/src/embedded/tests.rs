//! What is particular to the index on this machine; what every adapter promises is in `tests/conformance`.

use std::{collections::BTreeSet, time::Duration};

use kernel::{Currency, Money};
use tempfile::TempDir;
use uuid::Uuid;

use super::{Settings, Tantivy};
use crate::{Change, Document, Filters, Found, Order, ProductIndex, Query};

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
        prices: vec![Money::new(1_000, Currency::USD)],
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
        currency: Currency::USD,
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
async fn a_word_that_many_have_brings_no_typos() {
    let (_folder, index) = titles(&["Shirt", "Shirt", "Shirt", "Shirt", "Shirt", "Skirt"]).await;
    assert_eq!(found(&index, "shirt").await, [1, 2, 3, 4, 5].into());
    assert_eq!(found(&index, "skirt").await, [1, 2, 3, 4, 5, 6].into(), "a rare word may be a typo");
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

#[tokio::test(flavor = "multi_thread")]
async fn a_search_has_its_place_until_it_ends_whoever_waits_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let index = open(folder.path(), Settings { searches: 1, ..Settings::default() }).await;
    let (begun, begins) = tokio::sync::oneshot::channel();
    let (end, ends) = std::sync::mpsc::channel::<()>();
    let slow = index.read(move |_| {
        begun.send(()).unwrap();
        ends.recv().unwrap();
        Ok(())
    });
    // Its caller goes away while it runs.
    tokio::select! {
        _ = slow => panic!("it waits to be told"),
        begun = begins => begun.unwrap(),
    }
    assert_eq!(index.shared.gate.available_permits(), 0);
    end.send(()).unwrap();
    assert_eq!(index.count().await.unwrap(), 0);
}
