//! What the commands print.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "these are the commands' answers")]

use anyhow::Result;
use migrate_in::{Mode, Plan, Reverted, RowError, Status, Verification, table};
use serde::Serialize;

use crate::{
    cli::Output,
    exit::{Ended, Why},
};

/// A text as it is.
pub(super) fn plain(text: &str) -> Result<()> {
    print!("{text}");
    Ok(())
}

fn json(value: &impl Serialize) -> Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

fn examples(rows: &[RowError]) {
    for RowError { table, key, reason } in rows {
        println!("  {table} {key}: {reason}");
    }
}

/// What a source holds.
pub(super) fn plan(plan: &Plan, output: Output) -> Result<()> {
    if output == Output::Json {
        json(plan)?;
    } else {
        for missing in &plan.missing {
            eprintln!("{missing}");
        }
        let rows: Vec<Vec<String>> = plan
            .tables
            .iter()
            .map(|it| {
                let run = it.run.name().to_owned();
                vec![it.table.clone(), it.rows.to_string(), it.refused.to_string(), run]
            })
            .collect();
        if !rows.is_empty() {
            print!("{}", table(&["table", "rows", "cannot be taken in", "next run"], &rows));
        }
        plan.tables.iter().for_each(|it| examples(&it.examples));
    }
    if plan.missing.is_empty() {
        return Ok(());
    }
    let why = "the mapping does not fit the source; a column that is not there is mapped to \"\"";
    Err(Ended::error(Why::Failed, why))
}

/// How far a migration is.
pub(super) fn status(status: &Status, output: Output) -> Result<()> {
    if output == Output::Json {
        return json(status);
    }
    let head = [
        "table",
        "pass",
        "mode",
        "read",
        "created",
        "updated",
        "unchanged",
        "changed here",
        "refused",
        "here",
        "not there",
        "",
    ];
    let rows: Vec<Vec<String>> = status
        .tables
        .iter()
        .map(|it| {
            let figures =
                [it.read, it.created, it.updated, it.unchanged, it.changed_here, it.refused, it.here];
            let word = match (it.pass, it.finished) {
                (0, _) => "not begun".to_owned(),
                (_, true) => "done".to_owned(),
                (_, false) => format!("at key {}", it.position),
            };
            let extra = match (it.extra, it.mode) {
                (None, _) => String::new(),
                (Some(extra @ 1..), Mode::Changes) => format!("{extra}+"),
                (Some(extra), _) => extra.to_string(),
            };
            let mode = if it.pass == 0 { "" } else { it.mode.name() };
            let first = [it.table.clone(), it.pass.to_string(), mode.to_owned()];
            let figures = figures.iter().map(ToString::to_string);
            first.into_iter().chain(figures).chain([extra, word]).collect()
        })
        .collect();
    print!("{}", table(&head, &rows));
    Ok(())
}

/// Whether both sides are the same.
pub(super) fn verification(verification: &Verification, output: Output) -> Result<()> {
    if output == Output::Json {
        json(verification)?;
    } else {
        let head = [
            "table",
            "rows",
            "refused",
            "here",
            "missing",
            "changed there",
            "changed here",
            "extra",
            "source",
            "here",
            "last run",
            "",
        ];
        let rows: Vec<Vec<String>> = verification
            .tables
            .iter()
            .map(|it| {
                let figures =
                    [it.rows, it.refused, it.here, it.missing, it.changed_there, it.changed_here, it.extra];
                let figures = figures.iter().map(ToString::to_string);
                // The whole of them is in the JSON.
                let sums = [&it.source_checksum, &it.here_checksum].map(|sum| sum.chars().take(12).collect());
                let run = it.run.map_or("", Mode::name).to_owned();
                let word = if it.same { "same" } else { "DIFFERENT" };
                std::iter::once(it.table.clone())
                    .chain(figures)
                    .chain(sums)
                    .chain([run, word.to_owned()])
                    .collect()
            })
            .collect();
        print!("{}", table(&head, &rows));
        verification.tables.iter().for_each(|it| examples(&it.examples));
    }
    if verification.same {
        return Ok(());
    }
    Err(Ended::error(
        Why::Failed,
        "both sides differ; `meridian migrate-in run` brings up what changed there, with `--full` also what tells no change",
    ))
}

/// What was given back.
pub(super) fn reverted(reverted: &Reverted, output: Output) -> Result<()> {
    if output == Output::Json {
        return json(reverted);
    }
    let rows: Vec<Vec<String>> = reverted
        .tables
        .iter()
        .map(|it| vec![it.table.clone(), it.removed.to_string(), it.kept.to_string()])
        .collect();
    print!("{}", table(&["table", "removed", "kept"], &rows));
    reverted.tables.iter().for_each(|it| examples(&it.examples));
    Ok(())
}

/// Rows that are not in, one a line.
pub(super) struct Errors {
    output: Output,
    failed: Option<serde_json::Error>,
}

impl Errors {
    pub(super) fn begin(output: Output) -> Result<Self> {
        if output == Output::Text {
            println!("table,key,reason");
        }
        Ok(Self { output, failed: None })
    }

    pub(super) fn add(&mut self, error: &RowError) {
        if self.output == Output::Json {
            match serde_json::to_string(error) {
                Ok(line) => println!("{line}"),
                Err(error) => self.failed = Some(error),
            }
            return;
        }
        println!("{},{},{}", cell(&error.table), cell(&error.key), cell(&error.reason));
    }

    pub(super) fn end(self) -> Result<()> {
        self.failed.map_or(Ok(()), |error| Err(error.into()))
    }
}

/// A cell of a CSV (RFC 4180). What comes from the source is data: what a spreadsheet would take for a formula gets an
/// apostrophe in front (OWASP, CSV injection).
fn cell(text: &str) -> String {
    let neutral = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    format!("\"{neutral}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_hold_any_text() {
        assert_eq!(cell("a \"b\", c"), "\"a \"\"b\"\", c\"");
        assert_eq!(cell("=1+1"), "\"'=1+1\"");
    }
}
