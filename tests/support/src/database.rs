//! Where a shop's rows are.

use std::path::Path;

/// The variable that names a TiDB, `host:port`, on which shops run instead of SQLite: root without a password.
const TIDB: &str = "MERIDIAN_TEST_TIDB";

/// A shop's database.
pub(crate) struct Database {
    /// For reading it beside the shop.
    pub(crate) url: String,
    /// What the shop's processes are told.
    pub(crate) environment: Vec<(String, String)>,
}

impl Database {
    /// SQLite under `data`; a fresh database on TiDB where there is one to test with.
    pub(crate) fn for_data(data: &Path) -> Self {
        #[expect(clippy::disallowed_methods, reason = "tests have no configuration to read it from")]
        let address = std::env::var(TIDB).ok();
        let Some((host, port)) = address.as_deref().and_then(|address| address.rsplit_once(':')) else {
            let url = format!("sqlite://{}?mode=ro", data.join("meridian.db").display());
            return Self { url, environment: Vec::new() };
        };
        let name = format!("shop_{:016x}", rand::random::<u64>());
        let told = |key: &str, value: &str| (format!("MERIDIAN__DATABASE__{key}"), value.to_owned());
        Self {
            url: format!("mysql://root@{host}:{port}/{name}?ssl-mode=DISABLED"),
            environment: vec![
                told("ENGINE", "tidb"),
                told("TIDB__HOST", host),
                told("TIDB__PORT", port),
                told("TIDB__DATABASE", &name),
            ],
        }
    }
}
