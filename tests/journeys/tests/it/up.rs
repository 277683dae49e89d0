//! `meridian up`: three regions on one machine, started, killed and stopped as people do it.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};
use support::{Client, REGIONS, binary};

use crate::shelf::until;

/// How long a debug build on a busy machine may take for anything here.
const LIMIT: Duration = Duration::from_secs(240);
const TURN: Duration = Duration::from_millis(100);

/// A running `meridian up -o json`; killed when dropped, and its regions with it.
struct Up {
    folder: tempfile::TempDir,
    child: Child,
    regions: Vec<(String, u32)>,
    out: Receiver<String>,
    more: Vec<String>,
}

impl Up {
    /// Starts it and waits for its line a region. `more` are arguments that every command on its database needs.
    fn start(more: &[String]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let errors = fs::File::create(folder.path().join("stderr"))?;
        let mut child = meridian(&folder.path().join("data"))?
            .args(more)
            .args(["up", "--base-port", "0", "-o", "json", "--ready-within", "200s"])
            // Who is slow is not down: whom this test kills refuses connections.
            .env("MERIDIAN__REGION__OBSERVE_TIMEOUT", "2s")
            .env("MERIDIAN__REGION__OBSERVE_STALE", "15s")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()?;
        let out = lines(child.stdout.take().context("it has an output")?);
        let mut up = Self { folder, child, regions: Vec::new(), out, more: more.to_vec() };
        for name in REGIONS {
            let line =
                up.out.recv_timeout(LIMIT).with_context(|| format!("no line of {name}:\n{}", up.said()))?;
            let line: Value = serde_json::from_str(&line).with_context(|| line.clone())?;
            let keys: BTreeSet<&str> =
                line.as_object().context("an object")?.keys().map(String::as_str).collect();
            ensure!(keys == BTreeSet::from(["pid", "region", "url"]) && line["region"] == name, "{line}");
            let pid = line["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).context("a pid")?;
            up.regions.push((line["url"].as_str().context("a URL")?.to_owned(), pid));
        }
        Ok(up)
    }

    /// What it told on its standard error.
    fn said(&self) -> String {
        fs::read_to_string(self.folder.path().join("stderr")).unwrap_or_default()
    }

    fn client(&self, region: usize) -> Client {
        Client::new(&self.regions[region].0)
    }

    /// `meridian region …` on the same data; its answer and its exit status.
    fn region(&self, arguments: &[&str]) -> Result<(Value, i32)> {
        let mut command = meridian(&self.folder.path().join("data"))?;
        let output = command
            .args(&self.more)
            .arg("region")
            .args(arguments)
            .args(["-o", "json"])
            .stdin(Stdio::null())
            .output()?;
        let status = output.status.code().context("it was killed")?;
        let answer = serde_json::from_slice(&output.stdout).with_context(|| {
            format!("{arguments:?} ended with {status}: {}", String::from_utf8_lossy(&output.stderr))
        })?;
        Ok((answer, status))
    }

    fn wait_until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> Result<bool>) -> Result<()> {
        let start = Instant::now();
        while !done(self)? {
            if start.elapsed() > LIMIT {
                bail!("{what}: not within {LIMIT:?}\n{}", self.said());
            }
            pause();
        }
        Ok(())
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // What its end did not end: a failed test leaves nothing running either.
        for (_, pid) in self.regions.iter().filter(|(_, pid)| lives(*pid)) {
            let _ = signal("KILL", *pid);
        }
    }
}

fn meridian(data: &Path) -> Result<Command> {
    let mut command = Command::new(binary()?);
    command.args(["--profile", "test", "--data"]).arg(data);
    Ok(command)
}

fn lines(stream: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (tell, told) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if tell.send(line).is_err() {
                return;
            }
        }
    });
    told
}

#[expect(clippy::disallowed_methods, reason = "between two looks of a wait with a deadline")]
fn pause() {
    thread::sleep(TURN);
}

fn signal(name: &str, pid: u32) -> Result<()> {
    let sent = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status()?;
    ensure!(sent.success(), "kill -{name} {pid}: {sent}");
    Ok(())
}

/// Whether a process runs: it exists and is no zombie that nobody has waited for.
fn lives(pid: u32) -> bool {
    let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    state.is_some_and(|state| state != 'Z' && state != 'X')
}

/// A shopper is known in every region: registers in one, logs in in the next; the catalog is in all of them.
async fn shop(regions: &[&str]) -> Result<()> {
    let at = |n: usize| Client::new(regions[n % regions.len()]);
    let email = format!("up-{}-{}@example.com", std::process::id(), unused());
    let account = json!({"email": email, "password": "correct horse battery", "name": "Ada"});
    at(0).post("/api/v1/accounts", &account).await?.expect(201)?;
    let mut first = at(0);
    first.log_in(&email, "correct horse battery").await?;
    let mut second = at(1);
    second.log_in(&email, "correct horse battery").await?;
    let found = at(2).get("/api/v1/products?limit=1").await?.expect(200)?;
    ensure!(found["items"][0]["id"].is_string(), "the sample is everywhere: {found}");
    let me = second.get("/api/v1/accounts/me").await?.expect(200)?;
    ensure!(me["email"] == email.as_str(), "{me}");
    Ok(())
}

/// A number of this process that was not given before.
fn unused() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[tokio::test]
async fn three_regions_sell_one_dies_the_others_go_on_and_nothing_is_left_running() -> Result<()> {
    sell_and_end(Up::start(&[])?).await
}

