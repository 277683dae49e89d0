//! `cargo xtask stack`: the real parts on this machine, for development. Tests start their own.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use clap::{
    Args, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use stack::{Collector, Entry, Identity, Part, Place, Pulsar, Redis, Server, State, Tidb, run_folder};

/// How long a part may take to end.
const STOP: Duration = Duration::from_secs(60);

/// What to do with the parts.
#[derive(Subcommand)]
pub(crate) enum Action {
    /// Builds the parts, once: into $MERIDIAN_PARTS, else ~/.cache/meridian/parts.
    Build(Which),
    /// Builds what is missing, starts the parts on free loopback ports and prints the variables for `meridian serve`.
    ///
    /// They go on until `stack down`; data and ports stay over `down` and `up`.
    #[command(after_help = "Example:\n  cargo xtask stack up > parts.env\n  \
        set -a; . ./parts.env; set +a; cargo run --features pulsar -- serve")]
    Up(Which),
    /// Stops the parts; their data stays unless --wipe is given.
    Down {
        #[command(flatten)]
        which: Which,
        /// Also removes their data.
        #[arg(long)]
        wipe: bool,
    },
    /// Says which parts are built and which run, and what is missing.
    Status(Which),
    /// Prints the ends of the parts' logs.
    Logs {
        #[command(flatten)]
        which: Which,
        /// Go on with what is added, until Ctrl-C.
        #[arg(long, short)]
        follow: bool,
        /// Lines of each log.
        #[arg(long, default_value_t = 40)]
        lines: usize,
    },
}

/// Which parts.
#[derive(Args)]
pub(crate) struct Which {
    /// Only these. [default: all]
    #[arg(long, value_delimiter = ',', value_name = "PARTS",
        value_parser = PossibleValuesParser::new(Part::ALL.map(Part::name)).try_map(|name| name.parse::<Part>()))]
    only: Vec<Part>,
}

impl Which {
    fn parts(&self) -> Vec<Part> {
        Part::ALL.into_iter().filter(|part| self.only.is_empty() || self.only.contains(part)).collect()
    }
}

/// Tells the developer what goes on.
pub(crate) fn tell(line: &str) {
    eprintln!("{line}");
}

pub(crate) fn run(action: &Action) -> Result<()> {
    let folder = run_folder()?;
    match action {
        Action::Build(which) => build(&which.parts()),
        Action::Up(which) => up(&folder, &which.parts()),
        Action::Down { which, wipe } => down(&folder, &which.parts(), *wipe),
        Action::Status(which) => status(&folder, &which.parts()),
        Action::Logs { which, follow, lines } => logs(&folder, &which.parts(), *follow, *lines),
    }
}

/// Does something with each part; what fails does not keep the others from it.
fn each(parts: &[Part], mut work: impl FnMut(Part) -> Result<()>) -> Result<()> {
    let mut failed = Vec::new();
    for part in parts {
        if let Err(error) = work(*part) {
            eprintln!("{}: {error:#}", part.name());
            failed.push(part.name());
        }
    }
    if failed.is_empty() { Ok(()) } else { bail!("failed: {}", failed.join(", ")) }
}

fn build(parts: &[Part]) -> Result<()> {
    each(parts, |part| {
        let there = part.built()?;
        let home = stack::build(part, &tell)?;
        let word = if there { "is there" } else { "built" };
        eprintln!("{} {word}: {}", part.name(), home.display());
        Ok(())
    })
}

/// One `stack` command at a time: they share the state file.
fn lock(folder: &Path) -> Result<File> {
    fs::create_dir_all(folder)?;
    let file = File::create(folder.join("lock"))?;
    file.lock().context("cannot lock the stack's folder")?;
    Ok(file)
}

fn up(folder: &Path, parts: &[Part]) -> Result<()> {
    // A long build needs no lock of the stack.
    let built = each(parts, |part| stack::build(part, &tell).map(drop));
    let _lock = lock(folder)?;
    let mut state = State::load(folder)?;
    let startable: Vec<Part> = parts.iter().copied().filter(|part| part.built().unwrap_or(false)).collect();
    let started = each(&startable, |part| {
        let before = state.parts.get(part.name());
        if let Some(running) = before.and_then(Entry::running) {
            eprintln!("{}: runs already (process {})", part.name(), running.pid());
            return Ok(());
        }
        eprintln!("{}: starting …", part.name());
        let place =
            Place::Kept { folder: folder.join(part.name()), ports: before.map(|entry| entry.ports.clone()) };
        let entry = start(part, &place)?;
        state.parts.insert(part.name().to_owned(), entry);
        // At once: what runs must be known even when the next one fails.
        state.save(folder)
    });
    let mut out = std::io::stdout().lock();
    for (name, value) in running_environment(&state) {
        writeln!(out, "{name}={value}")?;
    }
    started.and(built)
}

