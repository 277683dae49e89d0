//! Tables and sentences.

use std::fmt::Write as _;

use anyhow::Result;
use contracts::region::{OperationView, RegionView, RegionsView};
use kernel::Timestamp;
use placement::OperationId;

use super::{Desk, no_operation, schedule, trouble};
use crate::{
    exit::{Ended, Why},
    regions::{last, report, view},
};

impl Desk {
    /// The map, the regions, what runs.
    pub(super) async fn status(&self, shards: bool) -> Result<()> {
        let map = view::regions(&self.scene().await?, None);
        self.answer(&map, || status(&map, shards))
    }

    /// An operation's timeline.
    pub(super) async fn timeline(&self, operation: Option<u64>) -> Result<()> {
        let scene = self.scene().await?;
        let found = match operation.map(OperationId) {
            Some(id) => self.journal.operation(id).await.map_err(trouble)?.ok_or_else(|| no_operation(id))?,
            None => last(&*self.journal)
                .await
                .map_err(trouble)?
                .ok_or_else(|| Ended::error(Why::NotFound, "no operation ever began"))?,
        };
        let shown = view::operation(&found, Some(&scene.world));
        self.answer(&shown, || format!("{}\n{}", timeline(&shown), report::text(&shown)))
    }

    /// The operations that began last.
    pub(super) async fn history(&self, last: u32) -> Result<()> {
        let scene = self.scene().await?;
        let began = self.journal.operations(last).await.map_err(trouble)?;
        let shown: Vec<_> = began.iter().map(|one| view::operation(one, Some(&scene.world))).collect();
        self.answer(&shown, || history(&shown))
    }
}

fn history(operations: &[OperationView]) -> String {
    if operations.is_empty() {
        return "no operation ever began".to_owned();
    }
    let line = |operation: &OperationView| format!("{}  {}", began(operation), headline(operation));
    operations.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn status(map: &RegionsView, shards: bool) -> String {
    let mut text = format!(
        "{:<16} {:<9} {:>5} {:>6} {:>8} {:<10} {}\n",
        "REGION", "STATE", "HOMES", "LEASES", "LAG", "SEEN", "ENDPOINT"
    );
    for region in &map.regions {
        let lag = region.relay_lag_ms.map_or_else(|| "-".to_owned(), |lag| format!("{lag} ms"));
        let _ = writeln!(
            text,
            "{:<16} {:<9} {:>5} {:>6} {lag:>8} {:<10} {}{}",
            region.region,
            region.state,
            region.homes,
            region.leases,
            seen(region),
            region.endpoint,
            less(region),
        );
    }
    let leader = map.leader.as_deref().unwrap_or("nobody");
    let paused = if map.paused { " · movement is paused" } else { "" };
    let _ = writeln!(text, "\nmap {} · {} shards · led by {leader}{paused}", map.version, map.shards.len());
    if let Some(running) = &map.operation {
        let _ = writeln!(text, "{}", headline(running));
    }
    if shards {
        let _ = writeln!(text, "\n{:>5}  {:<16} {:<16} {:>6}  HOLDER", "SHARD", "HOME", "MOVING TO", "EPOCH");
        for shard in &map.shards {
            let _ = writeln!(
                text,
                "{:>5}  {:<16} {:<16} {:>6}  {}",
                shard.shard,
                shard.home,
                shard.moving_to.as_deref().unwrap_or("-"),
                shard.epoch,
                shard.holder.as_deref().unwrap_or("nobody"),
            );
        }
    }
    if let Some(drills) = &map.drills {
        let _ = writeln!(text, "{}", schedule::told(drills));
    }
    text
}

/// What a person has it do less of.
fn less(region: &RegionView) -> String {
    let changes = match (region.static_only, region.read_only) {
        (true, _) => "  shows copies only",
        (false, true) => "  changes nothing",
        (false, false) => "",
    };
    let queue = if region.queue > 0 { format!("  {} at once", region.queue) } else { String::new() };
    format!("{changes}{queue}")
}

/// What the others see of a region, in a word or two.
fn seen(region: &RegionView) -> String {
    let fresh: Vec<_> = region.seen.iter().filter(|sighting| sighting.fresh).collect();
    let down = fresh.iter().filter(|sighting| !sighting.up).count();
    match (fresh.len(), down) {
        (0, _) => "by nobody".to_owned(),
        (_, 0) => "up".to_owned(),
        (all, down) if all == down => "down".to_owned(),
        (all, down) => format!("down {down}/{all}"),
    }
}

/// An operation in a line.
pub(super) fn headline(operation: &OperationView) -> String {
    let of = operation.region.as_ref().map(|region| format!(" of {region}")).unwrap_or_default();
    let by = operation.by.as_ref().map_or_else(|| "by itself".to_owned(), |who| format!("asked by {who}"));
    let how = operation.outcome.as_deref().unwrap_or(&operation.phase);
    let back = if operation.back && operation.outcome.is_none() { ", on its way back" } else { "" };
    let waits = operation.waits_for.as_ref().map(|why| format!(", waits: {why}")).unwrap_or_default();
    let why = operation.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    format!("operation {} · {}{of}, {by} · {how}{back}{why}{waits}", operation.id, operation.kind)
}

/// A line of a timeline.
pub(super) fn entry(at: Timestamp, phase: &str, detail: &str) -> String {
    format!("{at}  {phase:<12}  {detail}")
}

fn timeline(operation: &OperationView) -> String {
    let lines = operation.timeline.iter().map(|line| entry(line.at, &line.phase, &line.detail));
    std::iter::once(headline(operation)).chain(lines).collect::<Vec<_>>().join("\n")
}

fn began(operation: &OperationView) -> Timestamp {
    operation.timeline.first().map_or(Timestamp::default(), |line| line.at)
}

/// How an operation ended, with what it took.
pub(super) fn end(operation: &OperationView) -> String {
    let took = operation.timeline.last().map_or(Timestamp::default(), |line| line.at).since(began(operation));
    format!("{} · {} shards moved · {:.1} s", headline(operation), operation.moves, took.as_secs_f64())
}
