//! `loadtest <scenario>`; `cargo xtask prove` calls it at full size.

use std::{io::Read, path::PathBuf, time::Duration};

use anyhow::Result;
use clap::{Parser, Subcommand};
use loadtest::{
    Proof, Servers, buyers,
    crash::{self, Victim},
    faults, load, real, regions,
};
use support::{Parts, Shape};

/// The shop's own allocator: part of it is measured in this process.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Load and proofs against the meridian binary beside this one. Everything stays on loopback and ends by itself.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    scenario: Scenario,
    /// Where the records go.
    #[arg(long, global = true, default_value = "tests/proof")]
    out: PathBuf,
    /// Another number gives other random choices.
    #[arg(long, global = true, default_value_t = 1)]
    seed: u64,
}

#[derive(Subcommand)]
enum Scenario {
    /// Many buyers, few units.
    Buyers {
        /// Buyers, all at once.
        #[arg(long, default_value_t = 2_000)]
        buyers: usize,
        /// On TiDB, Pulsar and Redis, not on the embedded parts.
        #[arg(long)]
        real: bool,
    },
    /// kill -9 at random moments.
    Crash {
        /// Runs, each on a fresh shop.
        #[arg(long, default_value_t = 20)]
        runs: u64,
        /// Orders a run.
        #[arg(long, default_value_t = 2_000)]
        orders: usize,
        /// Kill the Redis the shop runs over, not the shop.
        #[arg(long, conflicts_with = "real")]
        redis: bool,
        /// On TiDB, Pulsar and Redis, not on the embedded parts.
        #[arg(long)]
        real: bool,
    },
    /// Pulsar killed, Redis wiped, TiDB frozen and restarted, a process paused, during orders; two processes of each service.
    Faults {
        /// Orders.
        #[arg(long, default_value_t = 2_000)]
        orders: usize,
    },
    /// Three regions under load: switchover, rebalance, kill -9, SIGSTOP, coordinators killed, failover during a move, drill.
    Regions {
        /// Retrying clients.
        #[arg(long, default_value_t = 100)]
        buyers: usize,
        /// Orders a second of all clients together.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        rate: u32,
        /// On a TiDB, not on SQLite; regions are cut off by the network, too.
        #[arg(long)]
        tidb: bool,
    },
    /// How fast one machine is.
    Load {
        /// Products in the catalog for import, search and start.
        #[arg(long, default_value_t = 100_000)]
        products: usize,
        /// Seconds each measurement lasts.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        /// Only these parts.
        #[arg(long, value_delimiter = ',')]
        only: Vec<load::Part>,
    },
    /// How fast it is on TiDB, Pulsar and Redis on this machine.
    Real {
        /// Seconds each measurement lasts.
        #[arg(long, default_value_t = 10)]
        seconds: u64,
        /// Events that are sequenced and relayed.
        #[arg(long, default_value_t = 50_000)]
        events: u32,
    },
    /// A bare actix server that answers with the JSON on its standard input.
    #[command(hide = true)]
    RawJson {
        /// Where to listen.
        #[arg(long)]
        port: u16,
    },
}

/// The real parts, where they are wanted.
async fn servers(real: bool) -> Result<Option<Servers>> {
    Ok(if real { Some(Servers::start().await?) } else { None })
}

fn parts(servers: Option<&Servers>) -> Parts {
    servers.map(Servers::parts).unwrap_or_default()
}

#[actix_web::main]
async fn main() -> Result<()> {
    let cli = Cli::parse();
    match cli.scenario {
        Scenario::Buyers { buyers, real } => {
            let mut proof = Proof::begin(if real { "buyers-real" } else { "buyers" }, cli.seed);
            let servers = servers(real).await?;
            let size = buyers::Size {
                buyers,
                units: 100,
                skus: 5,
                shape: Shape::AllInOne,
                parts: parts(servers.as_ref()),
            };
            buyers::run(size, &mut proof, cli.seed).await?;
            proof.write(&cli.out)
        }
        Scenario::Crash { runs, orders, redis, real } => {
            let (name, victim) = match (redis, real) {
                (true, _) => ("crash-redis", Victim::Redis),
                (false, true) => ("crash-real", Victim::Shop),
                (false, false) => ("crash", Victim::Shop),
            };
            let mut proof = Proof::begin(name, cli.seed);
            let servers = servers(real).await?;
            let parts = parts(servers.as_ref());
            let size = crash::Size { runs, orders, kills: 8, shape: Shape::AllInOne, victim, parts };
            crash::run(size, &mut proof, cli.seed).await?;
            proof.write(&cli.out)
        }
        Scenario::Faults { orders } => {
            let mut proof = Proof::begin("faults", cli.seed);
            let (every, paused, gone) =
                (Duration::from_millis(60), Duration::from_secs(30), Duration::from_secs(10));
            faults::run(faults::Size { orders, every, paused, gone }, &mut proof, cli.seed).await?;
            proof.write(&cli.out)
        }
        Scenario::Regions { buyers, rate, tidb } => {
            let mut proof = Proof::begin(if tidb { "regions-tidb" } else { "regions" }, cli.seed);
            let every = Duration::from_secs(1) / rate;
            let (calm, paused, cut) =
                (Duration::from_secs(15), Duration::from_secs(30), Duration::from_secs(20));
            let size = regions::Size { buyers, every, calm, paused, cut, tidb };
            regions::run(size, &mut proof, cli.seed).await?;
            proof.write(&cli.out)
        }
        Scenario::Load { products, seconds, only } => {
            let mut proof = Proof::begin("load", cli.seed);
            let duration = Duration::from_secs(seconds);
            let size = load::Size { only, products, clients: 64, duration, searches: 200 };
            load::run(size, &mut proof, cli.seed).await?;
            proof.write(&cli.out)
        }
        Scenario::Real { seconds, events } => {
            let mut proof = Proof::begin("real", cli.seed);
            let size = real::Size { clients: 64, duration: Duration::from_secs(seconds), events };
            real::run(size, &mut proof).await?;
            proof.write(&cli.out)
        }
        Scenario::RawJson { port } => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            load::raw_json(port, serde_json::from_str(&text)?).await
        }
    }
}
