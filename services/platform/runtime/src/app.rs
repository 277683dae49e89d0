//! A process: modules over one database, started in order and stopped in reverse.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result, anyhow};
use kernel::{Failure, code};
use platform_bus::{Bus, BusConfig};
use platform_cache::Redis;
use platform_db::Db;
use platform_http::{AssertionKey, Auth, Bound, Entrance, HttpServerConfig, Probe, Routes, Server};
use platform_regions::Regions;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    Check, Job, Jobs, JobsConfig, Module, Registry, Tasks, Telemetry, audit,
    module::Hook,
    operations::{self, Operations},
};

/// How long leaving Redis may take.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);

/// How a process runs.
#[derive(Clone, Debug)]
pub struct AppConfig {
    /// Section `http`.
    pub http: HttpServerConfig,
    /// Section `bus`.
    pub bus: BusConfig,
    /// Section `jobs`.
    pub jobs: JobsConfig,
    /// How long consumers, jobs and tasks may take to end, after requests have drained.
    pub stop_within: Duration,
}

impl Default for AppConfig {
    fn default() -> Self {
        Self {
            http: HttpServerConfig::default(),
            bus: BusConfig::default(),
            jobs: JobsConfig::default(),
            stop_within: Duration::from_secs(20),
        }
    }
}

/// A process that is not started yet.
pub struct App {
    db: Db,
    registry: Registry,
    config: AppConfig,
    auth: Option<Auth>,
    internal: Option<AssertionKey>,
    telemetry: Option<Telemetry>,
    redis: Option<Redis>,
    entrance: Option<(Arc<dyn Entrance>, AssertionKey)>,
    regions: Regions,
}

impl App {
    /// The modules over this database, which has been migrated. Nothing runs before [`App::start`].
    pub fn new(db: Db, registry: Registry, config: AppConfig) -> Self {
        Self {
            db,
            registry,
            config,
            auth: None,
            internal: None,
            telemetry: None,
            redis: None,
            entrance: None,
            regions: Regions::single(),
        }
    }

    /// Says which region this process is of, and which work is that region's.
    #[must_use]
    pub fn regions(mut self, regions: Regions) -> Self {
        self.regions = regions;
        self
    }

