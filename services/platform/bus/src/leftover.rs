//! What nobody in the code takes or makes any more, and is kept all the same: cursors in the database; subscriptions, topics
//! and schemas at the broker. An abandoned subscription costs: the broker keeps every event for it, for ever.

use kernel::{Failure, Result, code};
use platform_db::Db;
use serde::Serialize;

#[cfg(feature = "pulsar")]
use crate::pulsar;
use crate::{
    BusConfig, BusEngine, SetupStep, Subscribed,
    store::{self, Kept},
    subscriptions::{RELAY, REPLAY},
};

/// Something that is kept and that the code does not have, or has otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Leftover {
    /// What it is: `cursor` in the database; `subscription`, `topic` or `schema` at the broker.
    pub kind: &'static str,
    /// Its name; of a schema that of its topic.
    pub name: String,
    /// Where it is: `database`, a topic or a namespace.
    pub at: String,
    /// What is wrong with it, and what to do.
    pub says: String,
    /// What waits for it: events in the database, message batches at the broker. None of topics and schemas.
    pub waiting: Option<u64>,
}

/// What the code has.
pub(crate) struct Known<'a> {
    engine: BusEngine,
    subscriptions: &'a [Subscribed],
}

impl Known<'_> {
    fn has(&self, name: &str) -> bool {
        self.subscriptions.iter().any(|known| known.name == name)
    }

    /// Whether cursors of this name are moved: a subscription's; with a broker the relay's and those of replays, too.
    fn moves(&self, name: &str) -> bool {
        let by_broker = self.engine == BusEngine::Pulsar;
        match name.strip_prefix(REPLAY) {
            Some(of) => by_broker && self.has(of),
            None => self.has(name) || (by_broker && name == RELAY),
        }
    }
}

#[cfg(feature = "pulsar")]
impl Known<'_> {
    /// The topics of events that a subscription takes; none where it is not known.
    pub(crate) fn topics(&self, name: &str) -> impl Iterator<Item = &'static str> {
        let of = self.subscriptions.iter().filter(move |known| known.name == name);
        of.flat_map(|known| known.topics.iter().copied())
    }

    /// The topics of events that anybody takes.
    pub(crate) fn every_topic(&self) -> impl Iterator<Item = &'static str> {
        self.subscriptions.iter().flat_map(|known| known.topics.iter().copied())
    }
}

/// What the database (where one is given) and the broker (where `config.engine` is one) keep and these subscriptions, which must
/// be all of the shop's, have no use for; by kind and name. Changes nothing.
///
/// `request.invalid` for a configuration that cannot work, `server.unavailable` while the broker does not answer.
pub async fn check(db: Option<&Db>, config: &BusConfig, known: &[Subscribed]) -> Result<Vec<Leftover>> {
    config.validate()?;
    let known = Known { engine: config.engine, subscriptions: known };
    let mut found = Vec::new();
    if let Some(db) = db {
        let kept = store::kept(db).await?;
        found.extend(
            kept.iter().filter(|(name, _)| !known.moves(name)).map(|(name, kept)| cursor(name, kept)),
        );
    }
    #[cfg(feature = "pulsar")]
    if config.engine == BusEngine::Pulsar {
        found.extend(pulsar::leftovers(&config.pulsar, &known).await?);
    }
    Ok(found)
}

fn cursor(name: &str, kept: &Kept) -> Leftover {
    let parked = match kept.parked {
        0 => String::new(),
        parked => format!(" It has {parked} parked events or dead letters."),
    };
    let kept_for = format!("nobody takes its events, and the log keeps them for `bus.keep_at_most`.{parked}");
    Leftover {
        kind: "cursor",
        name: name.to_owned(),
        at: "database".to_owned(),
        says: format!("{kept_for} Forget it with `meridian bus forget {name}`"),
        waiting: Some(kept.waiting),
    }
}

/// Forgets a subscription that the code does not have: its rows in the database (cursors, what it consumed, parked events and
/// dead letters), and at the broker itself with what waits there. One that the code has is forgotten on those topics of the broker
/// whose events it does not take. With `dry_run` nothing is changed. Should the code have it once more, it begins like a new one.
///
/// `request.conflict` where the code has it, or somebody is connected to it; `request.not_found` where nothing of it is kept.
pub async fn forget(
    db: Option<&Db>,
    config: &BusConfig,
    known: &[Subscribed],
    name: &str,
    dry_run: bool,
) -> Result<Vec<SetupStep>> {
    config.validate()?;
    let known = Known { engine: config.engine, subscriptions: known };
    let mut steps = Vec::new();
    // The broker knows best whether somebody still takes its events: it is asked first.
    #[cfg(feature = "pulsar")]
    if config.engine == BusEngine::Pulsar {
        steps.extend(pulsar::forget(&config.pulsar, &known, name, dry_run).await?);
    }
    if let Some(db) = db {
        for name in [name.to_owned(), format!("{REPLAY}{name}")] {
            if !known.moves(&name) {
                steps.extend(forget_rows(db, &name, dry_run).await?);
            }
        }
    }
    if !steps.is_empty() {
        return Ok(steps);
    }
    if known.moves(name) {
        let detail = format!("{name} is a subscription of this version: it is not forgotten");
        return Err(Failure::new(code::CONFLICT).detail(detail));
    }
    Err(Failure::new(code::NOT_FOUND).detail(format!("nothing is kept of a subscription {name}")))
}

/// The cursors go last: where the process ends before, nothing comes again, and asking once more finishes it.
async fn forget_rows(db: &Db, name: &str, dry_run: bool) -> Result<Vec<SetupStep>> {
    let mut steps = Vec::new();
    for table in ["inbox", "retry", "subscription_cursor"] {
        let rows = store::rows_of(db, table, name).await?;
        let count: u64 = rows.values().sum();
        if count == 0 {
            continue;
        }
        if !dry_run {
            store::not_held(db, name).await?;
            match table {
                "subscription_cursor" => store::drop_cursors(db, name).await?,
                table => store::drop_rows(db, table, name, rows.into_keys()).await?,
            }
        }
        let state = if dry_run { format!("{count} rows") } else { format!("{count} rows, forgotten") };
        steps.push(SetupStep { kind: table, name: name.to_owned(), state });
    }
    Ok(steps)
}

#[cfg(test)]
mod tests {
    use kernel::Region;

    use super::*;
    use crate::Scope;

    #[test]
    fn what_moves_depends_on_who_brings_events() {
        let one = Subscribed { name: "a.one".to_owned(), topics: &[], scope: Scope::Shop };
        let own = Subscribed { name: "a.own".to_owned(), topics: &[], scope: Scope::Region };
        let regions = [Region::new("eu"), Region::new("us")];
        let all: Vec<Subscribed> = [one, own].into_iter().flat_map(|known| known.among(&regions)).collect();
        let moved = |engine| {
            let names = ["a.one", "a.own", "a.own@eu", "a.own@gone", "relay", "replay/a.one", "replay/b"];
            let known = Known { engine, subscriptions: &all };
            names.into_iter().filter(|name| known.moves(name)).collect::<Vec<_>>()
        };
        assert_eq!(moved(BusEngine::Embedded), ["a.one", "a.own@eu"]);
        assert_eq!(moved(BusEngine::Pulsar), ["a.one", "a.own@eu", "relay", "replay/a.one"]);
    }
}