#[tokio::test]
#[ignore = "starts TiDB: cargo xtask test --real"]
async fn on_tidb_the_same() -> Result<()> {
    let tidb = stack::Tidb::start()?;
    let url = format!("mysql://root@127.0.0.1:{}/{}", tidb.sql_port(), stack::Tidb::DATABASE);
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let looked = meridian(&data)?.args(["--database", &url, "region", "verify"]).output()?;
    ensure!(looked.status.code() == Some(3) && !data.exists(), "there is no shop yet: {looked:?}");
    let up = Up::start(&["--database".to_owned(), url])?;
    for (_, pid) in &up.regions {
        let line = fs::read_to_string(format!("/proc/{pid}/cmdline"))?;
        ensure!(!line.contains("mysql"), "a region's command line names the database: {line:?}");
    }
    sell_and_end(up).await?;
    tidb.stop()
}

async fn sell_and_end(mut up: Up) -> Result<()> {
    let bases: Vec<String> = up.regions.iter().map(|(url, _)| url.clone()).collect();
    let [us, eu, ap] = [&bases[0], &bases[1], &bases[2]];
    for base in &bases {
        until(async || Ok((Client::new(base).get("/readyz").await?.status == 200).then_some(()))).await?;
        // Each region has a search index of its own, which it fills when it starts first.
        until(async || {
            let home = Client::new(base).get("/").await?;
            ensure!(home.status == 200, "{base}: {}", home.status);
            Ok(home.text.contains("/p/").then_some(()))
        })
        .await?;
    }
    shop(&[us, eu, ap]).await?;

    let (map, status) = up.region(&["status"])?;
    let homes: Vec<u64> = map["regions"]
        .as_array()
        .context("regions")?
        .iter()
        .filter_map(|row| row["homes"].as_u64())
        .collect();
    ensure!(status == 0 && homes.iter().sum::<u64>() == 16 && homes.len() == 3, "{map}");
    let (found, status) = up.region(&["verify"])?;
    ensure!(status == 0, "{found}");

    // kill -9 of one: the others go on at once, and nobody starts it again.
    signal("KILL", up.regions[1].1)?;
    shop(&[us, ap]).await?;
    up.wait_until("the status says that eu-west is gone", |up| {
        Ok(up.said().contains("eu-west: gone (signal 9)"))
    })?;
    shop(&[ap, us]).await?;
    ensure!(up.client(1).get("/readyz").await.is_err(), "eu-west was started again");
    ensure!(lives(up.regions[0].1) && lives(up.regions[2].1), "the others run");

    // The others agree that it is down, and give its shards homes; the command line shows it, and moves what lives.
    up.wait_until("eu-west is failed over", |up| {
        let (map, _) = up.region(&["status"])?;
        let eu = map["regions"].as_array().into_iter().flatten().find(|row| row["region"] == "eu-west");
        Ok(map["operation"].is_null()
            && eu.is_some_and(|row| row["state"] == "fenced" && row["homes"] == 0 && row["leases"] == 0))
    })?;
    let (failover, status) = up.region(&["timeline"])?;
    ensure!(status == 0 && failover["kind"] == "failover" && failover["outcome"] == "done", "{failover}");
    let (switchover, status) = up.region(&["switchover", "us-east"])?;
    ensure!(status == 0 && switchover["outcome"] == "done", "{switchover}");
    shop(&[ap, ap]).await?;
    ensure!(up.region(&["uncordon", "us-east"])?.1 == 0);
    let (rebalance, status) = up.region(&["rebalance"])?;
    ensure!(status == 0 && rebalance["outcome"] == "done" && rebalance["moves"] == 8, "{rebalance}");
    let (why, status) = up.region(&["why-not-ready", "eu-west"])?;
    ensure!(status == 1 && why["eu-west"].to_string().contains("fenced"), "{why}");
    let (found, status) = up.region(&["verify"])?;
    ensure!(status == 0, "{found}");
    shop(&[us, ap]).await?;

    // SIGTERM: all end in good order, and nothing else was ever printed.
    signal("TERM", up.child.id())?;
    up.wait_until("the end", |up| Ok(up.child.try_wait()?.is_some()))?;
    let status = up.child.wait()?;
    ensure!(status.success(), "{status}: {}", up.said());
    ensure!(!up.said().contains("was killed"), "not in good order: {}", up.said());
    for (url, pid) in &up.regions {
        ensure!(!lives(*pid), "{url} is left running");
    }
    match up.out.recv_timeout(LIMIT) {
        Err(RecvTimeoutError::Disconnected) => Ok(()),
        other => bail!("beside its three lines it printed {other:?}"),
    }
}

#[tokio::test]
async fn regions_end_with_a_parent_that_was_killed() -> Result<()> {
    let mut up = Up::start(&[])?;
    up.child.kill()?;
    up.child.wait()?;
    up.wait_until("the regions' end", |up| Ok(!up.regions.iter().any(|(_, pid)| lives(*pid))))
}

#[test]
fn a_port_that_is_taken_is_told_before_anything_is_made() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port();
    let base = port.checked_sub(2).context("a port above 2")?.min(65_533);
    let data = folder.path().join("data");
    let output =
        meridian(&data)?.args(["up", "--base-port", &base.to_string()]).stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.code() == Some(1), "{:?}: {said}", output.status);
    ensure!(said.contains(&format!("port {port} for")) && said.contains("--base-port"), "{said}");
    ensure!(output.stdout.is_empty() && !data.exists(), "it began all the same: {said}");
    Ok(())
}
