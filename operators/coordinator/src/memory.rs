//! A journal in memory.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use kernel::{Clock, Epoch, Region, Shard};
use placement::{
    Audit, Desired, Effect, Events, Instance, Jurisdiction, MapVersion, Operation, OperationId, Policy,
    RegionSpec, Servers, Spec, State, Verdict, Vitals,
};

use crate::{Applied, Journal, Result, Scene, Store};

/// A [`Store`] behind a lock. Its answers are ready at once, and its time is the clock's.
#[derive(Debug)]
pub struct MemoryJournal {
    store: Mutex<Store>,
    events: Mutex<Option<Events>>,
    servers: Mutex<BTreeMap<Region, Servers>>,
    clock: Arc<dyn Clock>,
}

impl MemoryJournal {
    /// An empty journal.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { store: Mutex::default(), events: Mutex::default(), servers: Mutex::default(), clock }
    }

    /// From now on so many events wait, whichever shards are asked for: it has none of its own.
    pub fn let_wait(&self, events: Events) {
        *self.events.lock().unwrap_or_else(PoisonError::into_inner) = Some(events);
    }

    /// From now on these are the database's servers: it has none of its own.
    pub fn let_serve(&self, servers: BTreeMap<Region, Servers>) {
        *self.servers.lock().unwrap_or_else(PoisonError::into_inner) = servers;
    }

    /// What is in it now.
    pub fn store(&self) -> Store {
        self.lock().clone()
    }

    /// A panic while the lock was held leaves a whole store: no call changes it in two parts that can be told apart.
    fn lock(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn found(
        &self,
        desired: &Desired,
        homes: &BTreeMap<Shard, (Region, Jurisdiction)>,
    ) -> Result<Applied> {
        Ok(self.lock().found(desired, homes))
    }

    async fn read(&self) -> Result<Scene> {
        Ok(self.lock().read(self.clock.now()))
    }

    async fn lead(&self, candidate: &Instance, ttl: Duration) -> Result<Option<Epoch>> {
        Ok(self.lock().lead(candidate, ttl, self.clock.now()))
    }

    async fn begin(&self, spec: &Spec) -> Result<Option<OperationId>> {
        self.lock().begin(spec, self.clock.now())
    }

    async fn apply(&self, effect: &Effect) -> Result<Applied> {
        self.lock().apply(effect)
    }

    async fn abort(&self, operation: OperationId, why: &str) -> Result<Applied> {
        Ok(self.lock().abort(operation, why))
    }

    async fn operation(&self, operation: OperationId) -> Result<Option<Operation>> {
        Ok(self.lock().operation(operation).cloned())
    }

    async fn operations(&self, most: u32) -> Result<Vec<Operation>> {
        Ok(self.lock().operations(most))
    }

    async fn events(&self, _: &BTreeSet<Shard>) -> Result<Option<Events>> {
        Ok(*self.events.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn servers(&self) -> Result<BTreeMap<Region, Servers>> {
        Ok(self.servers.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    async fn note(&self, operation: OperationId, audit: &Audit) -> Result<Applied> {
        Ok(self.lock().note(operation, audit))
    }

    async fn set_state(&self, region: &Region, expect: u64, to: State) -> Result<Applied> {
        self.lock().set_state(region, expect, to)
    }

    async fn put_region(&self, region: &Region, expect: Option<u64>, spec: &RegionSpec) -> Result<Applied> {
        Ok(self.lock().put_region(region, expect, spec))
    }

    async fn put_policy(&self, expect: MapVersion, policy: &Policy) -> Result<Applied> {
        Ok(self.lock().put_policy(expect, policy))
    }

    async fn put_law(
        &self,
        expect: MapVersion,
        shards: &BTreeSet<Shard>,
        law: &Jurisdiction,
    ) -> Result<Applied> {
        self.lock().put_law(expect, shards, law)
    }

    async fn take(&self, shard: Shard, worker: &Instance, ttl: Duration) -> Result<Option<Epoch>> {
        Ok(self.lock().take(shard, worker, ttl, self.clock.now()))
    }

    async fn renew(&self, shard: Shard, worker: &Instance, epoch: Epoch, ttl: Duration) -> Result<Applied> {
        Ok(self.lock().renew(shard, worker, epoch, ttl, self.clock.now()))
    }

    async fn release(&self, shard: Shard, worker: &Instance, epoch: Epoch) -> Result<Applied> {
        Ok(self.lock().release(shard, worker, epoch, self.clock.now()))
    }

    async fn work(
        &self,
        worker: &Instance,
        ttl: Duration,
        busy: &BTreeSet<Shard>,
    ) -> Result<BTreeMap<Shard, Epoch>> {
        Ok(self.lock().work(worker, ttl, busy, self.clock.now()))
    }

    async fn resign(&self, instance: &Instance) -> Result<()> {
        self.lock().resign(instance, self.clock.now());
        Ok(())
    }

    async fn sight(&self, subject: &Region, observer: &Region, verdict: Verdict) -> Result<()> {
        self.lock().sight(subject, observer, verdict, self.clock.now());
        Ok(())
    }

    async fn say(&self, region: &Region, vitals: Vitals) -> Result<()> {
        self.lock().say(region, vitals, self.clock.now());
        Ok(())
    }

    async fn report(&self, me: &Region, seen: &BTreeMap<Region, Verdict>, vitals: Vitals) -> Result<()> {
        self.lock().report(me, seen, vitals, self.clock.now());
        Ok(())
    }
}
