//! Background work that stopping waits for.

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::FutureExt;
use kernel::{Failure, code};
use platform_http::Probe;
use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Spawns tasks, tells them to stop, and waits for them. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Tasks(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    tracker: TaskTracker,
    token: CancellationToken,
    lost: Mutex<BTreeMap<&'static str, &'static str>>,
}

impl Tasks {
    /// Without tasks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs `future` in the background; stopping waits for it. A panic is logged and ends only this task. A task that
    /// would run long watches [`Tasks::token`].
    pub fn spawn<F>(&self, name: &'static str, future: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.0.tracker.spawn(async move {
            if AssertUnwindSafe(future).catch_unwind().await.is_err() {
                panicked(name);
            }
        })
    }

    /// Runs a loop without which the process is of no use: when it ends before it is told to, by a panic or otherwise,
    /// [`Tasks::probe`] fails from then on.
    pub fn spawn_essential<F>(&self, name: &'static str, future: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let inner = Arc::clone(&self.0);
        self.0.tracker.spawn(async move {
            let how = if AssertUnwindSafe(future).catch_unwind().await.is_err() {
                panicked(name);
                "panicked"
            } else if inner.token.is_cancelled() {
                return;
            } else {
                tracing::error!(task = name, "an essential task ended");
                "ended"
            };
            inner.lost.lock().unwrap_or_else(PoisonError::into_inner).insert(name, how);
        })
    }

    /// Cancelled when the process stops.
    pub fn token(&self) -> CancellationToken {
        self.0.token.clone()
    }

    /// Whether all essential tasks run.
    pub fn probe(&self) -> Probe {
        let inner = Arc::clone(&self.0);
        Arc::new(move || {
            let lost = inner.lost.lock().unwrap_or_else(PoisonError::into_inner).clone();
            Box::pin(async move {
                match lost.first_key_value() {
                    None => Ok(()),
                    Some((name, how)) => {
                        Err(Failure::new(code::UNAVAILABLE).detail(format!("task {name} {how}")))
                    }
                }
            })
        })
    }

    /// Tells the tasks to stop and waits for them, at most `longest`. Returns how many were still running.
    pub async fn stop(&self, longest: Duration) -> usize {
        self.0.token.cancel();
        self.0.tracker.close();
        if tokio::time::timeout(longest, self.0.tracker.wait()).await.is_err() {
            tracing::warn!(running = self.0.tracker.len(), "tasks did not end in time");
        }
        self.0.tracker.len()
    }
}

fn panicked(name: &'static str) {
    metrics::counter!("task_panics_total", "task" => name).increment(1);
    tracing::error!(task = name, "a task panicked");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stopping_waits_for_tasks_and_survives_panics() {
        let tasks = Tasks::new();
        let token = tasks.token();
        tasks.spawn("waits", async move { token.cancelled().await });
        tasks.spawn("panics", async { panic!("on purpose") }).await.unwrap();
        assert!(tasks.probe()().await.is_ok(), "a task that is not essential");
        tasks.spawn_essential("essential", async {}).await.unwrap();
        assert_eq!(tasks.probe()().await.unwrap_err().message(), "task essential ended");
        assert_eq!(tasks.stop(Duration::from_secs(5)).await, 0);
    }

    #[tokio::test]
    async fn a_task_that_never_ends_is_counted() {
        let tasks = Tasks::new();
        tasks.spawn("deaf", std::future::pending());
        assert_eq!(tasks.stop(Duration::from_millis(1)).await, 1);
    }
}
