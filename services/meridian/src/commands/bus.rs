//! `meridian bus`.

use anyhow::{Context, Result, anyhow};
use kernel::Failure;
use platform_bus::{BusConfig, SetupStep};

use crate::{Settings, cli::Bus};

/// Looks after the bus.
pub(crate) async fn run(settings: &Settings, bus: &Bus) -> Result<()> {
    let Bus::Setup = bus;
    let config: BusConfig = settings.config.section("bus")?;
    let admin = config.pulsar.admin_url.clone();
    let steps = platform_bus::setup(&config).await.map_err(told);
    print(&steps.with_context(|| format!("the broker at {admin} is not set up"))?);
    Ok(())
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

#[expect(clippy::print_stdout, reason = "the table is this command's answer")]
fn print(steps: &[SetupStep]) {
    let widest = |of: fn(&SetupStep) -> usize| steps.iter().map(of).max().unwrap_or(0);
    let (kind, name) = (widest(|step| step.kind.len()), widest(|step| step.name.len()));
    for step in steps {
        println!("{:kind$}  {:name$}  {}", step.kind, step.name, step.state);
    }
}
