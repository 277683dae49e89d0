//! `meridian region`.

mod policy;
mod run;
mod shares;
#[cfg(test)]
mod tests;
mod words;

use clap::{Args, Subcommand};
use kernel::Region;
use placement::Jurisdiction;

use self::words::{entrance, jurisdiction, law, name, reason};
pub(crate) use self::{
    policy::PolicyChange,
    run::{Run, Waiting},
    shares::{NewRegion, Share},
    words::ShardRange,
};
use super::{Output, Patience};

/// `meridian region`.
#[derive(Clone, Debug, Args)]
pub struct RegionArgs {
    /// How the command answers.
    #[arg(short, long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Output,
    /// What to do.
    #[command(subcommand)]
    pub command: RegionCommand,
}

/// What `meridian region` does.
#[derive(Clone, Debug, Subcommand)]
pub enum RegionCommand {
    /// Show the map: regions, homes, leases, what the regions see of each other, the operation that runs.
    Status {
        /// List every shard too.
        #[arg(long)]
        shards: bool,
    },
    /// Found the map of a shop that has none: these regions, with equal weights, and the shards in turn.
    ///
    /// Once a database, before its regions are started. `meridian up` does it by itself.
    #[command(after_help = "Example:\n  \
        meridian region found us-east=http://10.0.0.1:8080 eu-west=http://10.1.0.1:8080 ap-southeast=http://10.2.0.1:8080 --jurisdiction eu-west=eu")]
    Found {
        /// The regions, each with the base URL of its entrance.
        #[arg(required = true, num_args = 1..=8, value_name = "REGION=URL", value_parser = entrance)]
        regions: Vec<(Region, String)>,
        /// A region that keeps the data of a jurisdiction, beside what may lie anywhere. Its first shards are under the first that
        /// is named for it; a failover takes them only to regions that keep it, too. May be given again.
        #[arg(long, value_name = "REGION=JURISDICTION", value_parser = law)]
        jurisdiction: Vec<(Region, Jurisdiction)>,
        /// Say what would be founded, and do nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Add a region to the map. It gets shards with the next `rebalance` or `move`.
    ///
    /// A failover away from there begins by a person until `set --failover-ready true` says otherwise: the others see it down
    /// before it runs for the first time.
    #[command(after_help = "Examples:\n  \
        meridian region add ap-south=http://10.3.0.1:8080 --weight 2\n  \
        meridian region add eu-two=http://10.4.0.1:8080 --witness --jurisdiction eu")]
    Add {
        /// The region, with the base URL of its entrance.
        #[arg(value_name = "REGION=URL", value_parser = entrance)]
        region: (Region, String),
        #[command(flatten)]
        place: NewRegion,
        /// Say what would be added, and do nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Say under whose law shards are: they live only where the data of that jurisdiction is kept. Their home has to be such a
    /// region already.
    ///
    /// Whose data may live anywhere is under `any`. What leaves a law may lie, from the next move on, wherever the new one lets it.
    #[command(after_help = "Example:\n  \
        meridian region set eu-west --keep eu && meridian region law 1 4 7 --under eu")]
    Law {
        /// Shards: numbers, or ranges such as 0-5.
        #[arg(required = true, value_name = "SHARD")]
        shards: Vec<ShardRange>,
        /// The jurisdiction.
        #[arg(long, value_name = "JURISDICTION", value_parser = jurisdiction)]
        under: Jurisdiction,
        /// Say what would be done, and do nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Show which shards a rebalance would move, why, and the plan's digest. Changes nothing.
    #[command(after_help = "Examples:\n  \
        meridian region plan\n  \
        meridian region apply --plan \"$(meridian region plan -o json | jq -r .digest)\"")]
    Plan,
    /// Carry out the plan that `plan` showed: a rebalance, refused when the plan is another one by now.
    Apply {
        /// The digest that `plan` printed, or its first eight characters or more.
        #[arg(long, value_name = "DIGEST")]
        plan: String,
        #[command(flatten)]
        run: Run,
    },
    /// Reach the best balance by weight with the fewest moves.
    Rebalance {
        #[command(flatten)]
        run: Run,
    },
    /// Give shards another home. No request fails meanwhile: both homes are right during the change.
    #[command(after_help = "Examples:\n  \
        meridian region move 3 7 --to eu-west\n  \
        meridian region move 0-5 --to us-east --dry-run")]
    Move {
        /// Shards: numbers, or ranges such as 0-5.
        #[arg(required = true, value_name = "SHARD")]
        shards: Vec<ShardRange>,
        /// Their new home.
        #[arg(long, value_name = "REGION", value_parser = name)]
        to: Region,
        #[command(flatten)]
        run: Run,
    },
    /// Keep a region's shards where they are, and send no more there.
    Cordon {
        /// The region.
        #[arg(value_parser = name)]
        region: Region,
        /// Say what would be done, and do nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Let a cordoned or drained region take part fully again. It gets no shards by itself: see `rebalance`.
    Uncordon {
        /// The region.
        #[arg(value_parser = name)]
        region: Region,
        /// Say what would be done, and do nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Take a region out at once; the coordinator gives its shards homes elsewhere. `switchover` does the same slowly,
    /// shards first.
    Drain {
        /// The region.
        #[arg(value_parser = name)]
        region: Region,
        #[command(flatten)]
        wait: Waiting,
        /// Say what would be done, and do nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Take a region out whatever its processes think: it serves nothing as a home until a person lets it back.
    Fence {
        /// The region.
        #[arg(value_parser = name)]
        region: Region,
        #[command(flatten)]
        wait: Waiting,
        /// Say what would be done, and do nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Let a fenced region back as a cordoned one, to be looked at before `uncordon`.
    Unfence {
        /// The region.
        #[arg(value_parser = name)]
        region: Region,
        /// Say what would be done, and do nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Have a region's entrance do less while it runs: change nothing, show only copies, or serve only so many at once. It takes a
    /// second or two, and holds until it is said otherwise; what is not named is off.
    #[command(
        group = clap::ArgGroup::new("what").required(true).multiple(true),
        after_help = "Examples:\n  \
        meridian region degrade eu-west --read-only\n  \
        meridian region degrade eu-west --static\n  \
        meridian region degrade eu-west --queue 200\n  \
        meridian region degrade eu-west --off"
    )]
    Degrade {
        /// The region.
        #[arg(value_parser = name)]
        region: Region,
        /// Refuse what would change something, except what providers of payments tell.
        #[arg(long, group = "what")]
        read_only: bool,
        /// Show the copies that it has of what anybody may see (`edge.kept`), and refuse the rest: nothing behind the entrance is
        /// asked. What is at home in another region is passed on.
        #[arg(long = "static", group = "what")]
        static_only: bool,
        /// Serve so many requests at once; others wait, as `edge.queue` says.
        #[arg(long, group = "what", value_name = "REQUESTS", value_parser = clap::value_parser!(u32).range(1..))]
        queue: Option<u32>,
        /// Nothing of it any more.
        #[arg(long, group = "what", conflicts_with_all = ["read_only", "static_only", "queue"])]
        off: bool,
        /// Say what would be done, and do nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Change a region's share of the shards, its role, and whose data it keeps. Shards move with the next `rebalance`.
    ///
    /// A witness votes in the database and watches the others; it is no home and has no capacity, so its shards have to be moved
    /// away first. Whose data lives there is kept on.
    #[command(after_help = "Examples:\n  \
        meridian region set eu-west --weight 2 && meridian region rebalance\n  \
        meridian region set eu-two --role witness\n  \
        meridian region set eu-two --role full --capacity 64\n  \
        meridian region set eu-west --keep eu --drop any")]
    Set {
        /// The region.
        #[arg(value_parser = name)]
        region: Region,
        #[command(flatten)]
        share: Share,
        /// Say what would be done, and do nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Show what holds for the map as a whole, or change it: pins, pace, pause, weekly drills. What is not named stays.
    #[command(after_help = "Examples:\n  \
        meridian region policy\n  \
        meridian region policy --pin 3=eu-west --per-minute 30\n  \
        meridian region policy --drills sat@3\n  \
        meridian region policy --pause")]
    Policy {
        #[command(flatten)]
        change: PolicyChange,
        /// Say what would be done, and do nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Move all shards of a healthy region away, then drain it. No request fails.
    ///
    /// The way back is `uncordon`, then `rebalance`.
    Switchover {
        /// The region.
        #[arg(value_parser = name)]
        region: Region,
        /// A region that may take shards of any jurisdiction; may be given several times.
        #[arg(long, value_name = "REGION", value_parser = name)]
        outside: Vec<Region>,
        #[command(flatten)]
        run: Run,
    },
    /// Fence a dead region and give its shards new homes.
    ///
    /// It begins when two other regions have seen it down long enough. It is the region's name that confirms it, typed at
    /// the prompt or given with --confirm.
    #[command(after_help = "Example:\n  meridian region failover eu-west --confirm eu-west")]
    Failover {
        /// The region.
        #[arg(value_parser = name)]
        region: Region,
        /// The region's name once more.
        #[arg(long, value_name = "REGION")]
        confirm: Option<String>,
        /// A region that may take shards of any jurisdiction; may be given several times.
        #[arg(long, value_name = "REGION", value_parser = name)]
        outside: Vec<Region>,
        #[command(flatten)]
        run: Run,
    },
    /// Practise: a failover of a healthy region, then back, with the same report.
    Drill {
        /// The region.
        #[arg(value_parser = name)]
        region: Region,
        #[command(flatten)]
        run: Run,
    },
    /// Ask the running operation to end and to take back what it can.
    Abort {
        /// Its number; the one that runs when absent.
        operation: Option<u64>,
        /// Why, for the journal: 200 characters at most.
        #[arg(long, default_value = "asked for at the command line", value_name = "TEXT", value_parser = reason)]
        why: String,
        #[command(flatten)]
        wait: Waiting,
        /// Say what would end and what would follow, and do nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Hold the database to the invariants of regions and to the equations of orders, payments and stock.
    ///
    /// Reads only, and makes nothing. Exits 1 when something is wrong, and when the schema is of another version than this
    /// binary, which does not know its rows. A shop without regions has no map: the rest is looked at.
    Verify {
        /// Look at what is this old at most; everything when absent.
        #[arg(long, value_name = "TIME")]
        window: Option<Patience>,
    },
    /// Show what an operation did when, and how it went: what was taken, moved and handed over, what waited, what the audit
    /// found.
    Timeline {
        /// Its number; the last one when absent.
        operation: Option<u64>,
    },
    /// List the operations that began last, the latest first.
    History {
        /// So many at most.
        #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
        last: u32,
    },
    /// Say why a failover away from a region could not begin by itself now, or why it would go wrong.
    ///
    /// Exits 1 when there is a reason.
    WhyNotReady {
        /// The region; all when absent.
        #[arg(value_parser = name)]
        region: Option<Region>,
    },
}
