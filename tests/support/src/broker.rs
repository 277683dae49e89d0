//! Where a shop's events travel.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::{Client, Parts};

const TENANT: &str = "meridian-test";
/// How long a broker may take to give a namespace up.
const CLEAR: Duration = Duration::from_secs(120);
/// Domains with a topic. One partition each is enough for a shop of a test; orders have two, since a topic that is cut is
/// another thing to the client.
const DOMAINS: [(&str, u8); 9] = [
    ("ACCOUNT", 1),
    ("CART", 1),
    ("CATALOG", 1),
    ("IMPORT", 1),
    ("INVENTORY", 1),
    ("ORDER", 2),
    ("PAYMENT", 1),
    ("PRICING", 1),
    ("SEARCH", 1),
];

/// A shop's own namespaces at the broker.
pub(crate) struct Broker {
    admin: Client,
    namespaces: [String; 2],
    /// What the shop's processes are told.
    pub(crate) environment: Vec<(String, String)>,
}

impl Broker {
    /// Namespaces that nobody else uses at the broker, where there is one.
    pub(crate) fn of(parts: &Parts) -> Option<Self> {
        let (url, admin) = parts.pulsar.as_ref()?;
        let own = rand::random::<u64>();
        let namespaces = [format!("regional-{own:016x}"), format!("global-{own:016x}")];
        let told = |key: &str, value: &str| (format!("MERIDIAN__BUS__{key}"), value.to_owned());
        let mut environment = vec![
            told("ENGINE", "pulsar"),
            told("PULSAR__URL", url),
            told("PULSAR__ADMIN_URL", admin),
            told("PULSAR__TENANT", TENANT),
            told("PULSAR__NAMESPACE", &namespaces[0]),
            told("PULSAR__GLOBAL_NAMESPACE", &namespaces[1]),
        ];
        for (domain, partitions) in DOMAINS {
            environment.push(told(&format!("PULSAR__TOPICS__{domain}"), &partitions.to_string()));
        }
        Some(Self { admin: Client::new(admin), namespaces, environment })
    }

    /// Message batches that some subscription has still to acknowledge.
    pub(crate) async fn backlog(&self) -> Result<i64> {
        let mut backlog = 0;
        for namespace in &self.namespaces {
            let topics = self.get(&format!("persistent/{TENANT}/{namespace}/partitioned")).await?;
            for topic in topics.as_array().context("topics are a list")? {
                let topic = topic.as_str().and_then(|name| name.strip_prefix("persistent://"));
                let topic = topic.context("a topic has a name")?;
                let stats =
                    self.get(&format!("persistent/{topic}/partitioned-stats?getPreciseBacklog=true")).await?;
                let subscriptions = stats["subscriptions"].as_object().context("statistics of a topic")?;
                for subscription in subscriptions.values() {
                    backlog += subscription["msgBacklog"].as_i64().context("a subscription has a backlog")?;
                }
            }
        }
        Ok(backlog)
    }

    /// Takes the namespaces away: what a broker has to look after grows with every shop. One that is busy, or has not seen yet
    /// that the shop is gone, is asked again.
    pub(crate) async fn clear(&self) -> Result<()> {
        for namespace in &self.namespaces {
            let path = format!("/admin/v2/namespaces/{TENANT}/{namespace}?force=true");
            let start = Instant::now();
            loop {
                let answer = self.admin.delete(&path).await;
                if answer.as_ref().is_ok_and(|answer| matches!(answer.status, 204 | 404)) {
                    break;
                }
                if start.elapsed() > CLEAR {
                    bail!("{path}: {answer:?}");
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        Ok(())
    }

    async fn get(&self, path: &str) -> Result<Value> {
        self.admin.get(&format!("/admin/v2/{path}")).await?.expect(200)
    }
}
