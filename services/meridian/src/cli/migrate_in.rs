//! `meridian migrate-in`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::Output;

/// `meridian migrate-in`.
#[derive(Debug, Subcommand)]
pub enum MigrateInCommand {
    /// Print the default mapping: which tables and columns are read, and what their statuses mean.
    ///
    /// A mapping of your own needs to say only what is different.
    Mapping,
    /// Print the tables that the default mapping fits, as SQL.
    Schema,
    /// Look at the source: what is missing, how many rows there are, which cannot be taken in and why. Writes nothing.
    Plan {
        /// Where from.
        #[command(flatten)]
        source: Source,
        /// How the command answers.
        #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
        output: Output,
    },
    /// Take the source in, from where the last run stood; after its end, what the source changed since.
    ///
    /// Where the mapping names an `updated_at` (see `meridian migrate-in mapping`), a run after a finished one reads only rows
    /// that changed since and rows that were refused; else every row. A row that is gone from the source stays here: `status`
    /// counts such rows, `verify` finds them.
    ///
    /// Each batch is one transaction of the domain that owns the rows, with the notes by which a second time changes
    /// nothing. A row that is wrong is left out and told by `errors`; all others are in.
    Run {
        /// Where from.
        #[command(flatten)]
        source: Source,
        /// Rows a transaction.
        #[arg(long, default_value_t = 200, value_name = "ROWS", value_parser = clap::value_parser!(u16).range(1..=500))]
        batch: u16,
        /// Read every row, whatever the source says changed. A run that was stopped while it read changes begins anew.
        #[arg(long)]
        full: bool,
        /// How the command answers.
        #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
        output: Output,
    },
    /// Show how far a migration is. Needs no source.
    Status {
        /// Which migration.
        #[command(flatten)]
        which: Which,
        /// How the command answers.
        #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
        output: Output,
    },
    /// Print the rows that are not in, and why, as CSV: table, key, reason. Needs no source.
    ///
    /// A table such as `users.phone` tells of a row that is in without that column.
    Errors {
        /// Which migration.
        #[command(flatten)]
        which: Which,
        /// `json`: one object a line.
        #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
        output: Output,
    },
    /// Compare both sides: rows and checksums of the source as mapped, and of what is read back from here.
    Verify {
        /// Where from.
        #[command(flatten)]
        source: Source,
        /// How the command answers.
        #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
        output: Output,
    },
    /// Remove exactly what a migration brought. Needs no source.
    ///
    /// A user who has logged in, a product that was ordered, a row that was changed here: each stays, and is told. Brands and
    /// categories that the migration made go when nothing uses them.
    Revert(Revert),
}

/// Which migration.
#[derive(Clone, Debug, Args)]
pub struct Which {
    /// The mapping (TOML); see `meridian migrate-in mapping`. Its `source` names the migration.
    #[arg(long, value_name = "FILE")]
    pub mapping: Option<PathBuf>,
}

/// Where a source is.
#[derive(Clone, Debug, Args)]
pub struct Source {
    /// The source: mysql://USER@HOST:PORT/DATABASE; port 3306 when absent.
    ///
    /// A password has no place here: other people on this machine can read a command line. Give it in the variable
    /// MERIDIAN_MIGRATE_IN_PASSWORD, or with --password-stdin.
    #[arg(long, value_name = "URL")]
    pub from: String,
    /// Read the source's password from standard input.
    #[arg(long)]
    pub password_stdin: bool,
    /// How the connection to the source is encrypted.
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    pub tls: Tls,
    /// The certificate authority of the source (PEM), for `--tls verified`; the system's when absent.
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Which migration.
    #[command(flatten)]
    pub which: Which,
}

/// How the connection to a source is encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Tls {
    /// Not at all: for a source on this machine or in a network of its own.
    Off,
    /// Where the source can, without looking at its certificate.
    #[default]
    Preferred,
    /// Always, and the certificate must be the host's.
    Verified,
}

/// `meridian migrate-in revert`.
#[derive(Clone, Debug, Args)]
pub struct Revert {
    /// Which migration.
    #[command(flatten)]
    pub which: Which,
    /// The name of the source (`source` in the mapping): rows are removed for good.
    #[arg(long, value_name = "SOURCE")]
    pub confirm: String,
    /// Also rows that have lived here. Users with orders of this shop stay in any case.
    #[arg(long)]
    pub changed_too: bool,
    /// Rows a transaction.
    #[arg(long, default_value_t = 200, value_name = "ROWS", value_parser = clap::value_parser!(u16).range(1..=500))]
    pub batch: u16,
    /// How the command answers.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Output,
}
