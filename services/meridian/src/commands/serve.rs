//! `meridian serve`.

use anyhow::{Context as _, Result};
use contracts::{
    Ctx,
    catalog::ScanProducts,
    import::{ImportKind, ImportState, ImportView},
};
use kernel::Currency;
use platform_runtime::{Telemetry, shutdown_signal};
use tokio_util::sync::CancellationToken;

use crate::{
    Settings,
    answer::put,
    cli::Serve,
    compose::{Shop, Targets},
};

/// Our own small catalog, in the order it goes in. The names tell it from what people import.
const SAMPLE: [(ImportKind, &str, &[u8]); 2] = [
    (
        ImportKind::Categories,
        "meridian-sample-categories.json",
        include_bytes!("../../sample/categories.json"),
    ),
    (ImportKind::Products, "meridian-sample-products.csv", include_bytes!("../../sample/products.csv")),
];

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

/// Tells the person at the terminal where to click.
fn announce(address: std::net::SocketAddr, targets: &Targets) {
    let listening = format!("listening on http://{address}");
    if targets.is_all() {
        say(&format!(
            "{listening}\n  shop      http://{address}/\n  API       http://{address}/api/docs\n  stop      Ctrl-C"
        ));
    } else {
        say(&listening);
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

/// Tells the person at the terminal what happens.
fn say(text: &str) {
    // A shop serves, whether this can be read or not.
    let _ = put(text);
}

/// Puts Meridian's own small catalog into a shop that has no products and no categories, or in which that was begun and broke
/// off; `tell` is told before.
pub(crate) async fn import_sample(shop: &Shop, tell: impl FnOnce(&'static str)) -> Result<()> {
    let ctx = shop.system_ctx("sample");
    if is_empty(shop, &ctx).await? {
        tell("the shop is empty: importing the sample catalog …");
    } else if broke_off(shop, &ctx).await? {
        tell("the sample catalog is not all in: importing it again …");
    } else {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    for (kind, name, bytes) in SAMPLE {
        let file = folder.path().join(name);
        std::fs::write(&file, bytes)?;
        shop.import_file(kind, &file, Currency::USD, Box::new(|_| {})).await?;
    }
    Ok(())
}

async fn is_empty(shop: &Shop, ctx: &Ctx) -> Result<bool> {
    let catalog = &shop.contracts.catalog;
    let first = ScanProducts { after: None, limit: 1 };
    Ok(catalog.scan_products(ctx, first).await?.is_empty() && catalog.categories(ctx, ()).await?.is_empty())
}

/// Whether the sample did not come to its end. An import is on record before its first row is in, so a process that was
/// killed at any moment has left its mark.
async fn broke_off(shop: &Shop, ctx: &Ctx) -> Result<bool> {
    let [(_, first, _), (_, last, _)] = SAMPLE;
    let imports = shop.contracts.imports.imports(ctx, ()).await?;
    let is_over = |import: &ImportView| import.file_name == last && import.state == ImportState::Done;
    Ok(imports.iter().any(|import| import.file_name == first) && !imports.iter().any(is_over))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use platform_runtime::Config;

    use super::*;
    use crate::DEFAULT_CONFIGURATION;

    async fn shop(data: &Path) -> Shop {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = Config::builder(DEFAULT_CONFIGURATION).build().unwrap();
        let targets = ["account", "catalog", "inventory", "pricing", "import"].map(str::to_owned);
        let settings = Settings { data: data.to_path_buf(), config };
        Box::pin(Shop::open(settings, &Targets::parse(&targets).unwrap())).await.unwrap()
    }

    async fn import(shop: &Shop, folder: &Path, name: &str) {
        let file = folder.join(name);
        std::fs::write(&file, SAMPLE[0].2).unwrap();
        shop.import_file(ImportKind::Categories, &file, Currency::USD, Box::new(|_| {})).await.unwrap();
    }

    async fn has_products(shop: &Shop) -> bool {
        let first = ScanProducts { after: None, limit: 1 };
        !shop.contracts.catalog.scan_products(&shop.system_ctx("test"), first).await.unwrap().is_empty()
    }

    #[tokio::test]
    async fn a_first_start_that_was_killed_midway_is_made_up_for() {
        let folder = tempfile::tempdir().unwrap();
        let shop = shop(&folder.path().join("data")).await;
        // Where a process stands that was killed between the two files.
        import(&shop, folder.path(), SAMPLE[0].1).await;
        let mut told = 0;
        import_sample(&shop, |_| told += 1).await.unwrap();
        assert!(told == 1 && has_products(&shop).await);
        import_sample(&shop, |_| told += 1).await.unwrap();
        assert_eq!(told, 1, "once");
    }

    #[tokio::test]
    async fn a_shop_with_categories_of_its_own_gets_no_sample() {
        let folder = tempfile::tempdir().unwrap();
        let shop = shop(&folder.path().join("data")).await;
        import(&shop, folder.path(), "categories.json").await;
        import_sample(&shop, |_| ()).await.unwrap();
        assert!(!has_products(&shop).await);
    }
}
