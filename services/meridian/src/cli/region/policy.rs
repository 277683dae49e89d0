//! What holds for the map as a whole.

use clap::Args;
use kernel::{Region, Shard};
use placement::Day;

use super::words::{name, pin, shard, weekly};

/// A change of what holds for the map as a whole.
#[derive(Clone, Debug, Default, Args)]
pub struct PolicyChange {
    /// A shard that must live in a region: the next `rebalance` brings it there, and keeps it. May be given again.
    #[arg(long, value_name = "SHARD=REGION", value_parser = pin)]
    pub pin: Vec<(Shard, Region)>,
    /// A shard that may live anywhere again. May be given again.
    #[arg(long, value_name = "SHARD", value_parser = shard)]
    pub unpin: Vec<Shard>,
    /// The most shards that change their home together.
    #[arg(long, value_name = "SHARDS", value_parser = clap::value_parser!(u16).range(1..))]
    pub at_once: Option<u16>,
    /// The most shards a minute in planned operations; a failover has no such limit.
    #[arg(long, value_name = "SHARDS", value_parser = clap::value_parser!(u16).range(1..))]
    pub per_minute: Option<u16>,
    /// Let nothing planned begin or go on. A failover that has fenced its region goes on.
    #[arg(long, conflicts_with = "resume")]
    pub pause: bool,
    /// End the pause.
    #[arg(long)]
    pub resume: bool,
    /// Begin a drill by itself once a week within this hour, in UTC, unless something is unwell then.
    #[arg(long, value_name = "DAY@HOUR", value_parser = weekly)]
    pub drills: Option<(Day, u8)>,
    /// A region whose turn it is; may be given again. All that are failover-ready when absent.
    #[arg(long, value_name = "REGION", value_parser = name, requires = "drills")]
    pub drill: Vec<Region>,
    /// Begin no drills by itself any more.
    #[arg(long, conflicts_with_all = ["drills", "drill"])]
    pub no_drills: bool,
}
