//! The adapter for a Meilisearch server, 1.16 or newer, through its SDK.
//!
//! What differs from [`crate::Tantivy`], as far as a caller can notice:
//! - The server has no lock: the caller lets one process write at a time.
//! - [`ProductIndex::apply`] waits until the server has taken the changes in; those of one call become visible together where
//!   they fit into one request of [`MeilisearchSettings::batch`] documents, else request by request.
//! - Words with typos are found beside words without any, below them; tantivy adds them only when hardly anything has the word.
//! - English stems are searched for only when nothing has the words as typed.
//! - Totals are the server's estimate, which is exact as long as every word must match (it must).
//! - Other processes see changes at once; [`ProductIndex::revision`] tells only of this one's.
//!
//! On the server: the index `NAME-FORMAT`, and `NAME-FORMAT-build` while a new one is filled.

mod document;
mod filter;
mod http;
mod matched;
mod rebuild;
mod search;

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use kernel::{Failure, Result, code};
use meilisearch_sdk::{
    client::Client,
    documents::DocumentsQuery,
    errors::{Error, ErrorCode},
    indexes::IndexesQuery,
    task_info::TaskInfo,
    tasks::Task,
};
use secrecy::SecretString;
use tokio::sync::Semaphore;
use uuid::Uuid;

use self::{
    document::{Checked, FORMAT, Row},
    http::{Http, failure, is_missing},
    rebuild::Filling,
};
use crate::{Change, Document, Entry, Found, IndexRebuild, ProductIndex, Query};

/// The oldest server that sorts documents, which pages of entries need.
const OLDEST: (u32, u32) = (1, 16);
/// Requests that search at once; further ones wait for the time an answer may take.
const SEARCHES: usize = 64;
/// How often to look whether the index is still the one that was prepared.
const LOOK: Duration = Duration::from_secs(5);
/// Pauses between two looks at a task, the first and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(200));

/// Where the server is, and how it is used.
#[derive(Clone, Debug)]
pub struct MeilisearchSettings {
    /// Its address, `http://…` or `https://…`.
    pub url: String,
    /// A key that may search, read tasks and the version, and change documents, indexes and settings; empty for none.
    pub key: SecretString,
    /// What the index is called.
    pub index: String,
    /// Longest time for an answer.
    pub timeout: Duration,
    /// Longest time for a change to be taken in.
    pub task_timeout: Duration,
    /// Documents of one request.
    pub batch: usize,
}

/// An index on a Meilisearch server.
#[derive(Clone)]
pub struct Meilisearch {
    shared: Arc<Shared>,
}

impl fmt::Debug for Meilisearch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meilisearch").field("index", &self.shared.uid).finish_non_exhaustive()
    }
}

/// What the handles of an index share.
pub(crate) struct Shared {
    client: Client<Http>,
    uid: String,
    task_timeout: Duration,
    batch: usize,
    /// When the index was made on the server that was prepared last, and when that was looked at.
    prepared: tokio::sync::Mutex<Option<(String, Instant)>>,
    filling: AtomicBool,
    /// Whether a generation that was begun is to be removed.
    abandoned: AtomicBool,
    /// Whether the server said that the index is gone.
    lost: AtomicBool,
    revision: AtomicU64,
    gate: Semaphore,
    timeout: Duration,
}

impl Meilisearch {
    /// The index on a server. Nothing is asked yet: [`ProductIndex::may_write`] makes the index, sets its settings and removes what
    /// a crash left over.
    pub fn new(settings: MeilisearchSettings) -> Result<Self> {
        let client = reqwest::Client::builder()
            .connect_timeout(settings.timeout)
            .timeout(settings.timeout)
            .tcp_nodelay(true)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(Failure::internal)?;
        let http = Http::new(client, settings.key);
        let host = settings.url.trim_end_matches('/').to_owned();
        Ok(Self {
            shared: Arc::new(Shared {
                // The key stays with the HTTP client: the SDK's would show it when printed.
                client: Client::new_with_client(host, None::<String>, http),
                uid: format!("{}-{FORMAT}", settings.index),
                task_timeout: settings.task_timeout,
                batch: settings.batch.max(1),
                prepared: tokio::sync::Mutex::new(None),
                filling: AtomicBool::new(false),
                abandoned: AtomicBool::new(false),
                lost: AtomicBool::new(false),
                revision: AtomicU64::new(0),
                gate: Semaphore::new(SEARCHES),
                timeout: settings.timeout,
            }),
        })
    }

