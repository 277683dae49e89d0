//! The broker's admin REST API (<https://pulsar.apache.org/admin-rest-api>), as far as we use it.

use kernel::{Failure, Result};
use reqwest::{Client, Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use super::{site::away, trust::Trust};
use crate::PulsarConfig;

/// Longest part of an answer that is told in an error.
const TOLD: usize = 300;

/// The admin API of one cluster.
pub(crate) struct Admin {
    base: String,
    token: SecretString,
    client: Client,
}

impl Admin {
    pub(crate) fn new(config: &PulsarConfig, trust: &Trust) -> Result<Self> {
        // One TLS provider for everything in the process; whoever was first is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = trust.of_admin(Client::builder().timeout(config.timeout))?;
        let client = client.build().map_err(Failure::internal)?;
        let base = config.admin_url.trim_end_matches('/').to_owned();
        Ok(Self { base, token: config.token.clone(), client })
    }

    /// What is at `path`; None when nothing is.
    pub(crate) async fn get(&self, path: &str) -> Result<Option<Value>> {
        let (status, text) = self.ask(Method::GET, path, None).await?;
        match status {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => {
                if text.is_empty() {
                    return Ok(Some(Value::Null));
                }
                serde_json::from_str(&text).map(Some).map_err(Failure::internal)
            }
            status => Err(refused(&Method::GET, path, status, &text)),
        }
    }

    /// Creates; false when it is there already.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> Result<bool> {
        let (status, text) = self.ask(Method::PUT, path, Some(body)).await?;
        match status {
            StatusCode::CONFLICT => Ok(false),
            status if status.is_success() => Ok(true),
            status => Err(refused(&Method::PUT, path, status, &text)),
        }
    }

    /// Changes.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Result<()> {
        let (status, text) = self.ask(Method::POST, path, Some(body)).await?;
        if status.is_success() { Ok(()) } else { Err(refused(&Method::POST, path, status, &text)) }
    }

    /// Removes; false when nothing is there. A conflict where the broker keeps it: somebody is connected.
    pub(crate) async fn delete(&self, path: &str) -> Result<bool> {
        let (status, text) = self.ask(Method::DELETE, path, None).await?;
        match status {
            StatusCode::NOT_FOUND => Ok(false),
            StatusCode::PRECONDITION_FAILED => Err(Failure::new(kernel::code::CONFLICT)
                .detail("the broker keeps it: somebody is connected")
                .because(told(&text))),
            status if status.is_success() => Ok(true),
            status => Err(refused(&Method::DELETE, path, status, &text)),
        }
    }

    /// Message batches that a subscription of a topic has still to acknowledge, all partitions; None when a partition has no
    /// such subscription yet.
    pub(crate) async fn backlog(&self, topic: &str, subscription: &str) -> Result<Option<u64>> {
        let path = format!("persistent/{topic}/partitioned-stats?perPartition=true&getPreciseBacklog=true");
        let Some(stats) = self.get(&path).await? else { return Ok(None) };
        let Some(partitions) = stats["partitions"].as_object() else { return Ok(None) };
        let wanted = stats["metadata"]["partitions"].as_u64().unwrap_or(0);
        let mut all = 0;
        for partition in partitions.values() {
            match partition["subscriptions"][subscription]["msgBacklog"].as_u64() {
                Some(backlog) => all += backlog,
                None => return Ok(None),
            }
        }
        let complete = u64::try_from(partitions.len()).is_ok_and(|found| found >= wanted.max(1));
        Ok(complete.then_some(all))
    }

    /// Between which positions of a partition, given by its full name, lies what a subscription was sent and has not
    /// acknowledged: behind the first and before the second. None where there is no such subscription.
    pub(crate) async fn outstanding(
        &self,
        partition: &str,
        subscription: &str,
    ) -> Result<Option<(Position, Position)>> {
        let path = format!("{}/internalStats", partition.replacen("://", "/", 1));
        let Some(stats) = self.get(&path).await? else { return Ok(None) };
        Ok(between(&stats, subscription))
    }

    async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Result<(StatusCode, String)> {
        let mut request = self.client.request(method, format!("{}/admin/v2/{path}", self.base));
        if !self.token.expose_secret().is_empty() {
            request = request.bearer_auth(self.token.expose_secret());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let answer = request.send().await.map_err(away)?;
        let status = answer.status();
        Ok((status, answer.text().await.map_err(away)?))
    }
}

/// A ledger and an entry of it; -1 is before the first.
pub(crate) type Position = (i64, i64);

fn between(stats: &Value, subscription: &str) -> Option<(Position, Position)> {
    let cursors = stats["cursors"].as_object()?;
    // Cursors are called as in a URL, subscriptions of regions `name@region`.
    let cursor = cursors.get(subscription).or_else(|| cursors.get(&subscription.replace('@', "%40")))?;
    let position = |field: &str| {
        let (ledger, entry) = cursor[field].as_str()?.split_once(':')?;
        Some((ledger.parse().ok()?, entry.parse().ok()?))
    };
    Some((position("markDeletePosition")?, position("readPosition")?))
}

fn refused(method: &Method, path: &str, status: StatusCode, text: &str) -> Failure {
    Failure::new(kernel::code::UNAVAILABLE)
        .detail(format!("the broker's admin API answers {} to {method} {path}", status.as_u16()))
        .because(told(text))
}

fn told(text: &str) -> String {
    text.chars().take(TOLD).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_subscription_is_found_by_its_name_or_as_in_a_url() {
        let cursor = |from: &str, to: &str| json!({ "markDeletePosition": from, "readPosition": to });
        let stats =
            json!({ "cursors": { "one": cursor("12:-1", "12:5"), "two%40eu": cursor("3:4", "7:0") } });
        assert_eq!(between(&stats, "one"), Some(((12, -1), (12, 5))));
        assert_eq!(between(&stats, "two@eu"), Some(((3, 4), (7, 0))));
        assert_eq!(between(&stats, "three"), None);
        assert_eq!(between(&json!({}), "one"), None);
        assert_eq!(between(&json!({ "cursors": { "one": cursor("12", "12:5") } }), "one"), None);
    }
}
