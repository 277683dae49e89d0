//! What `cargo xtask stack up` left running.

use std::{collections::BTreeMap, fs, io::Write, path::Path};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::{Identity, Ports};

/// One part that was started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its process; none after `down`.
    pub process: Option<Identity>,
    /// Its ports, which it gets again.
    pub ports: Ports,
    /// The variables that point `meridian` at it.
    pub environment: Vec<(String, String)>,
}

impl Entry {
    /// The process, when it still runs.
    pub fn running(&self) -> Option<Identity> {
        self.process.filter(|process| process.runs())
    }
}

/// All parts that were started, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// By the part's name.
    pub parts: BTreeMap<String, Entry>,
}

impl State {
    /// What the folder says; empty where nothing was started.
    pub fn load(folder: &Path) -> Result<Self> {
        let file = folder.join("state.json");
        match fs::read_to_string(&file) {
            Ok(text) => serde_json::from_str(&text).with_context(|| {
                format!("{} is not readable; stop what runs by hand and remove it", file.display())
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
        }
    }

    /// Writes it whole or not at all.
    pub fn save(&self, folder: &Path) -> Result<()> {
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(serde_json::to_string_pretty(self)?.as_bytes())?;
        file.persist(folder.join("state.json"))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_saved_is_loaded() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(State::load(folder.path()).expect("empty"), State::default());
        let mut state = State::default();
        let entry = Entry {
            process: Identity::of(std::process::id()),
            ports: Ports::from([("sql".to_owned(), 4000)]),
            environment: vec![("MERIDIAN__DATABASE__ENGINE".to_owned(), "tidb".to_owned())],
        };
        assert!(entry.running().is_some(), "this very process runs");
        state.parts.insert("tidb".to_owned(), entry);
        state.save(folder.path()).expect("saved");
        state.save(folder.path()).expect("saved over the old one");
        assert_eq!(State::load(folder.path()).expect("loaded"), state);
        fs::write(folder.path().join("state.json"), "half a fi").expect("written");
        assert!(State::load(folder.path()).expect_err("refused").to_string().contains("by hand"));
    }
}
