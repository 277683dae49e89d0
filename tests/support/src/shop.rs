//! A shop on a folder of its own.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use platform_db::DbConfig;
use serde_json::json;

pub use self::{
    builder::ShopBuilder,
    shape::{REGIONS, Shape},
};
use crate::{
    Client, Leftovers, Links,
    broker::Broker,
    database::Database,
    leftovers::{execute, number},
    process::Process,
};

mod builder;
mod shape;

/// How long a debug build on a busy machine may take to start.
const START: Duration = Duration::from_secs(180);
const STOP: Duration = Duration::from_secs(90);
/// How long background work may take when nobody asks for anything any more.
const QUIET: Duration = Duration::from_secs(180);
/// How often a shop that finishes may be stopped while a job writes.
const LAST_STARTS: usize = 5;

/// A running shop.
pub struct Shop {
    folder: tempfile::TempDir,
    database: Database,
    broker: Option<Broker>,
    profile: &'static str,
    arguments: Vec<Vec<String>>,
    /// What every process is told.
    environment: Vec<(String, String)>,
    /// What only one is.
    own: Vec<Vec<(String, String)>>,
    processes: Vec<Process>,
    links: Option<Links>,
    shape: Shape,
    /// Where each process listens; the last ones are the entrances.
    bases: Vec<String>,
    admin_password: String,
}

/// A little more than the test profile's `catalog.cache_ttl` and `pricing.cache_ttl`.
const CACHES_LIVE: Duration = Duration::from_millis(300);

impl Shop {
    /// A shop to be.
    pub fn builder() -> ShopBuilder {
        ShopBuilder::new()
    }

    /// An all-in-one shop with the defaults of the test profile.
    pub async fn start() -> Result<Self> {
        Self::builder().start().await
    }

    /// Its data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Whether its rows are on a TiDB (`MERIDIAN_TEST_TIDB`) and not in its data folder.
    pub fn is_on_tidb(&self) -> bool {
        self.database.url.starts_with("mysql:")
    }

    /// Where its rows are.
    pub fn database(&self) -> &DbConfig {
        &self.database.config
    }

    /// Its entrance, `http://127.0.0.1:…`.
    pub fn base(&self) -> &str {
        self.bases.last().map_or("", String::as_str)
    }

    /// All its entrances.
    pub fn entrances(&self) -> &[String] {
        &self.bases[self.bases.len() - self.shape.entrances()..]
    }

    /// The lines between its regions, where it was built with some.
    pub fn links(&self) -> Option<&Links> {
        self.links.as_ref()
    }

    /// What its processes printed.
    pub fn log(&self) -> String {
        self.processes.iter().map(Process::log).collect::<Vec<_>>().join("\n---\n")
    }

    /// A client nobody knows yet.
    pub fn guest(&self) -> Client {
        Client::new(self.base())
    }

    /// A new shopper, logged in.
    pub async fn shopper(&self) -> Result<Client> {
        let email = format!("shopper-{:016x}@example.com", rand::random::<u64>());
        let mut client = self.guest();
        let account = json!({"email": email, "password": "correct horse battery", "name": "Test Shopper"});
        client.post("/api/v1/accounts", &account).await?.expect(201)?;
        client.log_in(&email, "correct horse battery").await?;
        Ok(client)
    }

    /// A member of staff who may do everything, logged in.
    pub async fn admin(&self) -> Result<Client> {
        let mut client = self.guest();
        client.log_in("admin@example.com", &self.admin_password).await?;
        Ok(client)
    }

    /// The password of `admin@example.com`.
    pub fn admin_password(&self) -> &str {
        &self.admin_password
    }

    /// Resident memory of all its processes, in MiB.
    pub fn memory_mib(&self) -> Result<u64> {
        let mut pages = 0;
        for process in &self.processes {
            let statm = std::fs::read_to_string(format!("/proc/{}/statm", process.pid()))?;
            pages += statm.split(' ').nth(1).context("statm has a second field")?.parse::<u64>()?;
        }
        // Pages of 4 KiB, as on every Linux we run on.
        Ok(pages >> 8)
    }

