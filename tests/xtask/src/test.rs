//! `cargo xtask test`.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use cargo_metadata::Message;
use clap::Args;
use stack::{Part, Pulsar, Redis, Server, Tidb};

use crate::{cargo, stack::tell};

/// The packages whose tests run on the real parts, by folder, with what their test programs are told.
const ON_REAL_PARTS: &[(&str, &[&str])] = &[
    ("stack", &["--include-ignored"]),
    ("db", &["--include-ignored"]),
    ("coordinator", &["--include-ignored", "tidb"]),
    ("account", &["--include-ignored"]),
    ("catalog", &[]),
    ("pricing", &[]),
    ("inventory", &["--include-ignored"]),
    ("cart", &[]),
    ("order", &[]),
    ("payment", &[]),
    ("search", &[]),
    ("import", &[]),
    ("bus", &["--include-ignored"]),
    ("cache", &["--include-ignored"]),
    ("http", &["--ignored"]),
    ("journeys", &["--include-ignored"]),
    (CONFORMANCE, &[]),
];

/// The package of the suites that every adapter must pass.
const CONFORMANCE: &str = "conformance";

/// What to test.
#[derive(Args)]
pub(crate) struct Options {
    /// Also the pages in Chromium (needs `chromium` and `chromedriver`).
    #[arg(long)]
    ui: bool,
    /// Then adapters, domains, journeys and conformance again on TiDB, Pulsar and Redis.
    #[arg(long)]
    real: bool,
    /// Only tests whose name contains this.
    filter: Option<String>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.ui {
        for program in ["chromium", "chromedriver"] {
            needs(program, "--ui", "chromium chromium-driver")?;
        }
    }
    if options.real {
        needs("protoc", "--real", "protobuf-compiler")?;
    }
    let mut features = cargo::features().to_vec();
    if features.is_empty() {
        eprintln!("without protoc: the Pulsar adapter is neither built nor tested");
    }
    if options.ui {
        features.push("ui/browser");
    } else {
        eprintln!("without --ui: the pages are not tried in a browser");
    }
    if std::env::var_os("MERIDIAN_MEILISEARCH_URL").is_none() {
        eprintln!("without MERIDIAN_MEILISEARCH_URL: the index is not tried on a real Meilisearch");
    }
    // What is missing is told, and built, before anything else that is long.
    if options.real {
        Parts::build()?;
    } else {
        eprintln!("without --real: TiDB, Pulsar and Redis are not tried");
    }
    // The journeys start the binary itself.
    eprintln!("building the binary and the tests …");
    cargo::build_binaries(false)?;
    let suite = Suite { features: features.join(","), filter: options.filter.as_deref() };
    suite.nothing_is_disabled()?;
    let parts = if options.real { Some(Parts::start()?) } else { None };
    let embedded = suite.embedded();
    let Some(parts) = parts else { return embedded };
    eprintln!("now on TiDB, Pulsar and Redis …");
    let real = suite.real(&parts);
    if embedded.is_err() || real.is_err() {
        parts.tell_logs();
    }
    match (embedded, real) {
        (Err(embedded), Err(real)) => bail!("embedded: {embedded}; on the real parts: {real}"),
        (embedded, real) => embedded.context("on the embedded parts").and(real.context("on the real parts")),
    }
}

/// Fails with how to have it when a program is not there.
fn needs(program: &str, option: &str, package: &str) -> Result<()> {
    if Command::new(program).arg("--version").output().is_err() {
        bail!("{option} needs `{program}` on the PATH (Debian: apt-get install {package})");
    }
    Ok(())
}

/// One of each part for the whole run; they end with it.
struct Parts {
    tidb: Tidb,
    pulsar: Pulsar,
    redis: Redis,
}

impl Parts {
    /// Makes what is missing. The collector too: a journey follows a trace through it.
    fn build() -> Result<()> {
        Part::ALL.into_iter().try_for_each(|part| stack::build(part, &tell).map(drop))
    }

    fn start() -> Result<Self> {
        eprintln!("starting TiDB, Pulsar and Redis …");
        let parts = Self { tidb: Tidb::start()?, pulsar: Pulsar::start()?, redis: Redis::start()? };
        for (name, value) in parts.environment() {
            eprintln!("  {name}={value}");
        }
        Ok(parts)
    }

