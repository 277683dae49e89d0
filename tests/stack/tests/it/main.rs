//! The servers themselves: each is started, paused, killed and started again. They must be built:
//! `cargo xtask stack build`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, reason = "tests")]

mod guard;
mod servers;
