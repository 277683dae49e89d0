//! `cargo xtask sim`.

use anyhow::Result;
use clap::Args;

use crate::cargo;

/// What to run.
#[derive(Args)]
pub(crate) struct Options {
    /// How many seeds.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) seeds: u64,
    /// The first.
    #[arg(long, default_value_t = 0)]
    pub(crate) start: u64,
    /// Tells every step of the first seed.
    #[arg(long)]
    pub(crate) trace: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    cargo::build_binaries(true)?;
    let mut simulation = cargo::command(cargo::built("debug", "simulation")?);
    simulation.args(["--seeds", &options.seeds.to_string(), "--start", &options.start.to_string()]);
    if options.trace {
        simulation.arg("--trace");
    }
    cargo::run(&mut simulation)
}
