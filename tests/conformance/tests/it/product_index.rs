//! The index of products: tantivy; Meilisearch on the stand-in always, on a real server where `MERIDIAN_MEILISEARCH_URL` (and
//! `MERIDIAN_MEILISEARCH_KEY`) say so.

mod adapters;
mod changes;
mod filters;
mod meilisearch;
mod rebuilds;
mod samples;
mod words;

/// A test of every case of the suite for an adapter.
macro_rules! suite {
    ($adapter:ident, $open:path) => {
        suite! { $adapter, $open,
            words: [
                english_words_match_by_their_stem, typos_are_forgiven_by_one_rule, a_short_word_is_taken_as_it_is,
                what_was_typed_wrong_is_corrected, the_last_word_may_still_be_typed,
                chinese_is_found_however_it_is_cut, accents_and_case_do_not_matter, every_word_must_match,
                signs_alone_find_nothing, highlights_are_safe_html, codes_slugs_and_titles_match_as_a_whole,
                suggestions_are_names_then_titles,
            ]
            filters: [
                filters_narrow_by_id_and_by_slug, filter_values_are_never_syntax, each_facet_ignores_its_own_filter,
                in_stock_has_two_sides, prices_are_compared_in_the_currency_of_the_search,
                every_order_sorts_and_pages_neither_repeat_nor_skip, best_matches_come_first_and_equal_ones_by_sales,
                price_ranges_cover_every_price_once,
            ]
            changes: [
                an_upsert_replaces_and_a_delete_removes, of_two_changes_of_one_product_the_later_counts,
                what_was_applied_is_found_at_once, entries_are_listed_in_order_of_ids,
                entries_of_one_moment_page_too, a_revision_tells_of_changes,
            ]
            rebuilds: [
                a_swap_is_not_noticed_by_searches, one_rebuild_at_a_time, one_that_is_given_up_leaves_nothing_behind,
                a_rebuild_takes_deletes_too, changes_go_on_while_one_is_filled,
            ]
        }
    };
    ($adapter:ident, $open:path, $($group:ident: [$($case:ident),* $(,)?])*) => {
        mod $adapter {
            $(mod $group {
                $(
                    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                    async fn $case() {
                        let Some(opened) = $open().await else { return };
                        crate::product_index::$group::$case(&*opened.index).await;
                        opened.close().await;
                    }
                )*
            })*
        }
    };
}

suite!(tantivy, crate::product_index::adapters::tantivy);
suite!(meilisearch_on_the_stand_in, crate::product_index::adapters::stand_in);
suite!(meilisearch_on_a_server, crate::product_index::adapters::server);
