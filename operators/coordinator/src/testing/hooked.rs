//! A journal with something between it and whoever asks it. What lies between is said once; the list of the journal's
//! methods stands here and in no test.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use kernel::{Epoch, Region, Shard};
use placement::{
    Audit, Desired, Effect, Events, Instance, Jurisdiction, MapVersion, Operation, OperationId, Policy,
    RegionSpec, Servers, Spec, State, Verdict, Vitals,
};

use crate::{Applied, Journal, Result, Scene};

/// What happens between a caller and a journal: nothing, where it is not said. A call is known by the name of its method.
///
/// A function of the name and of nothing else is what happens before each call.
pub trait Hooks: Send + Sync {
    /// Before the call arrives. An error is its answer, and it does not arrive.
    fn before(&self, _call: &str) -> Result<()> {
        Ok(())
    }

    /// Whether the call, once it was answered without an error, arrives once more; the second answer is the one that is heard.
    fn again(&self, _call: &str) -> bool {
        false
    }

    /// After the call was answered without an error. An error is heard instead of the answer; what was done stays done.
    fn after(&self, _call: &str) -> Result<()> {
        Ok(())
    }

    /// What is begun instead of what was asked for.
    fn spec<'a>(&self, asked: &'a Spec) -> Cow<'a, Spec> {
        Cow::Borrowed(asked)
    }

    /// What is changed instead of what was decided.
    fn effect<'a>(&self, decided: &'a Effect) -> Cow<'a, Effect> {
        Cow::Borrowed(decided)
    }
}

impl<F: Fn(&str) -> Result<()> + Send + Sync> Hooks for F {
    fn before(&self, call: &str) -> Result<()> {
        self(call)
    }
}

/// A journal that is reached through [`Hooks`].
pub struct Hooked<H> {
    journal: Arc<dyn Journal>,
    hooks: H,
}

impl<H: Hooks> Hooked<H> {
    /// `journal`, with `hooks` before it.
    pub const fn new(journal: Arc<dyn Journal>, hooks: H) -> Self {
        Self { journal, hooks }
    }

    /// What lies between.
    pub const fn hooks(&self) -> &H {
        &self.hooks
    }

    async fn call<T, F: Future<Output = Result<T>>>(
        &self,
        name: &'static str,
        call: impl Fn() -> F,
    ) -> Result<T> {
        self.hooks.before(name)?;
        let first = call().await?;
        let answer = if self.hooks.again(name) { call().await? } else { first };
        self.hooks.after(name)?;
        Ok(answer)
    }
}

#[async_trait]
impl<H: Hooks> Journal for Hooked<H> {
    async fn found(
        &self,
        desired: &Desired,
        homes: &BTreeMap<Shard, (Region, Jurisdiction)>,
    ) -> Result<Applied> {
        self.call("found", || self.journal.found(desired, homes)).await
    }

    async fn read(&self) -> Result<Scene> {
        self.call("read", || self.journal.read()).await
    }

    async fn lead(&self, candidate: &Instance, ttl: Duration) -> Result<Option<Epoch>> {
        self.call("lead", || self.journal.lead(candidate, ttl)).await
    }

    async fn begin(&self, spec: &Spec) -> Result<Option<OperationId>> {
        let spec = self.hooks.spec(spec);
        self.call("begin", || self.journal.begin(&spec)).await
    }

    async fn apply(&self, effect: &Effect) -> Result<Applied> {
        let effect = self.hooks.effect(effect);
        self.call("apply", || self.journal.apply(&effect)).await
    }

    async fn abort(&self, operation: OperationId, why: &str) -> Result<Applied> {
        self.call("abort", || self.journal.abort(operation, why)).await
    }

    async fn operation(&self, operation: OperationId) -> Result<Option<Operation>> {
        self.call("operation", || self.journal.operation(operation)).await
    }

    async fn operations(&self, most: u32) -> Result<Vec<Operation>> {
        self.call("operations", || self.journal.operations(most)).await
    }

    async fn events(&self, shards: &BTreeSet<Shard>) -> Result<Option<Events>> {
        self.call("events", || self.journal.events(shards)).await
    }

    async fn servers(&self) -> Result<BTreeMap<Region, Servers>> {
        self.call("servers", || self.journal.servers()).await
    }

    async fn note(&self, operation: OperationId, audit: &Audit) -> Result<Applied> {
        self.call("note", || self.journal.note(operation, audit)).await
    }

    async fn set_state(&self, region: &Region, expect: u64, to: State) -> Result<Applied> {
        self.call("set_state", || self.journal.set_state(region, expect, to)).await
    }

    async fn put_region(&self, region: &Region, expect: Option<u64>, spec: &RegionSpec) -> Result<Applied> {
        self.call("put_region", || self.journal.put_region(region, expect, spec)).await
    }

    async fn put_policy(&self, expect: MapVersion, policy: &Policy) -> Result<Applied> {
        self.call("put_policy", || self.journal.put_policy(expect, policy)).await
    }

    async fn put_law(
        &self,
        expect: MapVersion,
        shards: &BTreeSet<Shard>,
        law: &Jurisdiction,
    ) -> Result<Applied> {
        self.call("put_law", || self.journal.put_law(expect, shards, law)).await
    }

    async fn take(&self, shard: Shard, worker: &Instance, ttl: Duration) -> Result<Option<Epoch>> {
        self.call("take", || self.journal.take(shard, worker, ttl)).await
    }

    async fn renew(&self, shard: Shard, worker: &Instance, epoch: Epoch, ttl: Duration) -> Result<Applied> {
        self.call("renew", || self.journal.renew(shard, worker, epoch, ttl)).await
    }

    async fn release(&self, shard: Shard, worker: &Instance, epoch: Epoch) -> Result<Applied> {
        self.call("release", || self.journal.release(shard, worker, epoch)).await
    }

    async fn work(
        &self,
        worker: &Instance,
        ttl: Duration,
        busy: &BTreeSet<Shard>,
    ) -> Result<BTreeMap<Shard, Epoch>> {
        self.call("work", || self.journal.work(worker, ttl, busy)).await
    }

    async fn resign(&self, instance: &Instance) -> Result<()> {
        self.call("resign", || self.journal.resign(instance)).await
    }

    async fn sight(&self, subject: &Region, observer: &Region, verdict: Verdict) -> Result<()> {
        self.call("sight", || self.journal.sight(subject, observer, verdict)).await
    }

    async fn say(&self, region: &Region, vitals: Vitals) -> Result<()> {
        self.call("say", || self.journal.say(region, vitals)).await
    }

    async fn report(&self, me: &Region, seen: &BTreeMap<Region, Verdict>, vitals: Vitals) -> Result<()> {
        self.call("report", || self.journal.report(me, seen, vitals)).await
    }
}
