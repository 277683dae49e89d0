//! What the cells of a row say: amounts, numbers, addresses, whether it is sold.

use contracts::import::ImportError;
use kernel::{Currency, Money};

use crate::columns::{Columns, Field};

/// The most a price can be, in minor units; what pricing takes.
const DEAREST: i64 = 1_000_000_000_000;

/// A row whose cells are text.
#[derive(Debug)]
pub(crate) struct Cells<'a> {
    pub(crate) line: u64,
    pub(crate) columns: &'a Columns,
    pub(crate) cells: Vec<String>,
}

impl Cells<'_> {
    /// The cell without white space around it; empty where the column or the cell is missing.
    pub(crate) fn get(&self, field: Field) -> &str {
        self.columns.position(field).and_then(|at| self.cells.get(at)).map_or("", |cell| cell.trim())
    }

    /// What is wrong with a cell.
    pub(crate) fn wrong(&self, field: Field, reason: impl Into<String>) -> Wrong {
        Wrong { line: self.line, column: self.columns.name(field), reason: reason.into() }
    }
}

/// Something wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) line: u64,
    pub(crate) column: Option<String>,
    pub(crate) reason: String,
}

impl Wrong {
    pub(crate) fn about(self, key: &str) -> ImportError {
        ImportError {
            line: self.line,
            key: key.chars().take(300).collect(),
            column: self.column,
            reason: self.reason,
        }
    }
}

/// An amount in minor units; none for a blank cell.
pub(crate) fn amount(row: &Cells<'_>, field: Field, currency: Currency) -> Result<Option<i64>, Wrong> {
    let text = row.get(field);
    if text.is_empty() {
        return Ok(None);
    }
    let money = Money::parse(text, currency).map_err(|error| {
        row.wrong(field, format!("\"{text}\": {error}, without currency sign or thousands separators"))
    })?;
    match money.amount {
        ..0 => Err(row.wrong(field, format!("\"{text}\" is negative"))),
        0..=DEAREST => Ok(Some(money.amount)),
        _ => Err(row.wrong(field, format!("\"{text}\" is too much"))),
    }
}

/// A whole number, 0 for a blank cell; a fraction is rounded to the nearest, a half up.
pub(crate) fn whole(row: &Cells<'_>, field: Field, most: i64) -> Result<i64, Wrong> {
    let text = row.get(field);
    if text.is_empty() {
        return Ok(0);
    }
    let wrong = || row.wrong(field, format!("\"{text}\" is no number"));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: i64 = whole.parse().map_err(|_| wrong())?;
    let half = fraction.bytes().next().is_some_and(|first| first >= b'5');
    // Below zero a half up is nearer to zero.
    let away = match whole.starts_with('-') {
        true if half && fraction.trim_end_matches('0') != "5" => -1,
        true => 0,
        false => i64::from(half),
    };
    let number = number.saturating_add(away);
    if number > most {
        return Err(row.wrong(field, format!("\"{text}\" is more than {most}")));
    }
    Ok(number)
}

/// The last part of `Home > Garden > Pots`; nothing for a bare number, which only Google understands.
pub(crate) fn leaf(path: &str) -> &str {
    let leaf = path.rsplit('>').next().unwrap_or("").trim();
    if leaf.bytes().all(|b| b.is_ascii_digit()) { "" } else { leaf }
}

/// Whether the row puts its product on the shelf: published, and active where the file has a status.
pub(crate) fn published(row: &Cells<'_>) -> Result<bool, Wrong> {
    let status = row.get(Field::Status).to_lowercase();
    let active = match status.as_str() {
        "" => None,
        "active" => Some(true),
        "draft" | "archived" | "unlisted" => Some(false),
        _ => return Err(row.wrong(Field::Status, format!("\"{status}\" is none of active, draft, archived"))),
    };
    let published = row.get(Field::Published).to_lowercase();
    let published = match published.as_str() {
        "" => None,
        "true" | "yes" | "1" => Some(true),
        "false" | "no" | "0" => Some(false),
        _ => return Err(row.wrong(Field::Published, format!("\"{published}\" is neither true nor false"))),
    };
    Ok(match (published, active) {
        (Some(published), active) => published && active.unwrap_or(true),
        (None, Some(active)) => active,
        // A file that does not speak of it at all is a list of what is sold.
        (None, None) => !row.columns.has(Field::Published) && !row.columns.has(Field::Status),
    })
}

pub(crate) fn image(row: &Cells<'_>, field: Field) -> Result<Option<String>, Wrong> {
    let src = row.get(field);
    if src.is_empty() {
        return Ok(None);
    }
    // Spreadsheets and old exports leave the scheme out.
    let src = if src.starts_with("//") { format!("https:{src}") } else { src.to_owned() };
    let address =
        url::Url::parse(&src).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if address && src.len() <= 2_000 {
        Ok(Some(src))
    } else {
        Err(row.wrong(field, "is no http or https address of at most 2000 bytes"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_is_rounded_and_then_compared_with_the_most() {
        let header = ["Title", "Variant Grams"].map(|name| name.as_bytes().to_vec());
        let columns = Columns::read(&header).unwrap();
        let grams = |text: &str| {
            let row = Cells { line: 2, columns: &columns, cells: vec!["Lamp".to_owned(), text.to_owned()] };
            whole(&row, Field::Grams, 1_000).ok()
        };
        for (text, number) in [
            ("", 0),
            ("7", 7),
            ("7.4", 7),
            ("7.5", 8),
            ("999.5", 1_000),
            ("-0.4", 0),
            ("-0.5", 0),
            ("-0.9", -1),
            ("-7.5", -7),
            ("-7.51", -8),
        ] {
            assert_eq!(grams(text), Some(number), "{text:?}");
        }
        for text in
            ["1000.5", "1001", "9223372036854775807.9", "99999999999999999999", "1e3", "1.x", "1.2.3", "."]
        {
            assert_eq!(grams(text), None, "{text:?}");
        }
    }
}
