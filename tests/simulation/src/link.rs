//! A way to the journal that loses questions and answers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use coordinator::{Applied, Journal, JournalError, MemoryJournal, Result, Scene};
use kernel::{Epoch, Region, Shard};
use placement::{
    Audit, Change, Desired, Effect, Events, Instance, Jurisdiction, MapVersion, Operation, OperationId,
    Policy, RegionSpec, Servers, Spec, State, Verdict, Vitals,
};

/// What happens to the next calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// The question does not arrive.
    Cut,
    /// It arrives, and the answer does not.
    AnswerLost,
    /// It arrives twice; the second answer is heard.
    Twice,
}

const FAULTS: [Fault; 4] = [Fault::None, Fault::Cut, Fault::AnswerLost, Fault::Twice];

/// What is broken on purpose, to see that the audit notices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mutant {
    /// Nothing.
    #[default]
    None,
    /// Changes of the map and of regions are made on whatever version there is.
    MapWithoutCompareAndSet,
    /// Changes are made whatever the operation has become.
    OperationWithoutVersion,
}

pub(crate) struct Link {
    journal: Arc<MemoryJournal>,
    fault: AtomicU8,
    mutant: Mutant,
}

impl Link {
    pub(crate) const fn new(journal: Arc<MemoryJournal>, mutant: Mutant) -> Self {
        Self { journal, fault: AtomicU8::new(0), mutant }
    }

    pub(crate) fn set(&self, fault: Fault) {
        let code = FAULTS.iter().position(|one| *one == fault).unwrap_or_default();
        self.fault.store(u8::try_from(code).unwrap_or_default(), Ordering::Relaxed);
    }

    async fn call<T, F: Future<Output = Result<T>>>(&self, call: impl Fn() -> F) -> Result<T> {
        let lost = || JournalError::Unreachable("simulated".into());
        match FAULTS[usize::from(self.fault.load(Ordering::Relaxed))] {
            Fault::None => call().await,
            Fault::Cut => Err(lost()),
            Fault::AnswerLost => call().await.and(Err(lost())),
            Fault::Twice => match call().await {
                Ok(_) => call().await,
                error => error,
            },
        }
    }

    /// The effect as the mutant would make it.
    fn mutate(&self, effect: &Effect) -> Effect {
        let store = self.journal.store();
        let mut effect = effect.clone();
        match (self.mutant, &mut effect.change) {
            (Mutant::MapWithoutCompareAndSet, Change::Map { expect, .. } | Change::Region { expect, .. }) => {
                *expect = store.world().observed.version;
            }
            (Mutant::OperationWithoutVersion, _) => {
                if let Some(running) = store.running() {
                    (effect.operation, effect.version) = (running.id, running.version);
                }
            }
            _ => {}
        }
        effect
    }
}

#[async_trait]
impl Journal for Link {
    async fn found(
        &self,
        desired: &Desired,
        homes: &BTreeMap<Shard, (Region, Jurisdiction)>,
    ) -> Result<Applied> {
        self.call(|| self.journal.found(desired, homes)).await
    }

    async fn read(&self) -> Result<Scene> {
        self.call(|| self.journal.read()).await
    }

    async fn lead(&self, candidate: &Instance, ttl: Duration) -> Result<Option<Epoch>> {
        self.call(|| self.journal.lead(candidate, ttl)).await
    }

    async fn begin(&self, spec: &Spec) -> Result<Option<OperationId>> {
        self.call(|| self.journal.begin(spec)).await
    }

    async fn apply(&self, effect: &Effect) -> Result<Applied> {
        let effect = self.mutate(effect);
        self.call(|| self.journal.apply(&effect)).await
    }

    async fn abort(&self, operation: OperationId, why: &str) -> Result<Applied> {
        self.call(|| self.journal.abort(operation, why)).await
    }

    async fn operation(&self, operation: OperationId) -> Result<Option<Operation>> {
        self.call(|| self.journal.operation(operation)).await
    }

    async fn operations(&self, most: u32) -> Result<Vec<Operation>> {
        self.call(|| self.journal.operations(most)).await
    }

    async fn events(&self, shards: &BTreeSet<Shard>) -> Result<Option<Events>> {
        self.call(|| self.journal.events(shards)).await
    }

    async fn servers(&self) -> Result<BTreeMap<Region, Servers>> {
        self.call(|| self.journal.servers()).await
    }

    async fn note(&self, operation: OperationId, audit: &Audit) -> Result<Applied> {
        self.call(|| self.journal.note(operation, audit)).await
    }

    async fn set_state(&self, region: &Region, expect: u64, to: State) -> Result<Applied> {
        self.call(|| self.journal.set_state(region, expect, to)).await
    }

    async fn put_region(&self, region: &Region, expect: Option<u64>, spec: &RegionSpec) -> Result<Applied> {
        self.call(|| self.journal.put_region(region, expect, spec)).await
    }

    async fn put_policy(&self, expect: MapVersion, policy: &Policy) -> Result<Applied> {
        self.call(|| self.journal.put_policy(expect, policy)).await
    }

    async fn put_law(
        &self,
        expect: MapVersion,
        shards: &BTreeSet<Shard>,
        law: &Jurisdiction,
    ) -> Result<Applied> {
        self.call(|| self.journal.put_law(expect, shards, law)).await
    }

    async fn take(&self, shard: Shard, worker: &Instance, ttl: Duration) -> Result<Option<Epoch>> {
        self.call(|| self.journal.take(shard, worker, ttl)).await
    }

    async fn renew(&self, shard: Shard, worker: &Instance, epoch: Epoch, ttl: Duration) -> Result<Applied> {
        self.call(|| self.journal.renew(shard, worker, epoch, ttl)).await
    }

    async fn release(&self, shard: Shard, worker: &Instance, epoch: Epoch) -> Result<Applied> {
        self.call(|| self.journal.release(shard, worker, epoch)).await
    }

    async fn work(
        &self,
        worker: &Instance,
        ttl: Duration,
        busy: &BTreeSet<Shard>,
    ) -> Result<BTreeMap<Shard, Epoch>> {
        self.call(|| self.journal.work(worker, ttl, busy)).await
    }

    async fn resign(&self, instance: &Instance) -> Result<()> {
        self.call(|| self.journal.resign(instance)).await
    }

    async fn sight(&self, subject: &Region, observer: &Region, verdict: Verdict) -> Result<()> {
        self.call(|| self.journal.sight(subject, observer, verdict)).await
    }

    async fn say(&self, region: &Region, vitals: Vitals) -> Result<()> {
        self.call(|| self.journal.say(region, vitals)).await
    }

    async fn report(&self, me: &Region, seen: &BTreeMap<Region, Verdict>, vitals: Vitals) -> Result<()> {
        self.call(|| self.journal.report(me, seen, vitals)).await
    }
}
