//! Plans: what would move, and why.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use anyhow::Result;
use kernel::{Region, Shard};
use placement::{Ask, Digest, Impossible, Kind, Plan, World, plan};
use serde::Serialize;

use super::{Desk, known, names};
use crate::{
    cli::{Run, ShardRange},
    exit::{Ended, Why},
};

/// A plan as programs read it.
#[derive(Serialize)]
struct Shown<'a> {
    digest: String,
    map_version: u64,
    moves: Vec<Moved<'a>>,
    homes: BTreeMap<&'a str, Counts>,
}

#[derive(Serialize)]
struct Moved<'a> {
    shard: u16,
    from: &'a str,
    to: &'a str,
    reason: &'static str,
    because: String,
}

#[derive(Serialize)]
struct Counts {
    now: usize,
    then: usize,
}

impl Desk {
    /// Shows the plan of `ask`.
    pub(super) async fn plan(&self, ask: &Ask) -> Result<()> {
        let scene = self.scene().await?;
        self.show_plan(&make(&scene.world, ask)?)
    }

    pub(super) fn show_plan(&self, plan: &Plan) -> Result<()> {
        let moves = plan.moves.iter().map(|step| Moved {
            shard: step.shard.number(),
            from: step.from.as_str(),
            to: step.to.as_str(),
            reason: step.reason.name(),
            because: step.reason.to_string(),
        });
        let homes = plan.counts.iter().map(|(region, &(now, then))| (region.as_str(), Counts { now, then }));
        let shown = Shown {
            digest: plan.digest().to_string(),
            map_version: plan.version.0,
            moves: moves.collect(),
            homes: homes.collect(),
        };
        self.answer(&shown, || table(plan))
    }

    /// Carries out the plan that was shown, and no other.
    pub(super) async fn apply(&self, shown: &str, run: &Run) -> Result<()> {
        if !(8..=64).contains(&shown.len()) || !shown.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(Ended::error(
                Why::Usage,
                "--plan: the digest that `meridian region plan` printed, 8 to 64 of 0-9, a-f",
            ));
        }
        let scene = self.scene().await?;
        let digest = make(&scene.world, &Ask::Rebalance)?.digest();
        if !names(shown, &digest) {
            return Err(another(&digest, shown));
        }
        self.begin(Kind::Rebalance, Some(digest), run).await
    }

    /// Gives shards another home.
    pub(super) async fn shift(&self, ranges: &[ShardRange], to: &Region, run: &Run) -> Result<()> {
        let scene = self.scene().await?;
        known(&scene.world, to)?;
        let shards: BTreeMap<Shard, Region> =
            ranges.iter().flat_map(|range| range.shards()).map(|shard| (shard, to.clone())).collect();
        if let Some(shard) = shards.keys().find(|shard| !scene.world.observed.shards.contains_key(shard)) {
            let last = scene.world.observed.shards.keys().last().copied().unwrap_or(Shard::new(0));
            return Err(Ended::error(
                Why::NotFound,
                format!("there is no shard {shard}; the last is {last}"),
            ));
        }
        self.begin(Kind::Move { shards }, None, run).await
    }
}

/// What an operation would do, as its preflight sees it.
pub(super) fn ask(kind: &Kind) -> Ask {
    match kind {
        Kind::Move { shards } => Ask::Move(shards.clone()),
        Kind::Rebalance => Ask::Rebalance,
        Kind::Evacuate { outside } => Ask::Evacuate { outside: outside.clone() },
        Kind::Switchover { region, outside } | Kind::Failover { region, outside, .. } => {
            Ask::Leave { region: region.clone(), outside: outside.clone() }
        }
        Kind::Drill { region } => Ask::Leave { region: region.clone(), outside: BTreeSet::new() },
    }
}

/// A plan, or why there is none.
pub(super) fn make(world: &World, ask: &Ask) -> Result<Plan> {
    plan(world, ask).map_err(|impossible| {
        let why = match impossible {
            Impossible::NoSuchShard { .. } => Why::NotFound,
            Impossible::FitsNowhere { .. } => Why::Failed,
        };
        Ended::error(why, impossible.to_string())
    })
}

/// That the plan is not the one that was shown.
pub(super) fn another(now: &Digest, shown: &str) -> anyhow::Error {
    Ended::error(
        Why::Conflict,
        format!("the plan is now {now}, not {shown}: look at it again with `meridian region plan`"),
    )
}

fn table(plan: &Plan) -> String {
    let mut text = String::new();
    if plan.moves.is_empty() {
        text.push_str("nothing to move\n");
    } else {
        let _ = writeln!(text, "{:>5}  {:<16} {:<16} WHY", "SHARD", "FROM", "TO");
        for step in &plan.moves {
            let shard = step.shard.number();
            let _ = writeln!(
                text,
                "{shard:>5}  {:<16} {:<16} {}",
                step.from.as_str(),
                step.to.as_str(),
                step.reason
            );
        }
    }
    let _ = writeln!(text, "\n{:<16} {:>5} {:>5}", "REGION", "NOW", "THEN");
    for (region, (now, then)) in &plan.counts {
        let _ = writeln!(text, "{:<16} {now:>5} {then:>5}", region.as_str());
    }
    let _ = writeln!(text, "\nmap {}, plan {}", plan.version, plan.digest());
    text
}
