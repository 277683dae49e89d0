//! `cargo xtask test`.

use std::process::Command;

use anyhow::{Result, bail};

use crate::cargo;

pub(crate) fn run(ui: bool, filter: Option<&str>) -> Result<()> {
    if ui {
        for program in ["chromium", "chromedriver"] {
            if Command::new(program).arg("--version").output().is_err() {
                bail!(
                    "--ui needs `{program}` on the PATH (Debian: apt-get install chromium chromium-driver)"
                );
            }
        }
    }
    // The journeys start the binary itself.
    eprintln!("building the binary and the tests …");
    cargo::run(cargo::command("cargo").args(["build", "--workspace", "--bins"]))?;
    let mut test = cargo::command("cargo");
    test.args(["test", "--workspace", "--no-fail-fast"]);
    if ui {
        test.args(["--features", "ui/browser"]);
    } else {
        eprintln!("without --ui: the pages are not tried in a browser");
    }
    if let Some(filter) = filter {
        test.args(["--", filter]);
    }
    cargo::run(&mut test)
}
