//! `cargo xtask schemathesis`: asks everything the served OpenAPI document knows, with data that fits and data that does
//! not, as a guest, a shopper and staff. Fails on a 5xx and on an answer that is not documented.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::cargo;

/// What is asked of an answer.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance";
/// Who asks.
const CALLERS: [&str; 3] = ["guest", "shopper", "staff"];
/// A password of callers that live as long as this task.
const PASSWORD: &str = "correct horse battery staple";

/// Asks for about `seconds` in all.
pub(crate) fn run(seconds: u32, seed: u32) -> Result<()> {
    let program = installed()?;
    cargo::build_binaries(true)?;
    let folder = tempfile::tempdir()?;
    let shop = Shop::start(folder.path())?;
    let mut failed = Vec::new();
    for caller in CALLERS {
        eprintln!("schemathesis as {caller} …");
        let mut command = cargo::command(&program);
        command
            .args(["run", &format!("http://{}/api/openapi.json", shop.address)])
            // One worker: the same seed asks the same, and CPython 3.11 fails now and then when threads compile at once.
            .args(["--checks", CHECKS, "--phases", "examples,coverage,fuzzing", "--workers", "1"])
            .args(["--max-examples", "20", "--max-time", &(seconds / 3).max(1).to_string()])
            .args(["--seed", &seed.to_string(), "--request-timeout", "15", "--warnings", "off"])
            // Run as the same caller to the end: who logs out sees nothing but 401 from then on.
            .args(["--exclude-path", "/api/v1/sessions/current"])
            .current_dir(folder.path());
        if let Some(token) = shop.token(caller)? {
            command.args(["--header", &format!("Authorization: Bearer {token}")]);
        }
        let status = command.status().context("schemathesis cannot be started")?;
        if !status.success() {
            failed.push(caller);
        }
    }
    shop.stop()?;
    ensure!(failed.is_empty(), "schemathesis found something as {}", failed.join(", "));
    Ok(())
}

/// Schemathesis in a folder of its own, at the versions of `schemathesis.txt`; installed on first use.
fn installed() -> Result<PathBuf> {
    let wanted = include_str!("../schemathesis.txt");
    let folder = stack::parts_folder()?.join("schemathesis");
    let (program, mark) = (folder.join("bin/schemathesis"), folder.join("installed.txt"));
    if program.is_file() && fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted) {
        return Ok(program);
    }
    eprintln!("installing schemathesis into {} …", folder.display());
    let list = folder.join("wanted.txt");
    cargo::run(cargo::command("python3").args(["-m", "venv", "--clear"]).arg(&folder))
        .context("needs python3 with venv (Debian: apt-get install python3-venv)")?;
    fs::write(&list, wanted)?;
    let pip =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--requirement"];
    cargo::run(cargo::command(folder.join("bin/python")).args(pip).arg(&list))?;
    fs::write(&mark, wanted)?;
    Ok(program)
}

/// A shop with the sample catalog, a shopper and staff. It is killed when dropped.
struct Shop {
    child: Child,
    address: String,
}

impl Shop {
    fn start(folder: &Path) -> Result<Self> {
        let data = folder.join("data");
        let meridian = || -> Result<Command> {
            let mut command = cargo::command(cargo::built("debug", "meridian")?);
            command.args(["--profile", "test", "--data"]).arg(&data).current_dir(folder);
            Ok(command)
        };
        let mut staff = meridian()?
            .args(["staff", "create", "--email", "staff@example.com", "--password-stdin", "--role", "admin"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        staff.stdin.take().context("a pipe")?.write_all(PASSWORD.as_bytes())?;
        ensure!(staff.wait()?.success(), "`meridian staff create` failed");
        let mut child =
            meridian()?.args(["serve", "--listen", "127.0.0.1:0"]).stdout(Stdio::piped()).spawn()?;
        let out = child.stdout.take().context("a pipe")?;
        let mut shop = Self { child, address: String::new() };
        let mut lines = BufReader::new(out).lines().map_while(Result::ok);
        shop.address = lines
            .find_map(|line| Some(line.split_once("listening on http://")?.1.trim().to_owned()))
            .context("meridian ended before it listened")?;
        // What it prints further is read, so that it never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        let account = json!({"email": "shopper@example.com", "password": PASSWORD, "name": "Shopper"});
        shop.post("/api/v1/accounts", &account)?;
        Ok(shop)
    }

    /// The access token of a caller who has one.
    fn token(&self, caller: &str) -> Result<Option<String>> {
        if caller == "guest" {
            return Ok(None);
        }
        let session = json!({"email": format!("{caller}@example.com"), "password": PASSWORD});
        let session = self.post("/api/v1/sessions", &session)?;
        Ok(Some(session["access_token"].as_str().context("a session has a token")?.to_owned()))
    }

    /// Sends JSON; the answer must be 201.
    fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let mut answer = ureq::post(format!("http://{}{path}", self.address))
            .config()
            .timeout_global(Some(Duration::from_secs(30)))
            .proxy(None)
            .build()
            .send_json(body)
            .context(path.to_owned())?;
        ensure!(answer.status() == 201, "{path}: {}", answer.status());
        Ok(answer.body_mut().read_json()?)
    }

    /// SIGTERM, by its id; fails when it had ended before, or does not end well.
    #[expect(clippy::disallowed_methods, reason = "there is no runtime to block here")]
    fn stop(mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("the shop ended with {status} while it was asked");
        }
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let since = Instant::now();
        while since.elapsed() < Duration::from_secs(30) {
            if let Some(status) = self.child.try_wait()? {
                ensure!(status.success(), "the shop ended with {status}");
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        bail!("the shop did not end within 30 seconds")
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
