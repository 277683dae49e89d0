//! What went wrong in other commerce platforms, each a test of ours. The comment names the issue and the guard whose
//! removal makes the test fail.

mod charged_then_out_of_stock;
mod dead_endpoint;
mod growing_cart;
mod late_payment;
mod lost_update;
mod never_sent_again;
mod not_found_after_creation;
mod reservations_drift;
mod rounding;
mod search_shows_sold_out;
mod unpaid;
