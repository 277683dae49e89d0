//! `meridian backup` and `meridian restore`.
//!
//! A backup is a folder: the database as one file, the images, and `backup.json` with the SHA-256 of each file. Keys are not
//! in it: without them the restored shop makes new ones, and people log in again.
//!
//! What bears the name of a backup is a whole one, and a folder that holds a restored database holds all of it: both are made
//! under another name, which they lose last.

use std::{
    ffi::{OsStr, OsString},
    fs,
    io::{self, ErrorKind, Read},
    os::unix::{ffi::OsStrExt, fs::DirBuilderExt},
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, bail, ensure};
use kernel::{Clock, SystemClock, Timestamp};
use platform_db::{Db, DbConfig, EngineName};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::answer;

const MANIFEST: &str = "backup.json";
const DATABASE: &str = "meridian.db";
/// The database while it is copied back.
const RESTORING: &str = "meridian.db.restoring";
/// What may be in a folder before a shop is restored into it.
const KEYS: &str = "keys";
/// Folders under the data folder that are copied whole.
const FOLDERS: [&str; 2] = ["media", "imports"];

#[derive(Serialize, Deserialize)]
struct Manifest {
    version: u32,
    made_at: Timestamp,
    files: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    path: String,
    bytes: u64,
    sha256: String,
}

/// Refuses where the rows are not in the data folder.
pub(crate) fn embedded_only(config: &DbConfig) -> Result<()> {
    ensure!(
        config.engine == EngineName::Sqlite,
        "the database is TiDB: BR backs it up and restores it (`tiup br backup full`, `tiup br restore full`); copy the \
         folders media and imports of the data folder beside it"
    );
    Ok(())
}

/// Copies the shop in the data folder of `config` to the folder `to`, which must not exist. The shop may run meanwhile; its
/// schema is copied as it is, and a backup that fails leaves nothing.
pub(crate) async fn backup(config: &DbConfig, to: &Path) -> Result<()> {
    let data = config.data.display();
    ensure!(
        config.data.join(DATABASE).is_file(),
        "there is no database in {data}: name its folder with --data"
    );
    ensure!(!to.exists(), "cannot make {}: it must not exist yet", to.display());
    let partial = to.with_added_extension("partial");
    fs::DirBuilder::new().mode(0o700).create(&partial).with_context(|| {
        format!(
            "cannot make {}: it must not exist, but a backup that was killed leaves it",
            partial.display()
        )
    })?;
    let made = match fill(config, &partial).await {
        Ok(files) => fs::rename(&partial, to).map(|()| files).context("cannot give the backup its name"),
        failed => failed,
    };
    if made.is_err() {
        // What cannot be removed still does not bear the backup's name.
        let _ = fs::remove_dir_all(&partial);
    }
    let files = made?;
    answer::put(&format!("{files} files in {}", to.display()))
}

/// Fills the folder of a backup; how many files it describes.
async fn fill(config: &DbConfig, to: &Path) -> Result<usize> {
    answer::tell("copying the database …");
    let copy = to.join(DATABASE);
    let db = Box::pin(Db::open(config, Arc::new(SystemClock))).await?;
    db.backup(&copy).await?;
    answer::tell("checking the copy …");
    Db::verify(&copy).await?;
    sync(&copy)?;
    // After the database: an image that a row names is then in the copy, too.
    for folder in FOLDERS {
        if config.data.join(folder).is_dir() {
            answer::tell(format!("copying {folder} …"));
            copy_folder(&config.data.join(folder), &to.join(folder))?;
        }
    }
    let manifest = Manifest { version: 1, made_at: SystemClock.now(), files: entries(to, to)? };
    fs::write(to.join(MANIFEST), serde_json::to_vec_pretty(&manifest)?)?;
    sync(&to.join(MANIFEST))?;
    Ok(manifest.files.len())
}

