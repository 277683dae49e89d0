//! What the parts are made of: pinned, so that everyone has the same.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};

use crate::parts_folder;

/// A server that production has and the embedded shop does not need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The database.
    Tidb,
    /// The message broker.
    Pulsar,
    /// Cache, limits, admission.
    Redis,
    /// The OpenTelemetry collector.
    Otel,
}

/// How a part comes to be. Everything in here goes into the key of the cache.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Its name.
    pub name: &'static str,
    /// Its version, for people.
    pub version: &'static str,
    /// Where it is from.
    pub source: Source,
    /// How long the first build takes, in words.
    pub takes: &'static str,
    /// What must be installed.
    pub tools: &'static [Tool],
}

/// Where a part is from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A Go module of our own whose go.mod and go.sum pin every dependency.
    Go {
        /// The package to build.
        package: &'static str,
        /// The binary's name.
        binary: &'static str,
        /// The module's files.
        files: &'static [(&'static str, &'static str)],
    },
    /// A tarball of Maven Central with a known checksum.
    Maven {
        /// `group:artifact:version:packaging:classifier`.
        artifact: &'static str,
        /// The tarball's SHA-256, in hexadecimal.
        sha256: &'static str,
        /// The folder of it that is kept.
        keep: &'static str,
    },
    /// A program of the system, from this version on.
    System {
        /// Its name.
        program: &'static str,
        /// Smallest version.
        at_least: (u32, u32),
    },
}

/// A program that building or running a part needs.
#[derive(Clone, Copy, Debug)]
pub struct Tool {
    program: &'static str,
    version: &'static str,
    at_least: (u32, u32),
    get: &'static str,
    needed: Needed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needed {
    ToBuild,
    ToRun,
}

/// What is missing on this machine, and how to have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// The program.
    pub program: &'static str,
    /// What was found instead, when something was.
    pub found: Option<String>,
    /// What is asked for and how to have it.
    pub get: &'static str,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.found {
            None => write!(f, "`{}` is not installed: {}", self.program, self.get),
            Some(found) => write!(f, "`{}` is too old ({found}): {}", self.program, self.get),
        }
    }
}

const GO: Tool = Tool {
    program: "go",
    version: "version",
    at_least: (1, 26),
    get: "Go 1.26 or later (Debian: golang from backports where the release has an older one)",
    needed: Needed::ToBuild,
};
const CC: Tool = Tool {
    program: "cc",
    version: "--version",
    at_least: (0, 0),
    get: "a C compiler (Debian: apt-get install build-essential)",
    needed: Needed::ToBuild,
};
const MAVEN: Tool = Tool {
    program: "mvn",
    version: "--version",
    at_least: (3, 6),
    get: "Maven 3.6 or later (Debian: apt-get install maven)",
    needed: Needed::ToBuild,
};
const JAVA: Tool = Tool {
    // The compiler: what a killed Pulsar leaves behind is cleared by a page of Java.
    program: "javac",
    version: "-version",
    at_least: (17, 0),
    get: "a JDK, 17 or later (Debian: apt-get install default-jdk-headless)",
    needed: Needed::ToRun,
};
const REDIS: Tool = Tool {
    program: "redis-server",
    version: "--version",
    at_least: (7, 0),
    get: "Redis 7.0 or later (Debian: apt-get install redis-server; seconds)",
    needed: Needed::ToRun,
};

impl Part {
    /// Every part.
    pub const ALL: [Self; 4] = [Self::Tidb, Self::Pulsar, Self::Redis, Self::Otel];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tidb => "tidb",
            Self::Pulsar => "pulsar",
            Self::Redis => "redis",
            Self::Otel => "otel",
        }
    }

    /// How it comes to be.
    pub fn recipe(self) -> Recipe {
        match self {
            Self::Tidb => Recipe {
                name: "tidb",
                version: "8.5-20251126",
                source: Source::Go {
                    package: "github.com/pingcap/tidb/cmd/tidb-server",
                    binary: "tidb-server",
                    files: &[
                        ("go.mod", include_str!("../../xtask/parts/tidb/go.mod")),
                        ("go.sum", include_str!("../../xtask/parts/tidb/go.sum")),
                    ],
                },
                takes: "about 5 minutes on two quiet cores, 0.6 GB of modules",
                tools: &[GO, CC],
            },
            Self::Pulsar => Recipe {
                name: "pulsar",
                version: "4.0.8",
                source: Source::Maven {
                    artifact: "org.apache.pulsar:pulsar-server-distribution:4.0.8:tar.gz:bin",
                    sha256: "35c7d064c9e0928edbf2e708989faba0379662f98aa84ce0d4190c59efb6765e",
                    keep: "lib",
                },
                takes: "about half a minute, a download of 245 MB",
                tools: &[MAVEN, JAVA],
            },
            Self::Redis => Recipe {
                name: "redis",
                version: "7",
                source: Source::System { program: REDIS.program, at_least: REDIS.at_least },
                takes: "nothing to build",
                tools: &[REDIS],
            },
            Self::Otel => Recipe {
                name: "otel",
                version: "0.162.0",
                source: Source::Go {
                    package: ".",
                    binary: "otelcol",
                    files: &[
                        ("go.mod", include_str!("../../xtask/parts/otel/go.mod")),
                        ("go.sum", include_str!("../../xtask/parts/otel/go.sum")),
                        ("main.go", include_str!("../../xtask/parts/otel/main.go")),
                        ("jsonlines.go", include_str!("../../xtask/parts/otel/jsonlines.go")),
                    ],
                },
                takes: "about 3 minutes on two quiet cores",
                tools: &[GO, CC],
            },
        }
    }

    /// Where it is once it is built; of a program of the system, its name.
    pub fn home(self) -> Result<PathBuf> {
        Ok(self.recipe().home(&parts_folder()?))
    }

    /// Whether it can be started as it is.
    pub fn built(self) -> Result<bool> {
        let recipe = self.recipe();
        Ok(match recipe.source {
            Source::System { .. } => recipe.missing().is_empty(),
            _ => self.home()?.is_dir(),
        })
    }
}

