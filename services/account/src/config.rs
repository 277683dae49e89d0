//! Section `account` of the configuration.

use std::{collections::BTreeMap, time::Duration};

use kernel::{Failure, Result};
use serde::{Deserialize, Serialize};

/// Section `account`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AccountConfig {
    /// How long an access token lives; its session may end sooner.
    #[serde(with = "humantime_serde")]
    pub access_token_ttl: Duration,
    /// How long a session lives after its last refresh.
    #[serde(with = "humantime_serde")]
    pub session_ttl: Duration,
    /// For how long a refresh token that was just used is answered with the same successor: a retry is no theft.
    #[serde(with = "humantime_serde")]
    pub refresh_grace: Duration,
    /// For how long a process believes that a session is open without asking the database, while it does not hear of
    /// those that others end.
    #[serde(with = "humantime_serde")]
    pub session_cache: Duration,
    /// Sessions one user has open; one more log-in ends the oldest.
    pub max_sessions: u32,
    /// Addresses in one book.
    pub max_addresses: u32,
    /// How long a line of the audit log is kept.
    #[serde(with = "humantime_serde")]
    pub audit_kept: Duration,
    /// Ended sessions, forgotten failures and old lines of the audit log are removed this often (job `account.sweep`).
    #[serde(with = "humantime_serde")]
    pub sweep_every: Duration,
    /// Under whose law a new account's data is kept, by the country that is given (ISO 3166-1 alpha-2, in any case): it gets a
    /// shard of that jurisdiction in the map of regions. Countries that are not named: `any`. Without regions it means nothing.
    pub jurisdictions: BTreeMap<String, String>,
    /// How passwords are hashed.
    pub password: PasswordConfig,
    /// When log-in is refused.
    pub lockout: LockoutConfig,
}

impl Default for AccountConfig {
    fn default() -> Self {
        Self {
            access_token_ttl: Duration::from_secs(15 * 60),
            session_ttl: Duration::from_secs(30 * 24 * 3600),
            refresh_grace: Duration::from_secs(30),
            session_cache: Duration::from_secs(5),
            max_sessions: 100,
            max_addresses: 50,
            audit_kept: Duration::from_secs(2 * 365 * 24 * 3600),
            sweep_every: Duration::from_secs(3600),
            jurisdictions: BTreeMap::new(),
            password: PasswordConfig::default(),
            lockout: LockoutConfig::default(),
        }
    }
}

/// How passwords are hashed: argon2id. The defaults are OWASP's minimum (Password Storage Cheat Sheet).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PasswordConfig {
    /// Memory of one hash, KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
    /// Hashes computed at once in this process; more wait.
    pub at_once: usize,
    /// Hashes that may wait; beyond, callers get `server.unavailable`.
    pub waiting: usize,
}

impl Default for PasswordConfig {
    fn default() -> Self {
        Self { memory_kib: 19_456, passes: 2, lanes: 1, at_once: 4, waiting: 512 }
    }
}

/// When log-in is refused. Counted per e-mail, whether or not an account has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LockoutConfig {
    /// Failures that lock.
    pub failures: u32,
    /// Within which time, from the first of them.
    #[serde(with = "humantime_serde")]
    pub window: Duration,
    /// For how long.
    #[serde(with = "humantime_serde")]
    pub duration: Duration,
}

impl Default for LockoutConfig {
    fn default() -> Self {
        Self { failures: 10, window: Duration::from_secs(15 * 60), duration: Duration::from_secs(15 * 60) }
    }
}

impl AccountConfig {
    /// Under whose law data of this country is kept, where the configuration says so.
    pub(crate) fn jurisdiction(&self, country: &str) -> Option<&str> {
        let named = self.jurisdictions.iter().find(|(name, _)| name.eq_ignore_ascii_case(country));
        named.map(|(_, jurisdiction)| jurisdiction.as_str())
    }

    /// Refuses values that cannot work, naming the setting.
    pub fn validate(&self) -> Result<()> {
        let wrong = |field: &str, text: &str| Err(Failure::invalid(format!("account.{field}"), text));
        if self.access_token_ttl < Duration::from_secs(1)
            || self.access_token_ttl > Duration::from_secs(24 * 3600)
        {
            return wrong("access_token_ttl", "must lie between a second and a day");
        }
        if self.session_ttl < Duration::from_secs(60) {
            return wrong("session_ttl", "must be at least a minute");
        }
        if !(1..=1_000).contains(&self.max_addresses) {
            return wrong("max_addresses", "must lie between 1 and 1000");
        }
        if !(1..=1_000).contains(&self.max_sessions) {
            return wrong("max_sessions", "must lie between 1 and 1000");
        }
        if self.audit_kept < Duration::from_secs(24 * 3600) {
            return wrong("audit_kept", "must be at least a day");
        }
        if !(1..=1_000).contains(&self.password.at_once) {
            return wrong("password.at_once", "must lie between 1 and 1000");
        }
        if !(1..=1_000).contains(&self.lockout.failures) {
            return wrong("lockout.failures", "must lie between 1 and 1000");
        }
        let country = |name: &str| name.len() == 2 && name.bytes().all(|byte| byte.is_ascii_alphabetic());
        if self.jurisdictions.iter().any(|(name, law)| !country(name) || law.is_empty()) {
            return wrong("jurisdictions", "must name a jurisdiction for codes of countries such as DE");
        }
        if self.sweep_every < Duration::from_millis(1) {
            return wrong("sweep_every", "must be above zero");
        }
        Ok(())
    }
}
