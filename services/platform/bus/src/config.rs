//! Section `bus` of the configuration.

use std::time::Duration;

use kernel::{Failure, Result};
use serde::{Deserialize, Serialize};

mod pulsar;

pub use pulsar::{Peer, PulsarConfig};

/// Who brings events to consumers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BusEngine {
    /// Consumers follow the event log in the database.
    #[default]
    Embedded,
    /// The log is relayed to Apache Pulsar, from which consumers get it. Needs the cargo feature `pulsar`.
    Pulsar,
}

/// Most tries at once: the pause before the last of them is some seconds, in which the subscription stands still.
const QUICK_TRIES: u32 = 10;
/// Most tries in all.
const TRIES: u32 = 10_000;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Longest pause, time for an event, or life of a lease.
const LONGEST: Duration = DAY;

/// Section `bus`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BusConfig {
    /// Who brings events to consumers.
    pub engine: BusEngine,
    /// Log positions a subscription looks at in one round, over all shards.
    pub batch: u32,
    /// Aggregates a subscription works on at once.
    pub concurrency: usize,
    /// Longest time for one event; then it counts as failed.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// Tries at once, a few milliseconds apart, before an event is parked.
    pub quick_tries: u32,
    /// Tries in all before an event becomes a dead letter.
    pub tries: u32,
    /// Pause before the first retry of a parked event; doubles with each further one, with jitter.
    #[serde(with = "humantime_serde")]
    pub backoff: Duration,
    /// Longest pause between two retries.
    #[serde(with = "humantime_serde")]
    pub longest_backoff: Duration,
    /// Events a subscription may have parked; then it reads no new ones until some are through.
    pub parked: u32,
    /// Events that get their positions in one transaction.
    pub sequence: u32,
    /// How often the outbox is looked at for events that other processes wrote.
    #[serde(with = "humantime_serde")]
    pub poll: Duration,
    /// How long the sequencer lets events gather after the first.
    #[serde(with = "humantime_serde")]
    pub gather: Duration,
    /// How often the log is looked at for positions that other processes gave.
    #[serde(with = "humantime_serde")]
    pub watch: Duration,
    /// Life of a subscription's lease; renewed three times in it.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
    /// How long a subscription may stand still with events waiting before another process goes on without the lease.
    #[serde(with = "humantime_serde")]
    pub stall: Duration,
    /// Longest time a cursor that moved stays unwritten.
    #[serde(with = "humantime_serde")]
    pub cursor: Duration,
    /// Events younger than this stay in the log.
    #[serde(with = "humantime_serde")]
    pub keep: Duration,
    /// Events older than this go even when a subscription has not seen them (it may no longer exist), dead letters too.
    #[serde(with = "humantime_serde")]
    pub keep_at_most: Duration,
    /// The broker of the engine `pulsar`.
    pub pulsar: PulsarConfig,
}

impl Default for BusConfig {
    fn default() -> Self {
        Self {
            engine: BusEngine::Embedded,
            batch: 512,
            concurrency: 16,
            timeout: Duration::from_secs(30),
            quick_tries: 3,
            tries: 20,
            backoff: Duration::from_millis(500),
            longest_backoff: Duration::from_secs(600),
            parked: 1_000,
            sequence: 512,
            poll: Duration::from_millis(200),
            gather: Duration::from_millis(3),
            watch: Duration::from_secs(1),
            lease: Duration::from_secs(30),
            stall: Duration::from_secs(2),
            cursor: Duration::from_millis(250),
            keep: 7 * DAY,
            keep_at_most: 28 * DAY,
            pulsar: PulsarConfig::default(),
        }
    }
}

impl BusConfig {
    /// Refuses values that cannot work; the failure names the field.
    pub fn validate(&self) -> Result<()> {
        let wrong = |field: &str, text: &str| Err(Failure::invalid(format!("bus.{field}"), text));
        if !(1..=10_000).contains(&self.batch) {
            return wrong("batch", "must lie between 1 and 10000");
        }
        if !(1..=1_000).contains(&self.concurrency) {
            return wrong("concurrency", "must lie between 1 and 1000");
        }
        if !(1..=10_000).contains(&self.sequence) {
            return wrong("sequence", "must lie between 1 and 10000");
        }
        if !(1..=100_000).contains(&self.parked) {
            return wrong("parked", "must lie between 1 and 100000");
        }
        if !(1..=QUICK_TRIES).contains(&self.quick_tries) {
            return wrong("quick_tries", "must lie between 1 and 10");
        }
        if !(self.quick_tries..=TRIES).contains(&self.tries) {
            return wrong("tries", "must lie between quick_tries and 10000");
        }
        for (field, value) in [
            ("timeout", self.timeout),
            ("backoff", self.backoff),
            ("longest_backoff", self.longest_backoff),
            ("poll", self.poll),
            ("watch", self.watch),
            ("lease", self.lease),
        ] {
            if value.is_zero() {
                return wrong(field, "must be longer than nothing");
            }
        }
        for (field, value) in [
            ("timeout", self.timeout),
            ("backoff", self.backoff),
            ("longest_backoff", self.longest_backoff),
            ("poll", self.poll),
            ("gather", self.gather),
            ("watch", self.watch),
            ("lease", self.lease),
            ("stall", self.stall),
            ("cursor", self.cursor),
        ] {
            if value > LONGEST {
                return wrong(field, "must be a day at most");
            }
        }
        if self.keep_at_most < self.keep {
            return wrong("keep_at_most", "must not be shorter than keep");
        }
        match self.engine {
            BusEngine::Embedded => Ok(()),
            BusEngine::Pulsar if cfg!(feature = "pulsar") => self.pulsar.validate(),
            BusEngine::Pulsar => Err(built_without()),
        }
    }
}

/// The engine is not part of this program.
pub(crate) fn built_without() -> Failure {
    Failure::internal(
        "bus.engine is \"pulsar\", but this program was built without it: build with `cargo build --release \
         --features pulsar` (that needs protoc; Debian: protobuf-compiler), or set bus.engine = \"embedded\"",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_bounded() {
        assert!(
            BusConfig { cursor: LONGEST, stall: Duration::ZERO, ..BusConfig::default() }.validate().is_ok()
        );
        // A moment that far away cannot be told: whoever waits for it would panic.
        let far = Duration::from_secs(u64::MAX);
        for (config, field) in [
            (BusConfig { cursor: far, ..BusConfig::default() }, "bus.cursor"),
            (BusConfig { watch: LONGEST + Duration::from_secs(1), ..BusConfig::default() }, "bus.watch"),
            // What failed would be tried again without a pause.
            (BusConfig { longest_backoff: Duration::ZERO, ..BusConfig::default() }, "bus.longest_backoff"),
        ] {
            assert_eq!(config.validate().unwrap_err().fields()[0].pointer, field);
        }
    }

    #[test]
    fn tries_are_bounded() {
        assert!(BusConfig { quick_tries: 10, tries: 10, ..BusConfig::default() }.validate().is_ok());
        for (quick_tries, tries, field) in [
            (0, 20, "bus.quick_tries"),
            // The next one would come after 20 s, the twentieth after hours, and all behind it wait.
            (11, 20, "bus.quick_tries"),
            (3, 2, "bus.tries"),
            (3, 10_001, "bus.tries"),
        ] {
            let config = BusConfig { quick_tries, tries, ..BusConfig::default() };
            assert_eq!(config.validate().unwrap_err().fields()[0].pointer, field);
        }
    }
}
