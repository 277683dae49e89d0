//! What went wrong in other commerce platforms, each a test of ours. The comment names the issue and the guard whose
//! removal makes the test fail.

mod charged_then_out_of_stock;
mod late_payment;
mod rounding;
mod search_shows_sold_out;
