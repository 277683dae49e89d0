//! What a process is told: folder, configuration, profile.

use std::path::PathBuf;

use anyhow::{Context, Result};
use coordinator::RegionConfig;
use platform_bus::BusConfig;
use platform_db::DbConfig;
use platform_http::HttpServerConfig;
use platform_runtime::{AppConfig, Config, JobsConfig};

use crate::{
    DEFAULT_CONFIGURATION,
    cli::{Cli, Profile},
    commands::bus::told,
};

const DEV: &str = include_str!("../config/dev.toml");
const TEST: &str = include_str!("../config/test.toml");

/// What a process is told.
#[derive(Clone)]
pub struct Settings {
    /// Folder of everything the shop keeps.
    pub data: PathBuf,
    /// Configuration in force.
    pub config: Config,
}

impl Settings {
    /// From the command line, the files it names and the environment.
    pub fn load(cli: &Cli) -> Result<Self> {
        let mut builder = Config::builder(DEFAULT_CONFIGURATION);
        match cli.profile {
            Profile::Dev => builder = builder.profile("dev", DEV),
            Profile::Test => builder = builder.profile("test", TEST),
            Profile::Prod => {}
        }
        if let Some(file) = &cli.config {
            builder = builder.file(file);
        }
        if let Some(url) = &cli.database {
            builder = builder.variables(std::env::vars()).variables(url.variables()?);
        } else {
            builder = builder.variables(std::env::vars());
        }
        let config = builder.build().context("the configuration is not valid")?;
        Ok(Self { data: cli.data.clone(), config })
    }

    /// Section `database`, in the data folder.
    pub(crate) fn database(&self) -> Result<DbConfig> {
        Ok(DbConfig { data: self.data.clone(), ..self.config.section("database")? })
    }

    /// How the process runs; `listen` in place of the configured address, where it is given.
    pub fn app(&self, listen: Option<std::net::SocketAddr>) -> Result<AppConfig> {
        let mut http: HttpServerConfig = self.config.section("http")?;
        http.validate().map_err(told)?;
        if let Some(listen) = listen {
            http.listen = listen;
        }
        // Staff use the name that shoppers use.
        let public: storefront::StorefrontConfig = self.config.section("storefront")?;
        http.staff_hosts.extend(public.public_host());
        let mut bus: BusConfig = self.config.section("bus")?;
        bus.validate().map_err(told)?;
        let mut jobs: JobsConfig = self.config.section("jobs")?;
        let region: RegionConfig = self.config.section("region")?;
        if region.region().is_some() {
            // What a region that died was at must not rest longer than its shards.
            bus.lease = bus.lease.min(region.lease);
            jobs.lease = jobs.lease.min(region.lease);
        }
        Ok(AppConfig { http, bus, jobs, ..AppConfig::default() })
    }
}

#[cfg(test)]
mod tests {
    use serde::Serialize;
    use toml::Table;

    use super::*;

    /// Durations are written in more than one way: `75s` is `1m 15s`.
    fn plain(value: &toml::Value) -> toml::Value {
        match value {
            toml::Value::String(text) => match humantime::parse_duration(text) {
                Ok(duration) => format!("{duration:?}").into(),
                Err(_) => value.clone(),
            },
            toml::Value::Table(table) => {
                toml::Value::Table(table.iter().map(|(key, value)| (key.clone(), plain(value))).collect())
            }
            other => other.clone(),
        }
    }

    /// The documented default of a section is what the code has.
    fn same<T: Serialize + Default>(file: &Table, section: &str) {
        let code = Table::try_from(T::default()).unwrap();
        let documented = file[section].as_table().unwrap();
        for (key, value) in &code {
            // Built-in tables that are documented where they are made.
            let elsewhere = matches!((section, key.as_str()), ("pricing", "markets") | ("client", "targets"));
            if !elsewhere {
                assert_eq!(documented.get(key).map(plain), Some(plain(value)), "{section}.{key}");
            }
        }
        for key in documented.keys() {
            assert!(code.contains_key(key), "{section}.{key} is documented, but the code does not know it");
        }
    }

    #[test]
    fn the_documented_defaults_are_the_codes() {
        let file: Table = DEFAULT_CONFIGURATION.parse().unwrap();
        same::<HttpServerConfig>(&file, "http");
        same::<DbConfig>(&file, "database");
        same::<BusConfig>(&file, "bus");
        same::<platform_cache::RedisConfig>(&file, "redis");
        same::<coordinator::RegionConfig>(&file, "region");
        same::<edge::EdgeConfig>(&file, "edge");
        same::<platform_runtime::JobsConfig>(&file, "jobs");
        same::<platform_runtime::TelemetryConfig>(&file, "telemetry");
        same::<platform_client::ClientConfig>(&file, "client");
        same::<account::AccountConfig>(&file, "account");
        same::<catalog::CatalogConfig>(&file, "catalog");
        same::<pricing::PricingConfig>(&file, "pricing");
        same::<inventory::InventoryConfig>(&file, "inventory");
        same::<cart::CartConfig>(&file, "cart");
        same::<order::OrderConfig>(&file, "order");
        same::<payment::PaymentConfig>(&file, "payment");
        same::<search::SearchConfig>(&file, "search");
        same::<import::ImportConfig>(&file, "import");
        same::<storefront::StorefrontConfig>(&file, "storefront");
    }

    #[test]
    fn a_server_that_could_answer_nothing_is_not_begun() {
        let config = Config::builder(DEFAULT_CONFIGURATION).profile("it", "[http]\nmax_in_flight = 0\n");
        let settings = Settings { data: PathBuf::new(), config: config.build().unwrap() };
        let error = settings.app(None).err().unwrap().to_string();
        assert!(error.contains("http.max_in_flight"), "{error}");
    }

    #[test]
    fn the_profiles_change_only_what_exists() {
        for profile in [DEV, TEST] {
            Config::builder(DEFAULT_CONFIGURATION).profile("it", profile).build().unwrap();
        }
    }
}
