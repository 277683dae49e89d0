//! `simulation --seeds N --start S`: runs seeds, on every core, and stops at one that fails.

use std::{
    collections::BTreeMap,
    io::Write,
    process::ExitCode,
    sync::{Mutex, PoisonError},
    thread,
};

use clap::Parser;
use simulation::{Failed, Report, run};

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

/// What was run so far.
#[derive(Default)]
struct Progress {
    begun: u64,
    done: u64,
    steps: usize,
    ended: BTreeMap<String, usize>,
    acts: BTreeMap<&'static str, usize>,
    /// The lowest seed that failed.
    failed: Option<Failed>,
}

impl Progress {
    /// The next seed to run, if there is one.
    fn begin(&mut self, options: &Options) -> Option<u64> {
        if self.failed.is_some() || self.begun == options.seeds {
            return None;
        }
        self.begun += 1;
        Some(options.start + self.begun - 1)
    }

    fn end(&mut self, options: &Options, result: Result<Report, Failed>) {
        match result {
            Ok(report) => {
                self.done += 1;
                self.steps += report.steps;
                for one in report.ended {
                    *self.ended.entry(one).or_default() += 1;
                }
                for (act, count) in report.acts {
                    *self.acts.entry(act).or_default() += count;
                }
                if self.done.is_multiple_of(1_000) || self.done == options.seeds {
                    tell(&format!("{} of {} seeds, {} audited steps", self.done, options.seeds, self.steps));
                }
            }
            Err(failed) if self.failed.as_ref().is_none_or(|lowest| failed.seed < lowest.seed) => {
                self.failed = Some(failed);
            }
            Err(_) => {}
        }
    }
}

/// To standard error; whoever closed it does not want to know.
fn tell(line: &str) {
    drop(writeln!(std::io::stderr(), "{line}"));
}

fn main() -> ExitCode {
    let options = Options::parse();
    if options.trace
        && let Ok(report) = run(options.start)
    {
        tell(&report.trace.join("\n"));
    }
    let progress = Mutex::new(Progress::default());
    let locked = || progress.lock().unwrap_or_else(PoisonError::into_inner);
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let next = locked().begin(&options);
                    let Some(seed) = next else { break };
                    let result = run(seed);
                    locked().end(&options, result);
                }
            });
        }
    });
    let progress = progress.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(failed) = progress.failed {
        tell(&format!("{failed}\nagain: cargo xtask sim --seeds 1 --start {}", failed.seed));
        return ExitCode::FAILURE;
    }
    for (what, count) in progress.ended {
        tell(&format!("  {count:>8} {what}"));
    }
    for (what, count) in progress.acts {
        tell(&format!("  {count:>8} by a person: {what}"));
    }
    ExitCode::SUCCESS
}
