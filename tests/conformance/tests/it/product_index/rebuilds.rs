//! A new generation beside the one that answers.

use kernel::code;
use platform_index::{Change, ProductIndex};
use uuid::Uuid;

use super::samples::{document, fill, found, titles, upsert};

pub(crate) async fn a_swap_is_not_noticed_by_searches(index: &dyn ProductIndex) {
    titles(index, &["Blue mug", "Red mug"]).await;
    let searching = async {
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..150 {
            seen.insert(found(index, "mug").await.len());
        }
        seen
    };
    let rebuilding = async {
        for round in 0..3_u128 {
            let rebuild = index.rebuild().await.expect("a rebuild");
            let documents = (0..3).map(|n| document(10 + n + round, "New mug"));
            rebuild.apply(upsert(documents)).await.expect("documents");
            rebuild.finish().await.expect("a swap");
        }
    };
    let (seen, ()) = tokio::join!(searching, rebuilding);
    assert!(seen.iter().all(|count| [2, 3].contains(count)), "{seen:?}");
    assert_eq!(found(index, "mug").await.len(), 3);
    fill(index, [document(1, "Late mug")]).await;
    assert_eq!(found(index, "mug").await.len(), 4);
}

pub(crate) async fn one_rebuild_at_a_time(index: &dyn ProductIndex) {
    let rebuild = index.rebuild().await.expect("a rebuild");
    let refused = index.rebuild().await.err().expect("a second one is refused");
    assert!(refused.is(code::CONFLICT), "{refused}");
    drop(rebuild);
    index.rebuild().await.expect("the place is free again").finish().await.expect("a swap");
}

pub(crate) async fn one_that_is_given_up_leaves_nothing_behind(index: &dyn ProductIndex) {
    titles(index, &["Blue mug"]).await;
    let rebuild = index.rebuild().await.expect("a rebuild");
    rebuild.apply(upsert([document(7, "Half done")])).await.expect("documents");
    drop(rebuild);
    assert_eq!(found(index, "").await, [1].into());
    let rebuild = index.rebuild().await.expect("a rebuild");
    rebuild.apply(upsert([document(2, "Red mug")])).await.expect("documents");
    rebuild.finish().await.expect("a swap");
    assert_eq!(found(index, "").await, [2].into(), "nothing of what was given up");
}

pub(crate) async fn a_rebuild_takes_deletes_too(index: &dyn ProductIndex) {
    let rebuild = index.rebuild().await.expect("a rebuild");
    rebuild.apply(upsert((1..=20).map(|n| document(n, "New mug")))).await.expect("documents");
    rebuild.apply(vec![Change::Delete(Uuid::from_u128(5))]).await.expect("a delete");
    assert_eq!(index.count().await.expect("a count"), 0, "nobody sees it yet");
    rebuild.finish().await.expect("a swap");
    assert_eq!(index.count().await.expect("a count"), 19);
    assert!(!found(index, "").await.contains(&5));
}

pub(crate) async fn changes_go_on_while_one_is_filled(index: &dyn ProductIndex) {
    titles(index, &["Blue mug"]).await;
    let rebuild = index.rebuild().await.expect("a rebuild");
    fill(index, [document(2, "Red mug")]).await;
    assert_eq!(found(index, "mug").await, [1, 2].into());
    rebuild.apply(upsert([document(3, "Green mug")])).await.expect("documents");
    rebuild.finish().await.expect("a swap");
    assert_eq!(found(index, "mug").await, [3].into());
}