    /// kill -9 to every process.
    pub fn kill(&mut self) -> Result<()> {
        for process in &mut self.processes {
            process.kill()?;
        }
        self.processes.clear();
        Ok(())
    }

    /// kill -9 to the processes of one group: those of [`Shape::Split`], in the order they are listed there.
    pub fn kill_group(&mut self, group: usize) -> Result<()> {
        self.processes.get_mut(group).context("there is no such group")?.kill()
    }

    /// SIGSTOP to the processes of one group; SIGCONT when `resume`.
    pub fn pause_group(&self, group: usize, resume: bool) -> Result<()> {
        self.processes.get(group).context("there is no such group")?.pause(resume)
    }

    /// Starts a group again that was killed.
    pub async fn start_group(&mut self, group: usize) -> Result<()> {
        let mut process = self.process(group)?;
        process.address(START).await?;
        *self.processes.get_mut(group).context("there is no such group")? = process;
        self.ready().await
    }

    /// Calls that a group's processes have made to other domains, by `<domain>.<method>`.
    pub async fn calls_of(&self, group: usize) -> Result<BTreeMap<String, u64>> {
        let base = self.bases.get(group).context("there is no such group")?;
        let text = Client::new(base).get("/metrics").await?.text;
        let mut calls = BTreeMap::new();
        for line in text.lines().filter(|line| line.starts_with("client_requests_total{")) {
            let label = |name: &str| {
                let (_, rest) = line.split_once(&format!("{name}=\""))?;
                rest.split_once('"').map(|(value, _)| value)
            };
            let (domain, method) = label("domain").zip(label("method")).context(line.to_owned())?;
            let count: u64 = line.rsplit_once(' ').context(line.to_owned())?.1.parse()?;
            *calls.entry(format!("{domain}.{method}")).or_default() += count;
        }
        Ok(calls)
    }

    /// The one number a query of the shop's database answers.
    pub async fn number(&self, sql: &str) -> Result<i64> {
        number(&self.database.url, sql).await
    }

    /// Changes rows behind the shop's back: damage that an audit is to find. Fails when nothing was changed.
    pub async fn damage(&self, sql: &str) -> Result<()> {
        match execute(&self.database.url, sql).await? {
            0 => bail!("nothing was changed: {sql}"),
            _ => Ok(()),
        }
    }

    /// Starts what is not running and waits until it is ready.
    pub async fn restart(&mut self) -> Result<()> {
        self.processes.clear();
        for group in 0..self.arguments.len() {
            self.processes.push(self.process(group)?);
        }
        for process in &mut self.processes {
            process.address(START).await?;
        }
        self.ready().await
    }

    fn process(&self, group: usize) -> Result<Process> {
        let line = self.arguments.get(group).context("there is no such group")?;
        let environment = [self.environment.as_slice(), &self.own[group]].concat();
        Process::start(line, &environment, self.folder.path())
    }

