//! The Meridian binary: composition of the modules, and the commands.

mod answer;
mod cli;
mod commands;
mod compose;
mod database_url;
mod doors;
mod exit;
mod gateway;
mod regions;
mod settings;
mod targets;

pub use cli::{Cli, Profile};
pub use compose::{Shop, Targets};
pub use exit::status as exit_status;
pub use settings::Settings;

use std::path::Path;

use anyhow::{Result, ensure};
use cli::{Command, ConfigCommand};

/// The documented defaults of every setting.
pub const DEFAULT_CONFIGURATION: &str = include_str!("../config/default.toml");

/// Runs a command line to its end.
pub async fn run(cli: Cli) -> Result<()> {
    let settings = Settings::load(&cli)?;
    match &cli.command {
        // Boxed: nested into each other they are too deep for the compiler.
        Command::Serve(serve) => Box::pin(commands::serve::run(settings, serve)).await,
        Command::Up(up) => Box::pin(commands::up::run(&cli, settings, up)).await,
        Command::Region(region) => Box::pin(commands::region::run(settings, region)).await,
        Command::Migrate => Box::pin(migrate(settings)).await,
        Command::Import(import) => {
            local(settings, async |shop| commands::import::run(shop, import).await).await
        }
        Command::MigrateIn(migrate_in) => Box::pin(commands::migrate_in::run(settings, migrate_in)).await,
        Command::Seed(seed) => local(settings, async |shop| commands::seed::run(shop, seed).await).await,
        Command::Staff(staff) => local(settings, async |shop| commands::staff::run(shop, staff).await).await,
        Command::Search(search) => {
            local(settings, async |shop| commands::search::run(shop, search).await).await
        }
        Command::Bus(bus) => commands::bus::run(&settings, bus).await,
        Command::Backup { to } => {
            let database = settings.database()?;
            commands::backup::embedded_only(&database)?;
            commands::backup::backup(&database, to).await
        }
        Command::Restore { from } => {
            commands::backup::embedded_only(&settings.database()?)?;
            restore(&settings, from, &cli.data).await
        }
        Command::Config(ConfigCommand::Show) => show(&settings),
        Command::Reference(subject) => commands::reference::run(subject).await,
    }
}

/// Runs a command on the whole shop in this process, without serving anything.
async fn local(settings: Settings, command: impl AsyncFnOnce(&Shop) -> Result<()>) -> Result<()> {
    let shop = Box::pin(Shop::open(settings, &Targets::all())).await?;
    let done = command(&shop).await;
    shop.close().await;
    done
}

async fn migrate(settings: Settings) -> Result<()> {
    let data = settings.data.clone();
    compose::open_database(&settings).await?;
    answer::put(&format!("the database in {} is up to date", data.display()))
}

/// Restores a backup. What Redis keeps is of the database before.
async fn restore(settings: &Settings, from: &Path, data: &Path) -> Result<()> {
    let redis = platform_cache::Redis::open(&settings.config.section("redis")?)?;
    commands::backup::restore(from, data).await?;
    if let Some(redis) = redis {
        let told = redis.forget_all(compose::LEAVE_WITHIN).await && redis.close(compose::LEAVE_WITHIN).await;
        ensure!(
            told,
            "the backup is restored, but Redis does not know it: empty it (FLUSHDB) before the shop is started. {}",
            redis.health().err().map(|failure| failure.message().to_owned()).unwrap_or_default()
        );
    }
    Ok(())
}

fn show(settings: &Settings) -> Result<()> {
    answer::plain(&settings.config.show()?)
}
