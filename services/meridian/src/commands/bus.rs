//! `meridian bus`.

mod known;

use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use kernel::{Failure, SystemClock, code};
use platform_bus::{BusConfig, Leftover, SetupStep};
use platform_db::Db;
use serde::Serialize;

use crate::{
    Settings,
    answer::{plain, put},
    cli::{Bus, Output},
    exit::{Ended, Why},
};

/// Looks after the bus.
pub(crate) async fn run(settings: &Settings, bus: &Bus) -> Result<()> {
    let config: BusConfig = settings.config.section("bus")?;
    match bus {
        Bus::Setup => setup(&config).await,
        // Boxed: a database's future is large.
        Bus::Check { output } => Box::pin(check(settings, &config, *output)).await,
        Bus::Forget { subscription, confirm, dry_run, output } => {
            if !dry_run && confirm.as_ref() != Some(subscription) {
                let said = format!("nothing was done: confirm with `--confirm {subscription}`");
                return Err(Ended::error(Why::Usage, said));
            }
            Box::pin(forget(settings, &config, (subscription, *dry_run), *output)).await
        }
    }
}

async fn setup(config: &BusConfig) -> Result<()> {
    let admin = &config.pulsar.admin_url;
    let steps = platform_bus::setup(config).await.map_err(told);
    let steps = steps.with_context(|| format!("the broker at {admin} is not set up"))?;
    answer(Output::Text, &steps, || table(&steps))
}

/// What is left over, as a document.
#[derive(Serialize)]
struct Left<'a> {
    left: &'a [Leftover],
}

async fn check(settings: &Settings, config: &BusConfig, output: Output) -> Result<()> {
    let db = open(settings).await?;
    let known = known::subscriptions(settings, &db).await?;
    let left = platform_bus::check(Some(&db), config, &known).await.map_err(told)?;
    answer(output, &Left { left: &left }, || list(&left))?;
    match left.len() {
        0 => Ok(()),
        count => Err(Ended::error(Why::Failed, format!("{count} left over"))),
    }
}

/// What was, or would be, forgotten, as a document.
#[derive(Serialize)]
struct Forgotten<'a> {
    subscription: &'a str,
    dry_run: bool,
    steps: &'a [SetupStep],
}

async fn forget(
    settings: &Settings,
    config: &BusConfig,
    (subscription, dry_run): (&str, bool),
    output: Output,
) -> Result<()> {
    let db = open(settings).await?;
    let known = known::subscriptions(settings, &db).await?;
    let steps =
        platform_bus::forget(Some(&db), config, &known, subscription, dry_run).await.map_err(refused)?;
    answer(output, &Forgotten { subscription, dry_run, steps: &steps }, || table(&steps))
}

/// The database of a shop that is there; nothing is made, and its schema stays as it is.
async fn open(settings: &Settings) -> Result<Db> {
    let config = settings.database()?;
    if !Db::exists(&config).await? {
        let said = "there is no shop in this database. (Is it the right --data or --database?)";
        return Err(Ended::error(Why::NotFound, said));
    }
    Ok(Db::open(&config, Arc::new(SystemClock)).await?)
}

/// With the status that says why.
fn refused(failure: Failure) -> anyhow::Error {
    if failure.is(code::NOT_FOUND) {
        return Ended::error(Why::NotFound, failure.message());
    }
    if failure.is(code::CONFLICT) {
        return Ended::error(Why::Conflict, failure.message());
    }
    told(failure)
}

/// Its reader is the operator: cause and fields included.
pub(crate) fn told(failure: Failure) -> anyhow::Error {
    let fields: Vec<String> =
        failure.fields().iter().map(|field| format!("{}: {}", field.pointer, field.detail)).collect();
    match failure.cause() {
        Some(cause) => anyhow!("{cause}").context(failure.message().to_owned()),
        None if fields.is_empty() => anyhow!("{failure}"),
        None => anyhow!("{}", fields.join("; ")),
    }
}

