//! The proofs, small. At full size: `cargo xtask prove`.

use anyhow::Result;
use loadtest::{Proof, buyers, crash};
use support::Shape;

#[tokio::test(flavor = "multi_thread")]
async fn exactly_as_many_orders_as_units() -> Result<()> {
    let size = buyers::Size { buyers: 150, units: 20, skus: 4, shape: Shape::AllInOne };
    buyers::run(size, &mut Proof::begin("buyers", 1), 1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_orders_are_placed_and_paid() -> Result<()> {
    let size = crash::Size { runs: 1, orders: 250, kills: 3, shape: Shape::AllInOne };
    crash::run(size, &mut Proof::begin("crash", 1), 1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_while_split() -> Result<()> {
    let size = crash::Size { runs: 1, orders: 120, kills: 2, shape: Shape::Split };
    crash::run(size, &mut Proof::begin("crash", 2), 2).await
}
