//! Clients that never pause: each does the next thing when the one before is done.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use anyhow::Result;
use hdrhistogram::Histogram;

use crate::Proof;

/// One that does the same thing again and again.
pub(crate) trait Client: Send + 'static {
    /// Does it once more.
    fn act(&mut self) -> impl Future<Output = Result<()>> + Send;
}

/// What clients did together.
pub(crate) struct Pace {
    /// Acts a second.
    pub(crate) rate: f64,
    /// How long each took, in µs.
    latencies: Histogram<u64>,
}

impl Pace {
    /// Lets all `clients` act for `duration`. The first failure of any of them is the outcome.
    pub(crate) async fn of<C: Client>(clients: Vec<C>, duration: Duration) -> Result<Self> {
        let begin = Instant::now();
        let workers: Vec<_> = clients
            .into_iter()
            .map(|mut client| {
                tokio::spawn(async move {
                    let mut latencies = Vec::new();
                    while begin.elapsed() < duration {
                        let start = Instant::now();
                        client.act().await?;
                        latencies.push(start.elapsed());
                    }
                    anyhow::Ok(latencies)
                })
            })
            .collect();
        let mut latencies = Histogram::new(3)?;
        for worker in workers {
            for latency in worker.await?? {
                latencies.record(u64::try_from(latency.as_micros())?)?;
            }
        }
        let rate = f64::from(u32::try_from(latencies.len())?) / begin.elapsed().as_secs_f64();
        Ok(Self { rate, latencies })
    }

    /// Notes acts a second, median and 99th percentile.
    pub(crate) fn tell(&self, name: &str, proof: &mut Proof) {
        proof.figure(&format!("{name}: a second"), self.rate.round());
        proof.figure(&format!("{name}: p50 ms"), milliseconds(&self.latencies, 0.5));
        proof.figure(&format!("{name}: p99 ms"), milliseconds(&self.latencies, 0.99));
    }
}

/// A quantile of µs in ms, to two digits.
pub(crate) fn milliseconds(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    let micros = u32::try_from(histogram.value_at_quantile(quantile)).unwrap_or(u32::MAX);
    (f64::from(micros) / 10.0).round() / 100.0
}
