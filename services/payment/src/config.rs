//! Section `payment` of the configuration.

use std::{net::SocketAddr, time::Duration};

use kernel::{Failure, Result};
use serde::{Deserialize, Serialize};

/// Section `payment`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PaymentConfig {
    /// Where shoppers reach the shop, such as `https://shop.example`: pay pages and callbacks are below it. Without it the
    /// address the process listens on is taken.
    pub public_url: Option<String>,
    /// How long a provider may take to answer.
    #[serde(with = "humantime_serde")]
    pub provider_timeout: Duration,
    /// A pending attempt is asked after at the provider this long after it was opened, then after twice as long, …
    #[serde(with = "humantime_serde")]
    pub sync_after: Duration,
    /// … until it is asked after this often.
    #[serde(with = "humantime_serde")]
    pub sync_longest: Duration,
    /// A refund the provider did not take is tried again after this long, then after twice as long, …
    #[serde(with = "humantime_serde")]
    pub refund_after: Duration,
    /// … until it is tried this often.
    #[serde(with = "humantime_serde")]
    pub refund_longest: Duration,
    /// How often attempts that are due are looked for (job `payment.sync`).
    #[serde(with = "humantime_serde")]
    pub sync_every: Duration,
    /// How often payments whose time is over are looked for (job `payment.expire`).
    #[serde(with = "humantime_serde")]
    pub expire_every: Duration,
    /// How often refunds that are due are looked for (job `payment.refunds`).
    #[serde(with = "humantime_serde")]
    pub refund_every: Duration,
    /// The channel `sandbox` and its provider.
    pub sandbox: SandboxConfig,
}

impl Default for PaymentConfig {
    fn default() -> Self {
        Self {
            public_url: None,
            provider_timeout: Duration::from_secs(5),
            sync_after: Duration::from_secs(5),
            sync_longest: Duration::from_secs(60),
            refund_after: Duration::from_secs(2),
            refund_longest: Duration::from_secs(300),
            sync_every: Duration::from_secs(2),
            expire_every: Duration::from_secs(5),
            refund_every: Duration::from_secs(2),
            sandbox: SandboxConfig::default(),
        }
    }
}

/// The channel `sandbox` and its provider.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SandboxConfig {
    /// Whether there is such a channel. Switch it off where real money moves.
    pub enabled: bool,
    /// Where its provider listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where its provider is, such as `http://127.0.0.1:8099`, when it runs in another process.
    pub url: Option<String>,
    /// Where the provider calls back; `<public url>/api/v1/payments/callbacks/sandbox` unless given.
    pub callback_url: Option<String>,
    /// How long after the shopper paid the provider calls back.
    #[serde(with = "humantime_serde")]
    pub callback_delay: Duration,
    /// How long after the payment expired a `late` callback comes.
    #[serde(with = "humantime_serde")]
    pub late_by: Duration,
    /// A callback that got another answer than the one wanted is repeated after this long, then after twice as long, …
    #[serde(with = "humantime_serde")]
    pub callback_again: Duration,
    /// … up to this many times.
    pub callback_tries: u32,
    /// How often the provider looks for callbacks that are due.
    #[serde(with = "humantime_serde")]
    pub poll: Duration,
}

impl Default for SandboxConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            url: None,
            callback_url: None,
            callback_delay: Duration::ZERO,
            late_by: Duration::from_secs(1),
            callback_again: Duration::from_secs(1),
            callback_tries: 12,
            poll: Duration::from_millis(250),
        }
    }
}

impl PaymentConfig {
    /// Refuses values that cannot work, naming the setting.
    pub fn validate(&self) -> Result<()> {
        let wrong = |field: &str, text: &str| Err(Failure::invalid(format!("payment.{field}"), text));
        for (field, url) in [
            ("public_url", &self.public_url),
            ("sandbox.url", &self.sandbox.url),
            ("sandbox.callback_url", &self.sandbox.callback_url),
        ] {
            if url.as_ref().is_some_and(|url| !url.starts_with("http://") && !url.starts_with("https://")) {
                return wrong(field, "must start with http:// or https://");
            }
        }
        for (field, every) in [
            ("provider_timeout", self.provider_timeout),
            ("sync_after", self.sync_after),
            ("sync_longest", self.sync_longest),
            ("refund_after", self.refund_after),
            ("refund_longest", self.refund_longest),
            ("sync_every", self.sync_every),
            ("expire_every", self.expire_every),
            ("refund_every", self.refund_every),
            ("sandbox.callback_again", self.sandbox.callback_again),
            ("sandbox.poll", self.sandbox.poll),
        ] {
            if every < Duration::from_millis(1) {
                return wrong(field, "must be at least a millisecond");
            }
        }
        if !(1..=100).contains(&self.sandbox.callback_tries) {
            return wrong("sandbox.callback_tries", "must lie between 1 and 100");
        }
        Ok(())
    }
}