    async fn ready(&self) -> Result<()> {
        let start = Instant::now();
        for base in self.entrances() {
            let client = Client::new(base);
            while !matches!(client.get("/readyz").await, Ok(answer) if answer.status == 200) {
                if start.elapsed() > START {
                    bail!("not ready within {START:?}:\n{}", self.log());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    /// Runs a command of the binary on this shop's folder; what it prints.
    pub fn run_command(&self, arguments: &[&str], input: Option<&str>) -> Result<String> {
        self.run_command_on(&self.data(), arguments, input)
    }

    /// A command of the binary on this shop's folder, to be run.
    pub fn command(&self, arguments: &[&str]) -> Result<std::process::Command> {
        self.command_on(&self.data(), arguments)
    }

    fn command_on(&self, data: &Path, arguments: &[&str]) -> Result<std::process::Command> {
        let mut command = std::process::Command::new(crate::binary()?);
        command
            .args(["--profile", self.profile, "--data"])
            .arg(data)
            .args(arguments)
            .envs(self.environment.iter().cloned())
            .current_dir(self.folder.path());
        Ok(command)
    }

    /// Runs a command of the binary on another data folder; what it prints.
    pub fn run_command_on(&self, data: &Path, arguments: &[&str], input: Option<&str>) -> Result<String> {
        let (status, text) = self.end_of_command(data, arguments, input)?;
        ensure!(status.success(), "meridian {arguments:?} ended with {status}:\n{text}");
        Ok(text)
    }

    /// Runs a command of the binary to its end; its status, and what it printed.
    fn end_of_command(
        &self,
        data: &Path,
        arguments: &[&str],
        input: Option<&str>,
    ) -> Result<(std::process::ExitStatus, String)> {
        use std::io::Write;
        let mut child = self
            .command_on(data, arguments)?
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.unwrap_or_default().as_bytes())?;
        }
        let output = child.wait_with_output()?;
        let text =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Ok((output.status, text))
    }

    /// `meridian import` of a file: its report. The status must say whether rows are not in.
    pub fn import(&self, kind: &str, file: &str) -> Result<String> {
        let (status, report) = self.end_of_command(&self.data(), &["import", kind, file], None)?;
        let expected = if report.contains("; 0 of ") { 0 } else { 6 };
        ensure!(status.code() == Some(expected), "import ended with {status}:\n{report}");
        Ok(report)
    }

    /// Imports a Shopify CSV given as text.
    pub fn import_products(&self, csv: &str) -> Result<String> {
        let file = self.folder.path().join(format!("import-{:08x}.csv", rand::random::<u32>()));
        std::fs::write(&file, csv)?;
        let report = self.import("products", path(&file)?)?;
        // Another process imported: what this shop looked up just before may be believed as long as its caches live.
        #[expect(clippy::disallowed_methods, reason = "the stated bound itself is waited for, once a test")]
        std::thread::sleep(CACHES_LIVE);
        Ok(report)
    }

    /// What is left over right now.
    pub async fn leftovers(&self) -> Result<Leftovers> {
        let Some(broker) = &self.broker else { return Leftovers::of(&self.database.url).await };
        // An event that is nowhere else may be on its way through the broker, or have left others behind: what the
        // broker holds is asked for between two looks, and counts with what was written between them.
        let written = "SELECT cast(coalesce(sum(pos), 0) AS SIGNED) FROM shard_cursor";
        let (first, before) = (Leftovers::of(&self.database.url).await?, self.number(written).await?);
        let backlog = broker.backlog().await?;
        let mut last = Leftovers::of(&self.database.url).await?;
        last.unconsumed += backlog + first.unconsumed + self.number(written).await? - before;
        Ok(last)
    }

    /// Waits until every event is consumed, stops the shop with SIGTERM and fails on anything left over: an outbox row
    /// unsequenced, an event unconsumed or dead, a reservation without a pending order, stock that does not add up.
    ///
    /// What a job writes while its process stops is for the next start: then the shop is started again, and must be
    /// done with that too.
    pub async fn finish(mut self) -> Result<()> {
        for _ in 0..LAST_STARTS {
            self.become_quiet().await?;
            for mut process in self.processes.drain(..).rev() {
                process.stop(STOP).await?;
            }
            let left = self.leftovers().await?;
            if left.is_quiet() {
                left.check()?;
                return match &self.broker {
                    Some(broker) => broker.clear().await,
                    None => Ok(()),
                };
            }
            self.restart().await?;
        }
        bail!("something is left over after each of {LAST_STARTS} stops:\n{}", self.log())
    }

    async fn become_quiet(&self) -> Result<()> {
        let start = Instant::now();
        loop {
            // A broker or a database that has too much to do to answer is asked again.
            let left = self.leftovers().await;
            if left.as_ref().is_ok_and(Leftovers::is_quiet) {
                return Ok(());
            }
            if start.elapsed() > QUIET {
                bail!("left over: {left:?}\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn path(path: &Path) -> Result<&str> {
    path.to_str().context("a temporary folder is UTF-8")
}