/// Checks the backup `from` and copies it into `data`, which must hold nothing but keys: what another shop left there, such as
/// the log of its database or its search index, would be taken for this one's.
pub(crate) async fn restore(from: &Path, data: &Path) -> Result<()> {
    let text = fs::read(from.join(MANIFEST)).with_context(|| format!("{} is no backup", from.display()))?;
    let manifest: Manifest = serde_json::from_slice(&text).context("backup.json cannot be read")?;
    ensure!(
        manifest.version == 1,
        "backup.json is of version {}, this program knows version 1",
        manifest.version
    );
    if let Some(name) = occupant(data)? {
        let (data, name) = (data.display(), name.to_string_lossy());
        bail!("{data} holds {name} already: restore into a folder with nothing in it but {KEYS}");
    }
    for entry in &manifest.files {
        check(from, entry)?;
    }
    Db::verify(&from.join(DATABASE)).await?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(data)?;
    for entry in &manifest.files {
        let target = data.join(if entry.path == DATABASE { RESTORING } else { &entry.path });
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        copy(&from.join(&entry.path), &target)?;
    }
    fs::rename(data.join(RESTORING), data.join(DATABASE))?;
    sync(data)?;
    answer::put(&format!("restored {} files, as of {}", manifest.files.len(), manifest.made_at))
}

/// Something in the folder that a restored shop must not meet; none in an empty folder, and where there is none.
fn occupant(data: &Path) -> Result<Option<OsString>> {
    let found = match fs::read_dir(data) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        other => other.with_context(|| format!("cannot look into {}", data.display()))?,
    };
    for entry in found {
        let name = entry?.file_name();
        if name != KEYS {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Whether a file of the backup is as it was made.
fn check(from: &Path, entry: &Entry) -> Result<()> {
    let inside = Path::new(&entry.path).components().all(|part| matches!(part, Component::Normal(_)));
    ensure!(inside, "{} points outside the backup", entry.path);
    let (bytes, sha256) =
        digest(&from.join(&entry.path)).with_context(|| format!("{} is missing", entry.path))?;
    ensure!(bytes == entry.bytes && sha256 == entry.sha256, "{} is not as it was backed up", entry.path);
    Ok(())
}

/// Copies a file and waits until it is on the disk.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    sync(to)
}

/// Waits until a file, or the names in a folder, are on the disk.
fn sync(path: &Path) -> io::Result<()> {
    fs::File::open(path)?.sync_all()
}

/// Copies a folder of a shop that may run: a file that it is writing, or has removed since it was listed, is none.
fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else if !is_being_written(&entry.file_name()) {
            match copy(&entry.path(), &target) {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                other => other.with_context(|| format!("cannot copy {}", entry.path().display()))?,
            }
        }
    }
    Ok(())
}

/// Whether the name is one under which `object_store` writes a file before it has its own: `NAME#N`.
fn is_being_written(name: &OsStr) -> bool {
    name.as_bytes().contains(&b'#')
}

fn entries(root: &Path, folder: &Path) -> Result<Vec<Entry>> {
    let mut files = Vec::new();
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            files.extend(entries(root, &path)?);
        } else {
            let (bytes, sha256) = digest(&path)?;
            let relative = path.strip_prefix(root)?.to_str().context("a file name is not UTF-8")?.to_owned();
            files.push(Entry { path: relative, bytes, sha256 });
        }
    }
    Ok(files)
}

fn digest(path: &Path) -> Result<(u64, String)> {
    let mut file = fs::File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((bytes, hex::encode(hash.finalize())));
        }
        hash.update(&buffer[..read]);
        bytes += read as u64;
    }
}

#[cfg(test)]
mod tests {
    use migrations::Migrator;
    use sea_orm_migration::MigratorTrait;
    use tempfile::TempDir;

    use super::*;

