//! The adapter for one machine: tantivy in this process.
//!
//! Searches run on the blocking pool, at most [`Settings::searches`] at a time. What a search filters, sorts and counts by is
//! decoded from fast fields once a segment, about 70 bytes a document and 8 more for each further currency: a million products
//! take 70 MB.

mod collect;
mod facets;
mod generation;
mod labels;
mod prices;
mod schema;
mod search;
mod segment;
mod snapshot;
#[cfg(test)]
mod tests;
mod understand;
mod vocabulary;
mod write;

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use kernel::{Failure, Result, code};
use tokio::sync::Semaphore;
use uuid::Uuid;

pub(crate) use self::facets::MAX_VALUES;
use self::{
    generation::{Folder, Generation},
    snapshot::Snapshot,
    write::{Filling, Writing},
};
use crate::{Change, Entry, Found, IndexRebuild, ProductIndex, Query};

/// How the index behaves on this machine.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Memory for changes before they are written, in bytes; at least 15 MB.
    pub writer_heap_bytes: usize,
    /// The same while a new generation is filled, beside the other.
    pub rebuild_heap_bytes: usize,
    /// Searches that run at once; the processors of the machine unless set.
    pub searches: usize,
    /// Searches that wait; one more is refused with `server.unavailable`.
    pub waiting: usize,
    /// How often a process that does not write looks for changes.
    pub refresh: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            writer_heap_bytes: 64 << 20,
            rebuild_heap_bytes: 128 << 20,
            searches: std::thread::available_parallelism().map_or(2, usize::from),
            waiting: 512,
            refresh: Duration::from_millis(250),
        }
    }
}

/// An index in a folder of this machine.
#[derive(Clone)]
pub struct Tantivy {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Tantivy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tantivy").field("folder", &self.shared.folder).finish_non_exhaustive()
    }
}

/// What the handles of an index share.
struct Shared {
    folder: Folder,
    settings: Settings,
    generation: RwLock<Option<Arc<Generation>>>,
    writing: Mutex<Writing>,
    /// Whether this process holds the writer's place; it does not look for other generations then.
    writes: AtomicBool,
    filling: Arc<AtomicBool>,
    revision: AtomicU64,
    /// When changes of other processes were looked for last.
    looked: Mutex<Option<Instant>>,
    gate: Arc<Semaphore>,
    waiting: AtomicU64,
}

