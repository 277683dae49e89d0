//! No test starts `regions/local/compose.yaml`: what it sets must at least be settings.

use toml::{Table, Value};

const COMPOSE: &str = include_str!("../../../regions/local/compose.yaml");
const CONFIGURATION: &str = include_str!("../../../services/meridian/reference/configuration.md");

/// Every setting. One without a default stands in the reference as `# name =`.
fn settings() -> Value {
    let (_, toml) = CONFIGURATION.split_once("```toml\n").unwrap();
    let (toml, _) = toml.split_once("\n```").unwrap();
    let line = |line: &str| match line.strip_prefix("# ").and_then(|line| line.strip_suffix(" =")) {
        Some(name) if !name.contains(' ') => format!("{name} = \"\"\n"),
        _ => format!("{line}\n"),
    };
    Value::Table(toml.lines().map(line).collect::<String>().parse::<Table>().unwrap())
}

#[test]
fn compose_sets_only_what_is_a_setting() {
    let settings = settings();
    let mut names = 0;
    for line in COMPOSE.lines() {
        let Some((path, _)) = line.trim().strip_prefix("MERIDIAN__").and_then(|rest| rest.split_once(": "))
        else {
            continue;
        };
        names += 1;
        let path = path.to_lowercase();
        let found = path.split("__").try_fold(&settings, |section, name| section.get(name));
        assert!(found.is_some_and(|found| !found.is_table()), "{path}");
    }
    assert!(names > 10, "{names} variables");
}
