//! Writing: the process that holds the lock, its writer, and a generation being filled.

use std::{
    fs::File,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use kernel::{Failure, Result, code};
use tantivy::{
    IndexWriter,
    indexer::{IndexWriterOptions, LogMergePolicy},
};

use super::{Shared, blocking, generation::Generation};
use crate::{Change, IndexRebuild};

/// What only the writing process has.
#[derive(Default)]
pub(crate) struct Writing {
    lock: Option<File>,
    /// Writes to the generation of this name.
    writer: Option<(String, IndexWriter)>,
}

/// A writer with bounded memory and threads.
fn writer(generation: &Generation, heap: usize) -> Result<IndexWriter> {
    let options = IndexWriterOptions::builder()
        .memory_budget_per_thread(heap)
        .num_worker_threads(1)
        .num_merge_threads(1)
        .build();
    let writer: IndexWriter = generation.index.writer_with_options(options).map_err(Failure::internal)?;
    let mut merging = LogMergePolicy::default();
    // Small commits come twice a second: join them early, and clear out segments of which a third was replaced.
    merging.set_min_num_segments(6);
    merging.set_del_docs_ratio_before_merge(0.33);
    writer.set_merge_policy(Box::new(merging));
    Ok(writer)
}

fn write(writer: &IndexWriter, generation: &Generation, changes: &[Change]) -> Result<()> {
    for change in changes {
        match change {
            Change::Upsert(document) => {
                writer.delete_term(generation.fields.id_term(document.id));
                writer.add_document(generation.fields.document(document)).map_err(Failure::internal)?;
            }
            Change::Delete(id) => {
                writer.delete_term(generation.fields.id_term(*id));
            }
        }
    }
    Ok(())
}

impl Shared {
    /// Takes the writer's place if it is free. The first time, what a crash left over is removed, and an index that is
    /// missing or cannot be read is replaced by an empty one.
    pub(crate) fn take_place(&self) -> Result<bool> {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.take_place_of(&mut writing)
    }

    fn take_place_of(&self, writing: &mut Writing) -> Result<bool> {
        if writing.lock.is_some() {
            return Ok(true);
        }
        std::fs::create_dir_all(&self.folder.0).map_err(Failure::internal)?;
        let Some(lock) = self.folder.lock()? else { return Ok(false) };
        // The one who wrote before may have moved on.
        let name = self.folder.current()?;
        let opened = match &name {
            Some(name) => Generation::open(&self.folder, name).inspect_err(|failure| {
                tracing::error!(generation = name, %failure, "the index cannot be read; it is built again");
            }),
            None => Err(Failure::new(code::UNAVAILABLE)),
        };
        let generation = match opened {
            Ok(generation) => generation,
            Err(_) => {
                let generation = Generation::create(&self.folder)?;
                self.folder.point(&generation.name)?;
                generation
            }
        };
        self.folder.clean(Some(&generation.name))?;
        self.install(Arc::new(generation));
        writing.lock = Some(lock);
        self.writes.store(true, Ordering::SeqCst);
        Ok(true)
    }

    /// Applies changes to the generation that answers.
    pub(crate) fn apply(&self, changes: &[Change]) -> Result<()> {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.take_place_of(&mut writing)? {
            return Err(not_the_writer());
        }
        let generation = self.current()?;
        let result = apply_to(&mut writing.writer, &generation, self.settings.writer_heap_bytes, changes);
        if result.is_err() {
            // A writer that failed is not used again; what it had not committed is applied again by the caller.
            writing.writer = None;
        }
        result?;
        if generation.reload()? {
            self.revise();
        }
        Ok(())
    }

    /// Makes a filled generation the one that answers.
    fn swap(&self, generation: Generation) -> Result<()> {
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        generation.reload()?;
        self.folder.point(&generation.name)?;
        let before = self.current().ok().map(|before| before.name.clone());
        if let Some((_, writer)) = writing.writer.take()
            && let Err(error) = writer.wait_merging_threads()
        {
            tracing::warn!(%error, "merging in the generation that is given up failed");
        }
        self.install(Arc::new(generation));
        if let Some(before) = before {
            self.folder.remove(&before);
        }
        Ok(())
    }
}

fn apply_to(
    slot: &mut Option<(String, IndexWriter)>,
    generation: &Generation,
    heap: usize,
    changes: &[Change],
) -> Result<()> {
    if slot.as_ref().is_none_or(|(name, _)| *name != generation.name) {
        *slot = None;
        *slot = Some((generation.name.clone(), writer(generation, heap)?));
    }
    if let Some((_, writer)) = slot {
        write(writer, generation, changes)?;
        writer.commit().map_err(Failure::internal)?;
    }
    Ok(())
}

fn not_the_writer() -> Failure {
    Failure::new(code::UNAVAILABLE).detail("another process writes this index")
}

/// A generation being filled.
pub(crate) struct Filling {
    shared: Arc<Shared>,
    _only: Only,
    /// Taken by [`IndexRebuild::finish`].
    work: Arc<Mutex<Option<(Generation, IndexWriter)>>>,
}

/// Held by the one rebuild that runs.
struct Only(Arc<AtomicBool>);

impl Drop for Only {
    fn drop(&mut self) {
        self.0.store(false, Ordering::SeqCst);
    }
}

impl Filling {
    pub(crate) fn begin(shared: Arc<Shared>) -> Result<Self> {
        if !shared.take_place()? {
            return Err(not_the_writer());
        }
        if shared.filling.swap(true, Ordering::SeqCst) {
            return Err(Failure::new(code::CONFLICT).detail("another rebuild is under way"));
        }
        let only = Only(shared.filling.clone());
        let generation = Generation::create(&shared.folder)?;
        let writer = writer(&generation, shared.settings.rebuild_heap_bytes)?;
        Ok(Self { shared, _only: only, work: Arc::new(Mutex::new(Some((generation, writer)))) })
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        let unfinished = self.work.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some((generation, writer)) = unfinished {
            drop(writer);
            self.shared.folder.remove(&generation.name);
        }
    }
}

#[async_trait]
impl IndexRebuild for Filling {
    async fn apply(&self, changes: Vec<Change>) -> Result<()> {
        let work = self.work.clone();
        blocking(move || match &*work.lock().unwrap_or_else(PoisonError::into_inner) {
            Some((generation, writer)) => write(writer, generation, &changes),
            None => Ok(()),
        })
        .await
    }

    async fn finish(self: Box<Self>) -> Result<()> {
        let (shared, work) = (self.shared.clone(), self.work.clone());
        blocking(move || {
            let mut work = work.lock().unwrap_or_else(PoisonError::into_inner);
            let Some((_, writer)) = work.as_mut() else { return Ok(()) };
            writer.commit().map_err(Failure::internal)?;
            let Some((generation, writer)) = work.take() else { return Ok(()) };
            let swapped = writer.wait_merging_threads().map_err(Failure::internal);
            let name = generation.name.clone();
            swapped.and_then(|()| shared.swap(generation)).inspect_err(|_| {
                if !matches!(shared.folder.current(), Ok(Some(current)) if current == name) {
                    shared.folder.remove(&name);
                }
            })
        })
        .await
    }
}
