//! The section `edge`.

use std::time::Duration;

use kernel::{Failure, Result};
use serde::{Deserialize, Serialize};

/// How a region's entrance treats requests whose home is another region. Without regions nothing of it is used.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EdgeConfig {
    /// How long a connection to another region may take to be made. Default `50ms`; more than a round trip to the farthest
    /// region.
    #[serde(with = "humantime_serde")]
    pub connect: Duration,
    /// How long another region may take to answer before the request is served here as well, where that is harmless.
    /// Default `100ms`; more than what most answers of the farthest region take.
    #[serde(with = "humantime_serde")]
    pub hedge: Duration,
    /// Slow or broken answers in a row after which a region is not asked for a while. Default 3. One that cannot be
    /// reached is not asked at once.
    pub failures: u32,
    /// How long it is not asked; then one request tries. Default `1s`.
    #[serde(with = "humantime_serde")]
    pub pause: Duration,
    /// Requests under way to one region; more are served here. Default 512.
    pub in_flight: usize,
    /// How long an idle connection to another region is kept; less than its `http.keep_alive`. Default `1m`.
    #[serde(with = "humantime_serde")]
    pub idle: Duration,
    /// Largest body that is passed on to another region, in bytes; a larger one is served here. Default 1 MiB.
    pub body_limit: usize,
    /// How long a region that was drained goes on answering programs, before it sends them on with 503: so long may a name or
    /// a list of endpoints be believed that names it. People are sent on at once. Default `10m`; 0: not at all.
    #[serde(with = "humantime_serde")]
    pub linger: Duration,
    /// Whether this region changes nothing: everything that would is answered with 503, except what providers of
    /// payments tell. Default false.
    pub read_only: bool,
    /// The waiting room.
    pub queue: QueueConfig,
    /// Copies for a region that is to ask nothing behind its entrance (`meridian region degrade --static`).
    pub kept: KeptConfig,
}

/// Copies of answers that anybody may have. They are made all the time, so that they are there when they are wanted.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeptConfig {
    /// What they take at most, in bytes; 0: none are made. Default 64 MiB.
    pub bytes: u64,
    /// The oldest that is shown. Default `1h`.
    #[serde(with = "humantime_serde")]
    pub age: Duration,
}

/// The waiting room: so many requests are served at once, others wait in it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QueueConfig {
    /// Requests that this region serves at once; 0: there is no waiting room. Default 0.
    pub in_flight: usize,
    /// Requests that wait; more get 503 with `Retry-After`. Default 1,000.
    pub waiting: usize,
    /// How long one waits before it gets that answer. Default `5s`.
    #[serde(with = "humantime_serde")]
    pub wait: Duration,
}

impl Default for EdgeConfig {
    fn default() -> Self {
        Self {
            connect: Duration::from_millis(50),
            hedge: Duration::from_millis(100),
            failures: 3,
            pause: Duration::from_secs(1),
            in_flight: 512,
            idle: Duration::from_mins(1),
            body_limit: 1 << 20,
            linger: Duration::from_mins(10),
            read_only: false,
            queue: QueueConfig::default(),
            kept: KeptConfig::default(),
        }
    }
}

impl Default for KeptConfig {
    fn default() -> Self {
        Self { bytes: 64 << 20, age: Duration::from_hours(1) }
    }
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self { in_flight: 0, waiting: 1_000, wait: Duration::from_secs(5) }
    }
}

impl EdgeConfig {
    /// Refuses what cannot work, naming the field.
    pub fn validate(&self) -> Result<()> {
        let durations = [
            ("connect", self.connect),
            ("hedge", self.hedge),
            ("pause", self.pause),
            ("idle", self.idle),
            ("queue.wait", self.queue.wait),
            ("kept.age", self.kept.age),
        ];
        let counts = [("failures", usize::from(self.failures > 0)), ("in_flight", self.in_flight)];
        let zero = durations.into_iter().filter(|(_, value)| value.is_zero()).map(|(name, _)| name);
        let none = counts.into_iter().filter(|(_, value)| *value == 0).map(|(name, _)| name);
        match zero.chain(none).next() {
            Some(name) => Err(Failure::invalid(format!("edge.{name}"), "must be more than 0")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_work_is_refused_by_name() {
        EdgeConfig::default().validate().unwrap();
        for (config, field) in [
            (EdgeConfig { hedge: Duration::ZERO, ..EdgeConfig::default() }, "edge.hedge"),
            (EdgeConfig { failures: 0, ..EdgeConfig::default() }, "edge.failures"),
            (EdgeConfig { in_flight: 0, ..EdgeConfig::default() }, "edge.in_flight"),
            (
                EdgeConfig { kept: KeptConfig { bytes: 1, age: Duration::ZERO }, ..EdgeConfig::default() },
                "edge.kept.age",
            ),
        ] {
            assert_eq!(config.validate().unwrap_err().fields()[0].pointer, field);
        }
    }
}
