//! Processes by their id.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use procfs::process::{Process, Stat};
use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};

/// A process that is known again: ids are used anew, the pair of id and start time is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pid: u32,
    /// Clock ticks between the start of the machine and that of the process.
    started: u64,
}

impl Identity {
    /// Of a running process; `None` when there is none.
    pub fn of(pid: u32) -> Option<Self> {
        Some(Self { pid, started: stat(pid)?.starttime })
    }

    /// Its id.
    pub fn pid(self) -> u32 {
        self.pid
    }

    /// Whether it still runs.
    pub fn runs(self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.starttime == self.started && stat.state != 'Z')
    }

    /// Its resident memory in MiB; `None` when it is gone.
    pub fn memory_mib(self) -> Option<u64> {
        Some(process(self.pid)?.status().ok()?.vmrss? / 1024)
    }

    /// SIGTERM, then waits; after `limit` SIGKILL. For a process that is nobody's child any more.
    pub fn stop(self, limit: Duration) -> Result<()> {
        if !self.runs() {
            return Ok(());
        }
        signal(self.pid, Signal::TERM)?;
        // A paused process takes no signal until it goes on.
        signal(self.pid, Signal::CONT)?;
        if until(limit, || !self.runs()) {
            return Ok(());
        }
        signal(self.pid, Signal::KILL)?;
        if until(Duration::from_secs(10), || !self.runs()) {
            return Ok(());
        }
        bail!("process {} does not end", self.pid)
    }
}

fn process(pid: u32) -> Option<Process> {
    Process::new(i32::try_from(pid).ok()?).ok()
}

fn stat(pid: u32) -> Option<Stat> {
    process(pid)?.stat().ok()
}

/// Whether every thread of it stands still after SIGSTOP.
pub(crate) fn stands_still(pid: u32) -> bool {
    stat(pid).is_some_and(|stat| stat.state == 'T')
}

/// Sends a signal.
pub(crate) fn signal(pid: u32, signal: Signal) -> Result<()> {
    let target = i32::try_from(pid).ok().and_then(Pid::from_raw).context("a process has a positive id")?;
    kill_process(target, signal).with_context(|| format!("cannot send {signal:?} to process {pid}"))
}

/// Asks again and again until it is so; false when it is not within `limit`.
pub(crate) fn until(limit: Duration, mut so: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if so() {
            return true;
        }
        if start.elapsed() > limit {
            return false;
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The last lines of a file, at most 64 KiB of it.
pub(crate) fn tail(file: &Path, lines: usize) -> String {
    use std::io::{Read, Seek, SeekFrom};
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = fs::File::open(file)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(64 << 10)))?;
        let mut bytes = Vec::new();
        file.take(64 << 10).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_is_known_by_id_and_start() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep starts");
        let identity = Identity::of(child.id()).expect("it runs");
        assert!(identity.runs());
        assert!(
            !Identity { started: identity.started + 1, ..identity }.runs(),
            "another process of the same id"
        );
        child.kill().expect("killed");
        assert!(until(Duration::from_secs(5), || !identity.runs()), "a zombie does not run");
        child.wait().expect("reaped");
        assert!(Identity::of(identity.pid).is_none());
        identity.stop(Duration::ZERO).expect("stopping what is gone is no error");
    }

    #[test]
    fn the_tail_is_the_end() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), "one\ntwo\nthree\n").expect("written");
        assert_eq!(tail(file.path(), 2), "two\nthree");
        assert_eq!(tail(Path::new("/no/such/file"), 2), "");
    }
}