/// Starts a part that goes on after us.
fn start(part: Part, place: &Place) -> Result<Entry> {
    let entry = |server: &Server, environment| Entry {
        process: server.identity(),
        ports: server.ports().clone(),
        environment,
    };
    Ok(match part {
        Part::Tidb => {
            let tidb = Tidb::start_at(place)?;
            entry(&tidb, tidb.environment())
        }
        Part::Pulsar => {
            let pulsar = Pulsar::start_at(place, Pulsar::CLUSTER)?;
            entry(&pulsar, pulsar.environment())
        }
        Part::Redis => {
            let redis = Redis::start_at(place)?;
            entry(&redis, redis.environment())
        }
        Part::Otel => {
            let collector = Collector::start_at(place)?;
            entry(&collector, collector.environment())
        }
    })
}

/// The variables that point `meridian` at what runs.
fn running_environment(state: &State) -> Vec<(String, String)> {
    let running = state.parts.values().filter(|entry| entry.running().is_some());
    running.flat_map(|entry| entry.environment.iter().cloned()).collect()
}

fn down(folder: &Path, parts: &[Part], wipe: bool) -> Result<()> {
    let _lock = lock(folder)?;
    let mut state = State::load(folder)?;
    each(parts, |part| {
        if let Some(entry) = state.parts.get_mut(part.name()) {
            match entry.running() {
                Some(process) => {
                    process.stop(STOP)?;
                    eprintln!("{}: stopped", part.name());
                }
                None => eprintln!("{}: does not run", part.name()),
            }
            entry.process = None;
        }
        let data = folder.join(part.name());
        if wipe {
            state.parts.remove(part.name());
            if data.is_dir() {
                fs::remove_dir_all(&data)?;
                eprintln!("{}: data removed", part.name());
            }
        }
        state.save(folder)
    })
}

fn status(folder: &Path, parts: &[Part]) -> Result<()> {
    let state = State::load(folder)?;
    let mut rows = vec![["part", "version", "built", "runs", "memory", "on 127.0.0.1"].map(str::to_owned)];
    let mut missing = Vec::new();
    for part in parts {
        let recipe = part.recipe();
        let built = part.built()?;
        let entry = state.parts.get(part.name());
        let process = entry.and_then(Entry::running);
        let ports = entry.filter(|_| process.is_some()).map_or_else(String::new, |entry| {
            let ports = entry.ports.iter().map(|(name, port)| format!("{name} {port}"));
            ports.collect::<Vec<_>>().join(", ")
        });
        rows.push([
            part.name().to_owned(),
            recipe.version.to_owned(),
            if built { "yes" } else { "no" }.to_owned(),
            process.map_or_else(|| "no".to_owned(), |process| format!("process {}", process.pid())),
            process.and_then(Identity::memory_mib).map_or_else(String::new, |mib| format!("{mib} MiB")),
            ports,
        ]);
        if !built {
            let how = format!("cargo xtask stack build --only {}", part.name());
            missing.push(format!("{}: `{how}` ({})", part.name(), recipe.takes));
        }
        missing.extend(recipe.missing().iter().map(|tool| format!("{}: {tool}", part.name())));
    }
    let mut out = std::io::stdout().lock();
    write_table(&mut out, &rows)?;
    if !missing.is_empty() {
        writeln!(out, "\nmissing:")?;
    }
    for line in missing {
        writeln!(out, "  {line}")?;
    }
    writeln!(out, "\nparts: {}", stack::parts_folder()?.display())?;
    Ok(())
}

fn write_table<const N: usize>(out: &mut impl Write, rows: &[[String; N]]) -> Result<()> {
    let widths: [usize; N] = std::array::from_fn(|column| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    });
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            line.push_str(&format!("{cell:width$}  "));
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

fn logs(folder: &Path, parts: &[Part], follow: bool, lines: usize) -> Result<()> {
    let mut ends: BTreeMap<&str, (PathBuf, u64)> = BTreeMap::new();
    for part in parts {
        let file = folder.join(part.name()).join("log");
        match fs::read(&file) {
            Ok(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                let all: Vec<&str> = text.lines().collect();
                print(part.name(), &all[all.len().saturating_sub(lines)..].join("\n"))?;
                ends.insert(part.name(), (file, u64::try_from(bytes.len())?));
            }
            Err(_) => eprintln!("{}: no log; it was never started by `stack up`", part.name()),
        }
    }
    while follow && !ends.is_empty() {
        for (name, (file, end)) in &mut ends {
            let mut added = String::new();
            let mut open = File::open(&*file)?;
            open.seek(SeekFrom::Start(*end))?;
            // A line that is not whole yet, or not UTF-8, waits for the next look.
            if open.read_to_string(&mut added).is_ok()
                && let Some(whole) = added.rfind('\n')
            {
                print(name, &added[..whole])?;
                *end += u64::try_from(whole + 1)?;
            }
        }
        pause(Duration::from_millis(300));
    }
    Ok(())
}

#[allow(clippy::disallowed_methods, reason = "a program of one thread")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

fn print(name: &str, text: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    for line in text.lines() {
        writeln!(out, "{name:6} | {line}")?;
    }
    Ok(())
}
