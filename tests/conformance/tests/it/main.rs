//! Conformance: what a port promises, shown on every adapter of it. A module a port: its cases are functions over the port,
//! and `suite!` makes a test of each for each adapter.

#![allow(clippy::expect_used, reason = "tests say what they expect")]
#![allow(clippy::cognitive_complexity, reason = "a case tells one story in order")]

mod contracts;
mod product_index;
