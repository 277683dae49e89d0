//! A journal in the database: SQLite or TiDB.

mod events;
mod rows;

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    time::Duration,
};

use async_trait::async_trait;
use kernel::{Epoch, Failure, Region, Shard, Timestamp};
use placement::{
    Audit, Desired, Effect, Events, Instance, Jurisdiction, MapVersion, Operation, OperationId, Policy,
    RegionSpec, Servers, Spec, State, Verdict, Vitals,
};
use platform_db::{Db, DbResult};

use crate::{Applied, Journal, JournalError, Leaders, Result, Scene, Store};

/// How long a call may take; then nobody knows whether its change was made.
const DEADLINE: Duration = Duration::from_secs(5);
/// How long events may take to be counted: a failover goes on without.
const COUNT_WITHIN: Duration = Duration::from_millis(200);
/// How long the database's servers may take to be told: a planned operation goes on without.
const SERVERS_WITHIN: Duration = Duration::from_millis(500);

/// A journal in tables. Each change is one transaction: it locks the journal's one row (SQLite has one writer anyway), reads
/// what is there, lets [`Store`] say what becomes of it, and writes the rows that differ. So the meaning is the store's, and
/// no two changes are made at once.
#[derive(Clone)]
pub struct DatabaseJournal {
    db: Db,
}

/// An operation that a change has to know of, beside the one that runs.
enum Known {
    /// None.
    Nothing,
    /// The one that was asked for under a key, if any was.
    Asked(Option<String>),
    /// The one of this number.
    Numbered(OperationId),
}

impl DatabaseJournal {
    /// The journal of this database, which has been migrated.
    pub const fn new(db: Db) -> Self {
        Self { db }
    }

    async fn change<T, F>(&self, change: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Store, Timestamp) -> Result<T> + Send + Sync + 'static,
    {
        self.change_knowing(Known::Nothing, change).await
    }

    /// Makes a change that has to know of an operation which may have ended.
    async fn change_knowing<T, F>(&self, known: Known, change: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&mut Store, Timestamp) -> Result<T> + Send + Sync + 'static,
    {
        let write = self.db.write(Shard::new(0), (known, change), |tx, (known, change)| {
            Box::pin(async move {
                let mut before = rows::load(tx).await?;
                let known = match known {
                    Known::Nothing | Known::Asked(None) => None,
                    Known::Asked(Some(request)) => rows::asked(tx, request).await?,
                    Known::Numbered(id) => rows::operation(tx, *id).await?,
                };
                before.ended.extend(known.filter(Operation::ended).map(|one| (one.id, one)));
                let now = tx.database_now().await?;
                let mut after = before.clone();
                let answer = change(&mut after, now);
                if answer.is_ok() {
                    rows::save(tx, &before, &after).await?;
                }
                Ok(answer)
            })
        });
        within(write).await?
    }
}

/// The outcome of a call, or that there was none in time.
async fn within<T>(call: impl Future<Output = kernel::Result<T>> + Send) -> Result<T> {
    match tokio::time::timeout(DEADLINE, call).await {
        Ok(outcome) => outcome.map_err(|failure| unreachable(&failure)),
        Err(_) => Err(JournalError::Unreachable(format!("the database did not answer within {DEADLINE:?}"))),
    }
}

fn unreachable(failure: &Failure) -> JournalError {
    JournalError::Unreachable(match failure.cause() {
        Some(cause) => format!("{failure}: {cause}"),
        None => failure.to_string(),
    })
}

#[async_trait]
impl Journal for DatabaseJournal {
    async fn found(
        &self,
        desired: &Desired,
        homes: &BTreeMap<Shard, (Region, Jurisdiction)>,
    ) -> Result<Applied> {
        let (desired, homes) = (desired.clone(), homes.clone());
        self.change(move |store, _| Ok(store.found(&desired, &homes))).await
    }

    async fn read(&self) -> Result<Scene> {
        within(async {
            let snapshot = self.db.read().snapshot().await.db()?;
            let now = self.db.taken_at(&snapshot).await?;
            let store = rows::load(&snapshot).await?;
            snapshot.rollback().await.db()?;
            Ok(store.read(now))
        })
        .await
    }

    async fn lead(&self, candidate: &Instance, ttl: Duration) -> Result<Option<Epoch>> {
        let candidate = candidate.clone();
        self.change(move |store, now| Ok(store.lead(&candidate, ttl, now))).await
    }

    async fn begin(&self, spec: &Spec) -> Result<Option<OperationId>> {
        let spec = spec.clone();
        self.change_knowing(Known::Asked(spec.request.clone()), move |store, now| store.begin(&spec, now))
            .await
    }

    async fn apply(&self, effect: &Effect) -> Result<Applied> {
        let effect = effect.clone();
        self.change(move |store, _| store.apply(&effect)).await
    }

