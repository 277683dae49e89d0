//! A server as a process: started, waited for, hurt and ended.

use std::{
    ffi::OsString,
    fs::File,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::{
    Identity, Part, ports,
    ports::Ports,
    process::{self, signal, stands_still, until},
    watchdog::Watchdog,
};

/// How long a server may take to end after SIGTERM.
const STOP: Duration = Duration::from_secs(60);
/// Tries with other ports when somebody took one between our look and the server's.
const TRIES: u32 = 3;

/// Where a server keeps its data, and who ends it.
#[derive(Clone, Debug)]
pub enum Place {
    /// A folder that goes away with it. The server ends with the value, or with this process, however that dies.
    Temporary,
    /// A folder that stays. Once it is ready the server goes on after this process: whoever keeps its [`Identity`] ends it.
    Kept {
        /// The folder.
        folder: PathBuf,
        /// The ports it had before; without them it gets free ones.
        ports: Option<Ports>,
    },
}

/// How to start a server on a folder and ports.
pub(crate) struct Plan {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    /// What comes before each start.
    pub(crate) before: Box<dyn Fn() -> Result<()> + Send + Sync>,
    /// Whether it answers.
    pub(crate) ready: Box<dyn Fn() -> bool + Send + Sync>,
    /// How long it may take until then.
    pub(crate) limit: Duration,
}

/// A running server. All methods take it shared, so that tests may share one.
pub struct Server {
    part: Part,
    plan: Plan,
    ports: Ports,
    folder: PathBuf,
    temporary: Option<TempDir>,
    running: Mutex<Option<Running>>,
}

struct Running {
    child: Child,
    /// Ends the server when this process dies, one that is kept as long as it is not ready; told to leave when we end it
    /// ourselves.
    watchdog: Option<Watchdog>,
}

impl Server {
    /// Starts a part and waits until it is ready. `plan` writes what configuration it needs into the folder.
    pub(crate) fn start(
        part: Part,
        place: &Place,
        names: &[&str],
        plan: &dyn Fn(&Path, &Path, &Ports) -> Result<Plan>,
    ) -> Result<Self> {
        let home = home(part)?;
        let mut tries = 1;
        loop {
            let (folder, temporary, ports) = match place {
                Place::Temporary => {
                    let folder = tempfile::Builder::new().prefix(&format!("{}-", part.name())).tempdir()?;
                    (folder.path().to_path_buf(), Some(folder), None)
                }
                Place::Kept { folder, ports } => {
                    std::fs::create_dir_all(folder)?;
                    (folder.clone(), None, ports.clone())
                }
            };
            let fixed = ports.is_some();
            let ports = ports.map_or_else(|| ports::free(names), Ok)?;
            let plan = plan(&home, &folder, &ports)?;
            let server = Self { part, plan, ports, folder, temporary, running: Mutex::new(None) };
            match server.launch() {
                Ok(()) => return Ok(server),
                Err(_) if !fixed && tries < TRIES && server.lost_a_port() => tries += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Its process id; `None` while it does not run.
    pub fn pid(&self) -> Option<u32> {
        self.running().as_ref().map(|running| running.child.id())
    }

    /// What it is known by after this process ended; `None` while it does not run.
    pub fn identity(&self) -> Option<Identity> {
        Identity::of(self.pid()?)
    }

    /// Its ports by what they are for.
    pub fn ports(&self) -> &Ports {
        &self.ports
    }

    /// One of its ports; 0 for a name it has not.
    pub(crate) fn port(&self, name: &str) -> u16 {
        self.ports.get(name).copied().unwrap_or_default()
    }

    /// `127.0.0.1:port` of one of its ports.
    pub(crate) fn address_of(&self, name: &str) -> String {
        format!("127.0.0.1:{}", self.port(name))
    }

    /// Where its data is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it prints, over restarts.
    pub fn log(&self) -> PathBuf {
        self.folder.join("log")
    }

    /// The last lines of what it printed.
    pub fn log_tail(&self, lines: usize) -> String {
        process::tail(&self.log(), lines)
    }

    /// SIGSTOP: it stands still, its connections stay open and nobody answers. Returns when it does.
    pub fn pause(&self) -> Result<()> {
        let pid = self.pid().with_context(|| format!("{} does not run", self.part.name()))?;
        signal(pid, Signal::STOP)?;
        if until(Duration::from_secs(5), || stands_still(pid)) {
            return Ok(());
        }
        bail!("{} does not stand still", self.part.name())
    }

    /// SIGCONT: it goes on.
    pub fn resume(&self) -> Result<()> {
        let pid = self.pid().with_context(|| format!("{} does not run", self.part.name()))?;
        signal(pid, Signal::CONT)
    }

    /// SIGTERM, then waits for its end. What does not end within a minute is killed, and that is an error.
    pub fn stop(&self) -> Result<()> {
        let Some(mut running) = self.running().take() else { return Ok(()) };
        let pid = running.child.id();
        // What ended by itself takes no signal.
        let asked = signal(pid, Signal::TERM).and_then(|()| signal(pid, Signal::CONT));
        let limit = if asked.is_ok() { STOP } else { Duration::from_secs(1) };
        let ended = until(limit, || matches!(running.child.try_wait(), Ok(Some(_))));
        running.end()?;
        if ended {
            return Ok(());
        }
        bail!("{} did not end within {limit:?}:\n{}", self.part.name(), self.log_tail(30))
    }

    /// SIGKILL, as `kill -9` sends it, and waits for its end.
    pub fn kill(&self) -> Result<()> {
        match self.running().take() {
            Some(running) => running.end(),
            None => Ok(()),
        }
    }

    /// Starts it again on the same ports and data and waits until it is ready; stops it first when it runs.
    pub fn restart(&self) -> Result<()> {
        self.stop()?;
        self.launch()
    }

    /// Its resident memory in MiB; 0 while it does not run.
    pub fn memory_mib(&self) -> u64 {
        self.identity().and_then(Identity::memory_mib).unwrap_or_default()
    }

    fn launch(&self) -> Result<()> {
        let name = self.part.name();
        (self.plan.before)()?;
        let log = File::options().create(true).append(true).open(self.log())?;
        let mut child = Command::new(&self.plan.program)
            .args(&self.plan.arguments)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C is for us; we end it.
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", self.plan.program.display()))?;
        let watched = match &self.temporary {
            Some(folder) => Watchdog::over(child.id(), folder.path()),
            None => Watchdog::over_kept(child.id()),
        };
        let watchdog = match watched {
            Ok(watchdog) => Some(watchdog),
            Err(error) => {
                child.kill()?;
                child.wait()?;
                return Err(error);
            }
        };
        let mut running = Running { child, watchdog };
        let mut ended = None;
        let ready = until(self.plan.limit, || {
            ended = running.child.try_wait().ok().flatten();
            ended.is_some() || (self.plan.ready)()
        });
        if ready && ended.is_none() {
            // From here on whoever keeps a kept server's identity ends it.
            if self.temporary.is_none() {
                running.watchdog.take().map_or(Ok(()), Watchdog::leave)?;
            }
            *self.running() = Some(running);
            return Ok(());
        }
        running.end()?;
        let log = self.log_tail(30);
        match ended {
            Some(status) => bail!("{name} ended with {status} before it was ready:\n{log}"),
            None => bail!("{name} was not ready within {:?}:\n{log}", self.plan.limit),
        }
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether its log says that another process has one of its ports.
    fn lost_a_port(&self) -> bool {
        let log = self.log_tail(100).to_ascii_lowercase();
        log.contains("address already in use") || log.contains("failed to bind")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The data goes away too, so there is nothing to end gently.
        if self.temporary.is_some() {
            let _ = self.kill();
        }
    }
}

impl Running {
    /// Kills and reaps the server, if it has not ended, and sends the watchdog away.
    fn end(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.watchdog.map_or(Ok(()), Watchdog::leave)
    }
}

/// Where the part is; says how to have it when it is not there.
fn home(part: Part) -> Result<PathBuf> {
    let recipe = part.recipe();
    let missing: Vec<String> = recipe.missing().iter().map(ToString::to_string).collect();
    if part.built()? && missing.is_empty() {
        return part.home();
    }
    let name = part.name();
    bail!(
        "{name} is not built: run `cargo xtask stack build --only {name}` ({})\n  {}",
        recipe.takes,
        missing.join("\n  ")
    )
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Set for the process that this test starts from itself and kills: the folder.
    const CHILD: &str = "STACK_TEST_STARTING_CHILD";

    #[test]
    fn a_kept_server_that_is_not_ready_does_not_outlive_its_process() {
        if let Some(folder) = std::env::var_os(CHILD) {
            start_for_ever(folder.into());
            return;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let mut child = Command::new(std::env::current_exe().expect("this very program"))
            .args(["--exact", "server::tests::a_kept_server_that_is_not_ready_does_not_outlive_its_process"])
            .env(CHILD, folder.path())
            .spawn()
            .expect("it starts");
        let pid = folder.path().join("pid");
        let read = || fs::read_to_string(&pid).ok()?.trim().parse::<u32>().ok();
        assert!(until(Duration::from_secs(20), || read().is_some()), "the server starts");
        let server = read().and_then(Identity::of).expect("the server runs");
        child.kill().expect("killed");
        child.wait().expect("reaped");
        assert!(until(Duration::from_secs(20), || !server.runs()), "the server goes on, and nobody knows it");
        assert!(pid.exists(), "its data stays");
    }

    /// A server that says its id and is never ready; the process is killed long before the limit.
    fn start_for_ever(folder: PathBuf) {
        let script = "echo $$ > pid; exec sleep 600";
        let plan = Plan {
            program: "sh".into(),
            arguments: ["-c", script].map(OsString::from).into(),
            before: Box::new(|| Ok(())),
            ready: Box::new(|| false),
            limit: Duration::from_secs(60),
        };
        let (ports, running) = (Ports::new(), Mutex::new(None));
        let server = Server { part: Part::Redis, plan, ports, folder, temporary: None, running };
        server.launch().expect_err("it is never ready");
    }
}
