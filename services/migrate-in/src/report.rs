//! What commands answer: for programs as they are, for people as a table.

use std::fmt::Write as _;

use kernel::Timestamp;
use serde::Serialize;

/// How a pass reads a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Every row.
    #[default]
    Full,
    /// What the source changed since the last pass, and what was refused then.
    Changes,
}

impl Mode {
    /// That of a pass that reads changes from a moment on, or every row.
    pub(crate) const fn of(since: Option<Timestamp>) -> Self {
        if since.is_some() { Self::Changes } else { Self::Full }
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Changes => "changes",
        }
    }
}

/// What a source holds, before anything is taken in.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// What the source is called.
    pub source: String,
    /// Tables and columns that the mapping names and that are not there.
    pub missing: Vec<String>,
    /// Tables.
    pub tables: Vec<PlannedTable>,
}

/// What a table holds.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedTable {
    /// Its name here.
    pub table: String,
    /// Rows in it.
    pub rows: u64,
    /// Rows that cannot be taken in as they are.
    pub refused: u64,
    /// How the next run reads it.
    pub run: Mode,
    /// Why, of the first.
    pub examples: Vec<RowError>,
}

/// How far a migration is.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// What the source is called.
    pub source: String,
    /// Tables.
    pub tables: Vec<TableStatus>,
}

/// How far a table is.
#[derive(Clone, Debug, Default, Serialize)]
pub struct TableStatus {
    /// Its name here.
    pub table: String,
    /// Which pass over it the figures are of.
    pub pass: u64,
    /// How that pass reads it.
    pub mode: Mode,
    /// From when on it reads changes, by the source's clock.
    pub since: Option<Timestamp>,
    /// Whether that pass is over.
    pub finished: bool,
    /// Key of the last row that was dealt with.
    pub position: u64,
    /// Rows read.
    pub read: u64,
    /// Rows that were new.
    pub created: u64,
    /// Rows that the source had changed.
    pub updated: u64,
    /// Rows that are as before.
    pub unchanged: u64,
    /// Rows that changed in the source and here: left as they are here.
    pub changed_here: u64,
    /// Rows that are not in.
    pub refused: u64,
    /// Rows of the source that are here now.
    pub here: u64,
    /// Rows among them that the source had no more at the end of the pass, or had spoiled; where only changes were read, at
    /// least so many. No run removes them; `verify` counts them exactly.
    pub extra: Option<u64>,
}

/// Why a row is not in, or what of it is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RowError {
    /// The table, or `table.column` for a row that is in without it.
    pub table: String,
    /// The row's key.
    pub key: String,
    /// Why.
    pub reason: String,
}

/// Whether what is here is what the source says.
#[derive(Clone, Debug, Serialize)]
pub struct Verification {
    /// What the source is called.
    pub source: String,
    /// Whether every table is the same.
    pub same: bool,
    /// Tables.
    pub tables: Vec<VerifiedTable>,
}

/// Whether a table is what the source says.
#[derive(Clone, Debug, Default, Serialize)]
pub struct VerifiedTable {
    /// Its name here.
    pub table: String,
    /// Whether it is the same: rows, checksum, and nothing beyond.
    pub same: bool,
    /// How the last run read it; none where there was none. What is compared is every row in any case.
    pub run: Option<Mode>,
    /// Rows of the source.
    pub rows: u64,
    /// Rows of it that were refused, and are in no checksum.
    pub refused: u64,
    /// Rows that came from it and are here.
    pub here: u64,
    /// Sum over all rows of the SHA-256 of each, as the source says it; 128 bits of it twice, in hex.
    pub source_checksum: String,
    /// The same over what is read back from here.
    pub here_checksum: String,
    /// Rows that were not refused and are not here.
    pub missing: u64,
    /// Rows that the source changed since they were taken in.
    pub changed_there: u64,
    /// Rows that were changed here since.
    pub changed_here: u64,
    /// Rows that are here and not in the source any more, or that the source spoiled.
    pub extra: u64,
    /// Keys of some rows that differ, with how.
    pub examples: Vec<RowError>,
}

/// What was given back.
#[derive(Clone, Debug, Serialize)]
pub struct Reverted {
    /// What the source is called.
    pub source: String,
    /// Whether nothing of the source is left.
    pub complete: bool,
    /// Tables.
    pub tables: Vec<RevertedTable>,
}

/// What was given back of a table.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RevertedTable {
    /// Its name here.
    pub table: String,
    /// Rows that are gone.
    pub removed: u64,
    /// Rows that stay.
    pub kept: u64,
    /// Why, of the first.
    pub examples: Vec<RowError>,
}

/// Examples that a report shows of a table.
pub(crate) const EXAMPLES: usize = 20;

/// A table for people: the first column to the left, numbers to the right.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    let head: Vec<String> = head.iter().map(|name| (*name).to_owned()).collect();
    for row in std::iter::once(&head).chain(rows) {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(
                |(column, (cell, width))| {
                    if column == 0 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
                },
            )
            .collect();
        // Writing into a string does not fail.
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_under_each_other() {
        let rows = [vec!["users".to_owned(), "7".to_owned()], vec!["orders".to_owned(), "1200".to_owned()]];
        assert_eq!(table(&["table", "rows"], &rows), "table   rows\nusers      7\norders  1200\n");
    }
}
