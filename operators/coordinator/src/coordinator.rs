//! Looks, decides, acts.

use std::{sync::Arc, time::Duration};

use kernel::Timestamp;
use placement::{Change, Effect, Instance, Operation, OperationId, Phase, Spec, Step, Wait, duty, step};

use crate::{Applied, Journal, Result, Scene};

/// What a coordinator is about to do.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Intent {
    /// Nothing: another one leads.
    Follow,
    /// Nothing: there is nothing to do.
    Idle,
    /// Nothing yet.
    Wait {
        /// When to look at the latest, if time alone helps.
        until: Option<Timestamp>,
        /// What for.
        why: Wait,
    },
    /// Begin an operation by itself.
    Begin(Spec),
    /// Make the next change of the running operation.
    Act(Effect),
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// There was nothing to do.
    Nothing,
    /// An operation began.
    Began(OperationId),
    /// The change was made.
    Changed,
    /// Somebody else was faster; nothing was changed.
    Late,
}

/// One coordinator: a process of a region. Any number may run.
#[derive(Debug)]
pub struct Coordinator<J: ?Sized> {
    journal: Arc<J>,
    me: Instance,
    ttl: Duration,
}

impl<J: Journal + ?Sized> Coordinator<J> {
    /// A coordinator that, while it leads, leads for `ttl` from each look on.
    pub const fn new(journal: Arc<J>, me: Instance, ttl: Duration) -> Self {
        Self { journal, me, ttl }
    }

    /// Decides what to do, from one moment's state of the journal.
    pub async fn look(&self) -> Result<Intent> {
        if self.journal.lead(&self.me, self.ttl).await?.is_none() {
            return Ok(Intent::Follow);
        }
        let mut scene = self.journal.read().await?;
        let begins = |one: &Operation| one.phase == Phase::Preflight && one.spec.kind.planned();
        if scene.operation.as_ref().is_some_and(begins) {
            // What the database does not say holds nothing up.
            scene.world.observed.servers = self.journal.servers().await.unwrap_or_default();
        }
        let mut intent = Intent::decide(&scene);
        self.count(&scene, &mut intent).await;
        Ok(intent)
    }

    /// Counts what waits of the moved shards' events where the operation goes on to its next phase, for its report. What cannot
    /// be counted is left out: nothing waits for it.
    async fn count(&self, scene: &Scene, intent: &mut Intent) {
        let (Intent::Act(effect), Some(operation)) = (intent, &scene.operation) else { return };
        let Change::Journal(next) = &mut effect.change else { return };
        let goes_on = next.timeline.len() > operation.timeline.len();
        if !goes_on || next.moves.is_empty() || !next.spec.kind.reported() {
            return;
        }
        let shards = next.moves.iter().map(|step| step.shard).collect();
        if let (Ok(events), Some(entry)) = (self.journal.events(&shards).await, next.timeline.last_mut()) {
            entry.events = events;
        }
    }

    /// Does it: at most one change, made whole or not at all. However much time has passed since the look, the change is
    /// made only if nothing it depends on has changed.
    pub async fn act(&self, intent: &Intent) -> Result<Deed> {
        match intent {
            Intent::Follow | Intent::Idle | Intent::Wait { .. } => Ok(Deed::Nothing),
            Intent::Begin(spec) => Ok(self.journal.begin(spec).await?.map_or(Deed::Late, Deed::Began)),
            Intent::Act(effect) => Ok(match self.journal.apply(effect).await? {
                Applied::Yes => Deed::Changed,
                Applied::Stale => Deed::Late,
            }),
        }
    }

    /// Looks and acts once. The caller repeats it: at once after a change, in a while after nothing.
    pub async fn tick(&self) -> Result<Deed> {
        let intent = self.look().await?;
        self.act(&intent).await
    }
}

impl Intent {
    /// What the leader does next.
    pub fn decide(scene: &Scene) -> Self {
        let Some(operation) = &scene.operation else {
            return duty(&scene.world).map_or(Self::Idle, Self::Begin);
        };
        match step(operation, &scene.world) {
            Step::Act(effect) => Self::Act(effect),
            Step::Wait { until, why } => Self::Wait { until, why },
            Step::Ended => Self::Idle,
        }
    }
}
