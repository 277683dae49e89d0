//! `meridian region`: the map of regions and the operations on it, over the database's journal.

mod begin;
mod database;
mod follow;
mod found;
mod persons;
mod places;
mod planned;
mod policy;
mod ready;
mod schedule;
mod show;
#[cfg(test)]
mod tests;
mod verify;

use std::{io::IsTerminal, sync::Arc};

use anyhow::Result;
use coordinator::{Journal, JournalError, Scene};
use kernel::Region;
use placement::{Ask, Degraded, Digest, Kind, MapVersion, OperationId, World};
use serde::Serialize;

use crate::{
    Settings,
    answer::{self, put},
    cli::{Output, RegionArgs, RegionCommand},
    exit::{Ended, Why},
    regions,
};

/// Runs a command on the journal of the database that `settings` name.
pub(crate) async fn run(settings: Settings, args: &RegionArgs) -> Result<()> {
    let (db, schema) = database::open(&settings).await?;
    if let RegionCommand::Verify { window } = &args.command {
        schema.is_ours()?;
        return verify::run(db, settings, window.map(|window| window.0), args.output).await;
    }
    let shards = db.every_shard().collect();
    let desk =
        Desk { journal: regions::journal(&db), person: person(), output: args.output, ask: prompt, put };
    match &args.command {
        RegionCommand::Found { regions, jurisdiction, dry_run } => {
            desk.found(regions, jurisdiction, shards, *dry_run).await
        }
        command => desk.run(command).await,
    }
}

/// Who works, on what, and how they are answered.
pub(crate) struct Desk {
    pub(crate) journal: Arc<dyn Journal>,
    /// For the journal: who asked.
    pub(crate) person: String,
    pub(crate) output: Output,
    /// Asks the person at the terminal for a line; none where there is no person.
    pub(crate) ask: fn(&str) -> Option<String>,
    /// Takes the answer.
    pub(crate) put: fn(&str) -> Result<()>,
}

impl Desk {
    /// Runs a command to its end.
    pub(crate) async fn run(&self, command: &RegionCommand) -> Result<()> {
        use RegionCommand as C;
        match command {
            C::Status { shards } => self.status(*shards).await,
            C::Plan => self.plan(&Ask::Rebalance).await,
            C::Apply { plan, run } => self.apply(plan, run).await,
            C::Rebalance { run } => self.begin(Kind::Rebalance, None, run).await,
            C::Move { shards, to, run } => self.shift(shards, to, run).await,
            C::Cordon { region, dry_run } => self.cordon(region, *dry_run).await,
            C::Uncordon { region, dry_run } => self.uncordon(region, *dry_run).await,
            C::Drain { region, wait, dry_run } => self.drain(region, wait, *dry_run).await,
            C::Fence { region, wait, dry_run } => self.fence(region, wait, *dry_run).await,
            C::Unfence { region, dry_run } => self.unfence(region, *dry_run).await,
            C::Degrade { region, read_only, static_only, queue, dry_run, off: _ } => {
                let to =
                    Degraded { read_only: *read_only, static_only: *static_only, queue: queue.unwrap_or(0) };
                self.degrade(region, to, *dry_run).await
            }
            C::Add { region, place, dry_run } => self.add(region, place, *dry_run).await,
            C::Law { shards, under, dry_run } => self.law(shards, under, *dry_run).await,
            C::Set { region, share, dry_run } => self.set(region, share, *dry_run).await,
            C::Policy { change, dry_run } => self.policy(change, *dry_run).await,
            C::Switchover { region, outside, run } => {
                let outside = outside.iter().cloned().collect();
                self.begin(Kind::Switchover { region: region.clone(), outside }, None, run).await
            }
            C::Failover { region, confirm, outside, run } => {
                self.failover(region, confirm.as_deref(), outside, run).await
            }
            C::Drill { region, run } => self.begin(Kind::Drill { region: region.clone() }, None, run).await,
            C::Abort { operation, why, wait, dry_run } => self.abort(*operation, why, wait, *dry_run).await,
            C::Timeline { operation } => self.timeline(*operation).await,
            C::History { last } => self.history(*last).await,
            C::WhyNotReady { region } => self.why_not_ready(region.as_ref()).await,
            C::Found { .. } | C::Verify { .. } => Ok(()),
        }
    }

    /// What is, of one moment; it is an error when the database has no map.
    async fn scene(&self) -> Result<Scene> {
        let scene = self.journal.read().await.map_err(trouble)?;
        if scene.world.observed.version == MapVersion(0) {
            return Err(Ended::error(
                Why::NotFound,
                "this database has no map of regions: `meridian up` or `meridian region found` makes one. (Is it the right \
                 --data or --database?)",
            ));
        }
        Ok(scene)
    }

    /// The answer: `value` for programs, `text` for people.
    fn answer(&self, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
        (self.put)(&match self.output {
            Output::Json => serde_json::to_string_pretty(value)?,
            Output::Text => text(),
        })
    }

    /// What happens meanwhile; standard output is for the answer.
    fn tell(&self, text: impl std::fmt::Display) {
        answer::tell(text);
    }
}

/// `region` as it is in the map; an error names those that are.
fn known(world: &World, region: &Region) -> Result<()> {
    if world.desired.regions.contains_key(region) {
        return Ok(());
    }
    let names: Vec<&str> = world.desired.regions.keys().map(Region::as_str).collect();
    Err(Ended::error(Why::NotFound, format!("there is no region {region}; there are {}", names.join(", "))))
}

fn no_operation(id: OperationId) -> anyhow::Error {
    Ended::error(
        Why::NotFound,
        format!("there is no operation {id}; `meridian region status` shows what runs"),
    )
}

fn changed() -> anyhow::Error {
    Ended::error(Why::Conflict, "somebody else changed the map at the same moment: look at it and try again")
}

/// Storage's trouble, for a person.
fn trouble(error: JournalError) -> anyhow::Error {
    match error {
        JournalError::Unreachable(why) => Ended::error(
            Why::Failed,
            format!(
                "the database does not answer: {why}. The change may or may not have been made: look at the status"
            ),
        ),
        JournalError::Forbidden(why) => Ended::error(Why::Failed, why),
    }
}

/// Who is at the keyboard, as the system tells.
#[expect(
    clippy::disallowed_methods,
    reason = "who asks is no configuration: it is who the system says they are"
)]
fn person() -> String {
    ["SUDO_USER", "USER", "LOGNAME"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|name| !name.is_empty()))
        .unwrap_or_else(|| "somebody at the command line".to_owned())
}

/// A line typed at the terminal.
#[expect(clippy::print_stderr, reason = "asks the person at the terminal")]
fn prompt(question: &str) -> Option<String> {
    if !std::io::stdin().is_terminal() {
        return None;
    }
    eprint!("{question} ");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).ok()?;
    Some(line.trim().to_owned())
}

/// Whether `given` names the plan of `digest`: whole, or its beginning of eight characters at least.
fn names(given: &str, digest: &Digest) -> bool {
    given.len() >= 8 && digest.as_str().starts_with(&given.to_ascii_lowercase())
}
