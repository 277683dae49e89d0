//! How an operation is run, and whether the command waits for it.

use std::time::Duration;

use clap::Args;

use crate::cli::Patience;

/// How an operation is run.
#[derive(Clone, Debug, Default, Args)]
pub struct Run {
    /// Show the plan, and do nothing.
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub wait: Waiting,
}

/// Whether and how long to wait for an operation.
#[derive(Clone, Debug, Default, Args)]
pub struct Waiting {
    /// Wait until it is over and show how it goes (the default).
    #[arg(long, overrides_with = "no_wait")]
    pub wait: bool,
    /// Begin it and return.
    #[arg(long)]
    pub no_wait: bool,
    /// How long to wait; the operation itself goes on afterwards. [default: 10m]
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<Patience>,
}

impl Waiting {
    /// How long to wait, if at all.
    pub(crate) fn longest(&self) -> Option<Duration> {
        let longest = self.timeout.map_or(Duration::from_secs(600), |patience| patience.0);
        (!self.no_wait).then_some(longest)
    }
}
