//! What only SQLite has: readers that refuse to write, copies of its file.

use kernel::Shard;
use platform_db::{Db, DbResult, Rows};
use sea_orm::ConnectionTrait;

use crate::fixture::{Fixture, event};

#[tokio::test(flavor = "multi_thread")]
async fn readers_cannot_write() {
    let f = Fixture::sqlite().await;
    assert!(f.db.read().execute_unprepared("DELETE FROM outbox").await.db().is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_whole_and_verifies() {
    let f = Fixture::sqlite().await;
    f.db.append(Shard::new(0), Rows::new().event(&f.db, Shard::new(0), &event()).unwrap()).await.unwrap();
    let copy = f.folder.path().join("copy.db");
    f.db.backup(&copy).await.unwrap();
    Db::verify(&copy).await.unwrap();
    std::fs::write(&copy, b"not a database").unwrap();
    assert!(Db::verify(&copy).await.is_err());
}