    /// A folder for shops, and in it one whose database an older program made.
    async fn older_shop() -> (TempDir, DbConfig) {
        let folder = tempfile::tempdir().unwrap();
        let config = DbConfig::at(folder.path().join("data"));
        let db = Db::open(&config, Arc::new(SystemClock)).await.unwrap();
        db.schema(|connection| Box::pin(Migrator::up(connection, Some(1)))).await.unwrap();
        fs::create_dir(config.data.join("media")).unwrap();
        fs::write(config.data.join("media/img_1"), b"picture").unwrap();
        (folder, config)
    }

    #[tokio::test]
    async fn a_backup_leaves_the_schema_as_it_is() {
        let (folder, config) = older_shop().await;
        backup(&config, &folder.path().join("copy")).await.unwrap();
        for data in [config.data, folder.path().join("copy")] {
            let db = Db::open(&DbConfig::at(&data), Arc::new(SystemClock)).await.unwrap();
            let applied = Migrator::get_applied_migrations_read_only(db.read()).await.unwrap();
            assert_eq!(applied.len(), 1, "{}", data.display());
        }
    }

    #[tokio::test]
    async fn a_shop_that_is_not_there_is_not_backed_up() {
        let folder = tempfile::tempdir().unwrap();
        let config = DbConfig::at(folder.path().join("data"));
        let refused = backup(&config, &folder.path().join("copy")).await.unwrap_err().to_string();
        assert!(refused.contains("no database"), "{refused}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is made");
    }

    #[tokio::test]
    async fn a_backup_has_its_name_when_it_is_whole() {
        let (folder, config) = older_shop().await;
        let (to, partial) = (folder.path().join("copy"), folder.path().join("copy.partial"));
        fs::create_dir(&partial).unwrap();
        let refused = backup(&config, &to).await.unwrap_err().to_string();
        assert!(refused.contains("copy.partial") && !to.exists(), "{refused}");
        assert!(partial.exists(), "it may be another backup's, which is under way");
        fs::remove_dir(&partial).unwrap();

        fs::write(config.data.join("media").join(OsStr::from_bytes(b"\xff")), b"no name for a manifest")
            .unwrap();
        assert!(backup(&config, &to).await.is_err());
        assert!(!to.exists() && !partial.exists(), "it leaves nothing");
    }

    #[test]
    fn files_that_come_and_go_do_not_stop_a_backup() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("media"), folder.path().join("copy"));
        fs::create_dir_all(from.join("0a")).unwrap();
        fs::write(from.join("0a/img_1"), b"picture").unwrap();
        fs::write(from.join("0a/img_2#1"), b"pic").unwrap();
        // As a file that is gone when its turn comes.
        std::os::unix::fs::symlink(from.join("nowhere"), from.join("0a/img_3")).unwrap();
        copy_folder(&from, &to).unwrap();
        assert_eq!(names(&to.join("0a")), ["img_1"]);
    }

    #[tokio::test]
    async fn a_shop_is_restored_where_nothing_of_another_is_left() {
        let (folder, config) = older_shop().await;
        let copy = folder.path().join("copy");
        backup(&config, &copy).await.unwrap();
        for left in ["meridian.db", "meridian.db-wal", "meridian.db-shm", "index", "media"] {
            let data = folder.path().join("another");
            fs::create_dir(&data).unwrap();
            fs::write(data.join(left), b"of another shop").unwrap();
            let refused = restore(&copy, &data).await.unwrap_err().to_string();
            assert!(refused.contains(left), "{refused}");
            assert_eq!(names(&data), [left], "nothing is put beside it");
            fs::remove_dir_all(&data).unwrap();
        }
        let data = folder.path().join("new");
        fs::create_dir_all(data.join(KEYS)).unwrap();
        restore(&copy, &data).await.unwrap();
        Db::verify(&data.join(DATABASE)).await.unwrap();
        assert_eq!(fs::read(data.join("media/img_1")).unwrap(), b"picture");
        assert!(!data.join(RESTORING).exists());
    }

    fn names(folder: &Path) -> Vec<OsString> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }
}
