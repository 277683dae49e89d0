//! Indexes and the queue of tasks that change them.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};

use super::{index::Index, routes::ApiError, settings::Settings};

/// What a task does.
#[derive(Debug)]
pub(crate) enum Work {
    CreateIndex { primary_key: Option<String> },
    DeleteIndex,
    Settings(Box<Settings>),
    ResetSettings,
    Documents { documents: Vec<Value>, primary_key: Option<String>, merge: bool },
    DeleteDocuments(Vec<String>),
    DeleteAllDocuments,
    Swap(Vec<[String; 2]>),
}

impl Work {
    fn kind(&self) -> &'static str {
        match self {
            Self::CreateIndex { .. } => "indexCreation",
            Self::DeleteIndex => "indexDeletion",
            Self::Settings(_) | Self::ResetSettings => "settingsUpdate",
            Self::Documents { .. } => "documentAdditionOrUpdate",
            Self::DeleteDocuments(_) | Self::DeleteAllDocuments => "documentDeletion",
            Self::Swap(_) => "indexSwap",
        }
    }

    fn details(&self) -> Value {
        match self {
            Self::CreateIndex { primary_key } => json!({"primaryKey": primary_key}),
            Self::DeleteIndex => json!({"deletedDocuments": null}),
            Self::Documents { documents, .. } => {
                json!({"receivedDocuments": documents.len(), "indexedDocuments": null})
            }
            Self::DeleteDocuments(ids) => {
                json!({"providedIds": ids.len(), "deletedDocuments": null, "originalFilter": null})
            }
            Self::DeleteAllDocuments => {
                json!({"providedIds": 0, "deletedDocuments": null, "originalFilter": null})
            }
            Self::Swap(swaps) => {
                let swaps: Vec<Value> =
                    swaps.iter().map(|pair| json!({"indexes": pair, "rename": false})).collect();
                json!({"swaps": swaps})
            }
            Self::Settings(_) | Self::ResetSettings => Value::Null,
        }
    }
}

#[derive(Debug)]
struct Task {
    index: Option<String>,
    /// Taken when it is done.
    work: Option<Work>,
    kind: &'static str,
    details: Value,
    since: Instant,
    enqueued: String,
    done: Option<(String, Result<(), ApiError>)>,
}

/// Everything the server has.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) indexes: BTreeMap<String, Index>,
    tasks: Vec<Task>,
    worked: usize,
    delay: Duration,
}

/// Now, as the API writes it.
pub(crate) fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Nanos, true)
}

impl Store {
    pub(crate) fn new(delay: Duration) -> Self {
        Self { indexes: BTreeMap::new(), tasks: Vec::new(), worked: 0, delay }
    }

    /// Does the tasks whose time has come, in their order.
    pub(crate) fn work(&mut self) {
        while let Some(task) = self.tasks.get_mut(self.worked) {
            if task.since.elapsed() < self.delay {
                return;
            }
            let (index, work) = (task.index.clone(), task.work.take());
            let outcome = work.map_or(Ok(()), |work| self.apply(index.as_deref(), work));
            self.tasks[self.worked].done = Some((now(), outcome));
            self.worked += 1;
        }
    }

    /// Puts a task in the queue; what the API answers.
    pub(crate) fn enqueue(&mut self, index: Option<&str>, work: Work) -> Value {
        let (kind, details, enqueued) = (work.kind(), work.details(), now());
        let answer = json!({
            "taskUid": self.tasks.len(), "indexUid": index, "status": "enqueued", "type": kind, "enqueuedAt": enqueued,
        });
        let (index, since) = (index.map(str::to_owned), Instant::now());
        self.tasks.push(Task { index, work: Some(work), kind, details, since, enqueued, done: None });
        answer
    }

    /// A task as the API shows it.
    pub(crate) fn task(&self, uid: usize) -> Option<Value> {
        let task = self.tasks.get(uid)?;
        let mut view = json!({
            "uid": uid, "batchUid": uid, "indexUid": task.index, "type": task.kind, "canceledBy": null,
            "details": task.details, "enqueuedAt": task.enqueued, "error": null,
            "status": "enqueued", "startedAt": null, "finishedAt": null, "duration": null,
        });
        if let Some((at, outcome)) = &task.done {
            view["startedAt"] = json!(at);
            view["finishedAt"] = json!(at);
            view["duration"] = json!("PT0.001S");
            view["status"] = json!(if outcome.is_ok() { "succeeded" } else { "failed" });
            if let Err(error) = outcome {
                view["error"] = error.body();
            }
        }
        Some(view)
    }

    pub(crate) fn task_count(&self) -> usize {
        self.tasks.len()
    }

    fn apply(&mut self, name: Option<&str>, work: Work) -> Result<(), ApiError> {
        let name = name.unwrap_or_default();
        match work {
            Work::CreateIndex { primary_key } => {
                if self.indexes.contains_key(name) {
                    return Err(ApiError::new(
                        "index_already_exists",
                        format!("Index `{name}` already exists."),
                    ));
                }
                self.indexes.insert(name.to_owned(), Index::new(primary_key));
                Ok(())
            }
            Work::DeleteIndex => self.indexes.remove(name).map(|_| ()).ok_or_else(|| missing(name)),
            Work::Settings(settings) => {
                self.or_new(name).set(*settings);
                Ok(())
            }
            Work::ResetSettings => {
                self.or_new(name).set(Settings::defaults());
                Ok(())
            }
            Work::Documents { documents, primary_key, merge } => {
                self.or_new(name).add(documents, primary_key, merge)
            }
            Work::DeleteDocuments(ids) => {
                self.indexes.get_mut(name).ok_or_else(|| missing(name))?.delete(&ids);
                Ok(())
            }
            Work::DeleteAllDocuments => {
                self.indexes.get_mut(name).ok_or_else(|| missing(name))?.clear();
                Ok(())
            }
            Work::Swap(swaps) => {
                for name in swaps.iter().flatten() {
                    if !self.indexes.contains_key(name) {
                        return Err(missing(name));
                    }
                }
                for [left, right] in swaps {
                    if let (Some(one), Some(other)) =
                        (self.indexes.remove(&left), self.indexes.remove(&right))
                    {
                        self.indexes.insert(left, other);
                        self.indexes.insert(right, one);
                    }
                }
                Ok(())
            }
        }
    }

    /// The index; documents and settings for one that does not exist make it, as the real server does.
    fn or_new(&mut self, name: &str) -> &mut Index {
        self.indexes.entry(name.to_owned()).or_insert_with(|| Index::new(None))
    }
}

/// The failure of a name that no index has.
pub(crate) fn missing(name: &str) -> ApiError {
    ApiError::new("index_not_found", format!("Index `{name}` not found."))
}
