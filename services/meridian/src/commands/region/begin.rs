//! Operations: begun, ended before their time.

use std::collections::BTreeSet;

use anyhow::Result;
use coordinator::{Applied, JournalError};
use kernel::Region;
use placement::{Digest, Kind, OperationId, Spec};
use serde_json::json;

use super::{
    Desk, known, no_operation,
    planned::{ask, make},
    trouble,
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
        if let Some(region) = kind.region() {
            known(&scene.world, region)?;
        }
        let plan = make(&scene.world, &ask(&kind))?;
        if run.dry_run {
            return self.show_plan(&plan);
        }
        if plan.moves.is_empty() && matches!(kind, Kind::Move { .. } | Kind::Rebalance) {
            return self.answer(&json!({"outcome": "done", "moves": 0}), || "nothing to move".to_owned());
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

    /// A failover, once it is confirmed by the region's name.
    pub(super) async fn failover(
        &self,
        region: &Region,
        confirm: Option<&str>,
        outside: &[Region],
        run: &Run,
    ) -> Result<()> {
        let scene = self.scene().await?;
        known(&scene.world, region)?;
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

    /// Asks an operation to end.
    pub(super) async fn abort(&self, operation: Option<u64>, why: &str, wait: &Waiting) -> Result<()> {
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
        let why = format!("{why} ({})", self.person);
        if self.journal.abort(id, &why).await.map_err(trouble)? == Applied::Stale && found.abort.is_none() {
            self.tell(format!("operation {id} was asked to end before, or has just ended"));
        }
        match wait.longest() {
            Some(longest) => self.follow_abort(id, longest).await,
            None => self.begun(id).await,
        }
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
