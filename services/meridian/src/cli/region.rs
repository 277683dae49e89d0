//! `meridian up` and `meridian region`.

mod words;

use std::{fmt, str::FromStr, time::Duration};

use clap::{Args, Subcommand, ValueEnum};
use kernel::{Region, Shard};
use placement::{Day, Jurisdiction, Role};

pub(crate) use self::words::ShardRange;
use self::words::{entrance, jurisdiction, law, name, pin, role, shard, weekly};

/// How a command answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// For people: tables and sentences.
    #[default]
    Text,
    /// For programs: JSON, one document (or one a line, where it says so); everything else goes to standard error.
    Json,
}

/// `meridian up`.
#[derive(Clone, Debug, Args)]
pub struct Up {
    /// Port of the first region; the others have the next two. 0 takes free ones.
    #[arg(long, default_value_t = 8080, value_name = "PORT", value_parser = clap::value_parser!(u16).range(..=65_533))]
    pub base_port: u16,
    /// `json`: once ALL regions are ready, one line a region on standard output:
    /// {"region":"us-east","url":"http://127.0.0.1:8080","pid":4242}
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    pub output: Output,
    /// How long the regions may take to become ready.
    #[arg(long, default_value = "3m", value_name = "TIME")]
    pub ready_within: Patience,
}

/// A length of time, such as `90s` or `2m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience(pub Duration);

impl FromStr for Patience {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        humantime::parse_duration(text)
            .map(Self)
            .map_err(|_| "a time is written as 500ms, 90s or 2m".to_owned())
    }
}

impl fmt::Display for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

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
        /// Why, for the journal.
        #[arg(long, default_value = "asked for at the command line", value_name = "TEXT")]
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
    /// Show what an operation did when.
    Timeline {
        /// Its number; the last one when absent.
        operation: Option<u64>,
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

/// How an operation is run.
#[derive(Clone, Debug, Default, Args)]
pub struct Run {
    /// Show the plan, and do nothing.
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub wait: Waiting,
}

/// Whether and how long to wait for an operation.
#[derive(Clone, Debug, Default, Args)]
pub struct Waiting {
    /// Wait until it is over and show how it goes (the default).
    #[arg(long, overrides_with = "no_wait")]
    pub wait: bool,
    /// Begin it and return.
    #[arg(long)]
    pub no_wait: bool,
    /// How long to wait; the operation itself goes on afterwards. [default: 10m]
    #[arg(long, value_name = "TIME")]
    pub timeout: Option<Patience>,
}

impl Waiting {
    /// How long to wait, if at all.
    pub(crate) fn longest(&self) -> Option<Duration> {
        let longest = self.timeout.map_or(Duration::from_secs(600), |patience| patience.0);
        (!self.no_wait).then_some(longest)
    }
}

/// What a region that is added is.
#[derive(Clone, Debug, Default, Args)]
pub struct NewRegion {
    /// It votes in the database and watches the others, and is no home.
    #[arg(long, conflicts_with_all = ["weight", "capacity"])]
    pub witness: bool,
    /// Its part of the shards, in proportion to the other regions' weights. [default: 1]
    #[arg(long, value_name = "WEIGHT")]
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
    #[arg(long, value_name = "WEIGHT")]
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
