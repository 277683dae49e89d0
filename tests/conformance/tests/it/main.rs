//! Conformance: what a port promises, shown on every adapter of it. A module a port: its cases are functions over the port,
//! and `suite!` makes a test of each for each adapter.

mod product_index;
