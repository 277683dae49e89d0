//! `cargo xtask docs`.

use anyhow::Result;

use crate::cargo;

pub(crate) fn run(check: bool) -> Result<()> {
    for subject in ["configuration", "database", "errors", "metrics"] {
        let text = cargo::meridian(&["reference", subject])?;
        cargo::generate(&format!("services/meridian/reference/{subject}.md"), &text, check)?;
    }
    Ok(())
}
