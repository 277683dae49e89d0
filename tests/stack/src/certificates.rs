//! Certificates of tests.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

/// An authority with a server's certificate for 127.0.0.1, and another authority that knows nobody; made by `openssl`, good
/// for two days, gone with this value.
pub struct Certificates(TempDir);

impl Certificates {
    /// Makes them.
    pub fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        for (name, subject) in [("ca", "ours"), ("other", "theirs")] {
            openssl(
                folder.path(),
                &format!("req -x509 {key} -keyout {name}.key -out {name}.pem -days 2 -subj /CN={subject}"),
            )?;
        }
        openssl(
            folder.path(),
            &format!("req -new {key} -keyout server.key -out server.csr -subj /CN=server"),
        )?;
        fs::write(folder.path().join("names"), "subjectAltName=IP:127.0.0.1\n")?;
        openssl(
            folder.path(),
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out server.pem",
        )?;
        Ok(Self(folder))
    }

    /// The server's certificate (PEM).
    pub fn certificate(&self) -> PathBuf {
        self.0.path().join("server.pem")
    }

    /// Its key (PEM, PKCS#8).
    pub fn key(&self) -> PathBuf {
        self.0.path().join("server.key")
    }

    /// The authority that it is from.
    pub fn authority(&self) -> PathBuf {
        self.0.path().join("ca.pem")
    }

    /// The authority that it is not from.
    pub fn other_authority(&self) -> PathBuf {
        self.0.path().join("other.pem")
    }
}

fn openssl(folder: &Path, arguments: &str) -> Result<()> {
    let output = Command::new("openssl")
        .args(arguments.split(' '))
        .current_dir(folder)
        .output()
        .context("needs `openssl` on the PATH (Debian: apt-get install openssl)")?;
    ensure!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