    /// Says who callers are.
    #[must_use]
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = Some(auth);
        self
    }

    /// Answers other processes of ours, which hold the same key, on `POST /internal/<domain>/<method>`.
    #[must_use]
    pub fn internal(mut self, key: AssertionKey) -> Self {
        self.internal = Some(key);
        self
    }

    /// Serves `/metrics`.
    #[must_use]
    pub fn telemetry(mut self, telemetry: Telemetry) -> Self {
        self.telemetry = Some(telemetry);
        self
    }

    /// Limits rates together with all processes over this Redis, tells in `/readyz` when it is not there, and leaves it
    /// at the end.
    #[must_use]
    pub fn redis(mut self, redis: Option<Redis>) -> Self {
        self.redis = redis;
        self
    }

    /// Serves as a region's entrance, which believes regions that hold `key`.
    #[must_use]
    pub fn entrance(mut self, entrance: Option<Arc<dyn Entrance>>, key: AssertionKey) -> Self {
        self.entrance = entrance.map(|entrance| (entrance, key));
        self
    }

    /// Takes the address, runs the modules' start hooks in the order of their needs, then starts consumers, jobs and
    /// HTTP. When a step fails, what was started is stopped again.
    pub async fn start(self) -> Result<Running> {
        let tasks = Tasks::new();
        let mut parts = Parts::of(self.registry.in_order()?);
        let consumers = std::mem::take(&mut parts.consumers);
        let (db, config) = (self.db.clone(), self.config.bus.clone());
        let bus = platform_bus::open(db, consumers, config, self.regions.clone())
            .map_err(|failure| with_cause(&failure))?;
        parts.jobs.push(operations::prune_job(Arc::clone(&bus)));
        parts.jobs.push(operations::forget_job(self.db.clone()));
        parts.checks.push(audit::events_check(self.db.clone()));
        parts.jobs.extend(parts.checks.drain(..).map(|check| check.job(&self.config.jobs)));
        let jobs = Jobs::new(
            self.db.clone(),
            std::mem::take(&mut parts.jobs),
            self.config.jobs.clone(),
            &self.regions,
            tasks.clone(),
        )?;
        parts.routes.push(operations::routes(Operations { bus: Arc::clone(&bus), jobs: jobs.clone() }));

        let mut server = Server::new(self.config.http, Arc::clone(self.db.clock())).routes(parts.routes);
        server = server.ready("tasks", ask(tasks.probe())).ready("database", database(self.db.clone()));
        server = server.degraded("bus", flowing(Arc::clone(&bus)));
        for (name, probe) in parts.probes {
            server = server.ready(name, ask(probe));
        }
        for (name, probe) in parts.losses {
            server = server.degraded(name, ask(probe));
        }
        if let Some(redis) = &self.redis {
            let watched = redis.clone();
            server =
                server.redis(redis.clone()).degraded("redis", move || std::future::ready(watched.health()));
        }
        if let Some(auth) = self.auth {
            server = server.auth(auth);
        }
        if let Some((entrance, key)) = self.entrance {
            server = server.entrance(entrance, key);
        }
        if let Some(key) = self.internal {
            server = server.dispatch(key, parts.dispatch);
        }
        if let Some(telemetry) = self.telemetry {
            telemetry.keep(&tasks, &self.db);
            let exposition = telemetry.exposition();
            server = server.metrics(move || exposition());
        }
        let bound = server.bind().map_err(|failure| with_cause(&failure))?;

        let mut running = Running {
            address: bound.address(),
            db: self.db,
            bus,
            jobs,
            tasks,
            drain: CancellationToken::new(),
            serving: None,
            on_stop: Vec::new(),
            redis: self.redis,
            stop_within: self.config.stop_within,
        };
        match running.begin(bound, parts.hooks).await {
            Ok(()) => Ok(running),
            Err(error) => {
                running.stop().await;
                Err(error)
            }
        }
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App")
            .field("registry", &self.registry)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// What the modules bring, in their order.
#[derive(Default)]
struct Parts {
    consumers: Vec<Arc<dyn platform_bus::Consumer>>,
    jobs: Vec<Job>,
    checks: Vec<Check>,
    routes: Vec<Routes>,
    dispatch: Vec<Arc<dyn contracts::Dispatch>>,
    probes: Vec<(String, Probe)>,
    losses: Vec<(String, Probe)>,
    hooks: Vec<Hooks>,
}

struct Hooks {
    module: &'static str,
    on_start: Vec<Hook>,
    on_stop: Vec<Hook>,
}

impl Parts {
    fn of(modules: Vec<Module>) -> Self {
        let mut parts = Self::default();
        for module in modules {
            parts.consumers.extend(module.consumers);
            parts.jobs.extend(module.jobs);
            parts.checks.extend(module.checks);
            parts.routes.extend(module.routes);
            parts.dispatch.extend(module.dispatch);
            parts.probes.extend(module.probes);
            parts.losses.extend(module.losses);
            parts.hooks.push(Hooks {
                module: module.name,
                on_start: module.on_start,
                on_stop: module.on_stop,
            });
        }
        parts
    }
}

/// A process that runs. Dropping it stops nothing: call [`Running::stop`] or [`Running::run_until`].
pub struct Running {
    address: SocketAddr,
    db: Db,
    bus: Arc<dyn Bus>,
    jobs: Jobs,
    tasks: Tasks,
    drain: CancellationToken,
    serving: Option<JoinHandle<()>>,
    on_stop: Vec<(&'static str, Vec<Hook>)>,
    redis: Option<Redis>,
    stop_within: Duration,
}

impl Running {
    async fn begin(&mut self, bound: Bound, hooks: Vec<Hooks>) -> Result<()> {
        for hooks in hooks {
            // A module whose start fails half-way is stopped like one that started.
            self.on_stop.push((hooks.module, hooks.on_stop));
            for hook in hooks.on_start {
                hook(self.tasks.clone())
                    .await
                    .map_err(|failure| with_cause(&failure))
                    .with_context(|| format!("module {} cannot start", hooks.module))?;
            }
        }
        let (bus, stop) = (Arc::clone(&self.bus), self.tasks.token());
        self.tasks.spawn_essential("bus", async move { bus.run(stop).await });
        self.jobs.schedule();
        let drain = self.drain.clone();
        self.serving = Some(self.tasks.spawn("http", async move {
            if let Err(failure) = bound.run(drain.cancelled_owned()).await {
                tracing::error!(?failure, "the server ended");
            }
        }));
        tracing::info!(address = %self.address, "serving");
        Ok(())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The database it runs on.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// Its bus.
    pub fn bus(&self) -> &Arc<dyn Bus> {
        &self.bus
    }

    /// Its jobs.
    pub fn jobs(&self) -> &Jobs {
        &self.jobs
    }

    /// Its tasks.
    pub fn tasks(&self) -> &Tasks {
        &self.tasks
    }

    /// Waits until every consumer here has seen every event and nothing waits to be sequenced or retried; false after
    /// `longest`.
    pub async fn settle(&self, longest: Duration) -> kernel::Result<bool> {
        let quiet = async {
            while !self.bus.quiescent().await? {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Ok(true)
        };
        tokio::time::timeout(longest, quiet).await.unwrap_or(Ok(false))
    }

    /// Runs until `shutdown`, or until the server cannot go on, and stops.
    pub async fn run_until(mut self, shutdown: CancellationToken) {
        if let Some(serving) = &mut self.serving {
            tokio::select! {
                () = shutdown.cancelled() => {}
                _ = serving => {}
            }
        }
        self.stop().await;
    }

    /// Drains requests, ends jobs, consumers and tasks, then runs the stop hooks, the last module's first. Returns
    /// whether everything ended in time.
    pub async fn stop(mut self) -> bool {
        self.drain.cancel();
        if let Some(serving) = self.serving.take()
            && !serving.is_finished()
            && serving.await.is_err()
        {
            tracing::error!("the server panicked");
        }
        let in_time = self.tasks.stop(self.stop_within).await == 0;
        while let Some((module, hooks)) = self.on_stop.pop() {
            for hook in hooks.into_iter().rev() {
                let ended = tokio::time::timeout(self.stop_within, hook(self.tasks.clone())).await;
                note_end(module, ended);
            }
        }
        if let Some(redis) = &self.redis {
            leave(redis).await;
        }
        tracing::info!(in_time, "stopped");
        in_time
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("address", &self.address).finish_non_exhaustive()
    }
}

async fn leave(redis: &Redis) {
    if !redis.close(LEAVE_WITHIN).await {
        tracing::warn!(
            "Redis was not told of everything that changed: others find out when this process' lease ends"
        );
    }
}

fn note_end(module: &str, ended: std::result::Result<kernel::Result<()>, tokio::time::error::Elapsed>) {
    match ended {
        Ok(Ok(())) => {}
        Ok(Err(failure)) => tracing::error!(module, ?failure, "a stop hook failed"),
        Err(_) => tracing::error!(module, "a stop hook did not end in time"),
    }
}

fn ask(probe: Probe) -> impl Fn() -> futures::future::BoxFuture<'static, kernel::Result<()>> + Send + Sync {
    move || probe()
}

/// What is bought is safe in the database whatever the bus does: trouble there is told, and the shop goes on.
fn flowing(
    bus: Arc<dyn Bus>,
) -> impl Fn() -> futures::future::BoxFuture<'static, kernel::Result<()>> + Send + Sync {
    move || {
        let answer = match bus.trouble() {
            None => Ok(()),
            Some(trouble) => Err(Failure::new(code::UNAVAILABLE).detail(trouble)),
        };
        Box::pin(async move { answer })
    }
}

fn database(db: Db) -> impl Fn() -> futures::future::BoxFuture<'static, kernel::Result<()>> + Send + Sync {
    move || {
        let db = db.clone();
        Box::pin(async move {
            let answer = db.log_ends().await;
            answer
                .map(|_| ())
                .map_err(|_| Failure::new(code::UNAVAILABLE).detail("the database does not answer"))
        })
    }
}

/// A start that failed is read by its operator, cause included.
fn with_cause(failure: &Failure) -> anyhow::Error {
    match failure.cause() {
        Some(cause) => anyhow!("{cause}"),
        None => anyhow!("{failure}"),
    }
}