impl Tantivy {
    /// The index in `folder`. Nothing is read or made yet: the first search opens what is there, and
    /// [`ProductIndex::may_write`] or the first change takes the writer's place, removes what a crash left over and
    /// replaces an index that is missing or cannot be read by an empty one, to be built again.
    pub fn at(folder: impl Into<PathBuf>, settings: Settings) -> Self {
        let shared = Shared {
            folder: Folder(folder.into()),
            settings,
            generation: RwLock::new(None),
            writing: Mutex::default(),
            writes: AtomicBool::new(false),
            filling: Arc::default(),
            revision: AtomicU64::new(0),
            looked: Mutex::new(None),
            gate: Arc::new(Semaphore::new(settings.searches.max(1))),
            waiting: AtomicU64::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Runs on a fresh snapshot, with a bound on how many run and wait.
    async fn read<T, F>(&self, f: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Snapshot) -> Result<T> + Send + 'static,
    {
        let shared = self.shared.clone();
        let waiting = Waiting::enter(&shared)?;
        let permit = shared.gate.clone().acquire_owned().await.map_err(Failure::internal)?;
        drop(waiting);
        let reading = self.shared.clone();
        blocking(move || {
            // A search whose caller went away runs on, and has its place until it ends.
            let _permit = permit;
            f(&*reading.fresh()?)
        })
        .await
    }
}

/// A search that waits.
struct Waiting<'a>(&'a AtomicU64);

impl<'a> Waiting<'a> {
    fn enter(shared: &'a Shared) -> Result<Self> {
        let before = shared.waiting.fetch_add(1, Ordering::SeqCst);
        let waiting = Self(&shared.waiting);
        if before >= shared.settings.waiting as u64 {
            return Err(Failure::new(code::UNAVAILABLE).detail("too many searches at once").retry_after(1));
        }
        Ok(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Shared {
    fn current(&self) -> Result<Arc<Generation>> {
        let generation = self.generation.read().unwrap_or_else(PoisonError::into_inner).clone();
        generation.ok_or_else(|| {
            Failure::new(code::UNAVAILABLE).detail("there is no search index yet").retry_after(1)
        })
    }

    fn install(&self, generation: Arc<Generation>) {
        *self.generation.write().unwrap_or_else(PoisonError::into_inner) = Some(generation);
        self.revise();
    }

    fn revise(&self) {
        self.revision.fetch_add(1, Ordering::SeqCst);
    }

    /// The state to search: no older than the refresh time where another process writes.
    fn fresh(&self) -> Result<Arc<Snapshot>> {
        let due = match self.looked.try_lock() {
            Ok(mut looked) => {
                let due = looked.is_none_or(|at| at.elapsed() >= self.settings.refresh);
                if due {
                    *looked = Some(Instant::now());
                }
                due
            }
            Err(_) => false,
        };
        if due && let Err(failure) = self.look() {
            tracing::warn!(?failure, "changes to the index could not be read; searching the state before");
        }
        match self.current() {
            Ok(generation) => Ok(generation.snapshot()),
            // Nothing was opened yet, and another search may be doing it.
            Err(_) => {
                self.look()?;
                Ok(self.current()?.snapshot())
            }
        }
    }

    /// Takes up what another process wrote or swapped in, and what was merged meanwhile.
    fn look(&self) -> Result<()> {
        let writes = self.writes.load(Ordering::SeqCst);
        let current = self.current();
        let name = if writes { None } else { self.folder.current()? };
        match (current, name) {
            (Ok(generation), name) if name.as_ref().is_none_or(|name| *name == generation.name) => {
                if generation.reload()? {
                    self.revise();
                }
            }
            (_, Some(name)) => {
                let generation = Arc::new(Generation::open(&self.folder, &name)?);
                let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
                // Whoever has taken the writer's place meanwhile has opened what answers, perhaps a newer one.
                if !self.writes.load(Ordering::SeqCst) {
                    self.install(generation);
                }
            }
            (_, None) => {}
        }
        Ok(())
    }
}

/// Runs on the blocking pool.
async fn blocking<T: Send + 'static>(f: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(f).await.map_err(Failure::internal)?
}

#[async_trait]
impl ProductIndex for Tantivy {
    async fn search(&self, query: Query) -> Result<Found> {
        self.read(move |snapshot| snapshot.search(&query)).await
    }

    async fn suggest(&self, typed: String, limit: usize) -> Result<Vec<String>> {
        self.read(move |snapshot| snapshot.suggest(&typed, limit)).await
    }

    async fn apply(&self, changes: Vec<Change>) -> Result<()> {
        let shared = self.shared.clone();
        blocking(move || shared.apply(&changes)).await
    }

    async fn rebuild(&self) -> Result<Box<dyn IndexRebuild>> {
        let shared = self.shared.clone();
        blocking(move || Ok(Box::new(Filling::begin(shared)?) as Box<dyn IndexRebuild>)).await
    }

    async fn entries(&self, after: Option<Uuid>, limit: usize) -> Result<Vec<Entry>> {
        self.read(move |snapshot| snapshot.entries(after, limit)).await
    }

    async fn count(&self) -> Result<u64> {
        self.read(|snapshot| Ok(snapshot.searcher.num_docs())).await
    }

    async fn may_write(&self) -> Result<bool> {
        let shared = self.shared.clone();
        blocking(move || shared.take_place()).await
    }

    fn revision(&self) -> u64 {
        self.shared.revision.load(Ordering::SeqCst)
    }

    async fn warm(&self) {
        if let Err(failure) = blocking(|| {
            crate::text::load_dictionary();
            Ok(())
        })
        .await
        {
            tracing::warn!(%failure, "the Chinese dictionary could not be loaded");
        }
    }
}
