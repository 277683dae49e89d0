//! `meridian search`.

use anyhow::{Result, bail};
use contracts::search::{CheckIndex, IndexReport};

use crate::{answer::put, cli::Search, compose::Shop};

/// Rebuilds or checks the index.
pub(crate) async fn run(shop: &Shop, command: &Search) -> Result<()> {
    let ctx = shop.system_ctx("search");
    match command {
        Search::Rebuild => show(&shop.contracts.search.rebuild(&ctx, ()).await?),
        Search::Check { repair } => {
            let report = shop.contracts.search.check(&ctx, CheckIndex { repair: *repair }).await?;
            show(&report)?;
            let wrong = report.missing + report.extra + report.stale;
            if wrong > report.repaired {
                bail!(
                    "{} documents differ from the database: run `meridian search check --repair`",
                    wrong - report.repaired
                );
            }
            Ok(())
        }
    }
}

fn show(report: &IndexReport) -> Result<()> {
    put(&format!(
        "sold products {}\nindexed       {}\nmissing       {}\nextra         {}\nstale         {}\nrepaired      {}",
        report.expected, report.indexed, report.missing, report.extra, report.stale, report.repaired
    ))
}
