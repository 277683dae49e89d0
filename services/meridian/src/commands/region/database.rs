//! The database of a shop that is there: nothing is made in it, and its schema stays as it is.

use std::sync::Arc;

use anyhow::Result;
use kernel::{Failure, SystemClock};
use migrations::Migrator;
use platform_db::{Db, DbConfig, DbResult, EngineName};
use sea_orm_migration::{
    DbErr, MigrationStatus, MigratorTrait,
    sea_orm::{ConnectionTrait, Statement},
};

use crate::{
    Settings,
    exit::{Ended, Why},
};

/// A database's schema beside the one that this binary makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Schema {
    /// The same.
    Ours,
    /// It lacks something.
    Older,
    /// It has something that this binary does not know.
    Newer,
}

impl Schema {
    /// Refuses every schema but this binary's.
    pub(super) fn is_ours(self) -> Result<()> {
        let said = match self {
            Self::Ours => return Ok(()),
            Self::Older => {
                "the schema of this database is older than this meridian: run the meridian that serves it, or \
                 `meridian migrate` first. Nothing was looked at or changed"
            }
            Self::Newer => {
                "the schema of this database is newer than this meridian: run the meridian that made it. Nothing was \
                 looked at or changed"
            }
        };
        Err(Ended::error(Why::Failed, said))
    }
}

/// Opens the database that `settings` name, whichever version's schema it has: regions are taken out and let back during an
/// upgrade, too. Status 3 where no shop is in it.
pub(super) async fn open(settings: &Settings) -> Result<(Db, Schema)> {
    let config = settings.database()?;
    existing(&config).await?;
    let db = Db::open(&config, Arc::new(SystemClock)).await?;
    match schema(&db).await? {
        Some(schema) => Ok((db, schema)),
        None => Err(Ended::error(
            Why::NotFound,
            "there is no shop in this database: `meridian migrate` makes one, `meridian up` one with regions. (Is it the \
             right --data or --database?)",
        )),
    }
}

/// A look must not make what it looks at: opening would.
async fn existing(config: &DbConfig) -> Result<()> {
    if Db::exists(config).await? {
        return Ok(());
    }
    let said = match config.engine {
        EngineName::Sqlite => format!(
            "there is no database in {}: name its folder with --data, or its URL with --database",
            config.data.display()
        ),
        EngineName::Tidb => format!(
            "there is no database {} on {}:{}: `meridian migrate` makes it, and `meridian up` with regions. (Is it the \
             right --database?)",
            config.tidb.database, config.tidb.host, config.tidb.port
        ),
    };
    Err(Ended::error(Why::NotFound, said))
}

/// The schema, from what is noted of the migrations that were applied; none where none was.
async fn schema(db: &Db) -> Result<Option<Schema>> {
    let known = match Migrator::get_migration_with_status_read_only(db.read()).await {
        // Its word for a migration that was applied and is none of ours.
        Err(DbErr::Custom(_)) => return Ok(Some(Schema::Newer)),
        known => known.db()?,
    };
    let applied = known.iter().filter(|one| one.status() == MigrationStatus::Applied).count();
    Ok(match applied {
        0 => None,
        all if all == known.len() => Some(Schema::Ours),
        _ => Some(Schema::Older),
    })
}

/// Refuses a database that was made with another number of shards than is configured; see [`Db::check_shards`], which notes
/// the number where there is none.
pub(super) async fn same_shards(db: &Db) -> Result<()> {
    let read = db.read();
    let select = "SELECT value FROM database_setting WHERE name = 'shards'";
    let row = read.query_one_raw(Statement::from_string(read.get_database_backend(), select)).await.db()?;
    let made_with: Option<i64> = row.map(|row| row.try_get_by_index(0)).transpose().db()?;
    match made_with.filter(|made_with| *made_with != i64::from(db.shards())) {
        None => Ok(()),
        Some(made_with) => {
            let said = format!("this database was made with {made_with} shards");
            Err(Failure::invalid("database.shards", said).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use platform_runtime::Config;

    use super::*;
    use crate::{DEFAULT_CONFIGURATION, cli::Output, compose::open_database, exit_status};

    fn settings(data: &std::path::Path) -> Settings {
        let config = Config::builder(DEFAULT_CONFIGURATION).build().unwrap();
        Settings { data: data.to_path_buf(), config }
    }

    async fn execute(db: &Db, sql: &'static str) {
        let change = db.schema(move |connection| {
            Box::pin(async move { connection.execute_unprepared(sql).await.map(|_| ()) })
        });
        change.await.unwrap();
    }

    #[tokio::test]
    async fn a_folder_or_a_database_without_a_shop_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        assert_eq!(exit_status(&open(&settings).await.err().unwrap()), 3);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is made");
        std::fs::File::create(folder.path().join("meridian.db")).unwrap();
        assert_eq!(exit_status(&open(&settings).await.err().unwrap()), 3);
        let db = Db::open(&settings.database().unwrap(), Arc::new(SystemClock)).await.unwrap();
        assert_eq!(schema(&db).await.unwrap(), None, "no schema is made");
    }

    #[tokio::test]
    async fn a_schema_is_told_from_older_and_newer_ones() {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        let db = open_database(&settings).await.unwrap();
        assert_eq!(open(&settings).await.unwrap().1, Schema::Ours);
        execute(&db, "INSERT INTO seaql_migrations (version, applied_at) VALUES ('of_a_later_day', 0)").await;
        assert_eq!(open(&settings).await.unwrap().1, Schema::Newer);
        execute(&db, "DELETE FROM seaql_migrations WHERE version IN ('of_a_later_day', 'm0001_intake')")
            .await;
        assert_eq!(open(&settings).await.unwrap().1, Schema::Older);
        assert_eq!(schema(&db).await.unwrap(), Some(Schema::Older), "a look does not migrate");
    }

    #[tokio::test]
    async fn verifying_makes_nothing() {
        // The binary installs it first of all.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(folder.path());
        open_database(&settings).await.unwrap();
        let (db, schema) = open(&settings).await.unwrap();
        schema.is_ours().unwrap();
        super::super::verify::run(db, settings, None, Output::Json).await.unwrap();
        let made = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let others: Vec<_> = made.filter(|name| !name.to_string_lossy().starts_with("meridian.")).collect();
        assert!(others.is_empty(), "{others:?}");
    }
}
