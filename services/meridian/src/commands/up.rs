//! `meridian up`: three regions on this machine.
//!
//! The parent prepares the database and the map, starts a process a region, and looks. It restarts nobody: what a killed
//! region means for shoppers is what this is for. A child ends when its standard input does: the parent holds the other
//! end, so children end with it, however it ends.

mod children;
mod map;
mod ports;
mod status;

use std::{sync::Arc, time::Duration};

use anyhow::{Result, bail};
use coordinator::Journal;
use placement::State;
use platform_runtime::shutdown_signal;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use self::{
    children::{Children, Place},
    status::Status,
};
use crate::{
    Settings,
    answer::{put, tell},
    cli::{Cli, Output, Up},
    commands::serve::import_sample,
    compose::{Shop, Targets},
    regions,
};

/// The regions, in the order of their ports.
pub(crate) const REGIONS: [&str; 3] = ["us-east", "eu-west", "ap-southeast"];
/// Between two looks at the children.
const TURN: Duration = Duration::from_millis(500);
/// How long the children may take to end what is under way.
const STOP_WITHIN: Duration = Duration::from_secs(40);

/// Runs until Ctrl-C, SIGTERM, or until no region is left.
pub(crate) async fn run(cli: &Cli, settings: Settings, up: &Up) -> Result<()> {
    let shutdown = shutdown_signal()?;
    let places = ports::places(up.base_port)?;
    tell("preparing the database …");
    let journal = prepare(&settings, &places).await?;
    let mut children = Children::start(cli, &places)?;
    let outcome = watch(&mut children, up, &*journal, &shutdown).await;
    tell("stopping the regions …");
    let killed = children.stop(STOP_WITHIN).await;
    for name in killed {
        tell(format!("{name} did not end within {} s and was killed", STOP_WITHIN.as_secs()));
    }
    outcome
}

/// Brings the schema up to date, fills an empty shop, founds the map or brings its addresses up to date.
async fn prepare(settings: &Settings, places: &[Place]) -> Result<Arc<dyn Journal>> {
    // What the sample needs; the regions have search indexes of their own.
    let targets = ["account", "catalog", "inventory", "pricing", "import"].map(str::to_owned);
    let shop = Box::pin(Shop::open(settings.clone(), &Targets::parse(&targets)?)).await?;
    let filled = import_sample(&shop, tell).await;
    shop.close().await;
    filled?;
    let journal = regions::journal(shop.db());
    let shards = shop.db().every_shard().collect();
    map::found(&*journal, places, shards).await?;
    Ok(journal)
}

async fn watch(
    children: &mut Children,
    up: &Up,
    journal: &dyn Journal,
    shutdown: &CancellationToken,
) -> Result<()> {
    tell("starting the regions …");
    tokio::select! {
        () = shutdown.cancelled() => return Ok(()),
        ready = children.ready(up.ready_within.0) => ready?,
    }
    announce(children, up.output)?;
    remind(journal).await;
    let mut status = Status::new();
    loop {
        let health = children.health().await;
        let scene = tokio::time::timeout(Duration::from_secs(2), journal.read()).await;
        status.show(&health, scene.ok().and_then(Result::ok).as_ref());
        if children.all_gone() {
            bail!("no region is left; their last words are in {}", children.logs());
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(()),
            () = tokio::time::sleep(TURN) => {}
        }
    }
}

/// Says which regions are out since before: nobody lets them back but a person.
async fn remind(journal: &dyn Journal) {
    // What cannot be read now the status shows later.
    let Ok(scene) = journal.read().await else { return };
    for (name, row) in scene.world.desired.regions.iter().filter(|(_, row)| row.state != State::Active) {
        let (state, unfence) = (row.state.name(), row.state == State::Fenced);
        let first = if unfence { format!("`meridian region unfence {name}`, then ") } else { String::new() };
        tell(format!(
            "{name} is {state}: {first}`meridian region uncordon {name}` lets it back, and `rebalance` gives it shards"
        ));
    }
}

/// Says where to shop, on standard output.
fn announce(children: &Children, output: Output) -> Result<()> {
    for (place, pid) in children.running() {
        let (name, url) = (place.region.as_str(), place.url());
        put(&match output {
            Output::Json => json!({"region": name, "url": url, "pid": pid}).to_string(),
            Output::Text => format!("{name:<13} {url}/"),
        })?;
    }
    if output == Output::Text {
        tell("shop in any of them; `meridian region status` shows the map, Ctrl-C stops all");
    }
    Ok(())
}
