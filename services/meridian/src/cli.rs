//! The command line.

mod migrate_in;
mod output;
mod patience;
mod region;
mod up;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use kernel::Currency;

use crate::database_url::DatabaseUrl;
pub(crate) use migrate_in::{MigrateInCommand, Revert, Source, Tls, Which};
pub(crate) use output::Output;
pub(crate) use patience::Patience;
pub(crate) use region::{
    NewRegion, PolicyChange, RegionArgs, RegionCommand, Run, ShardRange, Share, Waiting,
};
pub(crate) use up::Up;

/// A shop in several regions at once.
///
/// `meridian serve` runs the whole shop in one process on an embedded database: nothing to install. Open the address it
/// prints and shop; the API is documented at /api/docs.
#[derive(Debug, Parser)]
#[command(name = "meridian", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    /// Folder of the database, images, search index and keys; made when it does not exist.
    #[arg(long, global = true, value_name = "DIR", default_value = "./data")]
    pub data: PathBuf,
    /// Configuration file (TOML); see `meridian config show`.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A TiDB instead of the data folder's own database: mysql://USER:PASSWORD@HOST:PORT/NAME.
    ///
    /// A command line can be read by others on this machine: leave the password out and give it in the variable
    /// MERIDIAN__DATABASE__TIDB__PASSWORD.
    #[arg(long, global = true, value_name = "URL")]
    pub database: Option<DatabaseUrl>,
    /// Which built-in profile the configuration starts from.
    #[arg(long, global = true, value_enum, default_value_t = Profile::Prod, value_name = "PROFILE")]
    pub profile: Profile,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Built-in configuration profiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// Readable logs, short intervals.
    Dev,
    /// For automated tests: short intervals, cheap password hashing, no rate limits.
    Test,
    /// The default.
    Prod,
}

