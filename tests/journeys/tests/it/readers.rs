//! Whoever reads what a command says may stop early, as `head` and `grep -m1` do.

use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use support::binary;

/// Runs a command whose standard output nobody reads any more.
fn unread(words: &[&str]) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (reader, writer) = std::io::pipe()?;
    drop(reader);
    let ended = Command::new(binary()?)
        .args(["--profile", "test", "--data"])
        .arg(folder.path().join("data"))
        .args(words)
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(writer)
        .output()?;
    let said = String::from_utf8_lossy(&ended.stderr);
    ensure!(ended.status.success() && !said.contains("panicked"), "{words:?}: {}: {said}", ended.status);
    Ok(())
}

#[test]
fn commands_end_well_when_nobody_reads_on() -> Result<()> {
    for words in [["config", "show"], ["migrate-in", "mapping"], ["reference", "metrics"]] {
        unread(&words)?;
    }
    Ok(())
}

/// It stops because its standard input has ended; before that it says where it listens.
#[test]
fn a_shop_serves_when_nobody_reads_where() -> Result<()> {
    unread(&["serve", "--no-sample", "--listen", "127.0.0.1:0", "--with-parent"])
}
