//! Orders a second on TiDB, gathered by `append` and one transaction each. It prints and asserts no time.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use contracts::UserId;
use kernel::{Id, Shard, SystemClock};
use migrations::Migrator;
use platform_db::{Db, DbResult, Once, testing};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement, TransactionTrait};
use sea_orm_migration::MigratorTrait;

use crate::{
    demand::Demand,
    model::{Draft, Order},
    store,
    testing::{draft_of, item, quote_of},
};

const TOGETHER: u64 = 64;
const LONG: Duration = Duration::from_secs(6);
/// As many as `append` has of the 32 that are the default.
const CONNECTIONS: u32 = 16;

/// The `n`th order, of two lines, on a shard of its own turn.
fn order(n: u64) -> Order {
    let demand = Demand::of(&[item(1, 2), item(2, 1)]).unwrap();
    let shard = Shard::new(u16::try_from(n % 16).unwrap());
    let key = n.to_be_bytes();
    Order::draft(Draft {
        id: Id::derive(shard, &[b"order", &key]),
        user_id: UserId::derive(shard, &[b"user", &key]),
        number: format!("{n:020}"),
        hold_id: Id::derive(shard, &[b"hold", &key]),
        ..draft_of(quote_of(demand.lines()), &demand, None)
    })
    .unwrap()
}

async fn gathered(db: Db, n: u64) {
    let order = order(n);
    let key = format!("key {n}");
    let once = Once::on(order.id.shard(), order.user_id.to_string(), "order.place", &key, &n).unwrap();
    db.append_once(&once, store::placed(&db, &order).unwrap(), order.view()).await.unwrap();
}

/// What one writes by hand: the same rows, a statement a table, a transaction an order.
async fn by_hand(db: Db, pool: DatabaseConnection, n: u64) {
    let order = order(n);
    let answer = serde_json::to_vec(&order.view()).unwrap();
    let transaction = pool.begin().await.unwrap();
    let once = Statement::from_sql_and_values(
        transaction.get_database_backend(),
        "INSERT INTO idempotency (shard, principal, route, request_key, payload_hash, answer, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            i32::from(order.id.shard().number()).into(),
            order.user_id.to_string().into(),
            "order.place".into(),
            format!("key {n}").into(),
            vec![0_u8; 32].into(),
            answer.into(),
            order.placed_at.micros().into(),
        ],
    );
    transaction.execute_raw(once).await.unwrap();
    store::placed(&db, &order).unwrap().insert(&transaction).await.unwrap();
    transaction.commit().await.unwrap();
}

/// Orders a second, and the mean time of one.
async fn rate<F, R>(clients: u64, serial: &Arc<AtomicU64>, one: F) -> (f64, Duration)
where
    F: Fn(u64) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = ()> + Send,
{
    let begun = Instant::now();
    let from = serial.load(Ordering::Relaxed);
    let tasks: Vec<_> = (0..clients)
        .map(|_| {
            let (serial, one) = (Arc::clone(serial), one.clone());
            #[expect(clippy::disallowed_methods, reason = "the tasks are awaited here")]
            tokio::spawn(async move {
                while begun.elapsed() < LONG {
                    one(serial.fetch_add(1, Ordering::Relaxed)).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let orders = u32::try_from(serial.load(Ordering::Relaxed) - from).unwrap();
    let took = begun.elapsed();
    (f64::from(orders) / took.as_secs_f64(), took * u32::try_from(clients).unwrap() / orders)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures on the TiDB that MERIDIAN_TEST_TIDB names"]
async fn measure_orders_on_tidb() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = testing::tidb(folder.path()).expect("MERIDIAN_TEST_TIDB names a server");
    config.tidb.connections = 2 * CONNECTIONS;
    let db = Db::open(&config, Arc::new(SystemClock)).await.unwrap();
    db.schema(|connection| Box::pin(Migrator::up(connection, None))).await.unwrap();
    let lent = &config.tidb;
    let url = format!("mysql://root@{}:{}/{}?ssl-mode=DISABLED", lent.host, lent.port, lent.database);
    let mut options = ConnectOptions::new(url);
    options.max_connections(CONNECTIONS).min_connections(CONNECTIONS).sqlx_logging(false);
    options.test_before_acquire(false);
    let pool = Database::connect(options).await.db().unwrap();
    let serial = Arc::new(AtomicU64::new(0));
    for round in 0..3 {
        for clients in [1, TOGETHER] {
            let at = db.clone();
            let (orders, each) = rate(clients, &serial, move |n| gathered(at.clone(), n)).await;
            let (at, on) = (db.clone(), pool.clone());
            let hand = rate(clients, &serial, move |n| by_hand(at.clone(), on.clone(), n)).await;
            eprintln!(
                "round {round}, {clients} clients: append {orders:.0} orders/s, {each:.2?} each; by hand {:.0} orders/s, \
                 {:.2?} each; ratio {:.2}",
                hand.0,
                hand.1,
                orders / hand.0
            );
        }
    }
}
