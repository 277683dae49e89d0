//! `simulation --seeds N --start S`: runs seeds one after another and stops at the first that fails.

use std::{collections::BTreeMap, io::Write, process::ExitCode};

use clap::Parser;

/// Seeded simulation of coordinators, workers and regions.
#[derive(Parser)]
struct Options {
    /// How many seeds.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first.
    #[arg(long, default_value_t = 0)]
    start: u64,
    /// Tells every step of the first seed.
    #[arg(long)]
    trace: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let mut out = std::io::stderr().lock();
    let (mut steps, mut ended) = (0, BTreeMap::<String, usize>::new());
    for seed in options.start..options.start + options.seeds {
        let report = match simulation::run(seed) {
            Ok(report) => report,
            Err(failed) => {
                drop(writeln!(out, "{failed}\nagain: cargo xtask sim --seeds 1 --start {seed}"));
                return ExitCode::FAILURE;
            }
        };
        if options.trace && seed == options.start {
            drop(writeln!(out, "{}", report.trace.join("\n")));
        }
        steps += report.steps;
        for one in report.ended {
            *ended.entry(one).or_default() += 1;
        }
        let done = seed - options.start + 1;
        if done % 1_000 == 0 || done == options.seeds {
            drop(writeln!(out, "{done} of {} seeds, {steps} audited steps", options.seeds));
        }
    }
    for (what, count) in ended {
        drop(writeln!(out, "  {count:>8} {what}"));
    }
    ExitCode::SUCCESS
}
