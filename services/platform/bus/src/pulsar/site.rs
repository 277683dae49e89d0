//! What all loops of the bus share.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kernel::{Failure, Result};
use platform_db::Db;
use platform_regions::Regions;
use pulsar::{Authentication, ConnectionRetryOptions, OperationRetryOptions, Pulsar, TokioExecutor};
use secrecy::ExposeSecret;
use tokio::{sync::Mutex as AsyncMutex, time::Instant};

use super::{admin::Admin, setup, topics::domain, trust::Trust};
use crate::{BusConfig, Consumer, watch::Sight};

/// Messages that may wait for the connection.
const OUTBOUND: usize = 2_000;

/// The database, the configuration and the broker.
pub(crate) struct Site {
    pub(crate) db: Db,
    pub(crate) config: Arc<BusConfig>,
    pub(crate) sight: Arc<Sight>,
    pub(crate) regions: Regions,
    pub(crate) admin: Admin,
    pub(crate) trust: Trust,
    pub(crate) troubles: Troubles,
    client: AsyncMutex<Option<(Instant, Pulsar<TokioExecutor>)>>,
    ready: AsyncMutex<BTreeSet<String>>,
}

impl Site {
    pub(crate) fn new(db: Db, config: BusConfig, regions: Regions) -> Result<Self> {
        let trust = Trust::new(&config.pulsar)?;
        let admin = Admin::new(&config.pulsar, &trust)?;
        Ok(Self {
            sight: Arc::new(Sight::new(db.shards())),
            db,
            config: Arc::new(config),
            regions,
            admin,
            trust,
            troubles: Troubles::default(),
            client: AsyncMutex::default(),
            ready: AsyncMutex::default(),
        })
    }

    /// The client that this process shares, connected.
    pub(crate) async fn client(&self) -> Result<Pulsar<TokioExecutor>> {
        let mut shared = self.client.lock().await;
        if let Some((_, client)) = &*shared {
            return Ok(client.clone());
        }
        let client = connect(&self.config, &self.trust).await?;
        *shared = Some((Instant::now(), client.clone()));
        Ok(client)
    }

    /// Lets the next one who asks connect anew, and look again whether the topics are there: the broker that comes back may
    /// have lost them. All loops meet a broker's loss at about the same time: a client that is younger than that was made
    /// after it.
    pub(crate) async fn forget_client(&self) {
        const AT_ONCE: Duration = Duration::from_secs(1);
        let mut shared = self.client.lock().await;
        if shared.as_ref().is_some_and(|(made, _)| made.elapsed() > AT_ONCE) {
            shared.take();
        }
        drop(shared);
        self.ready.lock().await.clear();
    }

    /// Makes sure, once a connection, that a domain's topic is there. Creates what is missing; what is there and different is
    /// left to `meridian bus setup`, and refused when publishing to it would not be safe.
    pub(crate) async fn prepare(&self, domain: &str) -> Result<()> {
        let mut ready = self.ready.lock().await;
        if !ready.contains(domain) {
            setup::prepare(&self.admin, &self.config.pulsar, domain).await?;
            ready.insert(domain.to_owned());
        }
        Ok(())
    }

    /// The domains whose events a consumer takes.
    pub(crate) fn domains(consumer: &dyn Consumer) -> BTreeSet<&'static str> {
        consumer.topics().iter().map(|topic| domain(topic)).collect()
    }

    /// Message batches that a consumer's subscription has still to acknowledge; None while it does not exist everywhere.
    pub(crate) async fn backlog(&self, consumer: &dyn Consumer) -> Result<Option<u64>> {
        let mut all = 0;
        for domain in Self::domains(consumer) {
            let topic = self.config.pulsar.topic_of(domain);
            match self.admin.backlog(&topic, consumer.subscription()).await? {
                Some(backlog) => all += backlog,
                None => return Ok(None),
            }
        }
        Ok(Some(all))
    }

    /// How long to wait before the broker is tried again.
    pub(crate) fn pause(&self, failures: u32) -> Duration {
        const FIRST: Duration = Duration::from_millis(100);
        let pause = FIRST.saturating_mul(1 << failures.min(16)).min(self.config.pulsar.reconnect);
        pause.mul_f64(rand::random_range(0.5..1.0))
    }
}

async fn connect(config: &BusConfig, trust: &Trust) -> Result<Pulsar<TokioExecutor>> {
    let timeout = config.pulsar.timeout;
    let mut builder = Pulsar::builder(config.pulsar.url.as_str(), TokioExecutor)
        // Who asks tries again and tells why; the client itself would keep silent for minutes.
        .with_connection_retry_options(ConnectionRetryOptions {
            min_backoff: Duration::from_millis(50),
            max_backoff: Duration::from_millis(500),
            max_retries: 2,
            connection_timeout: timeout,
            ..ConnectionRetryOptions::default()
        })
        .with_operation_retry_options(OperationRetryOptions {
            operation_timeout: timeout,
            retry_delay: Duration::from_millis(500),
            max_retries: Some(3),
        })
        .with_outbound_channel_size(OUTBOUND);
    builder = trust.of_library(builder);
    if !config.pulsar.token.expose_secret().is_empty() {
        builder = builder.with_auth(Authentication {
            name: "token".to_owned(),
            data: config.pulsar.token.expose_secret().as_bytes().to_vec(),
        });
    }
    within(timeout, builder.build()).await
}

/// A broker's answer within its time; what the broker says about itself is for the log.
pub(crate) async fn within<T>(
    timeout: Duration,
    answer: impl Future<Output = Result<T, pulsar::Error>>,
) -> Result<T> {
    match tokio::time::timeout(timeout, answer).await {
        Ok(answer) => answer.map_err(|error| away(error.to_string())),
        Err(_) => Err(away(format!("no answer within {timeout:?}"))),
    }
}

/// The broker cannot be worked with at the moment.
pub(crate) fn away(cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Failure {
    Failure::new(kernel::code::UNAVAILABLE).detail("the broker does not answer").because(cause)
}

/// What is wrong at the moment, by the loop that met it.
#[derive(Debug, Default)]
pub(crate) struct Troubles(Mutex<BTreeMap<&'static str, String>>);

impl Troubles {
    pub(crate) fn set(&self, who: &'static str, what: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(who, what);
    }

    pub(crate) fn clear(&self, who: &'static str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(who);
    }

    /// All of it in one line.
    pub(crate) fn told(&self) -> Option<String> {
        let troubles = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<String> = troubles.iter().map(|(who, what)| format!("{who}: {what}")).collect();
        (!lines.is_empty()).then(|| lines.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use kernel::SystemClock;
    use platform_db::testing;

    use super::*;

    #[tokio::test]
    async fn a_broker_that_was_lost_is_looked_at_again() {
        let folder = tempfile::tempdir().unwrap();
        let db = Db::open(&testing::sqlite(folder.path()), Arc::new(SystemClock)).await.unwrap();
        let site = Site::new(db, BusConfig::default(), Regions::single()).unwrap();
        site.ready.lock().await.insert("order".to_owned());
        site.prepare("order").await.unwrap();
        site.forget_client().await;
        assert!(site.ready.lock().await.is_empty(), "its topics may be gone");
    }
}