    async fn abort(&self, operation: OperationId, why: &str) -> Result<Applied> {
        let why = why.to_owned();
        self.change(move |store, _| Ok(store.abort(operation, &why))).await
    }

    async fn operation(&self, operation: OperationId) -> Result<Option<Operation>> {
        within(rows::operation(self.db.read(), operation)).await
    }

    async fn operations(&self, most: u32) -> Result<Vec<Operation>> {
        within(rows::operations(self.db.read(), most)).await
    }

    async fn events(&self, shards: &BTreeSet<Shard>) -> Result<Option<Events>> {
        match tokio::time::timeout(COUNT_WITHIN, events::count(self.db.read(), shards)).await {
            Ok(counted) => counted.map(Some).map_err(|failure| unreachable(&failure)),
            Err(_) => Ok(None),
        }
    }

    async fn servers(&self) -> Result<BTreeMap<Region, Servers>> {
        let Some(leaders) = Leaders::of(self.db.clone()) else { return Ok(BTreeMap::new()) };
        let asked = tokio::time::timeout(SERVERS_WITHIN, leaders.stores()).await;
        asked.map_or_else(|_| Ok(BTreeMap::new()), |found| found.map_err(|failure| unreachable(&failure)))
    }

    async fn note(&self, operation: OperationId, audit: &Audit) -> Result<Applied> {
        let audit = audit.clone();
        self.change_knowing(Known::Numbered(operation), move |store, _| Ok(store.note(operation, &audit)))
            .await
    }

    async fn set_state(&self, region: &Region, expect: u64, to: State) -> Result<Applied> {
        let region = region.clone();
        self.change(move |store, _| store.set_state(&region, expect, to)).await
    }

    async fn put_region(&self, region: &Region, expect: Option<u64>, spec: &RegionSpec) -> Result<Applied> {
        let (region, spec) = (region.clone(), spec.clone());
        self.change(move |store, _| Ok(store.put_region(&region, expect, &spec))).await
    }

    async fn put_policy(&self, expect: MapVersion, policy: &Policy) -> Result<Applied> {
        let policy = policy.clone();
        self.change(move |store, _| Ok(store.put_policy(expect, &policy))).await
    }

    async fn put_law(
        &self,
        expect: MapVersion,
        shards: &BTreeSet<Shard>,
        law: &Jurisdiction,
    ) -> Result<Applied> {
        let (shards, law) = (shards.clone(), law.clone());
        self.change(move |store, _| store.put_law(expect, &shards, &law)).await
    }

    async fn take(&self, shard: Shard, worker: &Instance, ttl: Duration) -> Result<Option<Epoch>> {
        let worker = worker.clone();
        self.change(move |store, now| Ok(store.take(shard, &worker, ttl, now))).await
    }

    async fn renew(&self, shard: Shard, worker: &Instance, epoch: Epoch, ttl: Duration) -> Result<Applied> {
        let worker = worker.clone();
        self.change(move |store, now| Ok(store.renew(shard, &worker, epoch, ttl, now))).await
    }

    async fn release(&self, shard: Shard, worker: &Instance, epoch: Epoch) -> Result<Applied> {
        let worker = worker.clone();
        self.change(move |store, now| Ok(store.release(shard, &worker, epoch, now))).await
    }

    async fn work(
        &self,
        worker: &Instance,
        ttl: Duration,
        busy: &BTreeSet<Shard>,
    ) -> Result<BTreeMap<Shard, Epoch>> {
        let (worker, busy) = (worker.clone(), busy.clone());
        self.change(move |store, now| Ok(store.work(&worker, ttl, &busy, now))).await
    }

    async fn resign(&self, instance: &Instance) -> Result<()> {
        let instance = instance.clone();
        self.change(move |store, now| {
            store.resign(&instance, now);
            Ok(())
        })
        .await
    }

    async fn sight(&self, subject: &Region, observer: &Region, verdict: Verdict) -> Result<()> {
        let (subject, observer) = (subject.clone(), observer.clone());
        self.change(move |store, now| {
            store.sight(&subject, &observer, verdict, now);
            Ok(())
        })
        .await
    }

    async fn say(&self, region: &Region, vitals: Vitals) -> Result<()> {
        let region = region.clone();
        self.change(move |store, now| {
            store.say(&region, vitals, now);
            Ok(())
        })
        .await
    }

    async fn report(&self, me: &Region, seen: &BTreeMap<Region, Verdict>, vitals: Vitals) -> Result<()> {
        let (me, seen) = (me.clone(), seen.clone());
        self.change(move |store, now| {
            store.report(&me, &seen, vitals, now);
            Ok(())
        })
        .await
    }
}

impl std::fmt::Debug for DatabaseJournal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DatabaseJournal").finish_non_exhaustive()
    }
}
