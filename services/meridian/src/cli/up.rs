//! `meridian up`.

use clap::Args;

use super::{Output, Patience};

/// `meridian up`.
#[derive(Clone, Debug, Args)]
pub struct Up {
    /// Port of the first region; the others have the next two. 0 takes free ones.
    #[arg(long, default_value_t = 8080, value_name = "PORT", value_parser = clap::value_parser!(u16).range(..=65_533))]
    pub base_port: u16,
    /// `json`: once ALL regions are ready, one line a region on standard output:
    /// {"region":"us-east","url":"http://127.0.0.1:8080","pid":4242}
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Output,
    /// How long the regions may take to become ready.
    #[arg(long, default_value = "3m", value_name = "TIME")]
    pub ready_within: Patience,
}
