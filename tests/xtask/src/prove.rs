//! `cargo xtask prove`: the proofs at full size, in a release build. Each writes `tests/proof/<item>.json`.

use anyhow::Result;
use clap::ValueEnum;

use crate::{cargo, sim};

/// Of the simulation's proof.
const SEEDS: u64 = 100_000;

/// What can be proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Item {
    /// Every one.
    All,
    /// 2,000 buyers and 100 units; SKUs named in different orders.
    Buyers,
    /// The same on TiDB, Pulsar and Redis.
    BuyersReal,
    /// kill -9 at random moments during 2,000 placements and payments, 20 runs.
    Crash,
    /// The same on TiDB, Pulsar and Redis: the shop's processes are the ones killed.
    CrashReal,
    /// Pulsar killed, Redis wiped, TiDB frozen and restarted, a process paused, during 2,000 orders; two processes of each service.
    Faults,
    /// Three regions under load: switchover, rebalance, kill -9, SIGSTOP, coordinators killed, failover during a move, drill.
    Regions,
    /// The same on a TiDB, and regions cut off from the others and from the database.
    RegionsTidb,
    /// 100,000 seeds of the coordinator's simulation.
    Sim,
    /// Orders on TiDB against hand-written transactions, holds, sequencing, relay and lag over Pulsar, both levels of the caches.
    Real,
    /// Cached product JSON against raw actix, orders, holds, search, import, start.
    Load,
}

/// Three regions on a TiDB. What the machine carries beside a TiDB of the same two cores: at twice as many orders a second the
/// clients' retries keep it overloaded.
const REGIONS_TIDB: &[&str] = &["regions", "--tidb", "--rate", "8"];

const BUYERS_REAL: &[&str] = &["buyers", "--real"];
const CRASH_REAL: &[&str] = &["crash", "--real"];

pub(crate) fn run(item: Item) -> Result<()> {
    let scenarios: &[&[&str]] = match item {
        Item::All => &[
            &["buyers"],
            BUYERS_REAL,
            &["crash"],
            CRASH_REAL,
            &["faults"],
            &["load"],
            &["real"],
            &["regions"],
            REGIONS_TIDB,
        ],
        Item::Buyers => &[&["buyers"]],
        Item::BuyersReal => &[BUYERS_REAL],
        Item::Crash => &[&["crash"]],
        Item::CrashReal => &[CRASH_REAL],
        Item::Faults => &[&["faults"]],
        Item::Load => &[&["load"]],
        Item::Real => &[&["real"]],
        Item::Regions => &[&["regions"]],
        Item::RegionsTidb => &[REGIONS_TIDB],
        Item::Sim => &[],
    };
    if matches!(item, Item::All | Item::Sim) {
        sim::run(&sim::Options { seeds: SEEDS, start: 0, trace: false })?;
    }
    if scenarios.is_empty() {
        return Ok(());
    }
    eprintln!("building in release …");
    let features = format!("--features={}", cargo::features().join(","));
    cargo::run(cargo::command("cargo").args(["build", "--release", "--workspace", "--bins", &features]))?;
    for scenario in scenarios {
        eprintln!("proving: {}", scenario.join(" "));
        let loadtest = cargo::built("release", "loadtest")?;
        cargo::run(cargo::command(loadtest).args(*scenario).args(["--out", "tests/proof"]))?;
    }
    Ok(())
}
