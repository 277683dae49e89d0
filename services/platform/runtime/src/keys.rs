//! Secret keys of an installation.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, bail};
use secrecy::{ExposeSecret, SecretBox};

/// 32 secret bytes. Prints as `***`; wiped from memory when the last clone is dropped.
#[derive(Clone)]
pub struct SecretKey(Arc<SecretBox<[u8; 32]>>);

impl SecretKey {
    /// The key with these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Arc::new(SecretBox::new(Box::new(bytes))))
    }

    /// A new random key.
    pub fn random() -> Self {
        Self(Arc::new(SecretBox::init_with(rand::random)))
    }

    /// The bytes. Do not print, log or store them.
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose_secret()
    }
}

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// The keys of an installation: a file each under `<data>/keys`, made on first use. Processes that share the folder share
/// the keys. Whoever runs several machines copies the folder or mounts it.
#[derive(Clone, Debug)]
pub struct Keys {
    folder: PathBuf,
}

impl Keys {
    /// The keys under `data`; makes the folder, for its owner only (0700).
    pub fn open(data: &Path) -> Result<Self> {
        let folder = data.join("keys");
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .with_context(|| format!("cannot make the folder {}", folder.display()))?;
        Ok(Self { folder })
    }

    /// The key called `name` (a-z, 0-9, `-`), made when there is none. Safe when several processes ask at once: all get
    /// the same. Refuses a file that others than its owner may read.
    pub fn secret(&self, name: &str) -> Result<SecretKey> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || !name.chars().all(plain) {
            bail!("a key's name is made of a-z, 0-9 and -");
        }
        let path = self.folder.join(format!("{name}.key"));
        match read(&path)? {
            Some(key) => Ok(key),
            None => {
                self.make(name, &path)?;
                read(&path)?
                    .with_context(|| format!("the key {} is gone right after it was made", path.display()))
            }
        }
    }

    /// Writes a whole file under another name and links it to its own, which fails when somebody was faster: nobody ever
    /// sees half a key, and nobody replaces one.
    fn make(&self, name: &str, path: &Path) -> Result<()> {
        let draft = self.folder.join(format!(".{name}.{:016x}", rand::random::<u64>()));
        let outcome = write(&draft).and_then(|()| match fs::hard_link(&draft, path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            other => other,
        });
        // A draft that stays behind is harmless but has no use.
        let _ = fs::remove_file(&draft);
        outcome.with_context(|| format!("cannot make the key {}", path.display()))
    }
}

fn write(draft: &Path) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    let text = SecretBox::<String>::new(Box::new(hex::encode(SecretKey::random().expose())));
    file.write_all(text.expose_secret().as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

fn read(path: &Path) -> Result<Option<SecretKey>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => SecretBox::<String>::new(Box::new(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot read the key {}", path.display())),
    };
    let mode = fs::metadata(path)
        .with_context(|| format!("cannot read the key {}", path.display()))?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        bail!("the key {} may be read by others than its owner: chmod 600", path.display());
    }
    let mut bytes = [0; 32];
    // The decoder's error quotes characters of the key, so it is not passed on.
    if hex::decode_to_slice(text.expose_secret().trim(), &mut bytes).is_err() {
        bail!("the key {} is damaged: 64 hexadecimal digits are expected", path.display());
    }
    Ok(Some(SecretKey::from_bytes(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_gets_the_same_key() {
        let data = tempfile::tempdir().unwrap();
        let keys = Keys::open(data.path()).unwrap();
        let all: Vec<[u8; 32]> = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..16).map(|_| scope.spawn(|| *keys.secret("quote").unwrap().expose())).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(all.iter().all(|key| *key == all[0] && *key != [0; 32]));
        assert_ne!(keys.secret("session").unwrap().expose(), &all[0]);
        let names: Vec<_> =
            fs::read_dir(data.path().join("keys")).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "no drafts stay behind: {names:?}");
    }

    #[test]
    fn keys_are_for_their_owner_and_never_printed() {
        let data = tempfile::tempdir().unwrap();
        let keys = Keys::open(data.path()).unwrap();
        let key = keys.secret("quote").unwrap();
        assert_eq!(format!("{key:?}"), "***");
        let path = data.path().join("keys/quote.key");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(data.path().join("keys")).unwrap().permissions().mode() & 0o777, 0o700);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(keys.secret("quote").unwrap_err().to_string().contains("chmod 600"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "zz").unwrap();
        assert!(keys.secret("quote").unwrap_err().to_string().contains("damaged"));
        assert!(keys.secret("../quote").is_err());
    }
}
