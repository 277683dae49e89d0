//! Errors as a file for a spreadsheet.

use std::borrow::Cow;

use contracts::import::ImportError;
use kernel::{Failure, Result};

/// CSV with the columns line, key, column, reason. What comes from the imported file is data: a cell that a spreadsheet would
/// take for a formula gets an apostrophe in front (OWASP, CSV injection).
pub(crate) fn csv(errors: &[ImportError]) -> Result<Vec<u8>> {
    let mut file = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    file.write_record(["line", "key", "column", "reason"]).map_err(Failure::internal)?;
    for error in errors {
        let line = error.line.to_string();
        let column = error.column.as_deref().unwrap_or("");
        file.write_record([&*line, &neutral(&error.key), &neutral(column), &neutral(&error.reason)])
            .map_err(Failure::internal)?;
    }
    file.into_inner().map_err(|error| Failure::internal(error.to_string()))
}

fn neutral(text: &str) -> Cow<'_, str> {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_text() {
        let error = |key: &str| ImportError {
            line: 7,
            key: key.to_owned(),
            column: None,
            reason: "a, \"b\"".to_owned(),
        };
        let text =
            String::from_utf8(csv(&[error("=HYPERLINK(1)"), error("@x"), error("lamp")]).unwrap()).unwrap();
        let expected = "line,key,column,reason\r\n7,'=HYPERLINK(1),,\"a, \"\"b\"\"\"\r\n7,'@x,,\"a, \"\"b\"\"\"\r\n7,lamp,,\"a, \"\"b\"\"\"\r\n";
        assert_eq!(text, expected);
    }
}
