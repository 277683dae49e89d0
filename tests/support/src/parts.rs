//! The servers a shop runs on.

/// The servers a shop runs on instead of the embedded parts.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// A Pulsar: `pulsar://host:port`, and `http://host:port` of its admin interface.
    pub pulsar: Option<(String, String)>,
    /// A Redis, `host:port`.
    pub redis: Option<String>,
    /// A TiDB, `host:port`: root without a password.
    pub tidb: Option<String>,
}

impl Parts {
    /// Those that `cargo xtask test --real` names by `MERIDIAN_TEST_…`; none otherwise.
    pub fn named() -> Self {
        let named = |part: &str| std::env::var(format!("MERIDIAN_TEST_{part}")).ok();
        Self {
            pulsar: named("PULSAR").zip(named("PULSAR_ADMIN")),
            redis: named("REDIS"),
            tidb: named("TIDB"),
        }
    }
}
