//! `meridian search`.

use anyhow::{Result, bail};
use contracts::search::{CheckIndex, IndexReport};

use crate::{cli::Search, compose::Shop};

/// Rebuilds or checks the index.
pub(crate) async fn run(shop: &Shop, command: &Search) -> Result<()> {
    let ctx = shop.system_ctx("search");
    match command {
        Search::Rebuild => {
            print(&shop.contracts.search.rebuild(&ctx, ()).await?);
            Ok(())
        }
        Search::Check { repair } => {
            let report = shop.contracts.search.check(&ctx, CheckIndex { repair: *repair }).await?;
            print(&report);
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

#[expect(clippy::print_stdout, reason = "the report is this command's answer")]
fn print(report: &IndexReport) {
    println!("sold products {}", report.expected);
    println!("indexed       {}", report.indexed);
    println!("missing       {}", report.missing);
    println!("extra         {}", report.extra);
    println!("stale         {}", report.stale);
    println!("repaired      {}", report.repaired);
}
