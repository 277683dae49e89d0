//! Holds a second on one hot SKU, in groups and one by one. It prints and asserts no time.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use contracts::inventory::Inventory;
use inventory::InventoryConfig;

use crate::fixture::{self, hold, reserve, sku};

const TOGETHER: usize = 64;
const LONG: Duration = Duration::from_secs(8);

async fn rate(config: InventoryConfig) -> f64 {
    let f = fixture::with(config).await;
    let hot = sku("hot");
    f.stock(hot, 1_000_000_000).await;
    let begun = Instant::now();
    let serial = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..TOGETHER)
        .map(|_| {
            let (service, serial, ctx) = (Arc::clone(&f.service), Arc::clone(&serial), f.ctx());
            #[expect(clippy::disallowed_methods, reason = "the tasks are awaited here")]
            tokio::spawn(async move {
                while begun.elapsed() < LONG {
                    let n = serial.fetch_add(1, Ordering::Relaxed);
                    let name =
                        [vec![b'h'; usize::try_from(n % 16).unwrap()], n.to_be_bytes().to_vec()].concat();
                    service.reserve(&ctx, reserve(hold(name), &[(hot, 1)])).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert!(f.service.reconcile(hot).await.unwrap().is_balanced());
    let holds = u32::try_from(serial.load(Ordering::Relaxed)).unwrap();
    f64::from(holds) / begun.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures, on the TiDB that MERIDIAN_TEST_TIDB names or on SQLite"]
async fn measure_holds_on_one_hot_sku() {
    for round in 0..2 {
        let together = rate(InventoryConfig::default()).await;
        let alone = rate(InventoryConfig { group: 1, ..InventoryConfig::default() }).await;
        eprintln!(
            "round {round}: in groups {together:.0} holds/s, one by one {alone:.0}, ratio {:.1}",
            together / alone
        );
    }
}
