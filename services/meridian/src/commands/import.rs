//! `meridian import`.

use std::path::Path;

use anyhow::{Context, Result, bail};
use contracts::import::{ImportKind, ImportState, ImportView, ListImportErrors};
use indicatif::{ProgressBar, ProgressStyle};
use kernel::{Currency, MAX_LIMIT};

use crate::{
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

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the report is this command's answer")]
async fn report(shop: &Shop, import: &ImportView) -> Result<()> {
    println!(
        "{} created, {} updated, {} unchanged; {} of {} rows with errors",
        import.created, import.updated, import.unchanged, import.failed, import.rows
    );
    let ctx = shop.system_ctx("import");
    let mut cursor = None;
    loop {
        let page = ListImportErrors { import_id: import.id, cursor, limit: Some(MAX_LIMIT) };
        let errors = shop.contracts.imports.errors(&ctx, page).await?;
        for error in errors.items {
            let column = error.column.map(|column| format!(" {column}:")).unwrap_or_default();
            eprintln!("line {}: {}:{column} {}", error.line, error.key, error.reason);
        }
        cursor = errors.next_cursor;
        if cursor.is_none() {
            return Ok(());
        }
    }
}
