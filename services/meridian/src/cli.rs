//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use kernel::Currency;

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
        meridian serve --target order,payment,cart   # one part; the others run elsewhere, see `peers` in the configuration")]
    Serve(Serve),
    /// Make or update the database schema, and stop.
    Migrate,
    /// Import products or categories from a file.
    #[command(subcommand)]
    Import(Import),
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
    /// Put a backup into the (empty) data folder, after checking it.
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
