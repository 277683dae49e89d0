//! What the subcommands do, one a file.

pub(crate) mod backup;
pub(crate) mod bus;
pub(crate) mod import;
pub(crate) mod migrate_in;
pub(crate) mod reference;
pub(crate) mod region;
pub(crate) mod search;
pub(crate) mod seed;
pub(crate) mod serve;
pub(crate) mod staff;
pub(crate) mod up;
