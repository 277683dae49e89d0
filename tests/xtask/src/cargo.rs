//! Calls of cargo and of what it builds.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

/// The workspace's folder.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// A command in the workspace's folder. It is not told about this package: build scripts that look at the package's
/// variables (ring's) would run again, and all that depends on them be built anew, whenever cargo is called by a person and
/// by a task in turn.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    for (name, _) in std::env::vars_os() {
        let known = name.to_string_lossy();
        if known.starts_with("CARGO_PKG_") || known.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command
}

/// Runs a command to its end; fails when it does.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
    if status.success() { Ok(()) } else { bail!("{command:?} ended with {status}") }
}

/// The features everything is built with, so that one task does not undo another's build: the Pulsar adapter wherever it
/// can be built (it needs `protoc`).
pub(crate) fn features() -> &'static [&'static str] {
    let protoc = Command::new("protoc").arg("--version").output().is_ok();
    if protoc { &["meridian/pulsar"] } else { &[] }
}

/// Builds the workspace's binaries, with the tests: without them cargo would give the dependencies other features, and the
/// tests' build would make them all anew.
pub(crate) fn build_binaries(quiet: bool) -> Result<()> {
    let mut build = command("cargo");
    build
        .args(["build", "--workspace", "--bins", "--tests"])
        .arg(format!("--features={}", features().join(",")));
    if quiet {
        build.arg("--quiet");
    }
    run(&mut build)
}

/// A binary of the workspace as cargo put it beside this one (`profile`: `debug` or `release`), wherever the target folder is.
pub(crate) fn built(profile: &str, program: &str) -> Result<PathBuf> {
    let this = std::env::current_exe().context("where this program is")?;
    let target = this.ancestors().nth(2).context("the target folder")?;
    Ok(target.join(profile).join(program).with_extension(std::env::consts::EXE_EXTENSION))
}

/// What a command of the `meridian` binary prints.
pub(crate) fn meridian(arguments: &[&str]) -> Result<String> {
    build_binaries(true)?;
    let output =
        Command::new(built("debug", "meridian")?).args(arguments).stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        bail!("meridian {arguments:?} ended with {}", output.status);
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// Writes a generated file, or with `check` fails when it differs.
pub(crate) fn generate(path: &str, content: &str, check: bool) -> Result<()> {
    let file = root().join(path);
    let current = std::fs::read_to_string(&file).unwrap_or_default();
    if current == content {
        return Ok(());
    }
    if check {
        bail!(
            "{path} is not up to date: run `cargo xtask openapi` and `cargo xtask docs`, and commit what they write"
        );
    }
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(&file, content)?;
    eprintln!("wrote {path}");
    Ok(())
}
