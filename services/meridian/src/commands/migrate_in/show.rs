//! What the commands print.

use anyhow::Result;
use migrate_in::{Mode, Plan, Reverted, RowError, Status, Verification, table};
use serde::Serialize;

use crate::{
    answer::{put, tell},
    cli::Output,
    exit::{Ended, Why},
};

pub(super) use crate::answer::plain;

fn json(value: &impl Serialize) -> Result<()> {
    put(&serde_json::to_string_pretty(value)?)
}

fn examples(rows: &[RowError]) -> Result<()> {
    rows.iter().try_for_each(|RowError { table, key, reason }| put(&format!("  {table} {key}: {reason}")))
}

/// What a source holds.
pub(super) fn plan(plan: &Plan, output: Output) -> Result<()> {
    if output == Output::Json {
        json(plan)?;
    } else {
        for missing in &plan.missing {
            tell(missing);
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
            plain(&table(&["table", "rows", "cannot be taken in", "next run"], &rows))?;
        }
        plan.tables.iter().try_for_each(|it| examples(&it.examples))?;
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
    plain(&table(&head, &rows))
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
        plain(&table(&head, &rows))?;
        verification.tables.iter().try_for_each(|it| examples(&it.examples))?;
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
    plain(&table(&["table", "removed", "kept"], &rows))?;
    reverted.tables.iter().try_for_each(|it| examples(&it.examples))
}

/// Rows that are not in, one a line.
pub(super) struct Errors {
    output: Output,
    failed: Option<anyhow::Error>,
}

impl Errors {
    pub(super) fn begin(output: Output) -> Result<Self> {
        if output == Output::Text {
            put("table,key,reason")?;
        }
        Ok(Self { output, failed: None })
    }

    pub(super) fn add(&mut self, error: &RowError) {
        let line: Result<String> = match self.output {
            Output::Json => serde_json::to_string(error).map_err(Into::into),
            Output::Text => {
                Ok(format!("{},{},{}", cell(&error.table), cell(&error.key), cell(&error.reason)))
            }
        };
        if let Err(error) = line.and_then(|line| put(&line)) {
            self.failed = Some(error);
        }
    }

    pub(super) fn end(self) -> Result<()> {
        self.failed.map_or(Ok(()), Err)
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
