//! What a bus is to those who use it.

use std::sync::Arc;

use async_trait::async_trait;
use contracts::Event;
use kernel::{Page, Region, Result, Shard, Timestamp};
use tokio_util::sync::CancellationToken;

/// Takes events of some topics.
///
/// Its effects are writes whose closure first asks `tx.first_time(subscription, event)`: the same event may come again.
#[async_trait]
pub trait Consumer: Send + Sync + 'static {
    /// Its name, `domain.verb` (`order.settle`), at most 90 characters. A new name starts at the beginning of the log.
    fn subscription(&self) -> &'static str;

    /// The topics it takes.
    fn topics(&self) -> &'static [&'static str];

    /// How several processes share its events.
    fn sharing(&self) -> Sharing {
        Sharing::ByAggregate
    }

    /// Whether the shop needs it done once, or every region for itself.
    fn scope(&self) -> Scope {
        Scope::Shop
    }

    /// Takes one event. A failure is retried with backoff and at last becomes a dead letter.
    async fn consume(&self, event: &Event) -> Result<()>;

    /// Whether it takes what waits together, with [`Consumer::consume_all`]: for effects that cost a commit each and are the
    /// same in any order.
    fn gathers(&self) -> bool {
        false
    }

    /// Takes many events as one effect, those of an aggregate in their order. After a failure each comes again alone.
    async fn consume_all(&self, events: &[Arc<Event>]) -> Result<()> {
        for event in events {
            self.consume(event).await?;
        }
        Ok(())
    }
}

/// For whom a subscription works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// For the whole shop: an event is consumed once, in the region that does its shard's background work.
    Shop,
    /// For a region: every region consumes all events, under a name of its own (`catalog.forget@eu-west`). For what a region
    /// keeps for itself. Such a consumer writes no inbox row: [`Consumer::subscription`] is not the name it runs under.
    Region,
}

/// How the processes of a subscription share its events. The embedded bus gives all of them to one process at a time,
/// each aggregate's in order: both kinds are content with that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// The events of an aggregate go to one process at a time, in order (a broker calls it key-shared).
    ByAggregate,
    /// Any event goes to any process, in no order: for effects that do not depend on it.
    Freely,
}

/// A subscription of the code: whose events somebody takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscribed {
    /// Its name.
    pub name: String,
    /// The topics it takes.
    pub topics: &'static [&'static str],
    /// For whom it works.
    pub scope: Scope,
}

impl Subscribed {
    /// What it runs under in a shop of these regions: its own name, or one a region where each has it for itself. Without
    /// regions its own name.
    #[must_use]
    pub fn among(self, regions: &[Region]) -> Vec<Self> {
        if self.scope == Scope::Shop || regions.is_empty() {
            return vec![self];
        }
        let (topics, scope) = (self.topics, self.scope);
        let of = |region| Self { name: regional_name(&self.name, region), topics, scope };
        regions.iter().map(of).collect()
    }
}

/// The name of a subscription that a region has for itself.
pub(crate) fn regional_name(name: &str, region: &Region) -> String {
    format!("{name}@{region}")
}

/// Brings events from the log to consumers.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Runs until `shutdown`, then finishes what is being consumed and returns.
    async fn run(&self, shutdown: CancellationToken);

    /// The subscriptions of this process, under the names they run under.
    fn subscriptions(&self) -> Vec<Subscribed>;

    /// Whether nothing is under way: no event waits to be sequenced, every consumer of this process has seen the whole
    /// log and none waits for a retry. Dead letters do not count.
    async fn quiescent(&self) -> Result<bool>;

    /// Dead letters by subscription, shard and position; `cursor` is a page's `next_cursor`.
    async fn dead_letters(&self, cursor: Option<&str>, limit: u32) -> Result<Page<DeadLetter>>;

    /// Delivers dead letters again, with a fresh count of attempts. Returns how many.
    async fn replay_dead(&self, selection: Selection) -> Result<u64>;

    /// Delivers the events of `shard` from position `from` on again to a subscription, effects included: what it noted as
    /// consumed from there on is forgotten. Events that were pruned do not come again.
    async fn replay(&self, subscription: &str, shard: Shard, from: i64) -> Result<()>;

    /// What keeps events from flowing at the moment, for readiness; None when nothing does. The shop goes on without.
    fn trouble(&self) -> Option<String> {
        None
    }

    /// Deletes events that are older than configured and consumed everywhere, with their inbox rows.
    async fn prune(&self) -> Result<Pruned>;
}

/// An event that a subscription could not consume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Who could not.
    pub subscription: String,
    /// The event's shard.
    pub shard: Shard,
    /// The event's position in the shard's log.
    pub pos: i64,
    /// The event's topic.
    pub topic: String,
    /// What the event is about.
    pub aggregate: String,
    /// When the event happened.
    pub at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// The last failure's public part; causes go to the log only.
    pub error: String,
}

/// Which dead letters to replay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All of them.
    All,
    /// Those of one subscription.
    Subscription(String),
    /// One.
    One {
        /// Its subscription.
        subscription: String,
        /// Its event's shard.
        shard: Shard,
        /// Its event's position.
        pos: i64,
    },
}

/// What a pruning deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Events.
    pub events: u64,
    /// Inbox rows.
    pub inbox: u64,
}