impl Profile {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Test => "test",
            Self::Prod => "prod",
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the shop: pages, API and background work, until Ctrl-C.
    ///
    /// On an empty folder it first makes the database and imports a small catalog of Meridian's own. It is ready when
    /// `/readyz` answers 200.
    #[command(after_help = "Examples:\n  \
        meridian serve\n  \
        meridian serve --listen 127.0.0.1:9000 --data /var/lib/meridian\n  \
        meridian serve --target order,payment,cart   # one part; the others run elsewhere, see `client.targets` in the configuration")]
    Serve(Serve),
    /// Run the shop in three regions on this machine, until Ctrl-C: us-east, eu-west and ap-southeast.
    ///
    /// Each region is a process of its own with a port of its own, over one database. The first start makes the database,
    /// founds the map of regions and imports a small catalog. Kill a region with `kill -9`: the others go on selling, and
    /// the killed one stays down until you start `meridian up` again. Their logs are in DIR/regions/NAME/log.
    #[command(after_help = "Examples:\n  \
        meridian up\n  \
        meridian up --data /tmp/shop --base-port 9000\n  \
        meridian up -o json > regions.jsonl\n  \
        MERIDIAN__DATABASE__TIDB__PASSWORD=… meridian up --database mysql://shop@db.example:4000/meridian\n\n\
        Exit status: 0 after Ctrl-C or SIGTERM; 1 when a region did not become ready or none is left; 2 for a wrong \
        command line.")]
    Up(Up),
    /// Look at regions, and move shards between them.
    ///
    /// Works on the database itself, whether a region runs or not. An operation is written into the journal there; the
    /// coordinator of the regions carries it out, this command shows how it goes, and takes its place when there is none.
    #[command(after_help = "Examples:\n  \
        meridian region status\n  \
        meridian region switchover eu-west\n  \
        meridian region uncordon eu-west && meridian region rebalance\n  \
        meridian region failover eu-west --confirm eu-west\n  \
        meridian region verify -o json\n\n\
        With -o json an operation is one document, whether it was begun, followed or ended: id, kind, phase, moves, \
        outcome, why, its timeline and its report, which is null for a kind that leaves no region. Its id is null where a \
        move or a rebalance had nothing to do. `history` is a list of them.\n\n\
        Exit status:\n  \
        0  done\n  \
        1  failed, refused, aborted, or something is wrong (verify, why-not-ready)\n  \
        2  wrong command line, or not confirmed\n  \
        3  no such region, shard or operation, no map, or no shop in the database at all\n  \
        4  another operation runs, or the map changed meanwhile\n  \
        5  not over in time: the operation goes on")]
    Region(RegionArgs),
    /// Make or update the database schema, and stop.
    Migrate,
    /// Import products or categories from a file.
    #[command(after_help = "Exit status:\n  \
        0  done, every row is in\n  \
        1  failed: the file as a whole cannot be read, or the shop cannot take it\n  \
        2  wrong command line\n  \
        6  done, but rows with errors are not in: the report names each")]
    #[command(subcommand)]
    Import(Import),
    /// Take in the users, products, orders and payments of an existing MySQL shop, check them, give them back.
    ///
    /// `plan` looks and writes nothing; `run` takes in, batch by batch, and goes on where it stood after a crash or Ctrl-C;
    /// run again after its end it brings up what the source changed meanwhile; `verify` compares checksums of both sides;
    /// `revert` removes exactly what was brought. The source is only read, so rights to SELECT are enough. The shop may
    /// run meanwhile.
    ///
    /// Users log in with the passwords they had, where these were hashed with bcrypt or argon2id. Orders and payments come
    /// as facts of the past: no stock moves for them, nobody is charged and nobody is written to.
    #[command(after_help = "Examples:\n  \
        meridian migrate-in mapping > mapping.toml          # then say what is called otherwise in your shop\n  \
        MERIDIAN_MIGRATE_IN_PASSWORD=… meridian migrate-in plan --from mysql://reader@db.example:3306/shop --mapping mapping.toml\n  \
        meridian migrate-in run --from mysql://reader@db.example/shop --mapping mapping.toml --password-stdin < password\n  \
        meridian migrate-in verify --from mysql://reader@db.example/shop --mapping mapping.toml -o json > report.json\n  \
        meridian migrate-in errors --mapping mapping.toml > errors.csv\n  \
        meridian migrate-in revert --mapping mapping.toml --confirm legacy\n\n\
        Exit status:\n  \
        0  done; `verify`: both sides are the same\n  \
        1  failed; `verify`: they differ; `plan`: the mapping does not fit\n  \
        2  wrong command line, or not confirmed\n  \
        4  another process takes the same source in\n  \
        5  stopped by Ctrl-C or SIGTERM: run again, it goes on\n  \
        6  done, but some rows are not in, or some stay (`revert`): the report says which")]
    #[command(subcommand)]
    MigrateIn(MigrateInCommand),
    /// Fill the shop with generated products and users: skewed popularity, the same for the same seed.
    ///
    /// Prints the password all generated users share.
    Seed(Seed),
    /// Manage staff accounts.
    #[command(subcommand)]
    Staff(Staff),
    /// Look after the search index.
    #[command(subcommand)]
    Search(Search),
    /// Look after the bus.
    #[command(subcommand)]
    Bus(Bus),
    /// Copy the database and the images to a folder, while the shop runs.
    Backup {
        /// Folder to make; it must not exist.
        #[arg(value_name = "DIR")]
        to: PathBuf,
    },
    /// Put a backup into the data folder, after checking it. The folder must hold nothing, or `keys` only.
    Restore {
        /// Folder that `backup` made.
        #[arg(value_name = "DIR")]
        from: PathBuf,
    },
    /// Look at the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Print generated references.
    #[command(subcommand, hide = true)]
    Reference(Reference),
}

/// `meridian serve`.
#[derive(Clone, Debug, Args)]
pub struct Serve {
    /// What to run: `all`, or a list of modules.
    #[arg(long, value_delimiter = ',', default_value = "all", value_name = "MODULES")]
    pub target: Vec<String>,
    /// Where to listen; port 0 takes a free one. [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Do not import the sample catalog into an empty database.
    #[arg(long)]
    pub no_sample: bool,
    /// Stop when standard input ends: with the process at its other end, however that went.
    #[arg(long, hide = true)]
    pub with_parent: bool,
}

/// `meridian import`.
#[derive(Debug, Subcommand)]
pub enum Import {
    /// Products from a Shopify product CSV.
    ///
    /// Products are matched by handle and variants by their options, so importing a file again changes nothing. Stock is
    /// set on a product's first import only.
    #[command(after_help = "Example:\n  meridian import products apparel.csv --currency EUR")]
    Products {
        /// The file.
        file: PathBuf,
        /// Currency of its prices.
        #[arg(long, default_value = "USD", value_parser = currency)]
        currency: Currency,
    },
    /// Categories from a JSON list of {id, name, path}, plain or gzipped.
    Categories {
        /// The file.
        file: PathBuf,
    },
}

