//! What one writes by hand: an order in one transaction, a statement a row, with the rows that the shop writes for it.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use anyhow::Result;
use platform_db::DbConfig;
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr,
    Statement, TransactionTrait, Value,
};
use uuid::Uuid;

use super::{Size, open};
use crate::{
    Proof,
    clients::{Client, Pace},
};

/// As many as the shop has.
const CONNECTIONS: u32 = 32;
/// SKUs that are bought, as in the shop that is measured beside it.
const SKUS: u64 = 100;

pub(super) async fn run(config: DbConfig, size: Size, proof: &mut Proof) -> Result<()> {
    // The tables are the shop's.
    drop(open(&config).await?);
    let tidb = &config.tidb;
    let url = format!("mysql://root@{}:{}/{}?ssl-mode=DISABLED", tidb.host, tidb.port, tidb.database);
    let mut options = ConnectOptions::new(url);
    options.max_connections(CONNECTIONS).sqlx_logging(false).test_before_acquire(false);
    let pool = Database::connect(options).await?;
    for n in 0..SKUS {
        let row = vec![id(b's', n), "".into(), id(b'w', 0), 0_i64.into(), 1_000_000_000_i64.into()];
        let columns =
            "sku_id, region, warehouse_id, n, available, reserved, unavailable, version, updated_at, taken";
        let sql = format!("INSERT INTO stock_bucket ({columns}) VALUES (?, ?, ?, ?, ?, 0, 0, 1, 0, 0)");
        pool.execute_raw(statement(&sql, row)).await?;
    }
    let serial = Arc::new(AtomicU64::new(0));
    for clients in [1, size.clients] {
        let till = || Till { pool: pool.clone(), serial: Arc::clone(&serial) };
        let pace = Pace::of(std::iter::repeat_with(till).take(clients).collect(), size.duration).await?;
        pace.tell(&format!("orders by hand on TiDB, {clients} clients"), proof);
    }
    Ok(pool.close().await?)
}

/// Where orders are written.
struct Till {
    pool: DatabaseConnection,
    serial: Arc<AtomicU64>,
}

impl Client for Till {
    async fn act(&mut self) -> Result<()> {
        Ok(order(&self.pool, self.serial.fetch_add(1, Ordering::Relaxed)).await?)
    }
}

/// Something's id, the same for the same number.
fn id(kind: u8, n: u64) -> Value {
    Uuid::from_u64_pair(u64::from(kind), n).into()
}

fn statement(sql: &str, values: Vec<Value>) -> Statement {
    Statement::from_sql_and_values(DbBackend::MySql, sql, values)
}

async fn order(pool: &DatabaseConnection, n: u64) -> Result<(), DbErr> {
    let transaction = pool.begin().await?;
    take(&transaction, n).await?;
    write(&transaction, n).await?;
    transaction.commit().await
}

/// Takes the unit, with hold and movement.
async fn take(transaction: &DatabaseTransaction, n: u64) -> Result<(), DbErr> {
    let (shard, sku) = (i64::try_from(n % 16).unwrap_or_default(), id(b's', n % SKUS));
    let update = "UPDATE stock_bucket SET available = available - 1, reserved = reserved + 1, version = version + 1 \
                  WHERE sku_id = ? AND region = '' AND warehouse_id = ? AND n = 0 AND available >= 1";
    let taken = transaction.execute_raw(statement(update, vec![sku.clone(), id(b'w', 0)])).await?;
    if taken.rows_affected() != 1 {
        return Err(DbErr::Custom("sold out".to_owned()));
    }
    let hold = "INSERT INTO hold (shard, id, state, `lines`, expires_at, version, created_at, updated_at) \
                VALUES (?, ?, 'reserved', ?, 1, 1, 1, 1)";
    let lines: Vec<u8> = vec![b'x'; 80];
    transaction.execute_raw(statement(hold, vec![shard.into(), id(b'h', n), lines.into()])).await?;
    let line = "INSERT INTO hold_line (shard, hold_id, position, sku_id, region, warehouse_id, n, quantity) \
                VALUES (?, ?, 0, ?, '', ?, 0, 1)";
    let values = vec![shard.into(), id(b'h', n), sku.clone(), id(b'w', 0)];
    transaction.execute_raw(statement(line, values)).await?;
    let movement = "INSERT INTO stock_movement (shard, sku_id, id, region, warehouse_id, n, kind, available, reserved, \
                    unavailable, reference, note, actor, at) VALUES (?, ?, ?, '', ?, 0, 'reserve', -1, 1, 0, ?, '', 'system', 1)";
    let values = vec![shard.into(), sku, id(b'm', n), id(b'w', 0), format!("hold {n}").into()];
    transaction.execute_raw(statement(movement, values)).await.map(drop)
}

/// Writes the order, its key and its event.
async fn write(transaction: &DatabaseTransaction, n: u64) -> Result<(), DbErr> {
    let shard: Value = i64::try_from(n % 16).unwrap_or_default().into();
    let text = |length: usize| Value::from(vec![b'x'; length]);
    let run =
        async |sql: &str, values: Vec<Value>| transaction.execute_raw(statement(sql, values)).await.map(drop);
    run(
        "INSERT INTO idempotency (shard, principal, route, request_key, payload_hash, answer, created_at) \
         VALUES (?, ?, 'order.place', ?, ?, ?, 1)",
        vec![shard.clone(), format!("usr_{n}").into(), format!("key {n}").into(), text(32), text(1_200)],
    )
    .await?;
    run(
        "INSERT INTO orders (shard, id, user_id, number, state, payment_state, fulfilment_state, version, hold_id, \
         hold_attempt, currency, subtotal, discount, shipping, tax, total, refunded, market, address, explanation, \
         from_cart, placed_at, expires_at, updated_at) VALUES (?, ?, ?, ?, 'pending_payment', 'unpaid', 'unfulfilled', 1, ?, \
         0, 'USD', 1999, 0, 700, 165, 2864, 0, 'US', ?, ?, FALSE, 1, 1, 1)",
        vec![
            shard.clone(),
            id(b'o', n),
            id(b'u', n % 64),
            format!("{n:020}").into(),
            id(b'h', n),
            text(220),
            text(400),
        ],
    )
    .await?;
    run(
        "INSERT INTO order_line (shard, order_id, position, sku_id, product_id, sku_code, title, slug, options, quantity, \
         currency, unit_price, subtotal, discount, tax, tax_rate_bp, total) \
         VALUES (?, ?, 0, ?, ?, 'LOAD-1', 'Load 1', 'load-1', ?, 1, 'USD', 1999, 1999, 0, 165, 825, 2164)",
        vec![shard.clone(), id(b'o', n), id(b's', n % SKUS), id(b'p', n % SKUS), text(2)],
    )
    .await?;
    run(
        "INSERT INTO order_history (shard, order_id, version, at, actor, to_state, reason) \
         VALUES (?, ?, 1, 1, 'shopper', 'pending_payment', '')",
        vec![shard.clone(), id(b'o', n)],
    )
    .await?;
    run(
        "INSERT INTO order_number (number, order_id) VALUES (?, ?)",
        vec![format!("{n:020}").into(), id(b'o', n)],
    )
    .await?;
    run(
        "INSERT INTO outbox (shard, id, topic, aggregate, at, body) VALUES (?, ?, 'order.placed.v1', ?, 1, ?)",
        vec![shard, id(b'e', n), format!("ord_{n}").into(), text(500)],
    )
    .await
}
