//! Operations: begun, ended before their time.

use std::collections::BTreeSet;

use anyhow::Result;
use coordinator::{Applied, JournalError};
use kernel::{Region, Timestamp};
use placement::{
    Change, Digest, Effect, Kind, Leg, Operation, OperationId, Outcome, Phase, Spec, Step, World, step,
};
use serde_json::{Value, json};

use super::{
    Desk, known, no_operation,
    planned::{another, ask, make},
    show, trouble,
};
use crate::{
    cli::{Run, Waiting},
    exit::{Ended, Why},
    regions::view,
};

/// How often the database is asked whose answer does not come.
const TRIES: usize = 3;

impl Desk {
    /// Begins an operation and shows how it goes, or only what it would do.
    pub(super) async fn begin(&self, kind: Kind, digest: Option<Digest>, run: &Run) -> Result<()> {
        let scene = self.scene().await?;
        for region in kind.region().into_iter().chain(outside(&kind)) {
            known(&scene.world, region)?;
        }
        if let Some(left) = kind.region().filter(|left| outside(&kind).any(|taker| taker == *left)) {
            return Err(Ended::error(
                Why::Usage,
                format!("--outside {left}: the region that is left cannot take its own shards"),
            ));
        }
        let plan = make(&scene.world, &ask(&kind))?;
        if let Some(shown) = digest.as_ref().filter(|shown| **shown != plan.digest()) {
            return Err(another(&plan.digest(), shown.as_str()));
        }
        if run.dry_run {
            if scene.operation.is_some() {
                self.tell(format!("it could not begin now: {}", self.busy().await));
            }
            return self.show_plan(&plan);
        }
        if plan.moves.is_empty() && matches!(kind, Kind::Move { .. } | Kind::Rebalance) {
            return self.nothing_to_move(kind, scene.world.observed.now);
        }
        if scene.world.observed.leases.values().all(|lease| !lease.held(scene.world.observed.now)) {
            self.tell(
                "no process of any region works now: the operation will not get far until one is started",
            );
        }
        let id = self.start(&Spec { digest, ..Spec::asked(&self.person, kind) }).await?;
        match run.wait.longest() {
            Some(longest) => self.follow(id, longest).await,
            None => self.begun(id).await,
        }
    }

    /// Shows an operation that need not begin as one that is done, without a number.
    fn nothing_to_move(&self, kind: Kind, now: Timestamp) -> Result<()> {
        let mut operation = Operation::begin(OperationId(0), Spec::asked(&self.person, kind), now);
        operation.phase = Phase::Ended(Outcome::Done { late: BTreeSet::new() });
        operation.timeline.clear();
        let mut shown = serde_json::to_value(view::operation(&operation, None))?;
        shown["id"] = Value::Null;
        self.answer(&shown, || "nothing to move".to_owned())
    }

    /// A failover, once it is confirmed by the region's name.
    pub(super) async fn failover(
        &self,
        region: &Region,
        confirm: Option<&str>,
        outside: &[Region],
        run: &Run,
    ) -> Result<()> {
        let scene = self.scene().await?;
        for region in std::iter::once(region).chain(outside) {
            known(&scene.world, region)?;
        }
        let question = format!(
            "This fences {region}: it serves nothing as a home until a person lets it back. Its name, to confirm:"
        );
        let confirmed = match confirm {
            Some(name) => Some(name.to_owned()),
            None if run.dry_run => Some(region.to_string()),
            None => (self.ask)(&question),
        };
        match confirmed {
            Some(name) if name == region.as_str() => {
                let outside: BTreeSet<Region> = outside.iter().cloned().collect();
                let kind = Kind::Failover { region: region.clone(), outside, confirm: Some(name) };
                self.begin(kind, None, run).await
            }
            Some(name) => Err(Ended::error(
                Why::Usage,
                format!("not confirmed: {name:?} is not {region}. Nothing was changed"),
            )),
            None => Err(Ended::error(
                Why::Usage,
                format!(
                    "a failover is confirmed by the region's name: add --confirm {region}. Nothing was changed"
                ),
            )),
        }
    }

