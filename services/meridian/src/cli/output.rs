//! How commands answer.

use clap::ValueEnum;

/// How a command answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people: tables and sentences.
    #[default]
    Text,
    /// For programs: JSON, one document (or one a line, where it says so); everything else goes to standard error.
    Json,
}
