//! How a part of Meridian describes itself.

use std::{fmt, sync::Arc};

use contracts::Dispatch;
use futures::future::BoxFuture;
use kernel::Result;
use platform_bus::Consumer;
use platform_http::{Probe, Routes};

use crate::{Check, Job, Tasks};

pub(crate) type Hook = Box<dyn FnOnce(Tasks) -> BoxFuture<'static, Result<()>> + Send>;

/// A module: its name, what it needs, and what it brings. Built by a domain's `module()`, added to a
/// [`Registry`](crate::Registry).
pub struct Module {
    pub(crate) name: &'static str,
    pub(crate) needs: Vec<&'static str>,
    pub(crate) routes: Vec<Routes>,
    pub(crate) dispatch: Vec<Arc<dyn Dispatch>>,
    pub(crate) consumers: Vec<Arc<dyn Consumer>>,
    pub(crate) jobs: Vec<Job>,
    pub(crate) checks: Vec<Check>,
    pub(crate) on_start: Vec<Hook>,
    pub(crate) on_stop: Vec<Hook>,
    pub(crate) probes: Vec<(String, Probe)>,
    pub(crate) losses: Vec<(String, Probe)>,
}

impl Module {
    /// A module without anything.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            needs: Vec::new(),
            routes: Vec::new(),
            dispatch: Vec::new(),
            consumers: Vec::new(),
            jobs: Vec::new(),
            checks: Vec::new(),
            on_start: Vec::new(),
            on_stop: Vec::new(),
            probes: Vec::new(),
            losses: Vec::new(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Modules that must start before it and stop after it, in this process or another.
    #[must_use]
    pub fn needs(mut self, names: impl IntoIterator<Item = &'static str>) -> Self {
        self.needs.extend(names);
        self
    }

    /// Its public routes alone, for the API's document.
    pub fn into_routes(self) -> Vec<Routes> {
        self.routes
    }

    /// Public routes.
    #[must_use]
    pub fn routes(mut self, routes: Routes) -> Self {
        self.routes.push(routes);
        self
    }

    /// A contract answered behind `POST /internal/<domain>/<method>`.
    #[must_use]
    pub fn dispatch(mut self, dispatch: Arc<dyn Dispatch>) -> Self {
        self.dispatch.push(dispatch);
        self
    }

    /// A consumer of events.
    #[must_use]
    pub fn consumer(mut self, consumer: Arc<dyn Consumer>) -> Self {
        self.consumers.push(consumer);
        self
    }

    /// A job.
    #[must_use]
    pub fn job(mut self, job: Job) -> Self {
        self.jobs.push(job);
        self
    }

    /// What must be true of its rows; looked at in the background, and by `meridian region verify`.
    #[must_use]
    pub fn check(mut self, check: Check) -> Self {
        self.checks.push(check);
        self
    }

    /// Runs once before anything is served; a failure stops the start. What goes on in the background is spawned on the
    /// tasks it is given.
    #[must_use]
    pub fn on_start<F, Fut>(mut self, hook: F) -> Self
    where
        F: FnOnce(Tasks) -> Fut + Send + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.on_start.push(Box::new(move |tasks| Box::pin(hook(tasks))));
        self
    }

    /// Runs once after requests, consumers and jobs have ended; a failure is logged.
    #[must_use]
    pub fn on_stop<F, Fut>(mut self, hook: F) -> Self
    where
        F: FnOnce(Tasks) -> Fut + Send + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.on_stop.push(Box::new(move |tasks| Box::pin(hook(tasks))));
        self
    }

    /// A readiness probe: while it fails, `/readyz` answers 503 with its failure's message.
    #[must_use]
    pub fn ready<F, Fut>(mut self, name: impl Into<String>, ask: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.probes.push((name.into(), Arc::new(move || Box::pin(ask()))));
        self
    }

    /// A probe of something the process can do without: while it fails, `/readyz` answers 200 `degraded` with its failure's
    /// message.
    #[must_use]
    pub fn degraded<F, Fut>(mut self, name: impl Into<String>, ask: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        self.losses.push((name.into(), Arc::new(move || Box::pin(ask()))));
        self
    }
}

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module").field("name", &self.name).field("needs", &self.needs).finish_non_exhaustive()
    }
}
