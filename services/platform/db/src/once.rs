//! Requests that must have one effect.

use contracts::Ctx;
use futures::future::BoxFuture;
use kernel::{Failure, Id, Kind, Result, Shard, code};
use sea_orm::{ConnectionTrait, Statement};
use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use crate::{Db, DbResult, Rows, Tx, is_duplicate, write::Settled};

const TABLE: &str = "idempotency";
/// The principal of appends that nobody asked for by a key.
pub(crate) const APPEND: &str = "append";
const COLUMNS: &[&str] =
    &["shard", "principal", "route", "request_key", "payload_hash", "answer", "created_at"];

/// The identity of a request: who asked, on which route, with which key, for what. Its row is inserted in the effect's
/// own transaction, with the final answer: there is no "in progress" state, so nothing is to be taken over after a crash.
#[derive(Clone, Debug)]
pub struct Once {
    shard: Shard,
    principal: String,
    route: &'static str,
    key: String,
    payload_hash: Vec<u8>,
}

impl Once {
    /// The request of `ctx` on `route`; `idempotency_key_missing` without a key.
    pub fn new<P: Serialize>(ctx: &Ctx, route: &'static str, payload: &P) -> Result<Self> {
        Self::on(ctx.shard(), ctx.principal(), route, ctx.key()?, payload)
    }

    /// A request whose row lives on another shard than the caller's.
    pub fn on<P: Serialize>(
        shard: Shard,
        principal: impl Into<String>,
        route: &'static str,
        key: &str,
        payload: &P,
    ) -> Result<Self> {
        let payload = serde_json::to_vec(payload).map_err(Failure::internal)?;
        Ok(Self {
            shard,
            principal: principal.into(),
            route,
            key: key.to_owned(),
            payload_hash: Sha256::digest(&payload).to_vec(),
        })
    }

    /// An append that nobody asked for by a key.
    pub(crate) fn of_append(id: uuid::Uuid, shard: Shard) -> Self {
        let principal = APPEND.to_owned();
        Self { shard, principal, route: "", key: id.to_string(), payload_hash: Vec::new() }
    }

    /// The shard its row is on.
    pub fn shard(&self) -> Shard {
        self.shard
    }

    /// The id that follows from this request: running it twice, in any two regions, writes the same row.
    pub fn id<K: Kind>(&self) -> Id<K> {
        Id::derive(self.shard, &[self.principal.as_bytes(), self.route.as_bytes(), self.key.as_bytes()])
    }

    pub(crate) fn key(&self) -> (Shard, String, &'static str, String) {
        (self.shard, self.principal.clone(), self.route, self.key.clone())
    }

    /// The stored answer, where the request ran before; `idempotency_key_reused` when it was another one.
    pub async fn find<T: DeserializeOwned>(&self, db: &Db) -> Result<Option<T>> {
        self.find_on(db.read()).await
    }

    async fn find_on<T: DeserializeOwned>(&self, connection: &impl ConnectionTrait) -> Result<Option<T>> {
        let statement = Statement::from_sql_and_values(
            connection.get_database_backend(),
            "SELECT payload_hash, answer FROM idempotency WHERE shard = ? AND principal = ? AND route = ? AND request_key = ?",
            [
                i32::from(self.shard.number()).into(),
                self.principal.clone().into(),
                self.route.into(),
                self.key.clone().into(),
            ],
        );
        let Some(row) = connection.query_one_raw(statement).await.db()? else { return Ok(None) };
        let hash: Vec<u8> = row.try_get_by_index(0).db()?;
        if hash != self.payload_hash {
            return Err(Failure::new(code::KEY_REUSED));
        }
        let answer: Vec<u8> = row.try_get_by_index(1).db()?;
        serde_json::from_slice(&answer).map(Some).map_err(Failure::internal)
    }

    pub(crate) fn add_to(
        &self,
        mut rows: Rows,
        answer: &impl Serialize,
        now: kernel::Timestamp,
    ) -> Result<Rows> {
        let answer = serde_json::to_vec(answer).map_err(Failure::internal)?;
        rows.raw(
            TABLE,
            COLUMNS,
            vec![
                i32::from(self.shard.number()).into(),
                self.principal.clone().into(),
                self.route.into(),
                self.key.clone().into(),
                self.payload_hash.clone().into(),
                answer.into(),
                now.micros().into(),
            ],
        );
        Ok(rows)
    }
}

impl Db {
    /// Inserts `rows` together with the request's row, and returns `answer`; when the request ran before, or a twin wins
    /// the insert, nothing is inserted and the winner's answer is returned.
    pub async fn append_once<T>(&self, once: &Once, rows: Rows, answer: T) -> Result<T>
    where
        T: Serialize + DeserializeOwned,
    {
        let rows = once.add_to(rows, &answer, self.now())?;
        match self.append_settled(once.shard, rows, Settled::ByKey).await {
            Ok(()) => Ok(answer),
            Err(failure) => match once.find(self).await? {
                Some(winners) => Ok(winners),
                None => Err(failure),
            },
        }
    }

    /// Runs `work` as [`Db::write`] does, with the request's row in the same transaction; when the request ran before,
    /// `work` does not run and the stored answer is returned.
    pub async fn write_once<I, T, F>(&self, once: &Once, input: I, work: F) -> Result<T>
    where
        I: Send + Sync + 'static,
        T: Serialize + DeserializeOwned + Send + Sync + 'static,
        F: for<'a> Fn(&'a Tx, &'a I) -> BoxFuture<'a, Result<T>> + Send + Sync + 'static,
    {
        if let Some(answer) = once.find(self).await? {
            return Ok(answer);
        }
        let outcome = self
            .write(once.shard, (once.clone(), input, work), |tx, (once, input, work)| {
                Box::pin(async move {
                    if let Some(answer) = once.find_on(tx).await? {
                        return Ok(answer);
                    }
                    let answer = work(tx, input).await?;
                    once.add_to(Rows::new(), &answer, tx.now())?.insert(tx).await?;
                    Ok(answer)
                })
            })
            .await;
        match outcome {
            Ok(answer) => Ok(answer),
            // Also where the work found that it cannot be done: a twin in another process may have done it meanwhile.
            Err(failure) => match once.find(self).await {
                Ok(Some(answer)) => Ok(answer),
                Err(other) if is_duplicate(&failure, TABLE) => Err(other),
                Ok(None) | Err(_) => Err(failure),
            },
        }
    }
}
