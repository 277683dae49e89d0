//! What a process is told: folder, configuration, profile.

use std::path::PathBuf;

use anyhow::{Context, Result};
use platform_db::DbConfig;
use platform_http::HttpServerConfig;
use platform_runtime::{AppConfig, Config};

use crate::{DEFAULT_CONFIGURATION, cli::{Cli, Profile}};

const DEV: &str = include_str!("../config/dev.toml");
const TEST: &str = include_str!("../config/test.toml");

/// What a process is told.
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
        let config = builder.variables(std::env::vars()).build().context("the configuration is not valid")?;
        Ok(Self { data: cli.data.clone(), config })
    }

    /// Section `database`, in the data folder.
    pub(crate) fn database(&self) -> Result<DbConfig> {
        Ok(DbConfig { data: self.data.clone(), ..self.config.section("database")? })
    }

    /// How the process runs.
    pub(crate) fn app(&self, listen: Option<std::net::SocketAddr>) -> Result<AppConfig> {
        let mut http: HttpServerConfig = self.config.section("http")?;
        if let Some(listen) = listen {
            http.listen = listen;
        }
        Ok(AppConfig {
            http,
            bus: self.config.section("bus")?,
            jobs: self.config.section("jobs")?,
            ..AppConfig::default()
        })
    }
}
