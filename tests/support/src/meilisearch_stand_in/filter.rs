//! Filter expressions: reading and answering them.

use serde_json::Value;

use super::{index::values, routes::ApiError, settings::Settings};

/// An expression.
#[derive(Debug)]
pub(crate) enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Not(Box<Filter>),
    Condition { attribute: String, test: Test },
}

#[derive(Debug)]
pub(crate) enum Test {
    Equal(String),
    NotEqual(String),
    Compare(Sign, String),
    Between(String, String),
    Exists,
    IsNull,
    IsEmpty,
    In(Vec<String>),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Sign {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// Quoted or not; keywords are words that are not quoted.
    Word(String, bool),
    Sign(&'static str),
}

/// Reads a filter: a text, or a list whose members must all hold and whose lists are alternatives.
pub(crate) fn read(filter: &Value, settings: &Settings, code: &'static str) -> Result<Filter, ApiError> {
    match filter {
        Value::String(text) => {
            let tokens = tokens(text).map_err(|text| ApiError::new(code, text))?;
            let mut reader = Reader { tokens: &tokens, at: 0, settings };
            let filter = reader.any().map_err(|text| ApiError::new(code, text))?;
            if reader.at < tokens.len() {
                return Err(ApiError::new(
                    code,
                    format!("Found unexpected characters at the end of the filter: `{text}`."),
                ));
            }
            Ok(filter)
        }
        Value::Array(all) => {
            let member = |it: &Value| match it {
                Value::Array(any) => {
                    let any = any.iter().map(|it| read(it, settings, code)).collect::<Result<_, _>>()?;
                    Ok(Filter::Or(any))
                }
                other => read(other, settings, code),
            };
            Ok(Filter::And(all.iter().map(member).collect::<Result<_, _>>()?))
        }
        other => Err(ApiError::new(
            code,
            format!("Invalid syntax for the filter parameter: `expected String or Array, found: {other}`."),
        )),
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let signs = ["!=", ">=", "<=", "=", ">", "<", "(", ")", "[", "]", ","];
        if c.is_whitespace() {
            rest = &rest[c.len_utf8()..];
        } else if let Some(sign) = signs.iter().find(|sign| rest.starts_with(**sign)) {
            tokens.push(Token::Sign(sign));
            rest = &rest[sign.len()..];
        } else if c == '"' || c == '\'' {
            let (value, end) = quoted(rest, c)?;
            tokens.push(Token::Word(value, true));
            rest = &rest[end..];
        } else {
            let end =
                rest.find(|c: char| c.is_whitespace() || "!=<>()[],\"'".contains(c)).unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..end].to_owned(), false));
            rest = &rest[end..];
        }
    }
    Ok(tokens)
}

/// A quoted value and where it ends. Only the quote itself is escaped, by a backslash.
fn quoted(text: &str, quote: char) -> Result<(String, usize), String> {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        if c == '\\' {
            chars.next();
        } else if c == quote {
            let value = text[1..at].replace(&format!("\\{quote}"), &quote.to_string());
            return Ok((value, at + 1));
        }
    }
    Err(format!("Expression `{text}` is missing the following closing delimiter: `{quote}`."))
}

struct Reader<'a> {
    tokens: &'a [Token],
    at: usize,
    settings: &'a Settings,
}

impl Reader<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn keyword(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(text, false)) if text == word);
        self.at += usize::from(found);
        found
    }

    fn sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Sign(text)) if *text == sign);
        self.at += usize::from(found);
        found
    }

    fn word(&mut self) -> Result<String, String> {
        match self.tokens.get(self.at) {
            Some(Token::Word(text, _)) => {
                self.at += 1;
                Ok(text.clone())
            }
            other => Err(format!("Was expecting a value but instead got {other:?}.")),
        }
    }

    fn any(&mut self) -> Result<Filter, String> {
        let mut parts = vec![self.all()?];
        while self.keyword("OR") {
            parts.push(self.all()?);
        }
        Ok(Filter::Or(parts))
    }

    fn all(&mut self) -> Result<Filter, String> {
        let mut parts = vec![self.one()?];
        while self.keyword("AND") {
            parts.push(self.one()?);
        }
        Ok(Filter::And(parts))
    }

    fn one(&mut self) -> Result<Filter, String> {
        if self.keyword("NOT") {
            return Ok(Filter::Not(Box::new(self.one()?)));
        }
        if self.sign("(") {
            let inner = self.any()?;
            return if self.sign(")") { Ok(inner) } else { Err("Missing closing parenthesis.".to_owned()) };
        }
        let attribute = self.word()?;
        if !self.settings.is_filterable(&attribute) {
            let known = self.settings.filterable_attributes.clone().unwrap_or_default().join("`, `");
            return Err(format!(
                "Attribute `{attribute}` is not filterable. Available filterable attribute patterns are: `{known}`."
            ));
        }
        self.condition(attribute)
    }

    fn condition(&mut self, attribute: String) -> Result<Filter, String> {
        for (sign, compare) in
            [(">=", Sign::GreaterOrEqual), ("<=", Sign::LessOrEqual), (">", Sign::Greater), ("<", Sign::Less)]
        {
            if self.sign(sign) {
                let value = self.word()?;
                return Ok(Filter::Condition { attribute, test: Test::Compare(compare, value) });
            }
        }
        let test = if self.sign("=") {
            Test::Equal(self.word()?)
        } else if self.sign("!=") {
            Test::NotEqual(self.word()?)
        } else if self.keyword("EXISTS") {
            Test::Exists
        } else if self.keyword("IN") {
            Test::In(self.list()?)
        } else if self.keyword("IS") {
            let not = self.keyword("NOT");
            let test = if self.keyword("NULL") {
                Test::IsNull
            } else if self.keyword("EMPTY") {
                Test::IsEmpty
            } else {
                return Err("Was expecting NULL or EMPTY.".to_owned());
            };
            let condition = Filter::Condition { attribute, test };
            return Ok(if not { Filter::Not(Box::new(condition)) } else { condition });
        } else if self.keyword("NOT") {
            let test = if self.keyword("EXISTS") {
                Test::Exists
            } else if self.keyword("IN") {
                Test::In(self.list()?)
            } else {
                return Err("Was expecting EXISTS or IN.".to_owned());
            };
            return Ok(Filter::Not(Box::new(Filter::Condition { attribute, test })));
        } else {
            let from = self.word().map_err(|_| {
                "Was expecting an operation `=`, `!=`, `>=`, `>`, `<=`, `<`, `IN`, `NOT IN`, `TO`, `EXISTS`, `NOT EXISTS`, \
                 `IS NULL`, `IS NOT NULL`, `IS EMPTY` or `IS NOT EMPTY`."
                    .to_owned()
            })?;
            if !self.keyword("TO") {
                return Err("Was expecting TO.".to_owned());
            }
            Test::Between(from, self.word()?)
        };
        Ok(Filter::Condition { attribute, test })
    }

    fn list(&mut self) -> Result<Vec<String>, String> {
        if !self.sign("[") {
            return Err("Expected `[` after `IN` keyword.".to_owned());
        }
        let mut values = Vec::new();
        while !self.sign("]") {
            values.push(self.word()?);
            self.sign(",");
        }
        Ok(values)
    }
}

