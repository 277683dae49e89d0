//! Where built parts and running stacks live.

use std::path::PathBuf;

use anyhow::{Context, Result};

/// Where built parts are kept: `$MERIDIAN_PARTS`, else `$HOME/.cache/meridian/parts`. Outside `target/`, so that a clean
/// build or a second worktree does not pay for them again.
pub fn parts_folder() -> Result<PathBuf> {
    if let Some(folder) = std::env::var_os("MERIDIAN_PARTS").filter(|folder| !folder.is_empty()) {
        return Ok(PathBuf::from(folder));
    }
    let home = std::env::var_os("HOME")
        .filter(|home| !home.is_empty())
        .context("neither MERIDIAN_PARTS nor HOME is set: there is no folder to keep the built parts in")?;
    Ok(PathBuf::from(home).join(".cache/meridian/parts"))
}

/// Where `cargo xtask stack up` keeps its state, data and logs.
pub fn run_folder() -> Result<PathBuf> {
    Ok(parts_folder()?.join("run"))
}