    /// Runs a search with a bound on how many do.
    async fn read<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let permit = tokio::time::timeout(self.shared.timeout, self.shared.gate.acquire()).await;
        let Ok(permit) = permit else {
            return Err(Failure::new(code::UNAVAILABLE).detail("too many searches at once").retry_after(1));
        };
        let _permit = permit.map_err(Failure::internal)?;
        work.await
    }
}

impl Shared {
    fn build_uid(&self) -> String {
        format!("{}-build", self.uid)
    }

    /// What an error means; notes when the index is gone.
    fn failed(&self, error: Error) -> Failure {
        if is_missing(&error) {
            self.lost.store(true, Ordering::SeqCst);
        }
        failure(error)
    }

    /// Makes the index as this version wants it, where that was not done yet or it is no longer there.
    async fn prepare(&self) -> Result<()> {
        let mut prepared = self.prepared.lock().await;
        let lost = self.lost.swap(false, Ordering::SeqCst);
        if let Some((made, looked)) = &mut *prepared {
            if !lost && looked.elapsed() < LOOK {
                return Ok(());
            }
            if self.is_ours(made).await? {
                *looked = Instant::now();
                return Ok(());
            }
            // What was there is lost. It is said once, so that the caller fills the index again.
            *prepared = None;
            self.revision.fetch_add(1, Ordering::SeqCst);
            return Err(Failure::new(code::UNAVAILABLE)
                .detail("the search index is gone from the server; it is made again")
                .retry_after(1));
        }
        self.check_version().await?;
        self.create(&self.uid).await?;
        if !self.filling.load(Ordering::SeqCst) {
            self.remove_builds().await?;
        }
        let made = self.made_at(&self.uid).await?.unwrap_or_default();
        *prepared = Some((made, Instant::now()));
        Ok(())
    }

    /// Whether the index is the one that was prepared, or another process's with our settings. One that the server made by itself
    /// for a document that came after a loss is removed.
    async fn is_ours(&self, made: &mut String) -> Result<bool> {
        let Some(now) = self.made_at(&self.uid).await? else { return Ok(false) };
        if now == *made {
            return Ok(true);
        }
        let settings = self.client.index(self.uid.as_str()).get_settings().await;
        let settings = settings.map_err(|error| self.failed(error))?;
        let wanted: Vec<String> = document::SEARCHED.iter().map(|name| (*name).to_owned()).collect();
        if settings.searchable_attributes == Some(wanted) {
            *made = now;
            return Ok(true);
        }
        self.remove(&self.uid).await?;
        Ok(false)
    }

    /// When an index was made; `None` when there is none.
    async fn made_at(&self, uid: &str) -> Result<Option<String>> {
        match self.client.get_raw_index(uid).await {
            Ok(index) => Ok(Some(index["createdAt"].as_str().unwrap_or_default().to_owned())),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(failure(error)),
        }
    }

    /// Takes the index that answers now for the prepared one.
    async fn adopt(&self) -> Result<()> {
        let made = self.made_at(&self.uid).await?.unwrap_or_default();
        *self.prepared.lock().await = Some((made, Instant::now()));
        Ok(())
    }

    async fn check_version(&self) -> Result<()> {
        let version = self.client.get_version().await.map_err(|error| self.failed(error))?.pkg_version;
        if release(&version) >= OLDEST {
            return Ok(());
        }
        let (major, minor) = OLDEST;
        Err(Failure::new(code::UNAVAILABLE)
            .detail(format!("the search server is version {version}; at least {major}.{minor} is needed")))
    }

