//! `meridian migrate-in`.

mod address;
mod show;

use std::fs;

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use migrate_in::{DEFAULT, Ended as End, Mapping, Mode, Progress, SCHEMA};
use platform_runtime::shutdown_signal;

use crate::{
    Settings,
    cli::{MigrateInCommand, Output, Revert, Source, Which},
    commands::bus::told,
    compose::Shop,
    exit::{Ended, Why},
    local,
};

/// Runs it.
pub(crate) async fn run(settings: Settings, command: &MigrateInCommand) -> Result<()> {
    match command {
        MigrateInCommand::Mapping => show::plain(DEFAULT),
        MigrateInCommand::Schema => show::plain(SCHEMA),
        // What is wrong with the mapping or the address is told before a shop is opened.
        MigrateInCommand::Plan { source, output } => {
            let (mapping, address) = read(source)?;
            local(settings, async |shop| {
                let plan = shop.migrate_in(mapping, Some(&address)).await?.plan().await.map_err(told)?;
                show::plan(&plan, *output)
            })
            .await
        }
        MigrateInCommand::Run { source, batch, full, output } => {
            let (mapping, address) = read(source)?;
            let how = How { batch: usize::from(*batch), full: *full, output: *output };
            local(settings, async |shop| take_in(shop, mapping, &address, how).await).await
        }
        MigrateInCommand::Status { which, output } => {
            let mapping = mapping(which)?;
            local(settings, async |shop| {
                show::status(&shop.migrate_in(mapping, None).await?.status().await?, *output)
            })
            .await
        }
        MigrateInCommand::Errors { which, output } => {
            let mapping = mapping(which)?;
            local(settings, async |shop| {
                let mut errors = show::Errors::begin(*output)?;
                shop.migrate_in(mapping, None).await?.errors(|error| errors.add(&error)).await?;
                errors.end()
            })
            .await
        }
        MigrateInCommand::Verify { source, output } => {
            let (mapping, address) = read(source)?;
            local(settings, async |shop| {
                let migration = shop.migrate_in(mapping, Some(&address)).await?;
                let bar = Bar::new()?;
                let verification = migration.verify(&mut |progress| bar.show(progress)).await;
                bar.0.finish_and_clear();
                show::verification(&verification.map_err(told)?, *output)
            })
            .await
        }
        MigrateInCommand::Revert(revert) => {
            let mapping = mapping(&revert.which)?;
            if revert.confirm != mapping.source {
                let why = format!(
                    "--confirm {} is not the source of this mapping, which is {}: nothing was removed",
                    revert.confirm, mapping.source
                );
                return Err(Ended::error(Why::Usage, why));
            }
            local(settings, async |shop| give_back(shop, mapping, revert).await).await
        }
    }
}

/// How a source is taken in.
#[derive(Clone, Copy)]
struct How {
    /// Rows a transaction.
    batch: usize,
    /// Every row is read.
    full: bool,
    output: Output,
}

/// The bar of a command that takes its time; on standard error, and only where somebody looks.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Result<Self> {
        let bar = ProgressBar::new(0);
        bar.set_style(ProgressStyle::with_template(
            "{msg:17} {bar:40} {pos}/{len} rows {per_sec} eta {eta}",
        )?);
        Ok(Self(bar))
    }

    fn show(&self, progress: Progress<'_>) {
        let read = match progress.mode {
            Mode::Full => progress.table.to_owned(),
            Mode::Changes => format!("{} {}", progress.table, progress.mode.name()),
        };
        self.0.set_message(read);
        self.0.set_length(progress.total);
        self.0.set_position(progress.done);
    }
}

fn mapping(which: &Which) -> Result<Mapping> {
    let text = match &which.mapping {
        Some(file) => {
            Some(fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?)
        }
        None => None,
    };
    Mapping::read(text.as_deref()).map_err(|failure| Ended::error(Why::Usage, format!("{:#}", told(failure))))
}

fn read(source: &Source) -> Result<(Mapping, migrate_in::SourceAddress)> {
    let mapping = mapping(&source.which)?;
    let address = address::read(source).map_err(|error| Ended::error(Why::Usage, format!("{error:#}")))?;
    Ok((mapping, address))
}

async fn take_in(shop: &Shop, mapping: Mapping, address: &migrate_in::SourceAddress, how: How) -> Result<()> {
    let migration = shop.migrate_in(mapping, Some(address)).await?;
    let (stop, bar) = (shutdown_signal()?, Bar::new()?);
    let stopping = || stop.is_cancelled();
    let ended = migration.run(how.batch, how.full, &stopping, &mut |progress| bar.show(progress)).await;
    bar.0.finish_and_clear();
    let ended = ended.map_err(why)?;
    let status = migration.status().await?;
    show::status(&status, how.output)?;
    if ended == End::Stopped {
        return Err(Ended::error(Why::Late, "stopped: run the same command again, it goes on"));
    }
    let left: u64 = status.tables.iter().map(|table| table.refused + table.changed_here).sum();
    if left > 0 {
        let why = format!("{left} rows are not in as the source has them: see `meridian migrate-in errors`");
        return Err(Ended::error(Why::Partly, why));
    }
    Ok(())
}

async fn give_back(shop: &Shop, mapping: Mapping, revert: &Revert) -> Result<()> {
    let migration = shop.migrate_in(mapping, None).await?;
    let (stop, bar) = (shutdown_signal()?, Bar::new()?);
    let stopping = || stop.is_cancelled();
    let batch = usize::from(revert.batch);
    let done =
        migration.revert(batch, revert.changed_too, &stopping, &mut |progress| bar.show(progress)).await;
    bar.0.finish_and_clear();
    let (ended, report) = done.map_err(why)?;
    show::reverted(&report, revert.output)?;
    if ended == End::Stopped {
        return Err(Ended::error(Why::Late, "stopped: run the same command again, it goes on"));
    }
    if !report.complete {
        return Err(Ended::error(Why::Partly, "some rows stay, for the reasons above"));
    }
    Ok(())
}

fn why(failure: kernel::Failure) -> anyhow::Error {
    let conflict = failure.is(kernel::code::CONFLICT);
    let error = told(failure);
    if conflict { Ended::error(Why::Conflict, format!("{error:#}")) } else { error }
}
