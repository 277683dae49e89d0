//! Making a part, once.

use std::{
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use crate::{Part, Recipe, Source, parts_folder, process};

/// Longest time one step of a build may take, on a slow and busy machine.
const LIMIT: Duration = Duration::from_secs(60 * 60);
/// How often a long step says that it is still at work.
const TELL_EVERY: Duration = Duration::from_secs(15);

/// Makes a part unless it is there, in the cache folder; where it is. `tell` hears what happens, a line at a time.
///
/// # Errors
/// When a tool is missing (with how to have it), a checksum differs or a step fails (with the end of its log).
pub fn build(part: Part, tell: &dyn Fn(&str)) -> Result<PathBuf> {
    build_in(&parts_folder()?, &part.recipe(), tell)
}

/// The same for any recipe and folder. Two builds of one part do not run at once, and a folder that is there is whole:
/// it is made beside and renamed.
pub fn build_in(parts: &Path, recipe: &Recipe, tell: &dyn Fn(&str)) -> Result<PathBuf> {
    let name = recipe.name;
    let home = recipe.home(parts);
    if home.is_dir() {
        return Ok(home);
    }
    let missing: Vec<String> = recipe.missing().iter().map(ToString::to_string).collect();
    if !missing.is_empty() {
        bail!("{name} cannot be had yet:\n  {}", missing.join("\n  "));
    }
    if matches!(recipe.source, Source::System { .. }) {
        return Ok(home);
    }
    fs::create_dir_all(parts).with_context(|| format!("cannot make {}", parts.display()))?;
    let _lock = lock(&parts.join(format!("{name}.lock")), name, tell)?;
    if home.is_dir() {
        return Ok(home);
    }
    tell(&format!("{name} {}: building; the first time takes {}", recipe.version, recipe.takes));
    let started = Instant::now();
    let work = tempfile::Builder::new().prefix(&format!(".{name}-")).tempdir_in(parts)?;
    let mut steps = Steps { name, log: parts.join(format!("{name}.log")), tell };
    File::create(&steps.log).with_context(|| format!("cannot write {}", steps.log.display()))?;
    let made = match &recipe.source {
        Source::Go { package, binary, files } => steps.go(work.path(), package, binary, files)?,
        Source::Maven { artifact, sha256, keep } => steps.maven(work.path(), artifact, sha256, keep)?,
        Source::System { .. } => return Ok(home),
    };
    fs::rename(&made, &home).with_context(|| format!("cannot move {name} to {}", home.display()))?;
    tell(&format!("{name} {}: built in {} s", recipe.version, started.elapsed().as_secs()));
    Ok(home)
}

/// Waits for another build of the same part. The file stays: removing it would let a third process lock another one.
fn lock(path: &Path, name: &str, tell: &dyn Fn(&str)) -> Result<File> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    if file.try_lock().is_err() {
        tell(&format!("{name}: another process builds it; waiting"));
        file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    }
    Ok(file)
}

struct Steps<'a> {
    name: &'static str,
    log: PathBuf,
    tell: &'a dyn Fn(&str),
}

