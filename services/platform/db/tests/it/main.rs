//! The doors of the database: one suite on SQLite and on TiDB, and what only one of them has.
#![allow(clippy::disallowed_methods, reason = "a test's own tasks, and troubles that take their time")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a fixture that cannot be made fails its test")]

mod fixture;
mod migrating;
mod sqlite_only;
mod suite;
mod tidb_faults;
mod tidb_only;

macro_rules! on_both {
    ($($name:ident,)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                crate::suite::$name(crate::fixture::Fixture::sqlite().await).await;
            })*
        }
        mod tidb {
            $(#[tokio::test(flavor = "multi_thread")]
            #[ignore = "needs a TiDB: cargo xtask test --real"]
            async fn $name() {
                crate::suite::$name(crate::fixture::Fixture::tidb().await).await;
            })*
        }
    };
}

on_both! {
    a_failed_closure_takes_nothing_with_it_and_leaves_its_group_alone,
    a_closure_that_panics_takes_nothing_with_it_and_stops_nobody,
    a_duplicate_fails_only_its_own_member_of_an_append_group,
    texts_come_back_as_they_were_written,
    the_same_key_for_another_payload_is_refused,
    answers_are_forgotten_when_they_are_old,
    positions_have_no_gap_whoever_sequences,
    shards_are_sequenced_by_those_who_work_on_them,
    a_sequencer_tells_what_it_moved_as_it_stands_in_the_log,
    new_owners_get_a_preferred_shard,
    a_consumer_sees_an_event_once,
    a_write_inside_a_write_is_refused_instead_of_waiting_for_itself,
    two_processes_take_turns,
    a_lease_changes_hands_only_when_it_ran_out,
    what_a_closure_read_is_still_so_when_it_writes,
    who_inserts_the_row_that_was_not_there_a_moment_ago_runs_again,
    writes_that_guard_a_key_come_one_after_the_other,
    twins_in_two_processes_are_one_effect,
    a_caller_that_goes_away_cancels_nothing,
    the_number_of_shards_is_fixed,
}