    /// Asks an operation to end, or says what that would do.
    pub(super) async fn abort(
        &self,
        operation: Option<u64>,
        why: &str,
        wait: &Waiting,
        dry_run: bool,
    ) -> Result<()> {
        let scene = self.scene().await?;
        let running = scene.operation.as_ref().map(|running| running.id);
        let id = match (operation.map(OperationId), running) {
            (Some(id), _) | (None, Some(id)) => id,
            (None, None) => return Err(Ended::error(Why::NotFound, "no operation runs")),
        };
        let Some(found) = self.journal.operation(id).await.map_err(trouble)? else {
            return Err(no_operation(id));
        };
        if found.ended() {
            return Err(Ended::error(Why::Conflict, format!("operation {id} has ended already")));
        }
        if dry_run {
            return self.would_abort(&found, &scene.world);
        }
        let why = format!("{why} ({})", self.person);
        if self.journal.abort(id, &why).await.map_err(trouble)? == Applied::Stale && found.abort.is_none() {
            self.tell(format!("operation {id} was asked to end before, or has just ended"));
        }
        match wait.longest() {
            Some(longest) => self.follow_abort(id, longest).await,
            None => self.begun(id).await,
        }
    }

    /// Shows what an abort would end, and what would follow.
    fn would_abort(&self, operation: &Operation, world: &World) -> Result<()> {
        let (shown, then) = (view::operation(operation, None), aborted(operation, world));
        let said = json!({"operation": shown, "then": then, "dry_run": true});
        self.answer(&said, || format!("would end {}: {then}", show::headline(&shown)))
    }

    /// What an operation is, right after it was asked for.
    async fn begun(&self, id: OperationId) -> Result<()> {
        let found = self.journal.operation(id).await.map_err(trouble)?.ok_or_else(|| no_operation(id))?;
        let shown = view::operation(&found, None);
        self.answer(&shown, || {
            format!("operation {id} ({}): {}. See `meridian region timeline {id}`", shown.kind, shown.phase)
        })
    }

    /// Begins it. An answer that was lost is asked for again, under the same key.
    async fn start(&self, spec: &Spec) -> Result<OperationId> {
        let spec = spec.clone().keyed(format!("{:032x}", rand::random::<u128>()));
        for _ in 1..TRIES {
            match self.journal.begin(&spec).await {
                Err(JournalError::Unreachable(why)) => {
                    self.tell(format!("no answer from the database, asking again: {why}"));
                }
                answer => return self.number(answer.map_err(trouble)?).await,
            }
        }
        let answer = self.journal.begin(&spec).await.map_err(trouble)?;
        self.number(answer).await
    }

    async fn number(&self, begun: Option<OperationId>) -> Result<OperationId> {
        match begun {
            Some(id) => Ok(id),
            None => Err(self.busy().await),
        }
    }

    async fn busy(&self) -> anyhow::Error {
        let running = self.journal.read().await.ok().and_then(|scene| scene.operation);
        let which = running.map(|running| format!("{} {}", running.spec.kind.name(), running.id));
        let which = which.unwrap_or_else(|| "another operation".to_owned());
        Ended::error(
            Why::Conflict,
            format!("{which} runs: wait for its end, or end it with `meridian region abort`"),
        )
    }
}

/// What follows when a person ends an operation now: the step it would take then says it.
fn aborted(operation: &Operation, world: &World) -> &'static str {
    let asked = Operation { abort: Some(String::new()), ..operation.clone() };
    let next = match step(&asked, world) {
        Step::Act(Effect { change: Change::Journal(next), .. }) => next,
        Step::Act(_) | Step::Wait { .. } | Step::Ended => return "nothing: it is ending already",
    };
    match (&next.phase, next.leg) {
        (Phase::Ended(Outcome::Refused { .. }), _) => "nothing to take back: nothing was changed yet",
        (Phase::Aborting { .. }, _) if operation.spec.kind.planned() => {
            "shards that moved go back where their old homes serve; what was announced is taken back"
        }
        (Phase::Aborting { .. }, _) => "shards that moved stay; what was announced is taken back",
        (Phase::Taking, Leg::Back) => "the region is let back, and its shards go home",
        _ => "nothing: it is ending already",
    }
}

/// The regions that may take shards of any jurisdiction, as they were named.
fn outside(kind: &Kind) -> impl Iterator<Item = &Region> {
    let named = match kind {
        Kind::Evacuate { outside } | Kind::Switchover { outside, .. } | Kind::Failover { outside, .. } => {
            Some(outside)
        }
        Kind::Move { .. } | Kind::Rebalance | Kind::Drill { .. } => None,
    };
    named.into_iter().flatten()
}
