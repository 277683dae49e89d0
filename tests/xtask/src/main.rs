//! Development tasks: `cargo xtask <task>`.

mod arch_check;
mod cargo;
#[cfg(test)]
mod compose;
mod openapi;
mod prove;
mod reference;
mod schemathesis;
mod sim;
mod stack;
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
    /// Runs every test on the embedded parts; with --ui also those in a real Chromium, with --real then the journeys and
    /// the conformance suites on TiDB, Pulsar and Redis.
    #[command(
        after_help = "Examples:\n  cargo xtask test\n  cargo xtask test --ui buying\n  cargo xtask test --real\n\n\
        --real builds what is missing (about 6 minutes the first time; see `cargo xtask stack status`), starts one TiDB,\n\
        one Pulsar and one Redis for the run and ends them with it. Building the Pulsar adapter needs `protoc`\n\
        (Debian: apt-get install protobuf-compiler)."
    )]
    Test(test::Options),
    /// Builds, starts and stops the real parts on this machine, without containers: TiDB, Pulsar, Redis, a collector.
    #[command(subcommand)]
    Stack(stack::Action),
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
    /// Runs the coordinator and the placement of shards in virtual time, a world of troubles a seed, and audits every step.
    /// Stops at the first seed that fails and says how to run it again.
    Sim(sim::Options),
    /// Runs a proof at full size in a release build and writes `tests/proof/<item>.json`.
    Prove {
        /// Which; `all` for every one.
        item: prove::Item,
    },
}

fn main() -> Result<()> {
    match Cli::parse().task {
        Task::Test(options) => test::run(&options),
        Task::Stack(action) => stack::run(&action),
        Task::ArchCheck => arch_check::run(),
        Task::Openapi { check } => openapi::run(check),
        Task::Docs { check } => reference::run(check),
        Task::Schemathesis { seconds, seed } => schemathesis::run(seconds, seed),
        Task::Sim(options) => sim::run(&options),
        Task::Prove { item } => prove::run(item),
    }
}
