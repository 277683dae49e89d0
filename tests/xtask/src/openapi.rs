//! `cargo xtask openapi`.

use anyhow::Result;

use crate::cargo;

const FILE: &str = "services/meridian/reference/openapi.json";

pub(crate) fn run(check: bool) -> Result<()> {
    cargo::generate(FILE, &cargo::meridian(&["reference", "openapi"])?, check)
}
