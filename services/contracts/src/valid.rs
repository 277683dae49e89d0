//! The rules of a command, where it may come past the HTTP extractors.

use garde::Validate;
use kernel::{Failure, Result, code};

/// Checks a command that may come from another part of the process, or another process: `request.invalid` names every field
/// by its JSON pointer.
pub fn valid<T: Validate<Context = ()>>(command: &T) -> Result<()> {
    let Err(report) = command.validate() else { return Ok(()) };
    Err(report.iter().fold(Failure::new(code::INVALID), |failure, (path, error)| {
        let pointer = path.to_string().replace(['.', '['], "/").replace(']', "");
        failure.field(format!("/{pointer}"), error.to_string())
    }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[derive(Validate)]
    struct Shelf {
        #[garde(length(min = 1))]
        name: String,
        #[garde(dive)]
        rows: Vec<Row>,
        #[garde(length(max = 2))]
        note: Option<String>,
    }

    #[derive(Validate)]
    struct Row {
        #[garde(range(min = 1))]
        units: i64,
    }

    #[test]
    fn every_field_that_is_wrong_is_named() {
        let shelf = |name: &str, units, note: &str| Shelf {
            name: name.to_owned(),
            rows: vec![Row { units: 1 }, Row { units }],
            note: Some(note.to_owned()),
        };
        assert!(valid(&shelf("a", 1, "ok")).is_ok());
        let refused = valid(&shelf("", 0, "long")).unwrap_err();
        assert!(refused.is(code::INVALID));
        let pointers: BTreeSet<&str> = refused.fields().iter().map(|field| field.pointer.as_str()).collect();
        assert_eq!(pointers, ["/name", "/note", "/rows/1/units"].into());
    }
}
