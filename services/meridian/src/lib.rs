//! The Meridian binary: composition of the modules, and the commands.

mod cli;
mod commands;
mod compose;
mod gateway;
mod settings;

pub use cli::{Cli, Profile};
pub use compose::{Shop, Targets};
pub use settings::Settings;

use anyhow::Result;
use cli::{Command, ConfigCommand};

/// The documented defaults of every setting.
pub const DEFAULT_CONFIGURATION: &str = include_str!("../config/default.toml");

/// Runs a command line to its end.
pub async fn run(cli: Cli) -> Result<()> {
    let settings = Settings::load(&cli)?;
    match &cli.command {
        // Boxed: nested into each other they are too deep for the compiler.
        Command::Serve(serve) => Box::pin(commands::serve::run(settings, serve)).await,
        Command::Migrate => Box::pin(migrate(settings)).await,
        Command::Import(import) => commands::import::run(&local(settings).await?, import).await,
        Command::Seed(seed) => commands::seed::run(&local(settings).await?, seed).await,
        Command::Staff(staff) => commands::staff::run(&local(settings).await?, staff).await,
        Command::Search(search) => commands::search::run(&local(settings).await?, search).await,
        Command::Bus(bus) => commands::bus::run(&settings, bus).await,
        Command::Backup { to } => {
            commands::backup::embedded_only(&settings.database()?)?;
            commands::backup::backup(local(settings).await?.db(), &cli.data, to).await
        }
        Command::Restore { from } => {
            commands::backup::embedded_only(&settings.database()?)?;
            commands::backup::restore(from, &cli.data).await
        }
        Command::Config(ConfigCommand::Show) => show(&settings),
        Command::Reference(subject) => commands::reference::run(subject).await,
    }
}

/// The whole shop in this process, without serving anything: what commands work on.
async fn local(settings: Settings) -> Result<Shop> {
    Box::pin(Shop::open(settings, &Targets::all())).await
}

#[expect(clippy::print_stdout, reason = "tells the person at the terminal what was done")]
async fn migrate(settings: Settings) -> Result<()> {
    let data = settings.data.clone();
    compose::open_database(&settings).await?;
    println!("the database in {} is up to date", data.display());
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the configuration is this command's answer")]
fn show(settings: &Settings) -> Result<()> {
    print!("{}", settings.config.show()?);
    Ok(())
}
