//! The domains' contracts: the services in this process, and their clients over HTTP to a running shop. A test a domain and
//! adapter runs the domain's cases one after the other on a shop of its own; over HTTP they must call every method there is.

mod account;
mod callers;
mod cart;
mod catalog;
mod fixture;
mod goods;
mod import;
mod inventory;
mod order;
mod payment;
mod pricing;
mod region;
mod search;

/// A test of a domain's cases for each adapter.
macro_rules! suite {
    ($($domain:ident is $contract:ident, $Dispatcher:ident: [$($case:ident),* $(,)?])*) => {
        mod here {
            use crate::contracts::fixture::{Adapter, Fixture};
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $domain() {
                    let shop = Fixture::open(Adapter::Here).await;
                    $(Box::pin(crate::contracts::$domain::$case(&shop)).await.expect(stringify!($case));)*
                    shop.close().await;
                }
            )*
        }

        mod over_http {
            use crate::contracts::fixture::{Adapter, Fixture};
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $domain() {
                    let shop = Fixture::open(Adapter::OverHttp).await;
                    $(Box::pin(crate::contracts::$domain::$case(&shop)).await.expect(stringify!($case));)*
                    shop.all_called(stringify!($domain), contracts::$domain::$Dispatcher::METHODS);
                    shop.close().await;
                }
            )*
        }

        /// Does not compile while a contract has no suite.
        const _: fn(contracts::Contracts) = |all| {
            let contracts::Contracts { $($contract: _),* } = all;
        };
    };
}

suite! {
    account is accounts, AccountsDispatcher: [
        an_account_is_opened_once_and_shows_what_it_was_told, a_session_opens_rotates_and_ends,
        too_many_failures_say_when_to_come_back, addresses_are_their_shoppers_own, roles_say_what_staff_may_do,
        accounts_and_the_audit_log_are_read_in_pages,
    ]
    catalog is catalog, CatalogDispatcher: [
        categories_make_a_tree, categories_of_a_file_are_known_by_their_id, a_brand_has_one_name,
        an_attribute_set_counts_below_its_category, a_product_is_written_and_moved, what_a_product_cannot_be_is_named,
        lists_keep_their_order, products_of_a_file_stand_for_themselves, an_image_comes_back_as_it_went_in,
        what_is_no_image_is_refused,
    ]
    pricing is pricing, PricingDispatcher: [
        prices_are_those_in_force, prices_that_cannot_be_are_refused, a_quote_adds_up_and_binds,
        what_cannot_be_priced_is_named,
    ]
    inventory is inventory, InventoryDispatcher: [
        warehouses_are_listed_by_priority, every_movement_of_stock_is_kept, first_stock_leaves_what_is_there_alone,
        a_hold_takes_all_lines_or_none, a_hold_ends_once,
    ]
    cart is carts, CartsDispatcher: [
        a_guests_cart_tells_what_changed, a_guests_lines_become_the_members, a_cart_has_a_hundred_lines,
    ]
    order is orders, OrdersDispatcher: [
        an_order_is_placed_once_a_key, what_cannot_be_ordered_is_named, a_quote_binds_the_order,
        orders_are_their_shoppers_own, a_cart_is_ordered_paid_and_given_back,
    ]
    payment is payments, PaymentsDispatcher: [
        a_payment_is_opened_once_an_order, the_payer_makes_the_sandbox_answer, money_goes_back_once_a_key,
        payments_are_listed_for_staff, a_callback_counts_once_however_often_it_comes,
        callbacks_of_strangers_are_refused,
    ]
    search is search, SearchDispatcher: [
        what_is_sold_is_found, a_search_that_makes_no_sense_is_refused, what_is_typed_is_completed,
        the_index_is_checked_and_rebuilt,
    ]
    import is imports, ImportsDispatcher: [
        products_of_a_file_come_in, a_file_of_categories_comes_in_and_another_does_not, what_is_no_file_is_refused,
    ]
    region is regions, RegionsDispatcher: [
        a_shop_without_a_map_says_so, an_operation_runs_alone_until_it_is_aborted, an_operation_tells_how_it_went,
        drills_by_schedule_are_told,
    ]
}
