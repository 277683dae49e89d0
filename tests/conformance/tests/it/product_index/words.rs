//! Which documents words find, and how hits show it.

use platform_index::ProductIndex;

use super::samples::{document, fill, found, numbers, query, search, shop, titles};

pub(crate) async fn english_words_match_by_their_stem(index: &dyn ProductIndex) {
    titles(index, &["Running shoes", "Women's T-Shirt", "Crème brûlée torch", "Garden table"]).await;
    assert_eq!(found(index, "run shoe").await, [1].into());
    assert_eq!(found(index, "TABLES").await, [4].into());
    assert_eq!(found(index, "womens tshirts").await, [2].into());
    assert_eq!(found(index, "women t-shirt").await, [2].into());
    assert_eq!(found(index, "the table for the garden").await, [4].into());
    assert_eq!(found(index, "").await.len(), 4);
}

pub(crate) async fn typos_are_forgiven_by_one_rule(index: &dyn ProductIndex) {
    titles(index, &["Shirt", "Headphones", "Skirt", "Camps", "Wireless headset"]).await;
    assert_eq!(found(index, "hedphnoes ").await, [2].into(), "two from nine letters on");
    assert_eq!(found(index, "hedpnes ").await, [].into(), "one below");
    let exact = search(index, query("shirt ")).await;
    assert_eq!(numbers(&exact), [1, 3], "the word itself is first");
    assert!(exact.corrected.is_none());
    assert_eq!(found(index, "lamps ").await, [].into(), "a wrong first letter counts as two");
}

pub(crate) async fn a_short_word_is_taken_as_it_is(index: &dyn ProductIndex) {
    titles(index, &["Lamp", "Camp", "Limp", "Mug"]).await;
    assert_eq!(found(index, "lamp").await, [1].into());
    assert_eq!(found(index, "lmap ").await, [].into());
    assert_eq!(found(index, "mgu ").await, [].into());
}

pub(crate) async fn what_was_typed_wrong_is_corrected(index: &dyn ProductIndex) {
    titles(index, &["Headphones", "Wireless headset", "Mug"]).await;
    let typo = search(index, query("hedphnoes ")).await;
    assert_eq!(typo.corrected.as_deref(), Some("headphones"));
    assert_eq!(typo.hits[0].highlight, "<mark>Headphones</mark>");
    let second = search(index, query("wireles  headset ")).await;
    assert_eq!(second.corrected.as_deref(), Some("wireless headset"));
    assert_eq!(search(index, query("zzzzzzzz")).await.corrected, None);
    assert_eq!(search(index, query("headphones")).await.corrected, None);
}

pub(crate) async fn the_last_word_may_still_be_typed(index: &dyn ProductIndex) {
    titles(index, &["Solar lamp", "Solar panel", "Lampshade"]).await;
    assert_eq!(found(index, "solar la").await, [1].into());
    assert_eq!(found(index, "la").await, [1, 3].into());
    assert_eq!(found(index, "la ").await, [].into());
    assert_eq!(numbers(&search(index, query("lamp")).await), [1, 3], "the whole word first");
    let begun = search(index, query("lampsh")).await;
    assert_eq!(begun.hits[0].highlight, "<mark>Lampshade</mark>");
}

pub(crate) async fn chinese_is_found_however_it_is_cut(index: &dyn ProductIndex) {
    titles(
        index,
        &["苹果手机壳 防摔", "手机充电器", "纯棉女士连衣裙 夏季新款", "iPhone 手机支架", "さくら茶"],
    )
    .await;
    assert_eq!(found(index, "手机").await, [1, 2, 4].into());
    assert_eq!(found(index, "手机壳").await, [1].into());
    assert_eq!(found(index, "机壳").await, [1].into());
    assert_eq!(found(index, "iphone手机").await, [4].into());
    assert_eq!(found(index, "连衣裙").await, [3].into());
    assert_eq!(found(index, "夏季 连衣裙").await, [3].into());
    assert_eq!(found(index, "さくら").await, [5].into());
    let hit = &search(index, query("手机壳")).await.hits[0];
    assert!(hit.highlight.contains("<mark>") && hit.highlight.contains("手机"), "{}", hit.highlight);
}

pub(crate) async fn accents_and_case_do_not_matter(index: &dyn ProductIndex) {
    titles(index, &["Crème brûlée torch", "ÉCLAIR"]).await;
    assert_eq!(found(index, "creme brulee").await, [1].into());
    assert_eq!(found(index, "éclair").await, [2].into());
    assert_eq!(found(index, "CRÈME").await, [1].into());
}

pub(crate) async fn every_word_must_match(index: &dyn ProductIndex) {
    titles(index, &["Garden table", "Running shoes", "Garden shoes"]).await;
    assert_eq!(found(index, "garden shoes").await, [3].into());
    assert_eq!(found(index, "garden shoes table").await, [].into());
}

pub(crate) async fn signs_alone_find_nothing(index: &dyn ProductIndex) {
    titles(index, &["Garden table"]).await;
    assert_eq!(found(index, "!!!").await, [].into());
    assert_eq!(found(index, "   ").await, [1].into(), "nothing typed finds everything");
}

pub(crate) async fn highlights_are_safe_html(index: &dyn ProductIndex) {
    titles(index, &["<script>alert('mug')</script> & Mugs"]).await;
    let found = search(index, query("mug")).await;
    assert_eq!(
        found.hits[0].highlight,
        "&lt;script&gt;alert(&#39;<mark>mug</mark>&#39;)&lt;/script&gt; &amp; <mark>Mugs</mark>"
    );
    assert_eq!(found.hits[0].card, "{\"n\":1}", "a card comes back as it was");
}

pub(crate) async fn codes_slugs_and_titles_match_as_a_whole(index: &dyn ProductIndex) {
    titles(index, &["Blue mug", "Blue mug large", "Blue"]).await;
    fill(index, [document(20, "Another")]).await;
    assert_eq!(numbers(&search(index, query("sku-2")).await)[0], 2);
    assert_eq!(numbers(&search(index, query("product-3")).await)[0], 3);
    assert_eq!(numbers(&search(index, query("Blue")).await)[0], 3);
}

pub(crate) async fn suggestions_are_names_then_titles(index: &dyn ProductIndex) {
    let mut documents = shop();
    documents.push(document(50, "Muggle cup"));
    fill(index, documents).await;
    let suggest =
        async |typed: &str, limit| index.suggest(typed.to_owned(), limit).await.expect("suggestions");
    assert_eq!(suggest("mug", 10).await, ["Mugs", "Muggle cup"]);
    assert_eq!(suggest("acm", 3).await[0], "Acme");
    assert_eq!(suggest("blue th", 10).await.len(), 10);
    assert!(suggest("  ", 10).await.is_empty());
    assert!(suggest("!", 10).await.is_empty());
}
