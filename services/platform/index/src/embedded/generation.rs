//! Generations on disk: a folder each, and a pointer file that names the one that answers.
//!
//! ```text
//! index/CURRENT          gen-1-000007
//! index/writer.lock      locked by the process that writes
//! index/gen-1-000007/    1 is the format of the fields
//! ```

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use kernel::{Failure, Result};
use tantivy::{Index, IndexReader, ReloadPolicy};

use super::{
    schema::{self, FORMAT, Fields},
    snapshot::Snapshot,
};

const POINTER: &str = "CURRENT";
const LOCK: &str = "writer.lock";

/// The folder that holds the generations.
#[derive(Clone, Debug)]
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    /// The generation that answers; `None` when there is none, or one of another format.
    pub(crate) fn current(&self) -> Result<Option<String>> {
        match fs::read_to_string(self.0.join(POINTER)) {
            Ok(name) => {
                let name = name.trim().to_owned();
                let ours = name.starts_with(&format!("gen-{FORMAT}-")) && !name.contains(['/', '\\', '.']);
                Ok((ours && self.0.join(&name).is_dir()).then_some(name))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::internal(error)),
        }
    }

    /// Points at another generation: written aside, synced, renamed.
    pub(crate) fn point(&self, name: &str) -> Result<()> {
        let aside = self.0.join("CURRENT.new");
        let write = || -> io::Result<()> {
            let mut file = File::create(&aside)?;
            writeln!(file, "{name}")?;
            file.sync_all()?;
            fs::rename(&aside, self.0.join(POINTER))?;
            File::open(&self.0)?.sync_all()
        };
        write().map_err(Failure::internal)
    }

    /// The name of a generation that does not exist yet.
    fn next(&self) -> Result<String> {
        let highest =
            self.generations()?.iter().filter_map(|name| name.rsplit('-').next()?.parse::<u64>().ok()).max();
        Ok(format!("gen-{FORMAT}-{:06}", highest.unwrap_or(0) + 1))
    }

    /// Removes every generation but this one.
    pub(crate) fn clean(&self, keep: Option<&str>) -> Result<()> {
        for name in self.generations()? {
            if Some(name.as_str()) != keep {
                tracing::info!(generation = name, "removing a generation of the index that was left over");
                self.remove(&name);
            }
        }
        Ok(())
    }

    /// Removes a generation; what cannot be removed now goes at the next start.
    pub(crate) fn remove(&self, name: &str) {
        if let Err(error) = fs::remove_dir_all(self.0.join(name)) {
            tracing::warn!(generation = name, %error, "a generation of the index could not be removed");
        }
    }

    fn generations(&self) -> Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.0).map_err(Failure::internal)? {
            let name = entry.map_err(Failure::internal)?.file_name().to_string_lossy().into_owned();
            if name.starts_with("gen-") {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// The writer's place, when it is free. It is given back when the file is closed, also by a crash.
    pub(crate) fn lock(&self) -> Result<Option<File>> {
        let file = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.0.join(LOCK))
            .map_err(Failure::internal)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(Failure::internal(error)),
        }
    }
}

/// An open generation.
pub(crate) struct Generation {
    pub(crate) name: String,
    pub(crate) index: Index,
    pub(crate) fields: Fields,
    reader: IndexReader,
    meta: PathBuf,
    snapshot: RwLock<Arc<Snapshot>>,
    /// The index's meta file as it was when the snapshot was taken; held while one is loaded.
    seen: Mutex<Vec<u8>>,
}

impl std::fmt::Debug for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generation").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Generation {
    /// Makes an empty generation.
    pub(crate) fn create(folder: &Folder) -> Result<Self> {
        let name = folder.next()?;
        let path = folder.0.join(&name);
        fs::create_dir(&path).map_err(Failure::internal)?;
        schema::create(&path)?;
        Self::open(folder, &name)
    }

    /// Opens a generation.
    pub(crate) fn open(folder: &Folder, name: &str) -> Result<Self> {
        let path = folder.0.join(name);
        let (index, fields) = schema::open(&path)?;
        let meta = path.join("meta.json");
        let seen = read_meta(&meta)?;
        let reader = index
            .reader_builder()
            .reload_policy(ReloadPolicy::Manual)
            .doc_store_cache_num_blocks(256)
            .try_into()
            .map_err(Failure::internal)?;
        let snapshot = Arc::new(Snapshot::load(reader.searcher(), fields, None)?);
        Ok(Self {
            name: name.to_owned(),
            index,
            fields,
            reader,
            meta,
            snapshot: RwLock::new(snapshot),
            seen: Mutex::new(seen),
        })
    }

    /// The state to search.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes up what was committed since; whether there was anything.
    pub(crate) fn reload(&self) -> Result<bool> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let meta = read_meta(&self.meta)?;
        if *seen == meta {
            return Ok(false);
        }
        self.reader.reload().map_err(Failure::internal)?;
        let snapshot = Snapshot::load(self.reader.searcher(), self.fields, Some(&self.snapshot()))?;
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
        *seen = meta;
        Ok(true)
    }
}

fn read_meta(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(Failure::internal)
}
