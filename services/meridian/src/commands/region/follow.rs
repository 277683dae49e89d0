//! Waits for an operation and shows how it goes.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use coordinator::{Coordinator, Deed, JournalError};
use kernel::Region;
use placement::{Instance, Operation, OperationId, Outcome, Phase, Spec};
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    Desk, no_operation,
    planned::{ask, make},
    show, trouble,
};
use crate::{
    exit::{Ended, Why},
    regions::{report, view},
};

/// Between two looks.
pub(super) const TURN: Duration = Duration::from_millis(200);
/// For how long this process leads from each of its looks on, where nobody else does.
const LEAD: Duration = Duration::from_secs(2);

impl Desk {
    /// Until it is over: done is success.
    pub(super) async fn follow(&self, id: OperationId, longest: Duration) -> Result<()> {
        let ended = self.to_its_end(id, longest).await?;
        let shown = view::operation(&ended, None);
        self.answer(&shown, || format!("{}\n{}", show::end(&shown), report::text(&shown)))?;
        match &ended.phase {
            Phase::Ended(Outcome::Done { .. }) => Ok(()),
            Phase::Ended(Outcome::Refused { why }) => Err(self.refused(&ended.spec, why).await),
            Phase::Ended(Outcome::Aborted { why }) => {
                Err(Ended::error(Why::Failed, format!("aborted: {why}")))
            }
            _ => Err(Ended::error(Why::Failed, "the operation is not over")),
        }
    }

    /// That it was refused. A plan that was shown is of one version of the map: where it is another one by now, somebody
    /// changed the map meanwhile.
    async fn refused(&self, spec: &Spec, why: &str) -> anyhow::Error {
        let why_not = match (&spec.digest, self.journal.read().await) {
            (Some(shown), Ok(scene))
                if !make(&scene.world, &ask(&spec.kind)).is_ok_and(|plan| plan.digest() == *shown) =>
            {
                Why::Conflict
            }
            _ => Why::Failed,
        };
        Ended::error(why_not, format!("refused, nothing was changed: {why}"))
    }

    /// Until it is over: that it ended is what was asked for.
    pub(super) async fn follow_abort(&self, id: OperationId, longest: Duration) -> Result<()> {
        let shown = view::operation(&self.to_its_end(id, longest).await?, None);
        self.answer(&shown, || show::end(&shown))
    }

    async fn to_its_end(&self, id: OperationId, longest: Duration) -> Result<Operation> {
        let until = Instant::now() + longest;
        let late = || {
            Ended::error(
                Why::Late,
                format!(
                    "operation {id} is not over after {} s and goes on: `meridian region timeline {id}` shows how it \
                         goes, `meridian region abort {id}` ends it",
                    longest.as_secs()
                ),
            )
        };
        let steps = self.step_by_step(id);
        timeout_at(until, steps).await.map_err(|_| late())?
    }

    async fn step_by_step(&self, id: OperationId) -> Result<Operation> {
        let me =
            Instance::new(Region::new("command-line"), format!("{}-{}", self.person, std::process::id()));
        let coordinator = Coordinator::new(Arc::clone(&self.journal), me.clone(), LEAD);
        let (mut shown, mut waited) = (0, None);
        loop {
            let now = self.insist(|| self.journal.operation(id)).await?.ok_or_else(|| no_operation(id))?;
            for entry in now.timeline.iter().skip(shown) {
                self.tell(show::entry(entry.at, &entry.phase, &entry.detail));
            }
            shown = now.timeline.len();
            if now.ended() {
                return Ok(now);
            }
            let scene = self.insist(|| self.journal.read()).await?;
            let waits_for = view::operation(&now, Some(&scene.world)).waits_for;
            if waits_for != waited {
                if let Some(why) = &waits_for {
                    self.tell(format!("{:29}waits: {why}", ""));
                }
                waited = waits_for;
            }
            // Regions lead, where one of them runs; two at once would do no harm.
            let led = scene.leader.as_ref().is_some_and(|lease| lease.held(scene.world.observed.now));
            let mine = scene.leader.as_ref().is_some_and(|lease| lease.holder == me);
            let moved = (!led || mine) && self.insist(|| coordinator.tick()).await? == Deed::Changed;
            if !moved {
                sleep(TURN).await;
            }
        }
    }

    /// What a wait looks at, once the journal answers: a database that elects its leaders anew does not for a while, and
    /// what is waited for goes on meanwhile. The wait has an end; this has none.
    pub(super) async fn insist<T, F>(&self, look: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = coordinator::Result<T>>,
    {
        let mut told = false;
        loop {
            match look().await {
                Err(JournalError::Unreachable(why)) => {
                    if !std::mem::replace(&mut told, true) {
                        self.tell(format!("no answer from the database, looking again: {why}"));
                    }
                    sleep(TURN).await;
                }
                answer => return answer.map_err(trouble),
            }
        }
    }
}