fn answer(output: Output, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
    match output {
        Output::Json => put(&serde_json::to_string_pretty(value)?),
        Output::Text => plain(&text()),
    }
}

fn table(steps: &[SetupStep]) -> String {
    let widest = |of: fn(&SetupStep) -> usize| steps.iter().map(of).max().unwrap_or(0);
    let (kind, name) = (widest(|step| step.kind.len()), widest(|step| step.name.len()));
    let line = |step: &SetupStep| format!("{:kind$}  {:name$}  {}\n", step.kind, step.name, step.state);
    steps.iter().map(line).collect()
}

fn list(left: &[Leftover]) -> String {
    let line = |left: &Leftover| {
        let waiting = left.waiting.map(|waiting| format!(", {waiting} waiting")).unwrap_or_default();
        format!("{} {} ({}{waiting}): {}\n", left.kind, left.name, left.at, left.says)
    };
    if left.is_empty() { "nothing is left over\n".to_owned() } else { left.iter().map(line).collect() }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use platform_db::DbResult;
    use sea_orm_migration::sea_orm::ConnectionTrait;

    use super::*;
    use crate::{Cli, compose::open_database, exit_status, run};

    async fn ended(folder: &std::path::Path, words: &[&str]) -> u8 {
        let data = folder.to_str().unwrap();
        let line = [["meridian", "--data", data, "bus"].as_slice(), words].concat();
        match Box::pin(run(Cli::try_parse_from(line).unwrap())).await {
            Ok(()) => 0,
            Err(error) => exit_status(&error),
        }
    }

    #[tokio::test]
    async fn what_is_left_over_is_told_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(ended(folder.path(), &["check"]).await, 3);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is made");
        let cli = Cli::try_parse_from(["meridian", "--data", folder.path().to_str().unwrap(), "migrate"]);
        let db = open_database(&Settings::load(&cli.unwrap()).unwrap()).await.unwrap();
        assert_eq!(ended(folder.path(), &["check", "-o", "json"]).await, 0);
        let change = db.write(kernel::Shard::new(0), (), |tx, ()| {
            Box::pin(async move {
                let sql = "INSERT INTO subscription_cursor (subscription, shard, pos) VALUES \
                           ('order.settle', 0, 0), ('order.old', 0, 0)";
                tx.execute_unprepared(sql).await.db().map(|_| ())
            })
        });
        change.await.unwrap();
        assert_eq!(ended(folder.path(), &["check"]).await, 1);
        for (words, status) in [
            (["order.old", "--confirm", "order.settle"].as_slice(), 2),
            (&["order.settle", "--confirm", "order.settle"], 4),
            (&["order.none", "--dry-run"], 3),
            (&["order.old", "--dry-run", "-o", "json"], 0),
        ] {
            assert_eq!(
                ended(folder.path(), &[["forget"].as_slice(), words].concat()).await,
                status,
                "{words:?}"
            );
            assert_eq!(ended(folder.path(), &["check"]).await, 1, "{words:?} forgot something");
        }
        assert!(Cli::try_parse_from(["meridian", "bus", "forget", "order.old"]).is_err());
        assert_eq!(ended(folder.path(), &["forget", "order.old", "--confirm", "order.old"]).await, 0);
        assert_eq!(ended(folder.path(), &["check"]).await, 0);
    }

    #[test]
    fn what_is_left_over_is_a_line_each() {
        assert_eq!(list(&[]), "nothing is left over\n");
        let left = Leftover {
            kind: "subscription",
            name: "order.old".to_owned(),
            at: "meridian/regional/order".to_owned(),
            says: "nobody takes its events".to_owned(),
            waiting: Some(7),
        };
        let said = "subscription order.old (meridian/regional/order, 7 waiting): nobody takes its events\n";
        assert_eq!(list(&[left]), said);
    }
}
