//! The proofs, small. At full size: `cargo xtask prove`.

use std::time::Duration;

use anyhow::Result;
use loadtest::{
    Proof, buyers,
    crash::{self, Victim},
    faults,
};
use support::{Parts, Shape};

#[tokio::test(flavor = "multi_thread")]
async fn exactly_as_many_orders_as_units() -> Result<()> {
    let size =
        buyers::Size { buyers: 150, units: 20, skus: 4, shape: Shape::AllInOne, parts: Parts::named() };
    buyers::run(size, &mut Proof::begin("buyers", 1), 1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_orders_are_placed_and_paid() -> Result<()> {
    let size = crash::Size {
        runs: 1,
        orders: 250,
        kills: 3,
        shape: Shape::AllInOne,
        victim: Victim::Shop,
        parts: Parts::named(),
    };
    crash::run(size, &mut Proof::begin("crash", 1), 1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_split() -> Result<()> {
    let size = crash::Size {
        runs: 1,
        orders: 120,
        kills: 2,
        shape: Shape::Split,
        victim: Victim::Shop,
        parts: Parts::named(),
    };
    crash::run(size, &mut Proof::begin("crash", 2), 2).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts a Redis server: cargo xtask test --real"]
async fn redis_killed_and_wiped_while_orders_are_placed_and_paid() -> Result<()> {
    let size = crash::Size {
        runs: 1,
        orders: 300,
        kills: 3,
        shape: Shape::Split,
        victim: Victim::Redis,
        parts: Parts::named(),
    };
    crash::run(size, &mut Proof::begin("crash-redis", 1), 1).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts TiDB, Pulsar and Redis: cargo xtask test --real"]
async fn parts_and_a_process_hurt_while_orders_are_placed_and_paid() -> Result<()> {
    let size = faults::Size {
        orders: 800,
        every: Duration::from_millis(150),
        paused: Duration::from_secs(3),
        gone: Duration::from_secs(2),
    };
    faults::run(size, &mut Proof::begin("faults", 1), 1).await
}