impl std::str::FromStr for Part {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        let part = Self::ALL.into_iter().find(|part| part.name() == name);
        part.with_context(|| format!("there is no part `{name}`"))
    }
}

impl Recipe {
    /// Sixteen hexadecimal digits that change with anything that goes into the part.
    pub fn key(&self) -> String {
        let mut hash = Sha256::new();
        let mut add = |text: &str| {
            // The length keeps ("ab", "c") and ("a", "bc") apart.
            hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_le_bytes());
            hash.update(text.as_bytes());
        };
        add(self.name);
        add(self.version);
        add(std::env::consts::ARCH);
        match &self.source {
            Source::Go { package, binary, files } => {
                add("go");
                add(package);
                add(binary);
                for (name, content) in *files {
                    add(name);
                    add(content);
                }
            }
            Source::Maven { artifact, sha256, keep } => {
                for text in ["maven", artifact, sha256, keep] {
                    add(text);
                }
            }
            Source::System { program, at_least } => {
                for text in ["system", program, &format!("{}.{}", at_least.0, at_least.1)] {
                    add(text);
                }
            }
        }
        hex::encode(&hash.finalize()[..8])
    }

    /// Its folder among the built parts.
    pub fn home(&self, parts: &std::path::Path) -> PathBuf {
        match self.source {
            Source::System { program, .. } => PathBuf::from(program),
            _ => parts.join(format!("{}-{}-{}", self.name, self.version, self.key())),
        }
    }

    /// What is not installed that building (unless it is built) or running it needs.
    pub fn missing(&self) -> Vec<Missing> {
        let built = parts_folder().is_ok_and(|parts| self.home(&parts).is_dir());
        self.tools
            .iter()
            .filter(|tool| !built || tool.needed == Needed::ToRun)
            .filter_map(|tool| tool.missing())
            .collect()
    }
}

impl Tool {
    fn missing(&self) -> Option<Missing> {
        let missing = |found| Some(Missing { program: self.program, found, get: self.get });
        let Ok(output) = Command::new(self.program).arg(self.version).output() else { return missing(None) };
        let text =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        match version_in(&text) {
            // A program that does not tell its version is taken when any will do.
            None if self.at_least == (0, 0) => None,
            Some(version) if version >= self.at_least => None,
            Some((major, minor)) => missing(Some(format!("{major}.{minor}"))),
            None => missing(Some("no version".to_owned())),
        }
    }
}

/// The first `major.minor` in what a program says about itself.
fn version_in(text: &str) -> Option<(u32, u32)> {
    text.split(|c: char| !(c.is_ascii_digit() || c == '.')).find_map(|word| {
        let mut numbers = word.split('.');
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_say() {
        for (text, version) in [
            ("go version go1.26.8 linux/amd64", (1, 26)),
            ("openjdk version \"17.0.15\" 2025-04-15", (17, 0)),
            ("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64", (7, 0)),
            ("Apache Maven 3.8.7", (3, 8)),
        ] {
            assert_eq!(version_in(text), Some(version), "{text}");
        }
        assert_eq!(version_in("no number here"), None);
    }

    #[test]
    fn the_key_changes_with_every_input() {
        let base = Recipe {
            name: "x",
            version: "1",
            source: Source::Go { package: "p", binary: "b", files: &[("go.mod", "a"), ("go.sum", "b")] },
            takes: "",
            tools: &[],
        };
        let mut keys = vec![base.key()];
        assert_eq!(base.key(), base.key(), "the same recipe has the same key");
        let mut variant = |change: &dyn Fn(&mut Recipe)| {
            let mut recipe = base.clone();
            change(&mut recipe);
            keys.push(recipe.key());
        };
        variant(&|recipe| recipe.version = "2");
        variant(&|recipe| recipe.name = "y");
        variant(&|recipe| {
            recipe.source =
                Source::Go { package: "p", binary: "b", files: &[("go.mod", "a"), ("go.sum", "c")] };
        });
        variant(&|recipe| {
            recipe.source =
                Source::Go { package: "p", binary: "b", files: &[("go.mod", "ago.sum"), ("", "b")] };
        });
        variant(&|recipe| {
            recipe.source = Source::Maven { artifact: "p", sha256: "b", keep: "lib" };
        });
        let distinct: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len(), "{keys:?}");
    }

    /// Tests run on what the recipes make, users on the images: they are of one version, as far as a recipe names it.
    #[test]
    fn compose_starts_the_versions_that_are_tested() {
        let compose = include_str!("../../../regions/local/compose.yaml");
        for (part, image) in [
            (Part::Tidb, "pingcap/tidb:v"),
            (Part::Pulsar, "apachepulsar/pulsar:"),
            (Part::Redis, "redis:"),
            (Part::Otel, "otel/opentelemetry-collector:"),
        ] {
            let tested = part.recipe().version.split('-').next().expect("a version");
            assert!(compose.contains(&format!("image: {image}{tested}")), "{image}{tested}");
        }
    }

    #[test]
    fn what_does_not_exist_is_missing_and_says_how_to_have_it() {
        let tool = Tool { program: "no-such-program-here", ..REDIS };
        let missing = tool.missing().expect("it is missing");
        assert!(missing.to_string().contains("apt-get install redis-server"), "{missing}");
        let old = Tool { program: "cargo", version: "--version", at_least: (99, 0), ..REDIS };
        assert!(old.missing().expect("too old").to_string().contains("too old"));
    }
}
