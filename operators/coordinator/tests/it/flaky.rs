//! A journal that answers or does not.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use coordinator::{Applied, Journal, JournalError, MemoryJournal, Result, Scene};
use kernel::{Epoch, Region, Shard};
use placement::{
    Audit, Desired, Effect, Events, Instance, Jurisdiction, MapVersion, Operation, OperationId, Policy,
    RegionSpec, Servers, Spec, State, Verdict, Vitals,
};

pub(crate) struct Flaky {
    pub(crate) journal: MemoryJournal,
    pub(crate) answers: Arc<AtomicBool>,
}

impl Flaky {
    fn there(&self) -> Result<&MemoryJournal> {
        if self.answers.load(Ordering::SeqCst) {
            Ok(&self.journal)
        } else {
            Err(JournalError::Unreachable("on purpose".into()))
        }
    }
}

#[async_trait]
impl Journal for Flaky {
    async fn found(
        &self,
        desired: &Desired,
        homes: &BTreeMap<Shard, (Region, Jurisdiction)>,
    ) -> Result<Applied> {
        self.there()?.found(desired, homes).await
    }

    async fn read(&self) -> Result<Scene> {
        self.there()?.read().await
    }

    async fn lead(&self, candidate: &Instance, ttl: Duration) -> Result<Option<Epoch>> {
        self.there()?.lead(candidate, ttl).await
    }

    async fn begin(&self, spec: &Spec) -> Result<Option<OperationId>> {
        self.there()?.begin(spec).await
    }

    async fn apply(&self, effect: &Effect) -> Result<Applied> {
        self.there()?.apply(effect).await
    }

    async fn abort(&self, operation: OperationId, why: &str) -> Result<Applied> {
        self.there()?.abort(operation, why).await
    }

    async fn operation(&self, operation: OperationId) -> Result<Option<Operation>> {
        self.there()?.operation(operation).await
    }

    async fn operations(&self, most: u32) -> Result<Vec<Operation>> {
        self.there()?.operations(most).await
    }

    async fn events(&self, shards: &BTreeSet<Shard>) -> Result<Option<Events>> {
        self.there()?.events(shards).await
    }

    async fn servers(&self) -> Result<BTreeMap<Region, Servers>> {
        self.there()?.servers().await
    }

    async fn note(&self, operation: OperationId, audit: &Audit) -> Result<Applied> {
        self.there()?.note(operation, audit).await
    }

    async fn set_state(&self, region: &Region, expect: u64, to: State) -> Result<Applied> {
        self.there()?.set_state(region, expect, to).await
    }

    async fn put_region(&self, region: &Region, expect: Option<u64>, spec: &RegionSpec) -> Result<Applied> {
        self.there()?.put_region(region, expect, spec).await
    }

    async fn put_policy(&self, expect: MapVersion, policy: &Policy) -> Result<Applied> {
        self.there()?.put_policy(expect, policy).await
    }

    async fn put_law(
        &self,
        expect: MapVersion,
        shards: &BTreeSet<Shard>,
        law: &Jurisdiction,
    ) -> Result<Applied> {
        self.there()?.put_law(expect, shards, law).await
    }

    async fn take(&self, shard: Shard, worker: &Instance, ttl: Duration) -> Result<Option<Epoch>> {
        self.there()?.take(shard, worker, ttl).await
    }

    async fn renew(&self, shard: Shard, worker: &Instance, epoch: Epoch, ttl: Duration) -> Result<Applied> {
        self.there()?.renew(shard, worker, epoch, ttl).await
    }

    async fn release(&self, shard: Shard, worker: &Instance, epoch: Epoch) -> Result<Applied> {
        self.there()?.release(shard, worker, epoch).await
    }

    async fn work(
        &self,
        worker: &Instance,
        ttl: Duration,
        busy: &BTreeSet<Shard>,
    ) -> Result<BTreeMap<Shard, Epoch>> {
        self.there()?.work(worker, ttl, busy).await
    }

    async fn resign(&self, instance: &Instance) -> Result<()> {
        self.there()?.resign(instance).await
    }

    async fn sight(&self, subject: &Region, observer: &Region, verdict: Verdict) -> Result<()> {
        self.there()?.sight(subject, observer, verdict).await
    }

    async fn say(&self, region: &Region, vitals: Vitals) -> Result<()> {
        self.there()?.say(region, vitals).await
    }

    async fn report(&self, me: &Region, seen: &BTreeMap<Region, Verdict>, vitals: Vitals) -> Result<()> {
        self.there()?.report(me, seen, vitals).await
    }
}
