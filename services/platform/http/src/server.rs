//! The server: everything above put together, bound, run and drained.

use std::{
    future::Future,
    net::SocketAddr,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use actix_web::{
    App, HttpResponse, HttpServer,
    body::BoxBody,
    dev::{ServiceFactory, ServiceRequest, ServiceResponse},
    http::Method,
    middleware::{Compress, Condition},
    web,
};
use contracts::Dispatch;
use kernel::{Clock, Failure, Result};
use platform_cache::Redis;
use utoipa_actix_web::service_config::ServiceConfig;

use crate::{
    AssertionKey, Auth, Entrance, HttpServerConfig, Routes,
    docs::{self, Docs},
    fallback::fallback,
    gate::Gate,
    health::{self, Metrics, NamedProbe, Probe, Probes},
    internal::{self, Internal},
    limits::Limits,
    openapi,
    openapi::declared,
    owners::{BelongsTo, Owner, Owners},
    routes::RouteTable,
    shared::Shared,
    whole::Wholes,
};

/// What is served, and how. Built once, then [bound](Self::bind) and [run](Bound::run).
pub struct Server {
    config: HttpServerConfig,
    clock: Arc<dyn Clock>,
    routes: Vec<Routes>,
    auth: Option<Auth>,
    entrance: Option<(Arc<dyn Entrance>, AssertionKey)>,
    internal: Option<(AssertionKey, Vec<Arc<dyn Dispatch>>)>,
    probes: Probes,
    metrics: Metrics,
    redis: Option<Redis>,
}

impl Server {
    /// A server without routes.
    pub fn new(config: HttpServerConfig, clock: Arc<dyn Clock>) -> Self {
        Self {
            config,
            clock,
            routes: Vec::new(),
            auth: None,
            entrance: None,
            internal: None,
            probes: Probes::default(),
            metrics: Metrics::default(),
            redis: None,
        }
    }

    /// Adds public routes.
    #[must_use]
    pub fn routes(mut self, routes: impl IntoIterator<Item = Routes>) -> Self {
        self.routes.extend(routes);
        self
    }

    /// Answers `POST /internal/<domain>/<method>` for callers who hold `key`.
    #[must_use]
    pub fn dispatch(
        mut self,
        key: AssertionKey,
        dispatchers: impl IntoIterator<Item = Arc<dyn Dispatch>>,
    ) -> Self {
        self.internal = Some((key, dispatchers.into_iter().collect()));
        self
    }

    /// Says who callers are, and serves `/.well-known/jwks.json`. Without it every token is an error of ours.
    #[must_use]
    pub fn auth(mut self, auth: Auth) -> Self {
        self.auth = Some(auth);
        self
    }

    /// Asks `entrance` about every public request, and believes hops of regions that hold `key`.
    #[must_use]
    pub fn entrance(mut self, entrance: Arc<dyn Entrance>, key: AssertionKey) -> Self {
        self.entrance = Some((entrance, key));
        self
    }

    /// Adds a probe to `/readyz`; the failure's message is the reason shown.
    #[must_use]
    pub fn ready<F, Fut>(mut self, name: impl Into<String>, ask: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        let probe: Probe = Arc::new(move || Box::pin(ask()));
        self.probes.0.push(NamedProbe { name: name.into(), probe, needed: true });
        self
    }

    /// Adds a probe of something the process can do without: while it fails `/readyz` answers 200 with the status
    /// `degraded` and the reason.
    #[must_use]
    pub fn degraded<F, Fut>(mut self, name: impl Into<String>, ask: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        let probe: Probe = Arc::new(move || Box::pin(ask()));
        self.probes.0.push(NamedProbe { name: name.into(), probe, needed: false });
        self
    }

    /// Counts requests together with all processes over this Redis.
    #[must_use]
    pub fn redis(mut self, redis: Redis) -> Self {
        self.redis = Some(redis);
        self
    }

    /// Serves `/metrics` with the text `exposition` makes.
    #[must_use]
    pub fn metrics(mut self, exposition: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.metrics = Metrics(Some(Arc::new(exposition)));
        self
    }

    /// Takes the address. Nothing is answered before [`Bound::run`]; fails when the address is taken.
    pub fn bind(self) -> Result<Bound> {
        let config = self.config.clone();
        let parts = self.parts()?;
        let shared = parts.shared.clone();
        let workers = match config.workers {
            0 => std::thread::available_parallelism().map_or(1, Into::into),
            workers => workers,
        };
        let server = HttpServer::new(move || parts.app())
            .workers(workers)
            .backlog(config.backlog)
            .max_connections(config.max_connections)
            .keep_alive(config.keep_alive)
            .client_request_timeout(config.head_timeout)
            .shutdown_timeout(config.shutdown_timeout.as_secs())
            .tcp_nodelay(true)
            .disable_signals()
            .bind(config.listen)
            .map_err(|error| {
                Failure::internal(std::io::Error::new(
                    error.kind(),
                    format!("cannot listen on {}: {error}", config.listen),
                ))
            })?;
        Ok(Bound { addresses: server.addrs(), server: server.run(), shared: shared.into_inner() })
    }

    /// The application as each worker runs it, for `actix_web::test::init_service`.
    pub fn app(
        &self,
    ) -> Result<
        App<
            impl ServiceFactory<
                ServiceRequest,
                Config = (),
                Response = ServiceResponse<BoxBody>,
                Error = actix_web::Error,
                InitError = (),
            > + use<>,
        >,
    > {
        Ok(self.parts()?.app())
    }

    /// The state a worker would have.
    #[cfg(test)]
    pub(crate) fn shared_for_test(&self) -> Arc<Shared> {
        self.parts().unwrap().shared.into_inner()
    }

    fn parts(&self) -> Result<Parts> {
        let document = openapi(&self.routes);
        let mut owners = Owners::default();
        for (place, routes) in self.routes.iter().enumerate() {
            owners.add(Owner(place), &declared(std::slice::from_ref(routes)));
        }
        let mut table = RouteTable::new(&document);
        for path in [
            "/healthz",
            "/readyz",
            "/metrics",
            "/api/openapi.json",
            "/api/docs",
            "/api/docs/",
            "/.well-known/jwks.json",
        ] {
            table.add(path, &[Method::GET]);
        }
        table.add("/internal/{domain}/{method}", &[Method::POST]);
        let shared = Shared {
            limits: Limits::new(&self.config.rate_limit, self.redis.as_ref()),
            config: self.config.clone(),
            clock: self.clock.clone(),
            auth: self.auth.clone(),
            entrance: self.entrance.clone(),
            internal: self.internal.as_ref().map(|(key, _)| key.clone()),
            routes: table,
            owners,
            in_flight: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
        };
        let internal =
            self.internal.as_ref().map(|(key, dispatchers)| Internal::new(key.clone(), dispatchers));
        Ok(Parts {
            shared: web::Data::new(shared),
            routes: self.routes.clone().into(),
            internal: internal.map(web::Data::new),
            probes: web::Data::new(self.probes.clone()),
            metrics: web::Data::new(self.metrics.clone()),
            docs: web::Data::new(Docs::new(&document)?),
        })
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("listen", &self.config.listen).finish_non_exhaustive()
    }
}

/// What each worker makes its application from.
#[derive(Clone)]
struct Parts {
    shared: web::Data<Shared>,
    routes: Arc<[Routes]>,
    internal: Option<web::Data<Internal>>,
    probes: web::Data<Probes>,
    metrics: web::Data<Metrics>,
    docs: web::Data<Docs>,
}

impl Parts {
    fn app(
        &self,
    ) -> App<
        impl ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<BoxBody>,
            Error = actix_web::Error,
            InitError = (),
        > + use<>,
    > {
        let shared = self.shared.clone().into_inner();
        let config = &shared.config;
        let app = App::new()
            .app_data(self.shared.clone())
            .app_data(web::PayloadConfig::new(config.body_limit))
            .app_data(web::FormConfig::default().limit(config.body_limit));
        // Twice: behind the guards for what is documented, then flat for the rest and for the data that the fallback
        // needs.
        let app = self.routes.iter().enumerate().fold(app, |app, (place, routes)| {
            let scope = web::scope("").guard(BelongsTo(Owner(place)));
            app.service(scope.configure(|config| routes(&mut ServiceConfig::new(config))))
        });
        let app = self
            .routes
            .iter()
            .fold(app, |app, routes| app.configure(|config| routes(&mut ServiceConfig::new(config))));
        app.configure(|config| self.own(config))
            .default_service(web::to(fallback))
            .wrap(Wholes)
            .wrap(Condition::new(config.compress, Compress::default()))
            .wrap(Gate(shared.clone()))
    }

    /// The routes that are ours and not a domain's.
    fn own(&self, config: &mut web::ServiceConfig) {
        config
            .app_data(self.probes.clone())
            .app_data(self.metrics.clone())
            .app_data(self.docs.clone())
            .route("/healthz", web::get().to(health::healthz))
            .route("/readyz", web::get().to(health::readyz))
            .route("/metrics", web::get().to(health::metrics))
            .route("/api/openapi.json", web::get().to(docs::openapi_json))
            .route("/api/docs", web::get().to(docs::redirect))
            .route("/api/docs/{file:.*}", web::get().to(docs::page));
        if let Some(auth) = &self.shared.auth {
            let jwks = auth.jwks();
            config.route(
                "/.well-known/jwks.json",
                web::get().to(move |req: actix_web::HttpRequest| {
                    let answer: HttpResponse = crate::cached(&req, &jwks, 300);
                    std::future::ready(answer)
                }),
            );
        }
        if let Some(internal) = &self.internal {
            config
                .app_data(internal.clone())
                .route("/internal/{domain}/{method}", web::post().to(internal::dispatch));
        }
    }
}

/// A server that has its address and waits to be run.
pub struct Bound {
    addresses: Vec<SocketAddr>,
    server: actix_web::dev::Server,
    shared: Arc<Shared>,
}

impl Bound {
    /// The address it listens on, with the port the system chose where 0 was asked for.
    pub fn address(&self) -> SocketAddr {
        self.addresses.first().copied().unwrap_or(self.shared.config.listen)
    }

    /// Serves until `shutdown` is done, then drains: `/readyz` says so for `drain_delay`, then no connection is
    /// accepted and requests under way get `shutdown_timeout` to end.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<()> {
        let handle = self.server.handle();
        let mut server = pin!(self.server);
        tokio::select! {
            ended = &mut server => return ended.map_err(Failure::internal),
            () = shutdown => {}
        }
        self.shared.draining.store(true, Ordering::Release);
        tracing::info!(in_flight = self.shared.in_flight.load(Ordering::Acquire), "draining");
        tokio::select! {
            ended = &mut server => return ended.map_err(Failure::internal),
            () = tokio::time::sleep(self.shared.config.drain_delay) => {}
        }
        let (ended, ()) = tokio::join!(server, handle.stop(true));
        ended.map_err(Failure::internal)
    }
}

impl std::fmt::Debug for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bound").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}
