//! What a proof leaves behind.

use std::{
    collections::BTreeMap,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

/// A proof's record: `tests/proof/<item>.json`.
#[derive(Debug, Serialize)]
pub struct Proof {
    item: String,
    command: String,
    commit: String,
    machine: String,
    seed: u64,
    seconds: f64,
    figures: BTreeMap<String, Value>,
    #[serde(skip)]
    start: Option<Instant>,
}

impl Proof {
    /// A proof that begins now.
    pub fn begin(item: &str, seed: u64) -> Self {
        Self {
            item: item.to_owned(),
            command: format!("cargo xtask prove {item}"),
            commit: output("git", &["rev-parse", "--short", "HEAD"]),
            machine: machine(),
            seed,
            seconds: 0.0,
            figures: BTreeMap::new(),
            start: Some(Instant::now()),
        }
    }

    /// Notes a figure and shows it.
    pub fn figure(&mut self, name: &str, value: impl Into<Value>) {
        let value = value.into();
        eprintln!("  {name}: {value}");
        self.figures.insert(name.to_owned(), value);
    }

    /// Writes the record.
    pub fn write(mut self, folder: &Path) -> Result<()> {
        self.seconds = self.start.take().map_or(Duration::ZERO, |start| start.elapsed()).as_secs_f64();
        std::fs::create_dir_all(folder)?;
        let file = folder.join(format!("{}.json", self.item));
        std::fs::write(&file, serde_json::to_string_pretty(&self)? + "\n")?;
        eprintln!("wrote {}", file.display());
        Ok(())
    }
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
}

/// Cores, processor and memory.
fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown processor");
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or_default();
    let kib: u64 = kib.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cores} cores, {}, {} GiB", model.trim_start_matches([' ', '\t', ':']), kib >> 20)
}
