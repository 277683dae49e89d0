//! How the regions are: redrawn in a terminal, a line per change elsewhere.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, IsTerminal, Write as _},
};

use contracts::region::{OperationView, RegionsView};
use coordinator::Scene;

use super::{
    children::{Health, Place},
    tell,
};
use crate::regions::view;

/// What was shown last.
pub(super) struct Status {
    terminal: bool,
    drawn: usize,
    last: String,
    told: BTreeMap<String, String>,
}

impl Status {
    pub(super) fn new() -> Self {
        Self { terminal: io::stderr().is_terminal(), drawn: 0, last: String::new(), told: BTreeMap::new() }
    }

    /// Shows what is; without a scene the database did not answer in time.
    pub(super) fn show(&mut self, health: &[(Place, Health, Option<u32>)], scene: Option<&Scene>) {
        let map = scene.map(|scene| view::regions(scene, None));
        if self.terminal {
            self.redraw(&table(health, map.as_ref()));
        } else {
            for (subject, text) in changes(health, map.as_ref()) {
                if self.told.insert(subject.clone(), text.clone()).is_none_or(|before| before != text) {
                    tell(format!("{subject}: {text}"));
                }
            }
        }
    }

    /// Over what was drawn before. A terminal that is gone is not written to; the regions go on.
    fn redraw(&mut self, text: &str) {
        if text == self.last {
            return;
        }
        let mut out = String::new();
        if self.drawn > 0 {
            // Up to the first line, and clear from there on.
            let _ = write!(out, "\x1b[{}A\x1b[J", self.drawn);
        }
        out.push_str(text);
        let _ = io::stderr().lock().write_all(out.as_bytes());
        self.drawn = text.lines().count();
        text.clone_into(&mut self.last);
    }
}

/// What is worth a line when it changes, by what it is about.
fn changes(health: &[(Place, Health, Option<u32>)], map: Option<&RegionsView>) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    for (place, health, _) in health {
        let name = place.region.as_str();
        let row = map.and_then(|map| map.regions.iter().find(|row| row.region == name));
        let place = row.map(|row| format!(", {}, home of {} shards", row.state, row.homes));
        // Without an answer of the database the last word on homes stands.
        if let Some(place) = place {
            lines.push((name.to_owned(), format!("{}{place}", process(health))));
        } else if matches!(health, Health::Gone(_)) {
            lines.push((name.to_owned(), process(health)));
        }
    }
    match map.and_then(|map| map.operation.as_ref()) {
        Some(running) => lines.push(("operation".to_owned(), told(running))),
        None if map.is_some() => lines.push(("operation".to_owned(), "none runs".to_owned())),
        None => lines.push(("database".to_owned(), "does not answer".to_owned())),
    }
    if map.is_some() {
        lines.push(("database".to_owned(), "answers".to_owned()));
    }
    lines
}

fn table(health: &[(Place, Health, Option<u32>)], map: Option<&RegionsView>) -> String {
    let mut text = format!(
        "\n{:<13} {:<9} {:>5} {:>6} {:>8}  {:<24} {:>7}  {}\n",
        "REGION", "STATE", "HOMES", "LEASES", "LAG", "PROCESS", "PID", "SHOP"
    );
    for (place, health, pid) in health {
        let name = place.region.as_str();
        let row = map.and_then(|map| map.regions.iter().find(|row| row.region == name));
        let number = |value: Option<u64>| value.map_or_else(|| "-".to_owned(), |value| value.to_string());
        let lag = row.and_then(|row| row.relay_lag_ms).map(|lag| format!("{lag} ms"));
        let _ = writeln!(
            text,
            "{name:<13} {:<9} {:>5} {:>6} {:>8}  {:<24} {:>7}  {}/",
            row.map_or("-", |row| &row.state),
            number(row.map(|row| row.homes)),
            number(row.map(|row| row.leases)),
            lag.unwrap_or_else(|| "-".to_owned()),
            process(health),
            pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string()),
            place.url(),
        );
    }
    let map_line = match map {
        None => "the database does not answer".to_owned(),
        Some(map) => {
            let running = map.operation.as_ref().map_or_else(|| "no operation runs".to_owned(), told);
            format!("map {} · {} shards · {running}", map.version, map.shards.len())
        }
    };
    let _ = writeln!(text, "{map_line} · Ctrl-C stops all");
    text
}

fn process(health: &Health) -> String {
    match health {
        Health::Ready => "ready".to_owned(),
        Health::Unready(why) => why.clone(),
        Health::Gone(how) => format!("gone ({how})"),
    }
}

fn told(running: &OperationView) -> String {
    let of = running.region.as_ref().map(|region| format!(" of {region}")).unwrap_or_default();
    let waits = running.waits_for.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
    format!("{} {}{of}: {}{waits}", running.kind, running.id, running.phase)
}

#[cfg(test)]
mod tests {
    use kernel::Region;

    use super::*;

    fn health(second: Health) -> Vec<(Place, Health, Option<u32>)> {
        let place =
            |name: &str, port| Place { region: Region::new(name), address: ([127, 0, 0, 1], port).into() };
        vec![(place("us-east", 8080), Health::Ready, Some(7)), (place("eu-west", 8081), second, None)]
    }

    #[test]
    fn a_region_that_is_gone_is_told_even_without_the_database() {
        let lines = changes(&health(Health::Gone("signal 9".into())), None);
        assert!(lines.contains(&("eu-west".into(), "gone (signal 9)".into())), "{lines:?}");
        assert!(lines.contains(&("database".into(), "does not answer".into())), "{lines:?}");
    }

    #[test]
    fn the_table_has_a_line_a_region() {
        let text = table(&health(Health::Unready("does not answer".into())), Some(&RegionsView::default()));
        assert_eq!(text.lines().count(), 5, "{text}");
        assert!(text.contains("http://127.0.0.1:8081/") && text.contains("does not answer"), "{text}");
    }
}
