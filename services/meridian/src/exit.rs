//! How a command ends when it does not succeed.

use std::fmt;

/// Why, as the program's exit status says it: documented in the `--help` of `meridian region`, `meridian import` and
/// `meridian migrate-in`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It failed, was refused, or something is wrong.
    Failed,
    /// The command line does not make sense, or was not confirmed.
    Usage,
    /// What it is about does not exist.
    NotFound,
    /// Something else is under way, or has changed what this was decided on.
    Conflict,
    /// It is not over in time, or was told to stop.
    Late,
    /// It is done, but not of everything.
    Partly,
}

/// The end of a command, with its status and its reason for a person.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) why: Why,
    message: String,
}

impl Ended {
    pub(crate) fn error(why: Why, message: impl Into<String>) -> anyhow::Error {
        anyhow::Error::new(Self { why, message: message.into() })
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Ended {}

/// The exit status that says why; 1 for everything that has no status of its own.
pub fn status(error: &anyhow::Error) -> u8 {
    match error.downcast_ref::<Ended>().map(|ended| ended.why) {
        Some(Why::Failed) | None => 1,
        Some(Why::Usage) => 2,
        Some(Why::NotFound) => 3,
        Some(Why::Conflict) => 4,
        Some(Why::Late) => 5,
        Some(Why::Partly) => 6,
    }
}
