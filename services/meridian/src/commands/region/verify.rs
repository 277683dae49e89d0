//! `meridian region verify`: every check of every module, once.

use std::{fmt::Write as _, time::Duration};

use anyhow::Result;
use platform_db::Db;
use platform_runtime::{Finding, Scope, events_check};
use serde::Serialize;

use super::{database::same_shards, put};
use crate::{
    Settings,
    cli::Output,
    compose::{Shop, Targets},
    exit::{Ended, Why},
};

/// What each rule holds, and which invariant of regions it is a part of.
const RULES: [(&str, &str, &str); 19] = [
    ("map.version", "3", "no row of the map is newer than the map"),
    ("map.epoch", "4", "every lease that was taken has an epoch"),
    ("map.worker", "5", "no region that is out takes or renews a lease"),
    ("map.operations", "9", "one operation runs at a time, and makes no step twice"),
    ("map.settled", "10", "nothing is about to move while no operation runs"),
    ("map.home", "11 12", "every shard has a serving home of its jurisdiction"),
    ("events.log", "6", "positions of a shard's log have no gap"),
    ("events.sequenced", "7", "every committed event gets its position"),
    ("events.consumed", "7", "every event is consumed by every subscription"),
    ("events.once", "8", "nothing is noted as consumed beyond the log"),
    ("events.dead", "", "no event waits for a person"),
    ("request.effect", "1", "every order that was acknowledged is there"),
    ("order.sums", "", "lines add up to totals"),
    ("order.history", "", "histories are paths of the state machine that end where the order stands"),
    ("order.payment", "", "what is paid is what its payment has"),
    ("order.hold", "2", "no two orders have one hold"),
    ("payment.sums", "", "captured, refunded and the refunds add up"),
    ("payment.order", "2", "no order has two payments"),
    ("stock.ledger", "", "movements add up to the stock, live holds to what is reserved"),
];

/// A line of the answer.
#[derive(Serialize)]
struct Line<'a> {
    rule: &'a str,
    invariants: &'a str,
    holds: &'a str,
    looked_at: u64,
    wrong: u64,
    examples: &'a [String],
}

/// Looks at everything, or at what is as old as `window` at most. Reads only, and makes nothing: the keys and folders that the
/// modules serve with are of the moment, and gone with it.
pub(super) async fn run(db: Db, settings: Settings, window: Option<Duration>, output: Output) -> Result<()> {
    same_shards(&db).await?;
    let moment = tempfile::tempdir()?;
    let settings = Settings { data: moment.path().to_path_buf(), ..settings };
    // Search has nothing to verify here and would open its index; pages have no rows.
    let targets =
        ["account", "catalog", "inventory", "pricing", "cart", "payment", "order"].map(str::to_owned);
    let shop = Box::pin(Shop::over(db, settings, &Targets::parse(&targets)?)).await?;
    let scope = Scope {
        since: window.map(|window| shop.db().now().minus(window)),
        most: None,
        ctx: shop.system_ctx("verify"),
    };
    let mut found = Vec::new();
    for check in shop.checks().into_iter().chain([events_check(shop.db().clone())]) {
        found.extend(check.look(scope.clone()).await?);
    }
    shop.close().await;
    answer(&found, output)?;
    let wrong: Vec<&str> =
        found.iter().filter(|finding| finding.wrong > 0).map(|finding| finding.rule).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(Ended::error(Why::Failed, format!("wrong: {}", wrong.join(", "))))
}

fn answer(found: &[Finding], output: Output) -> Result<()> {
    let lines: Vec<Line<'_>> = found.iter().map(line).collect();
    put(&match output {
        Output::Json => serde_json::to_string_pretty(&lines)?,
        Output::Text => table(&lines),
    })
}

fn line(finding: &Finding) -> Line<'_> {
    let known = RULES.iter().find(|(rule, _, _)| *rule == finding.rule);
    let (_, invariants, holds) = known.copied().unwrap_or((finding.rule, "", ""));
    Line {
        rule: finding.rule,
        invariants,
        holds,
        looked_at: finding.looked_at,
        wrong: finding.wrong,
        examples: &finding.examples,
    }
}

fn table(lines: &[Line<'_>]) -> String {
    let mut text =
        format!("{:<18} {:<5} {:>9} {:>6}  {}\n", "RULE", "INV.", "LOOKED AT", "WRONG", "WHAT HOLDS");
    for line in lines {
        let _ = writeln!(
            text,
            "{:<18} {:<5} {:>9} {:>6}  {}",
            line.rule, line.invariants, line.looked_at, line.wrong, line.holds
        );
        for example in line.examples {
            let _ = writeln!(text, "{:18} {:5} {:>9} {:>6}    {example}", "", "", "", "");
        }
    }
    if !lines.iter().any(|line| line.rule.starts_with("map.")) {
        text.push_str("\nThis database has no map of regions: its rules were not looked at.\n");
    }
    text.push_str(
        "\nOf invariants 1, 5 and 9 a database shows a part: what a client was told and the database does not have, what a worker \
         without a lease tried, and two coordinators at the same moment are held by `cargo xtask prove regions` and \
         `cargo xtask sim`.\n",
    );
    text
}
