//! What is particular to an index on a server: that it can be away, and come back empty.

use kernel::code;
use platform_index::{Meilisearch, ProductIndex};
use support::MeilisearchStandIn;

use super::{
    adapters::settings,
    samples::{document, fill, found, query, titles, upsert},
};

fn open(server: &MeilisearchStandIn) -> Meilisearch {
    Meilisearch::new(settings(&server.url(), server.key(), "products")).expect("settings")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_told_and_comes_back() {
    let mut server = MeilisearchStandIn::start().expect("the stand-in starts");
    let index = open(&server);
    index.may_write().await.expect("the server answers");
    titles(&index, &["Blue mug"]).await;
    server.stop();
    for failure in [
        index.search(query("mug")).await.err(),
        index.count().await.err(),
        index.apply(upsert([document(2, "Red mug")])).await.err(),
        index.suggest("mug".to_owned(), 5).await.err(),
        index.entries(None, 5).await.err(),
    ] {
        let failure = failure.expect("nobody answers");
        assert!(failure.is(code::UNAVAILABLE), "{failure}");
        assert!(failure.message().contains("cannot be reached"), "{}", failure.message());
    }
    server.resume().expect("the port is free");
    assert_eq!(found(&index, "mug").await, [1].into());
    fill(&index, [document(2, "Red mug")]).await;
    assert_eq!(found(&index, "mug").await, [1, 2].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_told_and_not_shown() {
    let server = MeilisearchStandIn::start().expect("the stand-in starts");
    let index = Meilisearch::new(settings(&server.url(), "not-the-key", "products")).expect("settings");
    let failure = index.may_write().await.expect_err("refused");
    assert!(failure.is(code::UNAVAILABLE) && failure.message().contains("key"), "{failure}");
    assert!(!format!("{failure:?} {index:?}").contains("not-the-key"));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_can_be_searched_before_there_is_an_index() {
    let server = MeilisearchStandIn::start().expect("the stand-in starts");
    let failure = open(&server).search(query("mug")).await.expect_err("no index");
    assert!(failure.is(code::UNAVAILABLE), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_lost_everything_is_told_once_and_made_anew() {
    let server = MeilisearchStandIn::start().expect("the stand-in starts");
    let index = open(&server);
    index.may_write().await.expect("the server answers");
    titles(&index, &["Blue mug"]).await;
    server.wipe();
    assert!(index.search(query("mug")).await.expect_err("gone").is(code::UNAVAILABLE));
    let told = index.may_write().await.expect_err("the loss is told");
    assert!(told.message().contains("gone"), "{told}");
    assert!(index.may_write().await.expect("made anew"));
    assert_eq!(index.count().await.expect("a count"), 0);
    titles(&index, &["Blue mug"]).await;
    assert_eq!(found(&index, "mug").await, [1].into());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_crashed_rebuild_left_is_removed_by_the_next_writer() {
    let server = MeilisearchStandIn::start().expect("the stand-in starts");
    let index = open(&server);
    index.may_write().await.expect("the server answers");
    titles(&index, &["Blue mug"]).await;
    let rebuild = index.rebuild().await.expect("a rebuild");
    rebuild.apply(upsert([document(7, "Half done")])).await.expect("documents");
    std::mem::forget(rebuild); // a crash runs no destructors
    assert_eq!(server.indexes(), ["products-1", "products-1-build"]);
    let next = open(&server);
    next.may_write().await.expect("the server answers");
    assert_eq!(server.indexes(), ["products-1"]);
    assert_eq!(found(&next, "").await, [1].into());
    let rebuild = next.rebuild().await.expect("a rebuild");
    rebuild.apply(upsert([document(8, "Given up")])).await.expect("documents");
    drop(rebuild);
    next.may_write().await.expect("the server answers");
    assert_eq!(server.indexes(), ["products-1"], "one that was given up too");
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_generation_never_answers() {
    let server = MeilisearchStandIn::start().expect("the stand-in starts");
    let index = open(&server);
    index.may_write().await.expect("the server answers");
    titles(&index, &["Blue mug"]).await;
    let rebuild = index.rebuild().await.expect("a rebuild");
    rebuild.apply(upsert([document(2, "Red mug")])).await.expect("documents");
    server.wipe();
    assert!(index.search(query("mug")).await.is_err());
    assert!(index.may_write().await.is_err(), "the loss is told");
    index.may_write().await.expect("made anew");
    // The server makes an index by itself for this.
    rebuild.apply(upsert([document(3, "Green mug")])).await.expect("documents");
    let failure = rebuild.finish().await.expect_err("what was applied first is lost");
    assert!(failure.is(code::UNAVAILABLE), "{failure}");
    assert_eq!(index.count().await.expect("a count"), 0);
}
