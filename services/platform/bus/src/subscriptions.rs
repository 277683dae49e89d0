//! What every bus does with its subscriptions, whichever way their events come.

use std::{collections::BTreeSet, sync::Arc};

use kernel::{Cursors, Failure, Page, Result, Shard, page_limit};
use platform_db::Db;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    Consumer, DeadLetter, Subscribed,
    store::{self, Place},
};

/// The cursors of the relay to a broker, among those of the subscriptions.
pub(crate) const RELAY: &str = "relay";
/// What the names of replays begin with there, before that of their subscription.
pub(crate) const REPLAY: &str = "replay/";

/// The lease's column takes 100 characters, `bus/` included.
const LONGEST_NAME: usize = 90;

/// Refuses two consumers of one subscription, and names that are too long or the bus's own.
pub(crate) fn check(consumers: &[Arc<dyn Consumer>], own: &[&'static str]) -> Result<()> {
    let mut names: BTreeSet<&str> = own.iter().copied().collect();
    for consumer in consumers {
        let name = consumer.subscription();
        if name.is_empty() || name.len() > LONGEST_NAME || !names.insert(name) {
            return Err(Failure::internal(format!(
                "subscription {name:?} is there twice or has no fit name"
            )));
        }
    }
    Ok(())
}

/// The subscriptions of these consumers.
pub(crate) fn of(consumers: &[Arc<dyn Consumer>]) -> Vec<Subscribed> {
    let of = |consumer: &Arc<dyn Consumer>| Subscribed {
        name: consumer.subscription().to_owned(),
        topics: consumer.topics(),
        scope: consumer.scope(),
    };
    consumers.iter().map(of).collect()
}

/// Waits for the bus's loops. One that panics takes the others down with it, and whoever runs the bus sees it end too early.
pub(crate) async fn run_to_end(mut loops: JoinSet<()>, stop: &CancellationToken) {
    while let Some(ended) = loops.join_next().await {
        if let Err(error) = ended {
            tracing::error!(%error, "a loop of the bus panicked");
            stop.cancel();
        }
    }
}

/// A page of dead letters.
pub(crate) async fn dead_letters(db: &Db, cursor: Option<&str>, limit: u32) -> Result<Page<DeadLetter>> {
    let cursors = Cursors::of("bus.dead_letters", &());
    let after = cursors.read::<Place>(cursor)?;
    let limit = page_limit(Some(limit))?;
    let letters = store::dead_letters(db, after, limit + 1).await?;
    Ok(cursors
        .page(letters, limit, |letter| (letter.subscription.clone(), letter.shard.number(), letter.pos)))
}

/// Fails where there is no such subscription, or no such shard.
pub(crate) async fn find(db: &Db, subscription: &str, shard: Shard) -> Result<()> {
    if shard.number() >= db.shards() {
        return Err(Failure::not_found("shard"));
    }
    if !store::all_cursors(db).await?.contains_key(subscription) {
        return Err(Failure::not_found("subscription"));
    }
    Ok(())
}
