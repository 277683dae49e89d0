//! What traces and metrics learn of the database: kinds of statements, tables and times; never a value.

use sea_orm::DatabaseConnection;

/// Lets the statements of `connection` appear in the traces they belong to. Without a collector nothing is installed, and
/// a statement costs what it costs.
pub(crate) fn observe(connection: &mut DatabaseConnection, system: &'static str) {
    if platform_trace::is_on() {
        connection.set_metric_callback(move |info| {
            platform_trace::statement(system, &info.statement.sql, info.elapsed, info.failed);
        });
    }
}

/// Sets the gauges of a pool.
pub(crate) fn pool(name: &'static str, connections: u32, idle: usize) {
    let idle = u32::try_from(idle).unwrap_or(u32::MAX);
    metrics::gauge!("db_pool_connections", "pool" => name, "state" => "idle").set(f64::from(idle));
    let used = connections.saturating_sub(idle);
    metrics::gauge!("db_pool_connections", "pool" => name, "state" => "used").set(f64::from(used));
}
