//! What a region is, and its share of the shards.

use clap::Args;
use placement::{Jurisdiction, Role};

use super::words::{jurisdiction, role, weight};

/// What a region that is added is.
#[derive(Clone, Debug, Default, Args)]
pub struct NewRegion {
    /// It votes in the database and watches the others, and is no home.
    #[arg(long, conflicts_with_all = ["weight", "capacity"])]
    pub witness: bool,
    /// Its part of the shards, in proportion to the other regions' weights. [default: 1]
    #[arg(long, value_name = "WEIGHT", value_parser = weight, allow_negative_numbers = true)]
    pub weight: Option<u16>,
    /// The most shards that may live there. [default: all]
    #[arg(long, value_name = "SHARDS", value_parser = clap::value_parser!(u16).range(1..))]
    pub capacity: Option<u16>,
    /// A jurisdiction whose data it keeps, beside what may lie anywhere. May be given again.
    #[arg(long, value_name = "JURISDICTION", value_parser = jurisdiction)]
    pub jurisdiction: Vec<Jurisdiction>,
}

/// A region's share, role and jurisdictions.
#[derive(Clone, Debug, Default, Args)]
#[group(required = true, multiple = true)]
pub struct Share {
    /// Its part of the shards, in proportion to the other regions' weights; 0: none while there is room elsewhere.
    #[arg(long, value_name = "WEIGHT", value_parser = weight, allow_negative_numbers = true)]
    pub weight: Option<u16>,
    /// The most shards that may live there.
    #[arg(long, value_name = "SHARDS")]
    pub capacity: Option<u16>,
    /// Whether a failover away from there may begin without a person.
    #[arg(long, value_name = "true|false")]
    pub failover_ready: Option<bool>,
    /// What it is for: a home, or a witness.
    #[arg(long, value_name = "full|witness", value_parser = role)]
    pub role: Option<Role>,
    /// A jurisdiction whose data it keeps from now on. May be given again.
    #[arg(long, value_name = "JURISDICTION", value_parser = jurisdiction)]
    pub keep: Vec<Jurisdiction>,
    /// A jurisdiction whose data it keeps no more; refused while shards under it live there. May be given again.
    #[arg(long, value_name = "JURISDICTION", value_parser = jurisdiction)]
    pub drop: Vec<Jurisdiction>,
}
