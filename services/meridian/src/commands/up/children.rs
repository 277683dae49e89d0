//! The regions' processes.

use std::{
    fs::{self, File},
    net::SocketAddr,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use futures::future::join_all;
use kernel::Region;
use tokio::{
    process::{Child, Command},
    time::Instant,
};

use crate::cli::Cli;

/// How long a region may take to say whether it is ready.
const ASK: Duration = Duration::from_secs(1);
/// Before one that is not ready is asked again.
const AGAIN: Duration = Duration::from_millis(100);
/// The last words of a log that are shown when its region did not start.
const LAST_WORDS: usize = 2_000;

/// Where a region is to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) region: Region,
    pub(crate) address: SocketAddr,
}

impl Place {
    /// Its base URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

/// How a region's process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// It serves.
    Ready,
    /// It runs and does not serve, for this reason.
    Unready(String),
    /// It has ended, this way.
    Gone(String),
}

struct Process {
    place: Place,
    log: PathBuf,
    child: Child,
    /// It ended, and was seen to.
    ended: Option<ExitStatus>,
}

/// The processes.
pub(super) struct Children {
    regions: Vec<Process>,
    folder: PathBuf,
    web: reqwest::Client,
}

impl Children {
    /// Starts one process a place.
    pub(super) fn start(cli: &Cli, places: &[Place]) -> Result<Self> {
        let folder = cli.data.join("regions");
        let web = reqwest::Client::builder().timeout(ASK).no_proxy().build()?;
        let regions = places.iter().map(|place| start(cli, place, &folder)).collect::<Result<_>>()?;
        Ok(Self { regions, folder, web })
    }

    /// Waits until all are ready. An error says which is not, and why.
    pub(super) async fn ready(&mut self, longest: Duration) -> Result<()> {
        let until = Instant::now() + longest;
        loop {
            let health = self.health().await;
            if health.iter().all(|(_, health, _)| *health == Health::Ready) {
                return Ok(());
            }
            for (place, health, _) in &health {
                match health {
                    Health::Gone(how) => {
                        bail!("{} ended before it was ready ({how}). {}", place.region, self.words(place))
                    }
                    Health::Unready(why) if Instant::now() >= until => {
                        let longest = humantime::format_duration(longest);
                        bail!("{} was not ready within {longest}: {why}. {}", place.region, self.words(place))
                    }
                    Health::Ready | Health::Unready(_) => {}
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// How each is, now; with its process' id.
    pub(super) async fn health(&mut self) -> Vec<(Place, Health, Option<u32>)> {
        for region in &mut self.regions {
            // A child that cannot be asked counts as running: its readiness says the rest.
            if region.ended.is_none()
                && let Ok(Some(status)) = region.child.try_wait()
            {
                region.ended = Some(status);
            }
        }
        join_all(self.regions.iter().map(|region| async {
            let health = match region.ended {
                Some(status) => Health::Gone(told(status)),
                None => self.ask(&region.place).await,
            };
            (region.place.clone(), health, region.child.id())
        }))
        .await
    }

    async fn ask(&self, place: &Place) -> Health {
        match self.web.get(format!("{}/readyz", place.url())).send().await {
            Ok(answer) if answer.status().is_success() => Health::Ready,
            Ok(answer) => Health::Unready(format!("/readyz answers {}", answer.status().as_u16())),
            Err(error) if error.is_timeout() => Health::Unready("does not answer".to_owned()),
            Err(_) => Health::Unready("does not listen".to_owned()),
        }
    }

    /// Those that have not ended, with their process' ids.
    pub(super) fn running(&self) -> impl Iterator<Item = (&Place, u32)> {
        self.regions.iter().filter_map(|region| Some((&region.place, region.child.id()?)))
    }

    /// Whether all have ended.
    pub(super) fn all_gone(&self) -> bool {
        self.regions.iter().all(|region| region.ended.is_some())
    }

    /// Where their logs are.
    pub(super) fn logs(&self) -> String {
        self.folder.join("NAME/log").display().to_string()
    }

    /// The end of a region's log.
    fn words(&self, place: &Place) -> String {
        let Some(region) = self.regions.iter().find(|region| region.place == *place) else {
            return String::new();
        };
        let text = fs::read(&region.log).unwrap_or_default();
        let last = String::from_utf8_lossy(&text[text.len().saturating_sub(LAST_WORDS)..]).into_owned();
        format!("The end of {}:\n{}", region.log.display(), last.trim_end())
    }

    /// Lets all end what is under way, and kills who takes longer than `longest`; returns their names.
    pub(super) async fn stop(mut self, longest: Duration) -> Vec<Region> {
        for region in &mut self.regions {
            drop(region.child.stdin.take());
        }
        let until = Instant::now() + longest;
        let ends = self.regions.iter_mut().filter(|region| region.ended.is_none()).map(|region| async {
            if tokio::time::timeout_at(until, region.child.wait()).await.is_ok() {
                return None;
            }
            // It ended in the last moment, or is killed now: either way it is gone.
            let _ = region.child.kill().await;
            Some(region.place.region.clone())
        });
        join_all(ends).await.into_iter().flatten().collect()
    }
}

fn start(cli: &Cli, place: &Place, folder: &Path) -> Result<Process> {
    let name = place.region.as_str();
    let log = fresh_log(&folder.join(name)).with_context(|| format!("cannot write the log of {name}"))?;
    let program = std::env::current_exe().context("cannot find my own program")?;
    let mut command = Command::new(program);
    command.arg("--data").arg(&cli.data).args(["--profile", cli.profile.name()]);
    if let Some(file) = &cli.config {
        command.arg("--config").arg(file);
    }
    command
        .args(["serve", "--no-sample", "--with-parent", "--listen"])
        .arg(place.address.to_string())
        .env("MERIDIAN__REGION__NAME", name)
        .env("MERIDIAN__REGION__ENDPOINT", place.url())
        .env("MERIDIAN__TELEMETRY__REGION", name)
        // Its output goes to a file.
        .env("NO_COLOR", "1");
    if let Some(url) = &cli.database {
        command.envs(url.variables()?);
    }
    let file = File::options().append(true).open(&log)?;
    let child = command
        .stdin(Stdio::piped())
        .stdout(file.try_clone()?)
        .stderr(file)
        // Ctrl-C is for the parent, which then stops its children in good order.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| anyhow!("cannot start {name}: {error}"))?;
    Ok(Process { place: place.clone(), log, child, ended: None })
}

/// An empty log in `folder`; the one of the start before is kept beside it, and none older.
fn fresh_log(folder: &Path) -> Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let log = folder.join("log");
    if log.exists() {
        fs::rename(&log, folder.join("log.1"))?;
    }
    File::create(&log)?;
    Ok(log)
}

fn told(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => "it is not known how".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_older_log_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["first", "second", "third"] {
            fs::write(fresh_log(folder.path()).unwrap(), text).unwrap();
        }
        assert_eq!(fs::read_to_string(folder.path().join("log")).unwrap(), "third");
        assert_eq!(fs::read_to_string(folder.path().join("log.1")).unwrap(), "second");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