fn currency(text: &str) -> Result<Currency, String> {
    Currency::from_code(&text.to_ascii_uppercase())
        .ok_or_else(|| format!("`{text}` is no ISO 4217 currency, such as USD, EUR or JPY"))
}

/// `meridian seed`.
#[derive(Clone, Debug, Args)]
pub struct Seed {
    /// How many products.
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(0..=10_000_000))]
    pub products: u32,
    /// How many users, each with an address.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(0..=10_000_000))]
    pub users: u32,
    /// Another number gives other products and users.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// `meridian staff`.
#[derive(Debug, Subcommand)]
pub enum Staff {
    /// Open a staff account; an existing account gets the roles and the password.
    #[command(
        after_help = "Example:\n  printf %s \"$PASSWORD\" | meridian staff create --email ada@example.com --password-stdin --role admin"
    )]
    Create {
        /// E-mail to log in with.
        #[arg(long)]
        email: String,
        /// Read the password (12 characters at least) from standard input instead of asking for it.
        #[arg(long)]
        password_stdin: bool,
        /// Role; may be given several times. `admin` may do everything.
        #[arg(long = "role", value_name = "ROLE", required = true)]
        roles: Vec<String>,
    },
}

/// `meridian search`.
#[derive(Debug, Subcommand)]
pub enum Search {
    /// Build a new index from the database and swap it in.
    Rebuild,
    /// Compare the index with the database; exits 1 when they differ and nothing was repaired.
    Check {
        /// Repair what differs.
        #[arg(long)]
        repair: bool,
    },
}

/// `meridian bus`.
#[derive(Debug, Subcommand)]
pub enum Bus {
    /// Make the broker as the configuration has it, and print a table of what was found and done.
    ///
    /// Clusters, tenant, the regional and the global namespace (deduplication, retention, replication, compatibility),
    /// partitioned topics and their schemas. Running it again changes nothing; topics never shrink. It works before
    /// `bus.engine` is set to `pulsar`. Run it once a cluster, with that cluster's configuration.
    #[command(after_help = "Example:\n  \
        MERIDIAN__BUS__PULSAR__ADMIN_URL=http://127.0.0.1:8080 meridian bus setup")]
    Setup,
    /// Say what is kept for nobody: cursors in the database, and at the broker subscriptions, topics and schemas that this
    /// version has not, or has otherwise. Changes nothing.
    ///
    /// The broker keeps every event for a subscription until it is consumed: one that no version takes any more grows for
    /// ever. The broker is looked at where `bus.engine` is `pulsar`, once a cluster with that cluster's configuration.
    #[command(after_help = "Exit status:\n  \
        0  nothing is left over\n  \
        1  something is, or it could not be looked at\n  \
        3  there is no shop in the database")]
    Check {
        /// How the command answers.
        #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
        output: Output,
    },
    /// Forget a subscription that this version does not have, with all that waits for it.
    ///
    /// At the broker it is removed with its backlog; in the database its cursors go, its notes of what it consumed, its parked
    /// events and dead letters. One that this version has is refused; on a topic of the broker whose events it takes no more it
    /// is forgotten. Stop every process of the version that had it first: should one start again, the subscription is there
    /// once more and begins with the oldest event that is kept.
    #[command(after_help = "Examples:\n  \
        meridian bus check\n  \
        meridian bus forget order.old --dry-run\n  \
        meridian bus forget order.old --confirm order.old\n\n\
        Exit status:\n  \
        0  done\n  \
        1  failed\n  \
        2  wrong command line, or not confirmed\n  \
        3  nothing is kept of such a subscription, or there is no shop in the database\n  \
        4  this version has it, or somebody is connected to it")]
    Forget {
        /// Its name, as `check` tells it.
        #[arg(value_name = "SUBSCRIPTION")]
        subscription: String,
        /// Its name again: what waits for it is lost.
        #[arg(long, value_name = "SUBSCRIPTION", required_unless_present = "dry_run")]
        confirm: Option<String>,
        /// Say what would be forgotten, and do nothing.
        #[arg(long, conflicts_with = "confirm")]
        dry_run: bool,
        /// How the command answers.
        #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
        output: Output,
    },
}

/// `meridian config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the configuration in force as TOML, secrets masked.
    Show,
}

/// `meridian reference`.
#[derive(Debug, Subcommand)]
pub enum Reference {
    /// The OpenAPI document.
    Openapi,
    /// The configuration, as Markdown.
    Configuration,
    /// The database, as Markdown.
    Database,
    /// The error codes, as Markdown.
    Errors,
    /// The metrics, as Markdown.
    Metrics,
}
