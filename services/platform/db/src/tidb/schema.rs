//! The database itself: made where it is absent, migrated by one process at a time.

use std::time::Duration;

use kernel::Result;
use sea_orm::{
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, RuntimeErr, SqlxMySqlConnector, Statement,
    sqlx::{ConnectOptions as _, Connection as _, Executor, MySql, Row, pool::PoolOptions},
};

use super::{Core, SETTINGS, connect_options};
use crate::{DbResult, TidbConfig, error::mysql_code, read::within};

/// How long a migrating process waits for another one.
const PATIENCE: u32 = 600;
/// "Unknown database".
const UNKNOWN: u16 = 1049;

fn failed(error: sea_orm::sqlx::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(error.into()))
}

/// Whether the database is there; nothing is made.
pub(super) async fn exists(config: &TidbConfig) -> Result<bool> {
    let there = within(config.acquire, async {
        connect_options(config).database(&config.database).connect().await.map_err(failed)
    });
    match there.await {
        Ok(connection) => {
            // It was only to see.
            let _ = connection.close().await;
            Ok(true)
        }
        Err(error) if mysql_code(&error) == Some(UNKNOWN) => Ok(false),
        other => other.db().map(|_| true).map_err(|failure| {
            failure.detail(format!("TiDB at {}:{} does not let us in", config.host, config.port))
        }),
    }
}

/// Makes the database where there is none. A user who may not make one needs it to be there.
pub(super) async fn create_database(config: &TidbConfig) -> Result<()> {
    if exists(config).await? {
        return Ok(());
    }
    let options = connect_options(config);
    let create = format!(
        "CREATE DATABASE IF NOT EXISTS `{}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        config.database
    );
    within(config.acquire + config.statement, async {
        let mut connection = options.connect().await.map_err(failed)?;
        connection.execute(sea_orm::sqlx::AssertSqlSafe(create)).await.map_err(failed)?;
        connection.close().await.map_err(failed)
    })
    .await
    .db()
}

/// A connection for migrations, of which there is one at a time in the whole cluster: it holds a named lock until it
/// is closed, also when it has to connect again in between.
pub(super) async fn session(config: &TidbConfig, shards: u16) -> Result<DatabaseConnection> {
    let shards = format!("SET @meridian_shards = {shards}");
    let lock = format!("SELECT GET_LOCK('meridian/{}', {PATIENCE})", config.database);
    let pool = PoolOptions::<MySql>::new()
        .max_connections(1)
        .acquire_timeout(Duration::from_secs(u64::from(PATIENCE) + 10))
        .test_before_acquire(false)
        .max_lifetime(None)
        .idle_timeout(None)
        .after_connect(move |connection, _| {
            let (lock, shards) = (lock.clone(), shards.clone());
            Box::pin(async move {
                connection.execute(SETTINGS).await?;
                // Rows in their primary key's order, which `(shard, id)` is for.
                connection.execute("SET SESSION tidb_enable_clustered_index = 'ON'").await?;
                // Migrations cut tables into a partition a shard.
                connection.execute(sea_orm::sqlx::AssertSqlSafe(shards)).await?;
                let row = connection.fetch_one(sea_orm::sqlx::AssertSqlSafe(lock)).await?;
                match row.try_get::<Option<i64>, _>(0)? {
                    Some(1) => Ok(()),
                    _ => Err(sea_orm::sqlx::Error::Configuration(
                        "another process is migrating this database and does not end".into(),
                    )),
                }
            })
        })
        .connect_with(connect_options(config).database(&config.database))
        .await
        .map_err(failed)
        .db()?;
    let session = SqlxMySqlConnector::from_sqlx_mysql_pool(pool);
    // CHECK constraints are the last guard of stock; TiDB reads them and forgets them unless it is told not to. It takes
    // a privilege that a careful installation does not give: there an administrator sets it before the first start.
    if let Err(error) = session.execute_unprepared("SET GLOBAL tidb_enable_check_constraint = ON").await {
        tracing::warn!(%error, "CHECK constraints are not enforced by this TiDB; the code's own checks hold");
    }
    Ok(session)
}

pub(super) async fn made_with(core: &Core, shards: u16) -> Result<i64> {
    let connection = &core.locking;
    let insert = Statement::from_sql_and_values(
        DbBackend::MySql,
        "INSERT IGNORE INTO database_setting (name, value) VALUES ('shards', ?)",
        [i64::from(shards).into()],
    );
    let statement = core.config.statement;
    within(statement, connection.execute_raw(insert)).await.db()?;
    let select = "SELECT value FROM database_setting WHERE name = 'shards'";
    let row = within(statement, connection.query_one_raw(Statement::from_string(DbBackend::MySql, select)));
    Ok(row.await.db()?.map(|row| row.try_get_by_index(0)).transpose().db()?.unwrap_or_default())
}