    /// Makes an index where there is none, and sets its settings.
    async fn create(&self, uid: &str) -> Result<()> {
        if let Err(error) = self.client.get_raw_index(uid).await {
            if !is_missing(&error) {
                return Err(failure(error));
            }
            let task = self.client.create_index(uid, Some("id")).await.map_err(|error| self.failed(error))?;
            match self.outcome(&task).await? {
                Ok(()) => {}
                // Another process was faster.
                Err(error) if error.error_code == ErrorCode::IndexAlreadyExists => {}
                Err(error) => return Err(failure(Error::Meilisearch(error))),
            }
        }
        let task = self.client.index(uid).set_settings(&document::settings()).await;
        self.finish(&task.map_err(|error| self.failed(error))?).await
    }

    /// Removes generations that were begun and not finished.
    async fn remove_builds(&self) -> Result<()> {
        let mut all = IndexesQuery::new(&self.client);
        all.with_limit(1_000);
        let indexes = all.execute().await.map_err(|error| self.failed(error))?;
        for index in indexes.results {
            if index.uid.starts_with(&self.build_uid()) {
                self.remove(&index.uid).await?;
            }
        }
        Ok(())
    }

    async fn remove(&self, uid: &str) -> Result<()> {
        let task = match self.client.delete_index(uid).await {
            Ok(task) => task,
            Err(error) if is_missing(&error) => return Ok(()),
            Err(error) => return Err(failure(error)),
        };
        match self.outcome(&task).await? {
            Err(error) if error.error_code != ErrorCode::IndexNotFound => {
                Err(failure(Error::Meilisearch(error)))
            }
            _ => Ok(()),
        }
    }

    /// Sends changes; of two with one id the later counts. The server works on them in this order.
    async fn send(&self, uid: &str, changes: Vec<Change>) -> Result<Vec<TaskInfo>> {
        let mut last: HashMap<Uuid, Option<Box<Document>>> = HashMap::with_capacity(changes.len());
        for change in changes {
            match change {
                Change::Upsert(document) => last.insert(document.id, Some(document)),
                Change::Delete(id) => last.insert(id, None),
            };
        }
        let gone: Vec<String> = last
            .iter()
            .filter(|(_, document)| document.is_none())
            .map(|(id, _)| document::key(*id))
            .collect();
        let kept: Vec<Box<Document>> = last.into_values().flatten().collect();
        let index = self.client.index(uid);
        let mut tasks = Vec::new();
        for some in kept.chunks(self.batch) {
            let some = some.to_vec();
            // Cutting words takes time that the runtime's threads have not.
            let rows =
                tokio::task::spawn_blocking(move || some.iter().map(|it| Row::of(it)).collect::<Vec<_>>());
            let rows = rows.await.map_err(Failure::internal)?;
            let sent = index.add_or_replace(&rows, Some("id")).await;
            tasks.push(sent.map_err(|error| self.failed(error))?);
        }
        for some in gone.chunks(self.batch) {
            let sent = index.delete_documents(some).await;
            tasks.push(sent.map_err(|error| self.failed(error))?);
        }
        Ok(tasks)
    }

    /// Waits until a task is done.
    async fn finish(&self, task: &TaskInfo) -> Result<()> {
        self.outcome(task).await?.map_err(|error| self.failed(Error::Meilisearch(error)))
    }

