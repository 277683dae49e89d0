//! Channels: how money is asked for and given back, one provider each.

pub(crate) mod sandbox;
pub(crate) mod signature;
pub(crate) mod wire;

use std::{collections::BTreeMap, error::Error, sync::Arc};

use async_trait::async_trait;
use contracts::payment::{CallbackAnswer, ProviderCallback, code};
use kernel::{Clock, Failure, Money, Result, Timestamp};
use platform_runtime::SecretKey;
use serde::Serialize;

use crate::{config::PaymentConfig, model::Fact, places::Places};
use sandbox::Sandbox;

/// A charge to be opened with a provider.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct NewCharge {
    /// Our number, under which the provider opens one charge however often it is asked.
    pub(crate) reference: String,
    /// For the provider's page.
    pub(crate) description: String,
    /// How much.
    pub(crate) amount: Money,
    /// Until when it can be paid.
    pub(crate) expires_at: Timestamp,
}

/// What a provider says of a charge.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    /// Our number.
    pub(crate) reference: String,
    /// The provider's number.
    pub(crate) provider_number: Option<String>,
    /// What happened.
    pub(crate) fact: Fact,
    /// Its words, for the log.
    pub(crate) words: String,
}

/// Money to be given back.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct NewRefund {
    /// Under which the provider refunds once, however often it is asked.
    pub(crate) key: String,
    /// Our number of the charge.
    pub(crate) reference: String,
    /// How much.
    pub(crate) amount: Money,
    /// Why.
    pub(crate) reason: String,
}

/// Why a provider did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChannelError {
    /// It does not answer, or not now: ask again.
    #[error("the provider does not answer")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// It will not: asking again does not help.
    #[error("the provider refuses: {0}")]
    Refused(String),
}

impl ChannelError {
    /// It does not answer, for this reason.
    pub(crate) fn unavailable(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Unavailable(cause.into())
    }
}

impl From<ChannelError> for Failure {
    fn from(error: ChannelError) -> Self {
        match error {
            ChannelError::Unavailable(_) => Self::new(code::PROVIDER).retry_after(2).because(error),
            ChannelError::Refused(ref reason) => {
                let detail = format!("the payment provider refuses: {reason}");
                Self::new(code::STATE).detail(detail).because(error)
            }
        }
    }
}

/// A payment provider. Every call may be repeated: the provider knows our numbers.
#[async_trait]
pub(crate) trait Channel: Send + Sync {
    /// Opens a charge.
    async fn create(&self, charge: &NewCharge) -> Result<Report, ChannelError>;
    /// What became of the charge; `None` when the provider has never heard of it.
    async fn query(&self, reference: &str) -> Result<Option<Report>, ChannelError>;
    /// Closes the charge unless it was paid; the report says which. `None` when the provider has never heard of it.
    async fn cancel(&self, reference: &str) -> Result<Option<Report>, ChannelError>;
    /// Gives money back; the provider's number of it.
    async fn refund(&self, refund: &NewRefund) -> Result<String, ChannelError>;
    /// Checks a callback's signature and age and reads it; `None` when it tells nothing that matters here.
    fn read(&self, callback: &ProviderCallback, now: Timestamp) -> Result<Option<Report>>;
    /// The reply the provider wants.
    fn received(&self) -> CallbackAnswer;
}

/// The channels of an installation, by name.
#[derive(Clone)]
pub struct Channels {
    by_name: BTreeMap<&'static str, Arc<dyn Channel>>,
    sandbox: Option<Arc<Sandbox>>,
}

impl Channels {
    /// The channels that are switched on. `secret` signs what goes between the sandbox and its provider.
    pub fn new(
        config: &PaymentConfig,
        places: &Places,
        clock: Arc<dyn Clock>,
        secret: &SecretKey,
    ) -> Result<Self> {
        let mut by_name: BTreeMap<&'static str, Arc<dyn Channel>> = BTreeMap::new();
        let mut sandbox = None;
        if config.sandbox.enabled {
            let channel = Arc::new(Sandbox::new(places.clone(), clock, secret, config.provider_timeout)?);
            by_name.insert(sandbox::NAME, Arc::clone(&channel) as Arc<dyn Channel>);
            sandbox = Some(channel);
        }
        Ok(Self { by_name, sandbox })
    }

    /// The channel of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&Arc<dyn Channel>> {
        self.by_name.get(name)
    }

    /// The sandbox, where it is switched on.
    pub(crate) fn sandbox(&self) -> Option<&Arc<Sandbox>> {
        self.sandbox.as_ref()
    }
}

impl std::fmt::Debug for Channels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.by_name.keys()).finish()
    }
}
