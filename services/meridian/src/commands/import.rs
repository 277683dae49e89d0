//! `meridian import`.

use std::path::Path;

use anyhow::{Context, Result, bail};
use contracts::import::{ImportKind, ImportState, ImportView, ListImportErrors};
use indicatif::{ProgressBar, ProgressStyle};
use kernel::{Currency, MAX_LIMIT};

use crate::{
    answer::{put, tell},
    cli::Import,
    compose::Shop,
    exit::{Ended, Why},
};

/// Imports a file, shows its progress and what did not go in.
pub(crate) async fn run(shop: &Shop, command: &Import) -> Result<()> {
    let (kind, file, currency) = match command {
        Import::Products { file, currency } => (ImportKind::Products, file, *currency),
        Import::Categories { file } => (ImportKind::Categories, file, Currency::USD),
    };
    let import = import_file(shop, kind, file, currency).await?;
    report(shop, &import).await?;
    if import.state == ImportState::Failed {
        bail!("{}: {}", file.display(), import.error.unwrap_or_default());
    }
    if import.failed > 0 {
        let why = format!("{} of {} rows are not in: the report says why", import.failed, import.rows);
        return Err(Ended::error(Why::Partly, why));
    }
    Ok(())
}

async fn import_file(shop: &Shop, kind: ImportKind, file: &Path, currency: Currency) -> Result<ImportView> {
    // One that cannot be looked at is told of by whoever opens it.
    if std::fs::metadata(file).is_ok_and(|found| !found.is_file()) {
        bail!("{} is no regular file: it is read twice; unpack it to a file first", file.display());
    }
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template("{msg} {bar:40} {pos}/{len} rows {per_sec} eta {eta}")?);
    bar.set_message("importing");
    let progress = bar.clone();
    let show = move |view: &ImportView| {
        progress.set_length(view.rows);
        progress.set_position(view.rows_done);
    };
    let import = shop.import_file(kind, file, currency, Box::new(show)).await;
    bar.finish_and_clear();
    import.with_context(|| format!("cannot import {}", file.display()))
}

async fn report(shop: &Shop, import: &ImportView) -> Result<()> {
    put(&format!(
        "{} created, {} updated, {} unchanged; {} of {} rows with errors",
        import.created, import.updated, import.unchanged, import.failed, import.rows
    ))?;
    let ctx = shop.system_ctx("import");
    let mut cursor = None;
    loop {
        let page = ListImportErrors { import_id: import.id, cursor, limit: Some(MAX_LIMIT) };
        let errors = shop.contracts.imports.errors(&ctx, page).await?;
        for error in errors.items {
            let column = error.column.map(|column| format!(" {column}:")).unwrap_or_default();
            tell(format!("line {}: {}:{column} {}", error.line, error.key, error.reason));
        }
        cursor = errors.next_cursor;
        if cursor.is_none() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::{Cli, DEFAULT_CONFIGURATION, Settings, Targets};

    #[tokio::test(flavor = "multi_thread")]
    async fn what_cannot_be_read_twice_is_refused_and_leaves_no_import() {
        // The binary installs it first of all.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let config = platform_runtime::Config::builder(DEFAULT_CONFIGURATION).build().unwrap();
        let settings = Settings { data: folder.path().join("data"), config };
        let targets = ["account", "catalog", "inventory", "pricing", "import"].map(str::to_owned);
        let shop = Box::pin(Shop::open(settings, &Targets::parse(&targets).unwrap())).await.unwrap();
        for path in ["/dev/null", folder.path().to_str().unwrap()] {
            let line = Cli::try_parse_from(["meridian", "import", "categories", path]).unwrap();
            let crate::cli::Command::Import(import) = line.command else { panic!("{path}") };
            let error = run(&shop, &import).await.unwrap_err().to_string();
            assert_eq!(
                error,
                format!("{path} is no regular file: it is read twice; unpack it to a file first")
            );
        }
        let imports = shop.contracts.imports.imports(&shop.system_ctx("test"), ()).await.unwrap();
        assert!(imports.is_empty());
    }
}
