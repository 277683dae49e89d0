//! The map on disk, signed: a process that starts while the database does not answer has the last map it knew. It holds until
//! the database was read once, since nothing in it says of which database it is.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use hmac::{Hmac, KeyInit, Mac};
use kernel::{Region, Shard};
use placement::{Desired, MapVersion, Observed, ShardRow, World};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

const FILE: &str = "map.json";

/// Why a kept map is not believed.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The file cannot be read or written.
    #[error("the map's file {}: {cause}", file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// What the system says.
        cause: std::io::Error,
    },
    /// It is cut short, was changed, or was signed with another key.
    #[error("the map's file {} does not have its signature: it is damaged or forged; remove it", .0.display())]
    Forged(PathBuf),
    /// It is whole and says what this program does not understand, or is another region's.
    #[error("the map's file {} is not this region's, or of another version of Meridian: {why}", file.display())]
    Foreign {
        /// Which.
        file: PathBuf,
        /// What is wrong.
        why: String,
    },
}

/// Where a region keeps its map, with the key that signs it (HMAC-SHA256). The first line is the signature of everything
/// behind it, in hex.
#[derive(Clone)]
pub struct Snapshot {
    region: Region,
    folder: PathBuf,
    key: [u8; 32],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    region: Region,
    version: MapVersion,
    desired: Desired,
    shards: Vec<(Shard, ShardRow)>,
}

impl Snapshot {
    /// In `folder`, which is the region's own.
    pub fn new(region: Region, folder: &Path, key: [u8; 32]) -> Self {
        Self { region, folder: folder.to_path_buf(), key }
    }

    /// The map as it was kept; none when none was. It says nothing of leases and sightings: those are of a moment.
    pub fn read(&self) -> Result<Option<World>, SnapshotError> {
        let file = self.folder.join(FILE);
        let bytes = match fs::read(&file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(cause) => return Err(SnapshotError::File { file, cause }),
        };
        let Some(body) = self.verified(&bytes) else { return Err(SnapshotError::Forged(file)) };
        let kept: Kept = match serde_json::from_slice(body) {
            Ok(kept) => kept,
            Err(error) => return Err(SnapshotError::Foreign { file, why: error.to_string() }),
        };
        if kept.region != self.region {
            return Err(SnapshotError::Foreign { file, why: format!("it is of {}", kept.region) });
        }
        let observed = Observed {
            version: kept.version,
            shards: kept.shards.into_iter().collect(),
            ..Observed::default()
        };
        Ok(Some(World { desired: kept.desired, observed }))
    }

    /// Keeps a map in place of the one before: whole or not at all.
    pub fn keep(&self, world: &World) -> Result<(), SnapshotError> {
        let file = self.folder.join(FILE);
        let failed = |cause| SnapshotError::File { file: file.clone(), cause };
        let kept = Kept {
            region: self.region.clone(),
            version: world.observed.version,
            desired: world.desired.clone(),
            shards: world.observed.shards.iter().map(|(shard, row)| (*shard, row.clone())).collect(),
        };
        let body = serde_json::to_vec(&kept).map_err(|error| failed(error.into()))?;
        let signature = hex::encode(self.mac(&body).finalize().into_bytes());
        self.write(&file, &[signature.as_bytes(), b"\n", &body].concat()).map_err(failed)
    }

    /// Under a name of its own first: several processes of a region keep the same map.
    fn write(&self, file: &Path, bytes: &[u8]) -> std::io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let draft = self.folder.join(format!(".{FILE}.{}", std::process::id()));
        let mut out = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
        out.write_all(bytes)?;
        out.sync_all()?;
        fs::rename(&draft, file)?;
        File::open(&self.folder)?.sync_all()
    }

    /// What was signed, if it was signed with our key.
    fn verified<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let (signature, body) = (bytes.get(..end)?, bytes.get(end + 1..)?);
        let signature = hex::decode(signature).ok()?;
        self.mac(body).verify_slice(&signature).ok()?;
        Some(body)
    }

    fn mac(&self, body: &[u8]) -> Hmac<Sha256> {
        // RFC 2104: a key that is shorter than a block is followed by zeros.
        let mut block = [0; 64];
        block[..self.key.len()].copy_from_slice(&self.key);
        let mut mac = <Hmac<Sha256> as KeyInit>::new(&block.into());
        mac.update(body);
        mac
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("region", &self.region)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}
