//! Migration in: users, products, orders and payments of an existing MySQL shop, taken in batch by batch.
//!
//! Invariants:
//! - A row's id follows from the source's name, the table and the row's key, and each domain notes a row that it takes in in the
//!   transaction of the row itself ([`contracts::intake`]). So nothing is lost or doubled by a kill at any moment and another
//!   run; the position that is kept here only saves work, and may lag a batch behind.
//! - A row that is wrong is told with the reason, and costs no other row.
//! - A later run reads what changed in the source since the last one, where the source tells it ([`Mapping`]); else, and with
//!   `--full`, every row. It removes nothing: what is gone from the source is counted, and found by `verify`.
//! - What the source says again changes nothing. What it says anew is brought up, unless the row has lived here.
//! - Only what was brought is given back, and what has lived stays unless told otherwise.
//! - Orders and payments are facts of the past: no stock moves for them, nobody is charged or written to, and no event tells of
//!   them. Products, prices and stock are told as usual, so they are found and sold at once.
//! - The source is only read. Its password is in no argument, no log and no error.
//!
//! Checksums are sums, modulo 2^128 each, of both halves of the SHA-256 of each row: of the rows as mapped from the source, and
//! as read back from the domains. The order of rows does not matter, one that comes twice does.
//!
//! Tables: `migrate_in_progress`, `migrate_in_error`, `migrate_in_offer`, `migrate_in_made`. Events: none of its own. It has no
//! routes and no jobs: `meridian migrate-in` runs it with the whole shop in one process.

mod changes;
mod feed;
mod ids;
mod map;
mod mapping;
mod offers;
mod report;
mod revert;
mod run;
mod service;
mod store;
mod taxonomy;
mod values;
mod verify;

pub use mapping::{DEFAULT, Mapping, SCHEMA};
pub use report::{
    Mode, Plan, PlannedTable, Reverted, RevertedTable, RowError, Status, TableStatus, Verification,
    VerifiedTable, table,
};
pub use run::{Ended, Progress, Watch};
pub use service::{Deps, MigrateIn};
pub use store::{SourceAddress, SourceTls};