    /// Waits for a task, as long as a change may take; how it ended.
    async fn outcome(
        &self,
        task: &TaskInfo,
    ) -> Result<std::result::Result<(), meilisearch_sdk::errors::MeilisearchError>> {
        let begun = Instant::now();
        let (mut pause, longest) = PAUSE;
        loop {
            match self.client.get_task(task).await.map_err(|error| self.failed(error))? {
                Task::Succeeded { .. } => return Ok(Ok(())),
                Task::Failed { content } => return Ok(Err(content.error)),
                Task::Enqueued { .. } | Task::Processing { .. } => {}
            }
            if begun.elapsed() > self.task_timeout {
                return Err(Failure::new(code::UNAVAILABLE)
                    .detail("the search server did not take a change in time")
                    .retry_after(5));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }

    async fn entries(&self, after: Option<Uuid>, limit: usize) -> Result<Vec<Entry>> {
        let index = self.client.index(self.uid.as_str());
        let filter = format!("at >= {}", after.map_or(0, document::at));
        let mut entries = Vec::new();
        let mut offset = 0;
        // Ids of one millisecond have one `at`: those up to `after` come again and are left out.
        while entries.len() < limit {
            let mut query = DocumentsQuery::new(&index);
            query.with_filter(&filter).with_sort(["at:asc", "id:asc"]);
            query.with_fields(["id", "version", "prices", "in_stock"]);
            query.with_offset(offset).with_limit(limit);
            let page = query.execute::<Checked>().await.map_err(|error| self.failed(error))?.results;
            offset += page.len();
            let last = page.len() < limit;
            for found in page {
                let id = Uuid::parse_str(&found.id).map_err(Failure::internal)?;
                if after.is_none_or(|after| id > after) && entries.len() < limit {
                    let prices = found.prices();
                    entries.push(Entry { id, version: found.version, prices, in_stock: found.in_stock });
                }
            }
            if last {
                break;
            }
        }
        Ok(entries)
    }
}

#[async_trait]
impl ProductIndex for Meilisearch {
    async fn search(&self, query: Query) -> Result<Found> {
        self.read(self.shared.search(&query)).await
    }

    async fn suggest(&self, typed: String, limit: usize) -> Result<Vec<String>> {
        self.read(self.shared.suggest(&typed, limit)).await
    }

    async fn apply(&self, changes: Vec<Change>) -> Result<()> {
        self.shared.prepare().await?;
        for task in self.shared.send(&self.shared.uid, changes).await? {
            self.shared.finish(&task).await?;
        }
        self.shared.revision.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    async fn rebuild(&self) -> Result<Box<dyn IndexRebuild>> {
        Ok(Box::new(Filling::begin(self.shared.clone()).await?))
    }

    async fn entries(&self, after: Option<Uuid>, limit: usize) -> Result<Vec<Entry>> {
        self.read(self.shared.entries(after, limit)).await
    }

    async fn count(&self) -> Result<u64> {
        let stats = self.shared.client.index(self.shared.uid.as_str()).get_stats().await;
        match stats {
            Ok(stats) => Ok(stats.number_of_documents as u64),
            Err(error) => Err(self.shared.failed(error)),
        }
    }

    async fn may_write(&self) -> Result<bool> {
        self.shared.prepare().await?;
        if self.shared.abandoned.swap(false, Ordering::SeqCst)
            && !self.shared.filling.load(Ordering::SeqCst)
            && let Err(failure) = self.shared.remove_builds().await
        {
            self.shared.abandoned.store(true, Ordering::SeqCst);
            return Err(failure);
        }
        Ok(true)
    }

    fn revision(&self) -> u64 {
        self.shared.revision.load(Ordering::SeqCst)
    }

    async fn warm(&self) {
        let loaded = tokio::task::spawn_blocking(crate::text::load_dictionary).await;
        if let Err(error) = loaded {
            tracing::warn!(%error, "the Chinese dictionary could not be loaded");
        }
    }
}

/// The first two numbers of a version; what is no number counts as 0.
fn release(version: &str) -> (u32, u32) {
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::{OLDEST, release};

    #[test]
    fn versions_are_compared_by_number() {
        assert_eq!(release("1.16.0"), (1, 16));
        assert!(release("1.9.3") < OLDEST);
        assert!(release("1.16.0-rc.2") >= OLDEST && release("2.0.0") >= OLDEST);
    }

    /// No test starts the compose file: its server must at least be one that is not refused.
    #[test]
    fn compose_starts_a_server_that_is_new_enough() {
        let compose = include_str!("../../../../regions/local/compose.yaml");
        let (_, tag) = compose.split_once("image: getmeili/meilisearch:v").unwrap();
        let tag = tag.lines().next().unwrap();
        assert!(release(tag) >= OLDEST, "{tag}");
    }
}
