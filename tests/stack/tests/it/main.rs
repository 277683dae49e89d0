//! The servers themselves: each is started, paused, killed and started again. They must be built
//! (`cargo xtask stack build`), so only `cargo xtask test --real` runs these, or `cargo test -p stack -- --ignored`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, reason = "tests")]

mod guard;
mod servers;
