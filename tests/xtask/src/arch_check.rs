//! `cargo xtask arch-check`: dependencies point the way ARCHITECTURE.md says.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Result, bail};
use cargo_metadata::{DependencyKind, MetadataCommand, Package};

use crate::cargo;

const DOMAINS: &[&str] = &[
    "account",
    "catalog",
    "pricing",
    "inventory",
    "cart",
    "order",
    "payment",
    "search",
    "import",
    "migrate-in",
];
const PLATFORM: &[&str] = &[
    "platform-db",
    "platform-bus",
    "platform-cache",
    "platform-index",
    "platform-http",
    "platform-client",
    "platform-runtime",
    "platform-trace",
    "platform-regions",
];

/// Where a crate from outside may be used: crates, or `crate:file` for one place inside a domain.
const VENDORS: &[(&str, &[&str])] = &[
    ("tantivy", &["platform-index"]),
    ("tantivy-jieba", &["platform-index"]),
    ("fred", &["platform-cache"]),
    ("pulsar", &["platform-bus"]),
    ("meilisearch-sdk", &["platform-index"]),
    ("moka", &["platform-cache", "edge"]),
    ("kube", &["operator"]),
    ("sqlx", &[]),
    ("chromedriver", &[]),
];

pub(crate) fn run() -> Result<()> {
    let metadata = MetadataCommand::new().manifest_path(cargo::root().join("Cargo.toml")).exec()?;
    let ours: BTreeMap<&str, &Package> =
        metadata.workspace_packages().into_iter().map(|package| (package.name.as_str(), package)).collect();
    let mut wrong = BTreeSet::new();
    for (name, package) in &ours {
        let allowed = allowed(name);
        for dependency in package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal) {
            let to = dependency.name.as_str();
            if ours.contains_key(to) && !allowed.contains(&to) {
                wrong.insert(format!("{name} depends on {to}"));
            }
            if let Some((_, users)) = VENDORS.iter().find(|(vendor, _)| *vendor == to)
                && !users.contains(name)
            {
                wrong.insert(format!("{name} depends on {to}, which belongs to {users:?}"));
            }
        }
        if DOMAINS.contains(name) {
            let folder = package.manifest_path.with_file_name("src").into_std_path_buf();
            check_files(name, &folder, &folder, &mut wrong)?;
        }
    }
    if wrong.is_empty() {
        eprintln!("arch-check: {} crates, dependencies point the right way", ours.len());
        return Ok(());
    }
    for line in &wrong {
        eprintln!("arch-check: {line}");
    }
    bail!("{} dependencies point the wrong way", wrong.len())
}

/// Which of our crates `name` may depend on.
fn allowed(name: &str) -> Vec<&'static str> {
    let core = ["kernel", "contracts"];
    let platform = |crates: &[&'static str]| core.iter().chain(crates).copied().collect::<Vec<_>>();
    match name {
        "kernel" | "migrations" | "stack" => vec![],
        "xtask" => vec!["stack"],
        "support" => vec!["platform-db", "stack"],
        // It stands outside the shop, but for what is measured at a contract.
        "loadtest" => platform(&[
            "support",
            "stack",
            "inventory",
            "migrations",
            "platform-bus",
            "platform-cache",
            "platform-db",
            "platform-regions",
        ]),
        "contracts" | "placement" => vec!["kernel"],
        "platform-regions" => vec!["kernel", "placement"],
        "coordinator" => vec!["kernel", "placement", "platform-db", "platform-regions"],
        "simulation" => vec!["kernel", "placement", "coordinator"],
        "platform-trace" => vec![],
        "platform-cache" | "platform-index" => platform(&[]),
        "platform-db" => platform(&["platform-trace"]),
        "platform-http" => platform(&["platform-cache", "platform-regions", "platform-trace"]),
        "platform-bus" => platform(&["platform-db", "platform-regions", "platform-trace"]),
        "platform-client" => platform(&["platform-http", "platform-regions", "platform-trace"]),
        "platform-runtime" => platform(&[
            "platform-db",
            "platform-bus",
            "platform-cache",
            "platform-http",
            "platform-regions",
            "platform-trace",
        ]),
        "edge" => platform(&[
            "placement",
            "platform-client",
            "platform-http",
            "platform-regions",
            "platform-runtime",
            "platform-trace",
        ]),
        "storefront" => platform(&["platform-http", "platform-runtime"]),
        name if DOMAINS.contains(&name) => platform(PLATFORM),
        // The binary and the tests compose everything.
        _ => core
            .iter()
            .chain(PLATFORM)
            .chain(DOMAINS)
            .chain(&[
                "migrations",
                "storefront",
                "edge",
                "meridian",
                "support",
                "stack",
                "placement",
                "coordinator",
            ])
            .copied()
            .collect(),
    }
}

/// sea-orm stays in a domain's `store`, actix in its `http` (and a provider of its own).
fn check_files(name: &str, root: &Path, folder: &Path, wrong: &mut BTreeSet<String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path: PathBuf = entry?.path();
        if path.is_dir() {
            check_files(name, root, &path, wrong)?;
            continue;
        }
        let inside = path.strip_prefix(root)?.to_string_lossy().into_owned();
        let text = fs::read_to_string(&path)?;
        let place = |allowed: &[&str]| allowed.iter().any(|start| inside.starts_with(start));
        if text.contains("sea_orm") && !place(&["store", "provider/store", "tests", "testing"]) {
            wrong.insert(format!("{name}: {inside} uses sea_orm outside `store`"));
        }
        if text.contains("actix_web") && !place(&["http", "provider/", "tests"]) {
            wrong.insert(format!("{name}: {inside} uses actix_web outside `http`"));
        }
    }
    Ok(())
}
