//! Development tasks: `cargo xtask <task>`.

mod arch_check;
mod cargo;
mod openapi;
mod prove;
mod reference;
mod schemathesis;
mod test;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Development tasks of Meridian.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Runs every test that needs no server; with --ui also those in a real Chromium.
    Test {
        /// Also the pages in Chromium (needs `chromium` and `chromedriver`).
        #[arg(long)]
        ui: bool,
        /// Only tests whose name contains this.
        filter: Option<String>,
    },
    /// Checks that dependencies point the way ARCHITECTURE.md says.
    ArchCheck,
    /// Writes the OpenAPI document; with --check only compares.
    Openapi {
        /// Fail when the file differs instead of writing it.
        #[arg(long)]
        check: bool,
    },
    /// Writes the configuration, database and error references; with --check only compares.
    Docs {
        /// Fail when a file differs instead of writing it.
        #[arg(long)]
        check: bool,
    },
    /// Asks a shop everything its OpenAPI document knows, as guest, shopper and staff (needs `python3`; installs
    /// schemathesis on first use). Fails on a 5xx and on an answer that is not documented.
    Schemathesis {
        /// For about so many seconds in all.
        #[arg(long, default_value_t = 120)]
        seconds: u32,
        /// What the data is made from: the same seed asks the same.
        #[arg(long, default_value_t = 1)]
        seed: u32,
    },
    /// Runs a proof at full size in a release build and writes `tests/proof/<item>.json`.
    Prove {
        /// Which; `all` for every one.
        item: prove::Item,
    },
}

fn main() -> Result<()> {
    match Cli::parse().task {
        Task::Test { ui, filter } => test::run(ui, filter.as_deref()),
        Task::ArchCheck => arch_check::run(),
        Task::Openapi { check } => openapi::run(check),
        Task::Docs { check } => reference::run(check),
        Task::Schemathesis { seconds, seed } => schemathesis::run(seconds, seed),
        Task::Prove { item } => prove::run(item),
    }
}
