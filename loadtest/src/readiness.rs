//! What readiness says.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::Value;
use support::Client;

/// How long a shop may take to notice something, and to get over it.
pub(crate) const RECOVERY: Duration = Duration::from_secs(60);

/// What is wrong.
pub(crate) struct Told {
    /// Whether requests are served nevertheless.
    pub(crate) serves: bool,
    /// In readiness' own words; empty when nothing is wrong.
    pub(crate) reason: String,
}

/// Waits until readiness at `entrance` finds fault with this probe, and returns the reason; without a probe, until it is
/// ready and nothing is wrong.
pub(crate) async fn says(entrance: &str, probe: Option<&str>) -> Result<Told> {
    let client = Client::new(entrance);
    let begin = Instant::now();
    let mut last = Value::Null;
    while begin.elapsed() < RECOVERY {
        if let Ok(answer) = client.get("/readyz").await {
            last = answer.json()?;
            if let Some(reason) = told(&last, probe) {
                return Ok(Told { serves: answer.status == 200, reason });
            }
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    bail!("readiness of {entrance} does not tell {probe:?}: {last}")
}

fn told(readiness: &Value, probe: Option<&str>) -> Option<String> {
    let mut wrong = readiness["probes"].as_array().into_iter().flatten().filter(|probe| probe["ok"] == false);
    match probe {
        None => (readiness["status"] == "ready" && wrong.next().is_none()).then(String::new),
        Some(name) => wrong
            .find(|probe| probe["name"] == name)
            .map(|probe| probe["reason"].as_str().unwrap_or_default().to_owned()),
    }
}
