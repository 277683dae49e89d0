//! The binary as a child process.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use stack::Watchdog;

/// The `meridian` binary beside the running test.
///
/// # Errors
/// When it was not built: `cargo xtask test` builds it first.
pub fn binary() -> Result<PathBuf> {
    let mut folder = std::env::current_exe()?;
    while folder.pop() {
        let candidate = folder.join("meridian");
        if candidate.is_file() {
            return Ok(candidate);
        }
    }
    bail!(
        "the meridian binary is not built: run `cargo xtask test`, or `cargo build --workspace --bins` first"
    )
}

/// A running process of the shop; killed when dropped, and when this process dies.
pub(crate) struct Process {
    child: Child,
    /// None once it has ended.
    watchdog: Option<Watchdog>,
    log: Arc<Mutex<String>>,
}

impl Process {
    pub(crate) fn start(
        arguments: &[String],
        environment: &[(String, String)],
        folder: &Path,
    ) -> Result<Self> {
        let mut child = Command::new(binary()?)
            .args(arguments)
            .envs(environment.iter().cloned())
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start meridian")?;
        let log = Arc::new(Mutex::new(String::new()));
        if let Some(out) = child.stdout.take() {
            keep(out, Arc::clone(&log));
        }
        if let Some(err) = child.stderr.take() {
            keep(err, Arc::clone(&log));
        }
        let mut process = Self { child, watchdog: None, log };
        process.watchdog = Some(Watchdog::over(process.pid(), folder)?);
        Ok(process)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it printed so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().map(|log| log.clone()).unwrap_or_default()
    }

    /// Waits until it prints the address it listens on.
    pub(crate) async fn address(&mut self, limit: Duration) -> Result<String> {
        let start = Instant::now();
        loop {
            if let Some(address) = self.log().lines().find_map(address_in) {
                return Ok(address);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("meridian ended with {status} before it listened:\n{}", self.log());
            }
            if start.elapsed() > limit {
                bail!("meridian did not listen within {limit:?}:\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// SIGKILL, as `kill -9` sends it.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.watchdog.take().map_or(Ok(()), Watchdog::leave)
    }

    /// SIGSTOP, or SIGCONT when `resume`.
    pub(crate) fn pause(&self, resume: bool) -> Result<()> {
        let signal = if resume { Signal::CONT } else { Signal::STOP };
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// SIGTERM, then waits for its end.
    pub(crate) async fn stop(&mut self, limit: Duration) -> Result<()> {
        // What ended by itself takes no signal; how it ended is looked at below.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                self.watchdog.take().map_or(Ok(()), Watchdog::leave)?;
                if status.success() {
                    return Ok(());
                }
                bail!("meridian ended with {status}:\n{}", self.log());
            }
            if start.elapsed() > limit {
                self.kill()?;
                bail!("meridian did not stop within {limit:?}:\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// `listening on http://127.0.0.1:40123` in a line of output.
fn address_in(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("listening on ")?;
    let end = rest.find(|c: char| c.is_whitespace() || c == '"').unwrap_or(rest.len());
    Some(rest[..end].trim_end_matches('/').to_owned())
}

fn keep(stream: impl std::io::Read + Send + 'static, log: Arc<Mutex<String>>) {
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if let Ok(mut log) = log.lock() {
                // The end of a long log is what explains a failure.
                if log.len() > 4 << 20 {
                    log.drain(..2 << 20);
                }
                log.push_str(&line);
                log.push('\n');
            }
        }
    });
}
