//! A whole shop in this process, and its contracts through either adapter.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use clap::Parser;
use contracts::{Contracts, Ctx, Transport};
use kernel::{Result, SystemClock};
use meridian::{Cli, Settings, Shop, Targets};
use platform_client::{ClientConfig, HttpTransport};
use platform_db::{DbConfig, testing};
use platform_http::AssertionKey;
use platform_runtime::{Keys, Running, Telemetry};
use tempfile::TempDir;

const DOMAINS: [&str; 10] =
    ["account", "catalog", "pricing", "inventory", "cart", "order", "payment", "search", "import", "region"];

/// How a case reaches the services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Adapter {
    /// They are called.
    Here,
    /// Their clients are, which ask the running shop.
    OverHttp,
}

/// A running shop with the test profile, on a folder of its own, or on the TiDB that `MERIDIAN_TEST_TIDB` names.
pub(crate) struct Fixture {
    pub(crate) contracts: Contracts,
    pub(crate) running: Running,
    pub(crate) keys: Keys,
    transport: Arc<Noting>,
    _folder: TempDir,
}

impl Fixture {
    pub(crate) async fn open(adapter: Adapter) -> Self {
        // A test beside this one may have been faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().to_str().expect("a plain path");
        let mut line = ["meridian", "--profile", "test", "--data", data].map(str::to_owned).to_vec();
        if let Some(DbConfig { tidb, .. }) = testing::tidb(folder.path()) {
            let url = format!("mysql://root@{}:{}/{}", tidb.host, tidb.port, tidb.database);
            line.extend(["--database".to_owned(), url]);
        }
        line.push("serve".to_owned());
        let cli = Cli::parse_from(line);
        let settings = Settings::load(&cli).expect("the test profile is valid");
        let mut app = settings.app(Some(([127, 0, 0, 1], 0).into())).expect("the test profile is valid");
        // A write under way may take long on a busy machine; that all ends is what is asked for.
        app.stop_within = Duration::from_secs(90);
        let telemetry = Telemetry::metrics_only().expect("metrics");
        let shop = Box::pin(Shop::open(settings, &Targets::all())).await.expect("the shop opens");
        let here = shop.contracts.clone();
        let running = Box::pin(shop.start(app, telemetry)).await.expect("the shop starts");
        let keys = Keys::open(folder.path()).expect("the shop's keys");
        let transport = Noting::to(&running, &keys);
        let contracts = match adapter {
            Adapter::Here => here,
            Adapter::OverHttp => Contracts::over(&(Arc::clone(&transport) as Arc<dyn Transport>)),
        };
        Self { contracts, running, keys, transport, _folder: folder }
    }

    /// Fails when one of a contract's methods was never called over HTTP.
    pub(crate) fn all_called(&self, domain: &str, methods: &[&str]) {
        let called = self.transport.called.lock().unwrap_or_else(PoisonError::into_inner);
        let missing: Vec<_> = methods.iter().filter(|method| !called.contains(&(domain, **method))).collect();
        assert!(missing.is_empty(), "no case calls these methods of `{domain}`: {missing:?}");
    }

    /// Stops the shop.
    pub(crate) async fn close(self) {
        let Self { contracts, running, transport, .. } = self;
        // With their connections.
        drop((contracts, transport));
        assert!(running.stop().await, "everything ends in time");
    }
}

/// Notes which methods are called, and passes on.
struct Noting {
    through: Arc<HttpTransport>,
    called: Mutex<BTreeSet<(&'static str, &'static str)>>,
}

impl Noting {
    fn to(running: &Running, keys: &Keys) -> Arc<Self> {
        let base = format!("http://{}", running.address());
        let targets = DOMAINS.iter().map(|domain| ((*domain).to_owned(), base.clone())).collect();
        let client = ClientConfig { targets, ..ClientConfig::default() };
        let key = AssertionKey::new(*keys.secret("internal").expect("the shop's key").expose());
        let through = HttpTransport::new(&client, key, Arc::new(SystemClock)).expect("a transport");
        Arc::new(Self { through, called: Mutex::default() })
    }
}

#[async_trait]
impl Transport for Noting {
    async fn call(
        &self,
        ctx: &Ctx,
        domain: &'static str,
        method: &'static str,
        body: Vec<u8>,
    ) -> Result<Vec<u8>> {
        self.called.lock().unwrap_or_else(PoisonError::into_inner).insert((domain, method));
        self.through.call(ctx, domain, method, body).await
    }
}