    /// Where the tests find them.
    fn environment(&self) -> [(&'static str, String); 4] {
        [
            ("MERIDIAN_TEST_TIDB", self.tidb.address()),
            ("MERIDIAN_TEST_PULSAR", self.pulsar.url()),
            ("MERIDIAN_TEST_PULSAR_ADMIN", self.pulsar.admin_url()),
            ("MERIDIAN_TEST_REDIS", self.redis.address()),
        ]
    }

    /// The logs go away with the servers: after a failure their ends are shown.
    fn tell_logs(&self) {
        let servers: [(&str, &Server); 3] =
            [("tidb", &self.tidb), ("pulsar", &self.pulsar), ("redis", &self.redis)];
        for (name, server) in servers {
            eprintln!("== the end of {name}'s log\n{}", server.log_tail(20));
        }
    }
}

struct Suite<'a> {
    features: String,
    filter: Option<&'a str>,
}

impl Suite<'_> {
    fn cargo_test(&self) -> Command {
        let mut test = cargo::command("cargo");
        test.args(["test", "--workspace", "--no-fail-fast"]).arg(format!("--features={}", self.features));
        test
    }

    /// Fails where a row of the conformance suites is disabled: an adapter that nobody asks would pass.
    fn nothing_is_disabled(&self) -> Result<()> {
        for program in self.programs()?.iter().filter(|program| program.name == CONFORMANCE) {
            let mut list = Command::new(&program.file);
            list.args(["--list", "--ignored", "--format=terse"]);
            let output = list.output().with_context(|| format!("cannot start {}", program.file.display()))?;
            if !output.status.success() {
                bail!("{} does not list its tests", program.file.display());
            }
            let text = String::from_utf8_lossy(&output.stdout);
            let disabled = listed(&text);
            if !disabled.is_empty() {
                bail!("rows of the conformance suites are disabled: {}", disabled.join(", "));
            }
        }
        Ok(())
    }

    /// Everything, on the embedded parts.
    fn embedded(&self) -> Result<()> {
        let mut test = self.cargo_test();
        if let Some(filter) = self.filter {
            test.args(["--", filter]);
        }
        cargo::run(&mut test)
    }

    /// Adapters, domains, journeys and conformance on the real parts: the very programs that the first run built.
    fn real(&self, parts: &Parts) -> Result<()> {
        let mut failed = Vec::new();
        for TestProgram { name, folder, file, arguments } in self.programs()? {
            let mut test = Command::new(file);
            test.current_dir(&folder).env("CARGO_MANIFEST_DIR", &folder).envs(parts.environment());
            test.env("MERIDIAN_TEST_PARTS", "real").args(arguments).args(self.filter);
            eprintln!("{name} on the real parts");
            if !test.status().with_context(|| format!("cannot start {name}"))?.success() {
                failed.push(name);
            }
        }
        if failed.is_empty() { Ok(()) } else { bail!("failed: {}", failed.join(", ")) }
    }

    /// The test programs of the packages that run on the real parts.
    fn programs(&self) -> Result<Vec<TestProgram>> {
        let output = self
            .cargo_test()
            .args(["--no-run", "--message-format=json"])
            .stderr(Stdio::inherit())
            .output()
            .context("cannot start cargo")?;
        if !output.status.success() {
            bail!("the tests do not build");
        }
        let mut programs = Vec::new();
        for message in Message::parse_stream(&output.stdout[..]) {
            let Message::CompilerArtifact(artifact) = message? else { continue };
            let folder = artifact.manifest_path.parent().context("a manifest lies in a folder")?;
            let known = ON_REAL_PARTS.iter().find(|(name, _)| folder.file_name() == Some(*name));
            if let (Some((name, arguments)), Some(file)) = (known, artifact.executable)
                && artifact.profile.test
            {
                let (folder, file) = (folder.into(), file.into());
                programs.push(TestProgram { name, folder, file, arguments });
            }
        }
        for name in ["journeys", CONFORMANCE] {
            if !programs.iter().any(|program| program.name == name) {
                bail!("the tests of {name} are not among those that were built");
            }
        }
        Ok(programs)
    }
}

/// A program of tests that cargo built.
struct TestProgram {
    name: &'static str,
    folder: PathBuf,
    file: PathBuf,
    arguments: &'static [&'static str],
}

/// The tests that a test program names when it is asked for a terse list.
fn listed(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_suffix(": test")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disabled_rows_are_found() {
        let text = "contracts::mutants::scratch: test\nproduct_index::words::typos: test\n";
        assert_eq!(listed(text), ["contracts::mutants::scratch", "product_index::words::typos"]);
        assert!(listed("").is_empty() && listed("0 tests, 0 benchmarks\n").is_empty());
    }
}
