//! The pricing service on a real SQLite file, with a catalog that knows a few SKUs.

mod fixture;
mod prices;
mod quotes;
