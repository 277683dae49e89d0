//! Nothing is left running: a shell outlives whoever started a server and ends it for them.

use std::{
    io::Write,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result};

/// A shell that waits for the end of its input, which comes when this value or this process ends, by whatever signal; then it
/// kills the server and removes its folder. (The system's own way, `PR_SET_PDEATHSIG`, acts when the starting *thread*
/// ends, which a test's does.)
pub struct Watchdog(Child);

impl Watchdog {
    /// Watches over the server `pid`, whose data is in `folder`.
    pub fn over(pid: u32, folder: &Path) -> Result<Self> {
        let shell = Command::new("sh")
            .args(["-c", "read -r leave && exit 0; kill -s KILL \"$0\"; sleep 1; rm -rf -- \"$1\""])
            .arg(pid.to_string())
            .arg(folder)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("cannot start a shell")?;
        Ok(Self(shell))
    }

    /// Sends it away: the server has ended.
    pub fn leave(mut self) -> Result<()> {
        if let Some(mut line) = self.0.stdin.take() {
            let _ = line.write_all(b"leave\n");
        }
        self.0.wait()?;
        Ok(())
    }
}
