//! Where a shop's rows are.

use std::path::Path;

use platform_db::{DbConfig, testing};

use crate::Parts;

/// A shop's database.
pub(crate) struct Database {
    /// For reading it beside the shop.
    pub(crate) url: String,
    /// For opening it beside the shop.
    pub(crate) config: DbConfig,
    /// What the shop's processes are told.
    pub(crate) environment: Vec<(String, String)>,
}

impl Database {
    /// SQLite in the data folder; a database on TiDB, where there is one to run on, for as long as `folder` is there.
    pub(crate) fn of_shop(parts: &Parts, folder: &Path, data: &Path) -> Self {
        let lent = parts.tidb.as_deref().and_then(|address| testing::tidb_at(address, folder));
        let Some(config) = lent else {
            let url = format!("sqlite://{}?mode=ro", data.join("meridian.db").display());
            return Self { url, config: DbConfig::at(data), environment: Vec::new() };
        };
        let lent = &config.tidb;
        let told = |key: &str, value: &str| (format!("MERIDIAN__DATABASE__{key}"), value.to_owned());
        Self {
            url: format!("mysql://root@{}:{}/{}?ssl-mode=DISABLED", lent.host, lent.port, lent.database),
            environment: vec![
                told("ENGINE", "tidb"),
                told("TIDB__HOST", &lent.host),
                told("TIDB__PORT", &lent.port.to_string()),
                told("TIDB__DATABASE", &lent.database),
            ],
            config,
        }
    }
}
