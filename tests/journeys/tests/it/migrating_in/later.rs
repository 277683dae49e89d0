//! A later run reads only what the old shop changed since, and brings up all that a full one would.

use anyhow::{Result, ensure};
use serde_json::Value;
use support::{Parts, Shop};

use super::{asked, of, source::Legacy};
use crate::shelf::fill;

/// Tables that tell when their rows changed.
const TELL: [&str; 8] =
    ["users", "user_addresses", "products", "skus", "orders", "order_items", "payments", "refunds"];
/// What is taken in.
const TABLES: [&str; 5] = ["users", "products", "skus", "orders", "payments"];

fn every(report: &Value, field: &str, wanted: &str) -> Result<()> {
    for table in TABLES {
        let of = of(report, table)?;
        ensure!(of[field] == wanted, "{table}: {field} is not {wanted}: {of}");
    }
    Ok(())
}

fn figure(report: &Value, table: &str, field: &str) -> Result<u64> {
    Ok(of(report, table)?[field].as_u64().unwrap_or(u64::MAX))
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "starts TiDB for the old shop: cargo xtask test --real"]
async fn a_later_run_reads_what_changed() -> Result<()> {
    let legacy = Legacy::fill().await?;
    for table in TELL {
        let add =
            "ADD COLUMN changed DATETIME NOT NULL DEFAULT '2020-01-01 00:00:00' ON UPDATE CURRENT_TIMESTAMP";
        legacy.run(&format!("ALTER TABLE {table} {add}")).await?;
    }
    let folder = tempfile::tempdir()?;
    let mapping = folder.path().join("mapping.toml");
    let tables: String =
        TELL.iter().map(|table| format!("[tables.{table}]\nupdated_at = \"changed\"\n")).collect();
    std::fs::write(&mapping, format!("overlap_minutes = 1\n{tables}"))?;
    let shop = Shop::builder().on(Parts::default()).start().await?;
    fill(&shop)?;
    let (from, file) = (legacy.from(), mapping.to_string_lossy().into_owned());
    let with = |words: &[&str]| -> Vec<String> {
        let source = ["--from", from.as_str(), "--tls", "off", "--mapping", file.as_str()];
        words.iter().copied().chain(source).map(str::to_owned).collect()
    };
    let ask = |words: &[&str]| {
        let words = with(words);
        asked(&shop, &words.iter().map(String::as_str).collect::<Vec<_>>())
    };

    every(&ask(&["plan"])?.1, "run", "full")?;
    let (status, first) = ask(&["run"])?;
    ensure!(status == 6, "dirt is told: {first}");
    every(&first, "mode", "full")?;

    // Nothing changed: only what was refused is read again.
    every(&ask(&["plan"])?.1, "run", "changes")?;
    let (status, idle) = ask(&["run"])?;
    ensure!(status == 6, "{idle}");
    every(&idle, "mode", "changes")?;
    for table in TABLES {
        ensure!(figure(&idle, table, "read")? == figure(&first, table, "refused")?, "{table}: {idle}");
        ensure!(figure(&idle, table, "refused")? == figure(&first, table, "refused")?, "{table}: {idle}");
        ensure!(figure(&idle, table, "extra")? == 0, "{table}: {idle}");
    }

    changed(&legacy, &ask).await?;
    legacy.remove().await?;
    shop.finish().await
}

async fn changed(legacy: &Legacy, ask: &impl Fn(&[&str]) -> Result<(i32, Value)>) -> Result<()> {
    for change in [
        "UPDATE users SET nickname = 'New Name' WHERE id = 200",
        // What belongs to a row counts as its own.
        "UPDATE user_addresses SET city = 'Ningbo' WHERE id = 600",
        "UPDATE skus SET price = 9.99, stock = 77 WHERE id = 65",
        "UPDATE orders SET status = 4, completed_at = '2024-12-31 00:00:00' WHERE id = 1",
        // Lines of orders lead to its page.
        "UPDATE products SET name = 'Other Thing' WHERE id = 60",
        // Order 14 was refused for want of this user, and does not change itself.
        "INSERT INTO users (id, username, email, status, created_at, changed) \
         VALUES (999999, 'late', 'late@old.example', 1, NOW(), NOW())",
        "DELETE FROM users WHERE id = 1100",
    ] {
        legacy.run(change).await?;
    }
    let (status, report) = ask(&["run"])?;
    ensure!(status == 6, "{report}");
    every(&report, "mode", "changes")?;
    ensure!(
        figure(&report, "users", "created")? == 1 && figure(&report, "users", "updated")? == 2,
        "{report}"
    );
    ensure!(figure(&report, "products", "updated")? == 1, "{report}");
    ensure!(figure(&report, "skus", "updated")? == 1, "{report}");
    ensure!(figure(&report, "orders", "created")? == 1, "{report}");
    ensure!(figure(&report, "orders", "updated")? > 1, "order 1, and those with product 60: {report}");
    for (table, most) in [("users", 20), ("products", 10), ("skus", 20), ("orders", 200), ("payments", 200)] {
        ensure!(figure(&report, table, "read")? < most, "{table}: {report}");
    }
    ensure!(figure(&report, "users", "extra")? == 1, "user 1100 is gone there: {report}");

    let (status, verification) = ask(&["verify"])?;
    ensure!(status == 1, "user 1100 is here alone: {verification:#}");
    every(&verification, "run", "changes")?;
    for table in TABLES {
        ensure!(figure(&verification, table, "missing")? == 0, "{table}: {verification:#}");
        ensure!(figure(&verification, table, "changed_there")? == 0, "{table}: {verification:#}");
        let gone = u64::from(table == "users");
        ensure!(figure(&verification, table, "extra")? == gone, "{table}: {verification:#}");
    }

    let (_, full) = ask(&["run", "--full"])?;
    every(&full, "mode", "full")?;
    for table in TABLES {
        ensure!(figure(&full, table, "created")? == 0, "{table}: {full}");
        ensure!(figure(&full, table, "updated")? == 0, "{table}: {full}");
    }
    ensure!(figure(&full, "users", "extra")? == 1, "{full}");
    Ok(())
}
