//! Which modules run in a process, and what they need of others.

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};

/// Every module, in the order they are built, and those it calls. Whoever serves members or staff asks `account` whether their
/// session is open.
const MODULES: [(&str, &[&str]); 11] = [
    ("account", &[]),
    ("catalog", &["account", "inventory", "pricing"]),
    ("inventory", &["account", "catalog"]),
    ("pricing", &["account", "catalog"]),
    ("cart", &["account", "catalog", "inventory", "pricing"]),
    ("sandbox", &[]),
    ("payment", &["account"]),
    ("order", &["account", "inventory", "pricing", "cart", "payment"]),
    ("search", &["account", "catalog", "inventory", "pricing"]),
    ("import", &["account", "catalog", "inventory", "pricing"]),
    ("storefront", &["account", "catalog", "inventory", "pricing", "cart", "payment", "order", "search"]),
];

/// Base URLs by module, of those that run in other processes.
pub(crate) type Peers = BTreeMap<&'static str, String>;

/// Which modules run in this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets(Vec<&'static str>);

impl Targets {
    /// All of them.
    pub fn all() -> Self {
        Self(names().collect())
    }

    /// From the command line: `all`, or names of modules.
    pub fn parse(given: &[String]) -> Result<Self> {
        if given.iter().any(|name| name == "all") {
            return Ok(Self::all());
        }
        let mut targets = Vec::new();
        for name in given {
            match known(name) {
                Some(module) => targets.push(module),
                None => bail!("there is no module `{name}`; there are all, {}", list()),
            }
        }
        Ok(Self(targets))
    }

    /// Whether these are all.
    pub fn is_all(&self) -> bool {
        names().all(|module| self.has(module))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains(&name)
    }

    /// Of the addresses in `client.targets` those of modules that do not run here. An error names the field that cannot work.
    pub(crate) fn peers(&self, addresses: &BTreeMap<String, String>) -> Result<Peers> {
        let mut peers = Peers::new();
        for (name, address) in addresses {
            let Some(module) = known(name) else {
                bail!("client.targets.{name}: there is no such module; there are {}", list())
            };
            ensure!(
                address.starts_with("http://") || address.starts_with("https://"),
                "client.targets.{name}: `{address}` is no base URL, such as http://127.0.0.1:8081"
            );
            if !self.has(module) {
                peers.insert(module, address.clone());
            }
        }
        Ok(peers)
    }

    /// What the modules here call that runs neither here nor among `peers`.
    pub(crate) fn missing(&self, peers: &Peers) -> Vec<&'static str> {
        let is_called =
            |name: &str| MODULES.iter().any(|(module, calls)| self.has(module) && calls.contains(&name));
        names().filter(|name| is_called(name) && !self.has(name) && !peers.contains_key(name)).collect()
    }
}

/// As on the command line.
impl std::fmt::Display for Targets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&if self.is_all() { "all".to_owned() } else { self.0.join(",") })
    }
}

fn names() -> impl Iterator<Item = &'static str> {
    MODULES.into_iter().map(|(name, _)| name)
}

fn known(name: &str) -> Option<&'static str> {
    names().find(|module| *module == name)
}

fn list() -> String {
    names().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use platform_runtime::{Config, Telemetry};

    use super::*;
    use crate::{DEFAULT_CONFIGURATION, Settings, Shop};

    fn targets(given: &[&str]) -> Targets {
        Targets::parse(&given.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap()
    }

    fn addresses(given: &[&str]) -> BTreeMap<String, String> {
        given.iter().map(|name| (name.to_string(), "http://127.0.0.1:1".to_owned())).collect()
    }

    #[test]
    fn what_is_called_and_runs_nowhere_is_missing() {
        let missing = |here: &[&str], elsewhere: &[&str]| {
            let here = targets(here);
            here.missing(&here.peers(&addresses(elsewhere)).unwrap())
        };
        assert_eq!(missing(&["all"], &[]), [""; 0]);
        assert_eq!(missing(&["sandbox"], &[]), [""; 0]);
        assert_eq!(missing(&["account", "catalog", "pricing", "inventory", "import"], &[]), [""; 0]);
        assert_eq!(missing(&["order", "payment", "cart"], &["account", "pricing"]), ["catalog", "inventory"]);
    }

    #[test]
    fn an_address_that_leads_nowhere_is_refused_by_name() {
        let refused =
            |given: &BTreeMap<String, String>| targets(&["storefront"]).peers(given).unwrap_err().to_string();
        let error = refused(&addresses(&["orders"]));
        assert!(error.contains("client.targets.orders") && error.contains("order, search"), "{error}");
        let error = refused(&BTreeMap::from([("order".to_owned(), "127.0.0.1:8081".to_owned())]));
        assert!(error.contains("client.targets.order:"), "{error}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_part_whose_peers_have_no_address_does_not_start() {
        // The binary installs it first of all.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let config = Config::builder(DEFAULT_CONFIGURATION).build().unwrap();
        let settings = Settings { data: folder.path().to_path_buf(), config };
        let app = settings.app(Some(([127, 0, 0, 1], 0).into())).unwrap();
        let shop = Box::pin(Shop::open(settings, &targets(&["storefront"]))).await.unwrap();
        let started = Box::pin(shop.start(app, Telemetry::metrics_only().unwrap())).await;
        let error = started.err().unwrap().to_string();
        assert!(error.contains("account, catalog") && error.contains("`client.targets`"), "{error}");
    }
}
