//! Calls merchants back until they give the reply that is wanted.

use std::time::Duration;

use futures::{StreamExt, stream};
use kernel::{Failure, Result};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Inner,
    store::{self, callback},
};
use crate::{
    channel::{
        sandbox,
        signature::{ID, SIGNATURE, TIMESTAMP},
        wire::RECEIVED,
    },
    model::backoff,
};

/// Callbacks of one look.
const BATCH: u64 = 64;
/// Callbacks under way at once.
const AT_ONCE: usize = 16;
/// The longest time between two tries.
const LONGEST: Duration = Duration::from_secs(300);

/// Delivers until it is told to stop. Callbacks that were under way are made again by the next process.
pub(super) async fn run(provider: &Inner, token: CancellationToken) {
    loop {
        let looked = tokio::select! {
            () = token.cancelled() => return,
            looked = deliver_due(provider) => looked,
        };
        match looked {
            // There may be more.
            Ok(full) if full => continue,
            Ok(_) => {}
            Err(failure) => tracing::warn!(?failure, "callbacks could not be looked for"),
        }
        tokio::select! {
            () = token.cancelled() => return,
            () = provider.due.notified() => {}
            () = tokio::time::sleep(provider.config.sandbox.poll) => {}
        }
    }
}

/// Makes the callbacks that are due; says whether there were as many as one look takes.
async fn deliver_due(provider: &Inner) -> Result<bool> {
    if provider.places.sandbox_callback().is_none() {
        // The shop is starting: no try is wasted on an address that is not known yet.
        return Ok(false);
    }
    let due = store::due(provider.db.read(), provider.db.now(), BATCH).await?;
    let full = due.len() as u64 == BATCH;
    stream::iter(due)
        .for_each_concurrent(AT_ONCE, |row| async move {
            let reference = row.reference.clone();
            if let Err(failure) = deliver(provider, row).await {
                tracing::warn!(reference, ?failure, "a callback could not be made");
            }
        })
        .await;
    Ok(full)
}

async fn deliver(provider: &Inner, row: callback::Model) -> Result<()> {
    let shard = provider.db.shard_of(&row.reference);
    let until = provider.db.now().plus(provider.config.provider_timeout * 2);
    let claimed = provider
        .db
        .write(shard, (row.clone(), until), |tx, (row, until)| {
            Box::pin(async move { store::claim(tx, row, *until).await })
        })
        .await?;
    if !claimed {
        return Ok(());
    }
    let id = row.id;
    if let Err(failure) = call(provider, &row).await {
        let tries = row.tries.saturating_add(1);
        let dead = u32::try_from(tries).unwrap_or(u32::MAX) >= provider.config.sandbox.callback_tries;
        let wait = backoff(provider.config.sandbox.callback_again, LONGEST, row.tries);
        tracing::info!(reference = row.reference, tries, dead, ?failure, "a callback was not taken");
        let at = provider.db.now().plus(wait);
        return put_off(provider, shard, id, at, dead).await;
    }
    provider.db.write(shard, id, |tx, id| Box::pin(async move { store::delivered(tx, *id).await })).await
}

async fn put_off(
    provider: &Inner,
    shard: kernel::Shard,
    id: Uuid,
    at: kernel::Timestamp,
    dead: bool,
) -> Result<()> {
    provider
        .db
        .write(shard, (id, at, dead), |tx, &(id, at, dead)| {
            Box::pin(async move { store::put_off(tx, id, at, dead).await })
        })
        .await
}

/// Makes one callback; fails unless the reply is the one wanted.
async fn call(provider: &Inner, row: &callback::Model) -> Result<()> {
    let url = provider.places.sandbox_callback();
    let url = url.ok_or_else(|| Failure::internal("where the shop listens is not known yet"))?;
    let id = format!("msg_{}", row.id.simple());
    let (timestamp, signature) = provider.callbacks.sign(&id, provider.db.now(), row.body.as_bytes());
    let answer = provider
        .client
        .post(url)
        .header("content-type", "application/json")
        .header(ID, id)
        .header(TIMESTAMP, timestamp)
        .header(SIGNATURE, signature)
        .body(row.body.clone())
        .send()
        .await
        .map_err(Failure::internal)?;
    let status = answer.status();
    let body = sandbox::read(answer).await.map_err(Failure::internal)?;
    let wanted: serde_json::Value = serde_json::from_str(RECEIVED).map_err(Failure::internal)?;
    let taken = serde_json::from_slice::<serde_json::Value>(&body).is_ok_and(|body| body == wanted);
    if status.is_success() && taken {
        Ok(())
    } else {
        Err(Failure::internal(format!("the reply was {status}")))
    }
}
