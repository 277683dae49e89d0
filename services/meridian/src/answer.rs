//! What commands say: the answer on standard output, everything else on standard error.
//!
//! Whoever reads it may stop early, as `head` and `grep -m1` do. That is no failure of a command, and ends no shop.

use std::{
    fmt::Display,
    io::{self, ErrorKind, Write as _},
};

use anyhow::{Context as _, Result};

/// Writes an answer on standard output, with one line break at its end.
pub(crate) fn put(text: &str) -> Result<()> {
    plain(&format!("{}\n", text.trim_end()))
}

/// Writes a text on standard output as it is.
pub(crate) fn plain(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    written(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Tells the person at the terminal what happens. Where nobody can be told, the work goes on.
pub(crate) fn tell(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

fn written(outcome: io::Result<()>) -> Result<()> {
    match outcome {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot write the answer"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_stopped_is_no_failure_and_a_full_disk_is() {
        written(Ok(())).unwrap();
        written(Err(ErrorKind::BrokenPipe.into())).unwrap();
        written(Err(ErrorKind::StorageFull.into())).unwrap_err();
    }
}