impl Filter {
    /// Whether it holds for a document.
    pub(crate) fn holds(&self, document: &Value) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.holds(document)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(document)),
            Self::Not(part) => !part.holds(document),
            Self::Condition { attribute, test } => {
                let found = values(document, attribute);
                let any = |holds: &dyn Fn(&Value) -> bool| found.iter().any(holds);
                match test {
                    Test::Equal(wanted) => any(&|value| equals(value, wanted)),
                    Test::NotEqual(wanted) => !any(&|value| equals(value, wanted)),
                    Test::Compare(sign, bound) => any(&|value| compares(value, *sign, bound)),
                    Test::Between(from, to) => any(&|value| {
                        compares(value, Sign::GreaterOrEqual, from) && compares(value, Sign::LessOrEqual, to)
                    }),
                    Test::Exists => !found.is_empty(),
                    Test::IsNull => any(&|value| value.is_null()),
                    Test::IsEmpty => any(&|value| *value == "" || *value == serde_json::json!([])),
                    Test::In(wanted) => any(&|value| wanted.iter().any(|wanted| equals(value, wanted))),
                }
            }
        }
    }
}

fn equals(value: &Value, wanted: &str) -> bool {
    match value {
        // Case does not matter.
        Value::String(text) => text.to_lowercase() == wanted.to_lowercase(),
        Value::Number(number) => number.as_f64().is_some_and(|number| wanted.parse() == Ok(number)),
        Value::Bool(value) => wanted.parse() == Ok(*value),
        _ => false,
    }
}

fn compares(value: &Value, sign: Sign, bound: &str) -> bool {
    let order = match value {
        Value::Number(number) => {
            let (Some(number), Ok(bound)) = (number.as_f64(), bound.parse::<f64>()) else { return false };
            number.partial_cmp(&bound)
        }
        Value::String(text) => Some(text.to_lowercase().cmp(&bound.to_lowercase())),
        _ => None,
    };
    order.is_some_and(|order| match sign {
        Sign::Less => order.is_lt(),
        Sign::LessOrEqual => order.is_le(),
        Sign::Greater => order.is_gt(),
        Sign::GreaterOrEqual => order.is_ge(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(filter: &str, document: &Value) -> Result<bool, String> {
        let allowed = ["a", "b", "p"].map(str::to_owned).to_vec();
        let settings = Settings { filterable_attributes: Some(allowed), ..Settings::defaults() };
        let filter =
            read(&json!(filter), &settings, "invalid_search_filter").map_err(|error| error.message)?;
        Ok(filter.holds(document))
    }

    #[test]
    fn expressions_are_read_and_answered() {
        let document = json!({"a": ["x", "it's \"so\""], "b": 7, "p": {"USD": 5}});
        for yes in [
            "a = X",
            "a = 'it\\'s \"so\"'",
            "b >= 7 AND b < 8",
            "b 6 TO 7",
            "p.USD = 5",
            "NOT a = y",
            "a != y",
            "(b = 1 OR b = 7) AND a IN [y, x]",
            "p.EUR NOT EXISTS",
            "b = 1 OR b = 2 OR b = 7",
        ] {
            assert_eq!(holds(yes, &document), Ok(true), "{yes}");
        }
        for no in ["a = y", "b > 7", "p.EUR >= 0", "NOT b = 7", "b = 7 AND a = y OR b = 1"] {
            assert_eq!(holds(no, &document), Ok(false), "{no}");
        }
        for wrong in ["c = 1", "a", "a =", "a = \"x", "(a = x", "a = x y", "a IN x"] {
            assert!(holds(wrong, &document).is_err(), "{wrong}");
        }
    }
}
