//! `meridian serve`.

use anyhow::{Context as _, Result};
use contracts::import::ImportKind;
use kernel::Currency;
use platform_runtime::{Telemetry, shutdown_signal};
use tokio_util::sync::CancellationToken;

use crate::{
    Settings,
    cli::Serve,
    compose::{Shop, Targets},
};

const SAMPLE_PRODUCTS: &[u8] = include_bytes!("../../sample/products.csv");
const SAMPLE_CATEGORIES: &[u8] = include_bytes!("../../sample/categories.json");

/// Serves until Ctrl-C or SIGTERM.
pub(crate) async fn run(settings: Settings, serve: &Serve) -> Result<()> {
    let targets = Targets::parse(&serve.target)?;
    let telemetry = Telemetry::start(&settings.config.section("telemetry")?, &targets.to_string())?;
    let ended = serve_with(settings, serve, targets, telemetry.clone()).await;
    telemetry.flush().await;
    ended
}

async fn serve_with(settings: Settings, serve: &Serve, targets: Targets, telemetry: Telemetry) -> Result<()> {
    let app = settings.app(serve.listen)?;
    let shop = Shop::open(settings, &targets).await?;
    if targets.is_all() && !serve.no_sample {
        import_sample(&shop, say).await?;
    }
    let shutdown = shutdown_signal()?;
    if serve.with_parent {
        stop_with_parent(shutdown.clone())?;
    }
    let running = shop.start(app, telemetry).await?;
    announce(running.address(), &targets);
    running.run_until(shutdown).await;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "tells the person at the terminal where to click")]
fn announce(address: std::net::SocketAddr, targets: &Targets) {
    println!("listening on http://{address}");
    if targets.is_all() {
        println!("  shop      http://{address}/");
        println!("  API       http://{address}/api/docs");
        println!("  stop      Ctrl-C");
    }
}

/// Stops this process when its standard input ends: its parent holds the other end and lets go of it, or is gone.
fn stop_with_parent(shutdown: CancellationToken) -> Result<()> {
    let watch = move || {
        // Nothing is ever written there; an end and an error mean the same.
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        tracing::info!("the parent process has let go: stopping");
        shutdown.cancel();
    };
    // A thread of its own: reading standard input blocks until it ends, which the runtime must not wait for.
    std::thread::Builder::new().name("parent".to_owned()).spawn(watch).context("cannot watch the parent")?;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "tells the person at the terminal what happens")]
fn say(text: &str) {
    println!("{text}");
}

/// Puts Meridian's own small catalog into a shop that has no products and no categories; `tell` is told before.
pub(crate) async fn import_sample(shop: &Shop, tell: impl FnOnce(&'static str)) -> Result<()> {
    let ctx = shop.system_ctx("sample");
    let first = contracts::catalog::ScanProducts { after: None, limit: 1 };
    if !shop.contracts.catalog.scan_products(&ctx, first).await?.is_empty()
        || !shop.contracts.catalog.categories(&ctx, ()).await?.is_empty()
    {
        return Ok(());
    }
    tell("the shop is empty: importing the sample catalog …");
    let folder = tempfile::tempdir()?;
    for (kind, name, bytes) in [
        (ImportKind::Categories, "categories.json", SAMPLE_CATEGORIES),
        (ImportKind::Products, "products.csv", SAMPLE_PRODUCTS),
    ] {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes)?;
        shop.import_file(kind, &file, Currency::USD, Box::new(|_| {})).await?;
    }
    Ok(())
}
