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
        let end = "read -r leave && exit 0; kill -s KILL \"$0\"; sleep 1; rm -rf -- \"$1\"";
        Self::with(Command::new("sh").args(["-c", end]).arg(pid.to_string()).arg(folder))
    }

    /// Watches over the server `pid` until it is known to somebody: its data stays, so it is asked to end before it is made to.
    pub fn over_kept(pid: u32) -> Result<Self> {
        let end = "read -r leave && exit 0; kill -s TERM \"$0\"; left=30; \
                   while [ $left -gt 0 ] && kill -s 0 \"$0\"; do sleep 1; left=$((left - 1)); done; \
                   kill -s KILL \"$0\"";
        Self::with(Command::new("sh").args(["-c", end]).arg(pid.to_string()))
    }

    fn with(shell: &mut Command) -> Result<Self> {
        let shell = shell
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
