//! A journal to which something happens between a command's look and what it does.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use coordinator::{Applied, Journal, MemoryJournal, Result, Scene};
use kernel::{Epoch, Region, Shard};
use placement::{
    Audit, Desired, Effect, Events, Instance, Jurisdiction, MapVersion, Operation, OperationId, Policy,
    RegionSpec, Servers, Spec, State, Verdict, Vitals,
};

/// What happens before a call of this name; an error is the call's answer.
pub(super) type Before = dyn Fn(&str) -> Result<()> + Send + Sync;

pub(super) struct Between {
    pub(super) journal: Arc<MemoryJournal>,
    pub(super) before: Box<Before>,
}

impl Between {
    fn at(&self, call: &str) -> Result<&MemoryJournal> {
        (self.before)(call)?;
        Ok(&self.journal)
    }
}

#[async_trait]
impl Journal for Between {
    async fn found(
        &self,
        desired: &Desired,
        homes: &BTreeMap<Shard, (Region, Jurisdiction)>,
    ) -> Result<Applied> {
        self.at("found")?.found(desired, homes).await
    }

    async fn read(&self) -> Result<Scene> {
        self.at("read")?.read().await
    }

    async fn lead(&self, candidate: &Instance, ttl: Duration) -> Result<Option<Epoch>> {
        self.at("lead")?.lead(candidate, ttl).await
    }

    async fn begin(&self, spec: &Spec) -> Result<Option<OperationId>> {
        self.at("begin")?.begin(spec).await
    }

    async fn apply(&self, effect: &Effect) -> Result<Applied> {
        self.at("apply")?.apply(effect).await
    }

    async fn abort(&self, operation: OperationId, why: &str) -> Result<Applied> {
        self.at("abort")?.abort(operation, why).await
    }

    async fn operation(&self, operation: OperationId) -> Result<Option<Operation>> {
        self.at("operation")?.operation(operation).await
    }

    async fn operations(&self, most: u32) -> Result<Vec<Operation>> {
        self.at("operations")?.operations(most).await
    }

    async fn events(&self, shards: &BTreeSet<Shard>) -> Result<Option<Events>> {
        self.at("events")?.events(shards).await
    }

    async fn servers(&self) -> Result<BTreeMap<Region, Servers>> {
        self.at("servers")?.servers().await
    }

    async fn note(&self, operation: OperationId, audit: &Audit) -> Result<Applied> {
        self.at("note")?.note(operation, audit).await
    }

    async fn set_state(&self, region: &Region, expect: u64, to: State) -> Result<Applied> {
        self.at("set_state")?.set_state(region, expect, to).await
    }

    async fn put_region(&self, region: &Region, expect: Option<u64>, spec: &RegionSpec) -> Result<Applied> {
        self.at("put_region")?.put_region(region, expect, spec).await
    }

    async fn put_policy(&self, expect: MapVersion, policy: &Policy) -> Result<Applied> {
        self.at("put_policy")?.put_policy(expect, policy).await
    }

    async fn put_law(
        &self,
        expect: MapVersion,
        shards: &BTreeSet<Shard>,
        law: &Jurisdiction,
    ) -> Result<Applied> {
        self.at("put_law")?.put_law(expect, shards, law).await
    }

    async fn take(&self, shard: Shard, worker: &Instance, ttl: Duration) -> Result<Option<Epoch>> {
        self.at("take")?.take(shard, worker, ttl).await
    }

    async fn renew(&self, shard: Shard, worker: &Instance, epoch: Epoch, ttl: Duration) -> Result<Applied> {
        self.at("renew")?.renew(shard, worker, epoch, ttl).await
    }

    async fn release(&self, shard: Shard, worker: &Instance, epoch: Epoch) -> Result<Applied> {
        self.at("release")?.release(shard, worker, epoch).await
    }

    async fn work(
        &self,
        worker: &Instance,
        ttl: Duration,
        busy: &BTreeSet<Shard>,
    ) -> Result<BTreeMap<Shard, Epoch>> {
        self.at("work")?.work(worker, ttl, busy).await
    }

    async fn resign(&self, instance: &Instance) -> Result<()> {
        self.at("resign")?.resign(instance).await
    }

    async fn sight(&self, subject: &Region, observer: &Region, verdict: Verdict) -> Result<()> {
        self.at("sight")?.sight(subject, observer, verdict).await
    }

    async fn say(&self, region: &Region, vitals: Vitals) -> Result<()> {
        self.at("say")?.say(region, vitals).await
    }

    async fn report(&self, me: &Region, seen: &BTreeMap<Region, Verdict>, vitals: Vitals) -> Result<()> {
        self.at("report")?.report(me, seen, vitals).await
    }
}
