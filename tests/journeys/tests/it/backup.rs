//! Backup while the shop runs; restore into an empty folder.

use anyhow::{Result, ensure};
use support::Shop;

use crate::shelf::fill;

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_restored_and_a_damaged_one_refused() -> Result<()> {
    let shop = Shop::start().await?;
    fill(&shop)?;
    let copy = shop.data().with_file_name("copy");
    let to = copy.to_string_lossy().into_owned();
    if shop.is_on_tidb() {
        let refused = shop.run_command(&["backup", &to], None).unwrap_err().to_string();
        ensure!(refused.contains("BR"), "{refused}");
        ensure!(!copy.exists());
        return shop.finish().await;
    }
    let nowhere = shop.data().with_file_name("nowhere");
    ensure!(shop.run_command_on(&nowhere, &["backup", &to], None).is_err(), "no shop, no backup");
    ensure!(!nowhere.exists() && !copy.exists(), "nothing was made");
    shop.run_command(&["backup", &to], None)?;
    ensure!(shop.run_command(&["backup", &to], None).is_err(), "a backup is never overwritten");
    ensure!(shop.run_command(&["restore", &to], None).is_err(), "a shop is never overwritten");

    let other = shop.data().with_file_name("other");
    let restore = |data: &std::path::Path| shop.run_command_on(data, &["restore", &to], None);
    restore(&other)?;
    ensure!(other.join("meridian.db").is_file());

    // What was not copied of the shop before: its log would be played into the database that comes back.
    let used = shop.data().with_file_name("used");
    std::fs::create_dir(&used)?;
    std::fs::write(used.join("meridian.db-wal"), b"of another database")?;
    ensure!(restore(&used).is_err());
    ensure!(!used.join("meridian.db").exists(), "nothing was put there");

    std::fs::write(copy.join("meridian.db"), b"damaged")?;
    let third = shop.data().with_file_name("third");
    ensure!(restore(&third).is_err());
    ensure!(!third.join("meridian.db").exists(), "nothing was put there");
    shop.finish().await
}
