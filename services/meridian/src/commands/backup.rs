//! `meridian backup` and `meridian restore`.
//!
//! A backup is a folder: the database as one file, the images, and `backup.json` with the SHA-256 of each file. Keys are not
//! in it: without them the restored shop makes new ones, and people log in again.

use std::{
    fs,
    io::Read,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use kernel::{Clock, SystemClock, Timestamp};
use platform_db::{Db, DbConfig, EngineName};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const MANIFEST: &str = "backup.json";
const DATABASE: &str = "meridian.db";
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

/// Copies the shop under `data` to the folder `to`, which must not exist.
#[expect(clippy::print_stdout, reason = "tells the person at the terminal what was done")]
pub(crate) async fn backup(db: &Db, data: &Path, to: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .mode(0o700)
        .create(to)
        .with_context(|| format!("cannot make {}: it must not exist yet", to.display()))?;
    eprintln_progress("copying the database");
    db.backup(&to.join(DATABASE)).await?;
    eprintln_progress("checking the copy");
    Db::verify(&to.join(DATABASE)).await?;
    // After the database: an image that a row names is then in the copy, too.
    for folder in FOLDERS {
        if data.join(folder).is_dir() {
            eprintln_progress(&format!("copying {folder}"));
            copy_folder(&data.join(folder), &to.join(folder))?;
        }
    }
    let files = entries(to, to)?;
    let manifest = Manifest { version: 1, made_at: SystemClock.now(), files };
    fs::write(to.join(MANIFEST), serde_json::to_vec_pretty(&manifest)?)?;
    println!("{} files in {}", manifest.files.len(), to.display());
    Ok(())
}

/// Checks the backup `from` and copies it into `data`, which must hold no database.
#[expect(clippy::print_stdout, reason = "tells the person at the terminal what was done")]
pub(crate) async fn restore(from: &Path, data: &Path) -> Result<()> {
    let text = fs::read(from.join(MANIFEST)).with_context(|| format!("{} is no backup", from.display()))?;
    let manifest: Manifest = serde_json::from_slice(&text).context("backup.json cannot be read")?;
    ensure!(
        manifest.version == 1,
        "backup.json is of version {}, this program knows version 1",
        manifest.version
    );
    if data.join(DATABASE).exists() {
        bail!("{} holds a database already: restore into an empty folder", data.display());
    }
    for entry in &manifest.files {
        let (bytes, sha256) =
            digest(&from.join(&entry.path)).with_context(|| format!("{} is missing", entry.path))?;
        ensure!(bytes == entry.bytes && sha256 == entry.sha256, "{} is not as it was backed up", entry.path);
    }
    Db::verify(&from.join(DATABASE)).await?;
    fs::DirBuilder::new().recursive(true).mode(0o700).create(data)?;
    for entry in &manifest.files {
        let relative = Path::new(&entry.path);
        ensure!(
            relative.components().all(|part| matches!(part, std::path::Component::Normal(_))),
            "{} points outside the backup",
            entry.path
        );
        let target = data.join(relative);
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::copy(from.join(relative), target)?;
    }
    println!("restored {} files, as of {}", manifest.files.len(), manifest.made_at);
    Ok(())
}

#[expect(clippy::print_stderr, reason = "progress for the person at the terminal")]
fn eprintln_progress(what: &str) {
    eprintln!("{what} …");
}

fn copy_folder(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_folder(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
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
