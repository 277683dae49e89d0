//! Changes, and what a check reads.

use platform_index::{Change, Document, ProductIndex};
use uuid::Uuid;

use super::samples::{document, fill, found, shop, titles, upsert};

pub(crate) async fn an_upsert_replaces_and_a_delete_removes(index: &dyn ProductIndex) {
    titles(index, &["Blue mug", "Red mug"]).await;
    fill(index, [Document { version: 2, ..document(1, "Green cup") }]).await;
    assert_eq!(found(index, "blue").await, [].into());
    assert_eq!(found(index, "green").await, [1].into());
    let gone = vec![Change::Delete(Uuid::from_u128(2)), Change::Delete(Uuid::from_u128(99))];
    index.apply(gone).await.expect("a delete of what is not there does no harm");
    assert_eq!(found(index, "").await, [1].into());
    let entries = index.entries(None, 10).await.expect("entries");
    assert_eq!((entries.len(), entries[0].version, entries[0].in_stock), (1, 2, true));
    assert_eq!(index.count().await.expect("a count"), 1);
    index.apply(Vec::new()).await.expect("no changes");
}

pub(crate) async fn of_two_changes_of_one_product_the_later_counts(index: &dyn ProductIndex) {
    let mut changes = upsert([document(1, "First"), document(1, "Second"), document(2, "Third")]);
    changes.push(Change::Delete(Uuid::from_u128(2)));
    changes.push(Change::Delete(Uuid::from_u128(3)));
    changes.extend(upsert([document(3, "Fourth")]));
    index.apply(changes).await.expect("changes");
    assert_eq!(found(index, "").await, [1, 3].into());
    assert_eq!(found(index, "first").await, [].into());
    assert_eq!(found(index, "second").await, [1].into());
}

pub(crate) async fn what_was_applied_is_found_at_once(index: &dyn ProductIndex) {
    for number in 1..=10 {
        fill(index, [document(number, &format!("Lamp {number}"))]).await;
        assert_eq!(found(index, "lamp").await.len() as u128, number);
    }
}

pub(crate) async fn entries_are_listed_in_order_of_ids(index: &dyn ProductIndex) {
    // Ids of different moments, as the shop mints them.
    let spread = shop().into_iter().map(|document| {
        let number = document.id.as_u128();
        Document { id: Uuid::from_u128((number * 7 % 40) << 80 | number), ..document }
    });
    let mut expected: Vec<Uuid> = spread.clone().map(|document| document.id).collect();
    expected.sort_unstable();
    fill(index, spread).await;
    assert_eq!(pages(index, 7).await, expected);
}

pub(crate) async fn entries_of_one_moment_page_too(index: &dyn ProductIndex) {
    fill(index, shop()).await;
    let expected: Vec<Uuid> = (0..40).map(Uuid::from_u128).collect();
    assert_eq!(pages(index, 3).await, expected);
}

async fn pages(index: &dyn ProductIndex, size: usize) -> Vec<Uuid> {
    let (mut after, mut ids) = (None, Vec::new());
    loop {
        let page = index.entries(after, size).await.expect("entries");
        assert!(page.len() <= size);
        let Some(last) = page.last() else { return ids };
        after = Some(last.id);
        ids.extend(page.iter().map(|entry| entry.id));
    }
}

pub(crate) async fn a_revision_tells_of_changes(index: &dyn ProductIndex) {
    let before = index.revision();
    titles(index, &["Blue mug"]).await;
    let changed = index.revision();
    assert_ne!(before, changed);
    found(index, "mug").await;
    assert_eq!(index.revision(), changed, "a search changes nothing");
    let rebuild = index.rebuild().await.expect("a rebuild");
    rebuild.apply(upsert([document(2, "Red mug")])).await.expect("documents");
    rebuild.finish().await.expect("a swap");
    assert_ne!(index.revision(), changed);
}
