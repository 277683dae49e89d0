//! `meridian serve`.

use anyhow::Result;
use contracts::import::ImportKind;
use kernel::Currency;
use platform_runtime::{Telemetry, shutdown_signal};

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
        import_sample(&shop).await?;
    }
    let shutdown = shutdown_signal()?;
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

/// Puts Meridian's own small catalog into a shop that has no products and no categories.
#[expect(clippy::print_stdout, reason = "tells the person at the terminal what happens")]
async fn import_sample(shop: &Shop) -> Result<()> {
    let ctx = shop.system_ctx("sample");
    let first = contracts::catalog::ScanProducts { after: None, limit: 1 };
    if !shop.contracts.catalog.scan_products(&ctx, first).await?.is_empty()
        || !shop.contracts.catalog.categories(&ctx, ()).await?.is_empty()
    {
        return Ok(());
    }
    println!("the shop is empty: importing the sample catalog …");
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