impl Steps<'_> {
    fn go(&mut self, work: &Path, package: &str, binary: &str, files: &[(&str, &str)]) -> Result<PathBuf> {
        let module = work.join("module");
        fs::create_dir(&module)?;
        for (name, content) in files {
            fs::write(module.join(name), content)?;
        }
        let made = work.join("made");
        let mut go = Command::new("go");
        go.args(["build", "-trimpath", "-ldflags", "-s -w", "-o"])
            .arg(made.join(binary))
            .arg(package)
            .current_dir(&module)
            // go.mod and go.sum are the pins: nothing may change them, and no other toolchain is fetched.
            .envs([
                ("GOFLAGS", "-mod=readonly -buildvcs=false"),
                ("GOTOOLCHAIN", "local"),
                ("GOWORK", "off"),
            ]);
        self.run(&mut go)?;
        Ok(made)
    }

    fn maven(&mut self, work: &Path, artifact: &str, sha256: &str, keep: &str) -> Result<PathBuf> {
        let repository = work.join("maven");
        let mut maven = Command::new("mvn");
        maven
            .args(["--batch-mode", "--quiet", "dependency:get", "-Dtransitive=false"])
            .arg(format!("-Dartifact={artifact}"))
            .arg(format!("-Dmaven.repo.local={}", repository.display()))
            .current_dir(work);
        self.run(&mut maven)?;
        let tarball = tarball(&repository, artifact)?;
        check(&tarball, sha256)?;
        let unpacked = work.join("unpacked");
        fs::create_dir(&unpacked)?;
        let mut tar = Command::new("tar");
        tar.arg("-xzf").arg(&tarball).arg("-C").arg(&unpacked).arg("--strip-components=1");
        self.run(&mut tar)?;
        let made = work.join("made");
        fs::create_dir(&made)?;
        fs::rename(unpacked.join(keep), made.join(keep))?;
        Ok(made)
    }

    /// Runs one step, its output in the log; fails with the end of the log.
    fn run(&mut self, command: &mut Command) -> Result<()> {
        let log = File::options().append(true).open(&self.log)?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        let status = self.wait(&mut child);
        if status.is_err() {
            // What cannot be waited for must not go on behind our back.
            let _ = child.kill();
            let _ = child.wait();
        }
        let status = status?;
        if !status.success() {
            bail!("{}: {command:?} ended with {status}:\n{}", self.name, process::tail(&self.log, 30));
        }
        Ok(())
    }

    fn wait(&self, child: &mut Child) -> Result<std::process::ExitStatus> {
        let (started, mut told) = (Instant::now(), Instant::now());
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if started.elapsed() > LIMIT {
                bail!("{}: not done after {} minutes", self.name, LIMIT.as_secs() / 60);
            }
            if told.elapsed() > TELL_EVERY {
                told = Instant::now();
                let now = process::tail(&self.log, 1);
                (self.tell)(&format!("{}: {} s … {}", self.name, started.elapsed().as_secs(), now.trim()));
            }
            thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Where Maven puts an artifact: `group/as/folders/artifact/version/artifact-version-classifier.packaging`.
fn tarball(repository: &Path, artifact: &str) -> Result<PathBuf> {
    let [group, name, version, packaging, classifier] = artifact.split(':').collect::<Vec<_>>()[..] else {
        bail!("{artifact} is not group:artifact:version:packaging:classifier");
    };
    let folder = group.split('.').fold(repository.to_path_buf(), |folder, step| folder.join(step));
    Ok(folder.join(name).join(version).join(format!("{name}-{version}-{classifier}.{packaging}")))
}

/// Fails unless the file has this SHA-256.
fn check(file: &Path, sha256: &str) -> Result<()> {
    let mut hash = Sha256::new();
    let mut reader = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = reader.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hash.update(&buffer[..read]);
    }
    let found = hex::encode(hash.finalize());
    if found != sha256 {
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        bail!("{name} is not the file it should be: SHA-256 {found}, expected {sha256}. It is not used.");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_checksum_refuses() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("part.tar.gz");
        fs::write(&file, b"abc").expect("written");
        // FIPS 180-4, example of one block: "abc".
        let right = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        check(&file, right).expect("the right one passes");
        fs::write(&file, b"abd").expect("written");
        let refused = check(&file, right).expect_err("a changed file is refused").to_string();
        assert!(refused.contains("is not the file it should be"), "{refused}");
    }

    #[test]
    fn maven_coordinates_become_a_path() {
        let path = tarball(Path::new("/r"), "org.apache.pulsar:dist:4.0.8:tar.gz:bin").expect("a path");
        assert_eq!(path, Path::new("/r/org/apache/pulsar/dist/4.0.8/dist-4.0.8-bin.tar.gz"));
        assert!(tarball(Path::new("/r"), "too:short").is_err());
    }

    #[test]
    fn what_fails_leaves_nothing_that_looks_built() {
        let parts = tempfile::tempdir().expect("a folder");
        let recipe = Recipe {
            name: "broken",
            version: "1",
            source: Source::Go { package: ".", binary: "broken", files: &[("go.mod", "not a module file")] },
            takes: "no time",
            tools: &[],
        };
        let failed = build_in(parts.path(), &recipe, &|_| {}).expect_err("it does not build").to_string();
        assert!(failed.contains("broken"), "{failed}");
        assert!(!recipe.home(parts.path()).exists());
        let left: Vec<_> = fs::read_dir(parts.path())
            .expect("a folder")
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.starts_with('.'))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}
