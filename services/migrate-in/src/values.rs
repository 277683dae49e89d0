//! Text from the source as values: amounts, moments, texts. Pure; a failure is the reason that is reported.

use std::collections::BTreeMap;

use chrono::NaiveDateTime;
use contracts::catalog::NamedValue;
use kernel::{Currency, Money, Timestamp, normalise};

/// A row of the source: what its columns hold, as text, by our names for them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Record(pub(crate) BTreeMap<String, String>);

/// Why a row cannot be taken in.
pub(crate) type Reason = String;

impl Record {
    /// What a column holds; none for NULL, blank, and a column that is not there.
    pub(crate) fn get(&self, column: &str) -> Option<&str> {
        self.0.get(column).map(String::as_str).map(str::trim).filter(|text| !text.is_empty())
    }

    /// The same of a column that must hold something.
    pub(crate) fn need(&self, column: &str) -> Result<&str, Reason> {
        self.get(column).ok_or_else(|| format!("{column} is empty"))
    }

    /// One line of text of at most `most` characters; what is longer is cut.
    pub(crate) fn line(&self, column: &str, most: usize) -> String {
        line(self.get(column).unwrap_or_default(), most)
    }

    /// A whole number.
    pub(crate) fn number(&self, column: &str) -> Result<i64, Reason> {
        let text = self.need(column)?;
        // A decimal column without a fraction is a number, too.
        let whole = text.split_once('.').map_or(text, |(whole, fraction)| {
            if fraction.bytes().all(|byte| byte == b'0') { whole } else { text }
        });
        whole.parse().map_err(|_| format!("{column} {text:?} is no whole number"))
    }

    /// An amount of money that is not negative.
    pub(crate) fn money(&self, column: &str, currency: Currency) -> Result<Money, Reason> {
        let text = self.need(column)?;
        let money = Money::parse(text, currency).map_err(|error| format!("{column} {text:?}: {error}"))?;
        if money.amount < 0 { Err(format!("{column} {text} is negative")) } else { Ok(money) }
    }

    /// The same, nothing where the column is empty.
    pub(crate) fn money_or_none(&self, column: &str, currency: Currency) -> Result<Money, Reason> {
        if self.get(column).is_none() { Ok(Money::zero(currency)) } else { self.money(column, currency) }
    }

    /// The currency of the row.
    pub(crate) fn currency(&self, otherwise: Currency) -> Result<Currency, Reason> {
        let Some(text) = self.get("currency") else { return Ok(otherwise) };
        Currency::from_code(&text.to_uppercase()).ok_or_else(|| format!("unknown currency {text:?}"))
    }

    /// A moment; none where the column is empty or holds MySQL's zero date.
    pub(crate) fn moment(&self, column: &str, offset_minutes: i64) -> Result<Option<Timestamp>, Reason> {
        let Some(text) = self.get(column).filter(|text| !text.starts_with("0000-00-00")) else {
            return Ok(None);
        };
        moment(text, offset_minutes).map(Some).ok_or_else(|| format!("{column} {text:?} is no moment"))
    }
}

/// One line of text of at most `most` characters.
pub(crate) fn line(text: &str, most: usize) -> String {
    let text = normalise(text);
    if text.chars().count() <= most {
        text
    } else {
        text.chars().take(most).collect::<String>().trim().to_owned()
    }
}

/// A moment from a DATETIME's text, or from whole seconds or milliseconds since 1970.
fn moment(text: &str, offset_minutes: i64) -> Option<Timestamp> {
    const MINUTE: i64 = 60_000_000;
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number: i64 = text.parse().ok()?;
        // Seconds have ten digits until the year 2286.
        let unit = if text.len() <= 10 { 1_000_000 } else { 1_000 };
        return number.checked_mul(unit).map(Timestamp::from_micros);
    }
    let local = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())?;
    let micros = local.and_utc().timestamp_micros().checked_sub(offset_minutes * MINUTE)?;
    Some(Timestamp::from_micros(micros))
}

/// A phone number in E.164; none where it is none.
pub(crate) fn phone(text: &str, prefix: &str) -> Option<String> {
    let plain: String = text.chars().filter(|c| !matches!(c, ' ' | '-' | '(' | ')' | '.')).collect();
    let full = match plain.strip_prefix("00") {
        Some(rest) => format!("+{rest}"),
        None if plain.starts_with('+') => plain,
        None => format!("{prefix}{}", plain.strip_prefix('0').unwrap_or(&plain)),
    };
    let digits = full.strip_prefix('+')?;
    // E.164 has at most 15 digits; shorter than 5 is an extension.
    ((5..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())).then_some(full)
}

/// Attributes of a SKU, `{"Color": "Red"}`, in their order.
pub(crate) fn attributes(text: Option<&str>) -> Result<Vec<NamedValue>, Reason> {
    let Some(text) = text.filter(|text| !matches!(*text, "null" | "{}" | "[]")) else {
        return Ok(Vec::new());
    };
    let wrong = || format!("attributes {text:?} are no object of texts");
    let serde_json::Value::Object(object) = serde_json::from_str(text).map_err(|_| wrong())? else {
        return Err(wrong());
    };
    let mut values = Vec::with_capacity(object.len());
    for (name, value) in object {
        let value = match value {
            serde_json::Value::String(value) => value,
            serde_json::Value::Number(value) => value.to_string(),
            serde_json::Value::Bool(value) => value.to_string(),
            _ => return Err(wrong()),
        };
        values.push(NamedValue { name: line(&name, 100), value: line(&value, 200) });
    }
    Ok(values)
}

/// A password hash that can be checked here. bcrypt's cost and argon2's memory are bounded: a log-in must not take minutes.
pub(crate) fn password_hash(text: &str) -> Option<String> {
    let text = text.strip_prefix("{bcrypt}").unwrap_or(text);
    let bcrypt = || {
        let (kind, rest) = text.strip_prefix('$')?.split_once('$')?;
        let (cost, digest) = rest.split_once('$')?;
        let right = matches!(kind, "2a" | "2b" | "2x" | "2y")
            && cost.len() == 2
            && cost.parse::<u32>().is_ok_and(|cost| (4..=14).contains(&cost))
            && digest.len() == 53
            && digest.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'/'));
        right.then_some(())
    };
    let argon2 = || {
        let rest = text.strip_prefix("$argon2id$v=19$m=")?;
        let (memory, rest) = rest.split_once(",t=")?;
        let (passes, rest) = rest.split_once(",p=")?;
        let right = memory.parse::<u32>().is_ok_and(|kib| (8..=1 << 18).contains(&kib))
            && passes.parse::<u32>().is_ok_and(|passes| (1..=10).contains(&passes))
            && rest.split('$').count() == 3;
        right.then_some(())
    };
    (text.len() <= 200 && (bcrypt().is_some() || argon2().is_some())).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(column: &str, text: &str) -> Record {
        Record([(column.to_owned(), text.to_owned())].into())
    }

    #[test]
    fn amounts_are_exact_or_refused() {
        let money = |text: &str, currency| record("price", text).money("price", currency).map(|it| it.amount);
        assert_eq!(money("0.07", Currency::CNY), Ok(7));
        assert_eq!(money("90071992547409.93", Currency::CNY), Ok(9_007_199_254_740_993));
        assert_eq!(money("5.00", Currency::JPY), Ok(5));
        assert_eq!(money(" 12 ", Currency::CNY), Ok(1_200));
        for wrong in ["-0.01", "1.005", "1e3", "free", "", "NaN", "99999999999999999999"] {
            assert!(money(wrong, Currency::CNY).is_err(), "{wrong}");
        }
        assert!(money("5.01", Currency::JPY).is_err());
        let none = Record::default().money_or_none("price", Currency::CNY);
        assert_eq!(none, Ok(Money::zero(Currency::CNY)));
    }

    proptest! {
        #[test]
        fn a_decimal_column_says_its_cents(cents in 0_i64..1_000_000_000_000) {
            let text = format!("{}.{:02}", cents / 100, cents % 100);
            prop_assert_eq!(record("x", &text).money("x", Currency::CNY).unwrap().amount, cents);
        }
    }

    #[test]
    fn moments_are_read_in_the_shops_zone() {
        let at = |text: &str, offset| record("t", text).moment("t", offset);
        let utc = at("2024-01-15 02:30:00", 0).unwrap();
        assert_eq!(utc, Some(Timestamp::from_micros(1_705_285_800_000_000)));
        assert_eq!(at("2024-01-15 10:30:00", 480).unwrap(), utc);
        assert_eq!(at("1705285800", 480).unwrap(), utc, "seconds since 1970 have no zone");
        assert_eq!(at("1705285800000", 480).unwrap(), utc);
        assert_eq!(at("2024-01-15 02:30:00.250000", 0).unwrap().unwrap().micros() % 1_000_000, 250_000);
        assert_eq!(at("0000-00-00 00:00:00", 0), Ok(None));
        assert!(at("2024-02-30 00:00:00", 0).is_err());
        assert!(at("yesterday", 0).is_err());
    }

    #[test]
    fn phones_become_e164() {
        assert_eq!(phone("138 0013-8000", "+86").as_deref(), Some("+8613800138000"));
        assert_eq!(phone("+1 (415) 555.0100", "+86").as_deref(), Some("+14155550100"));
        assert_eq!(phone("0044 20 7946 0000", "").as_deref(), Some("+442079460000"));
        for none in ["n/a", "12", "", "+", "+123456789012345678"] {
            assert_eq!(phone(none, "+86"), None, "{none}");
        }
    }

    #[test]
    fn attributes_keep_their_order() {
        let found = attributes(Some(r#"{"Size": "M", "Color": "Red", "Year": 2024}"#)).unwrap();
        let names: Vec<&str> = found.iter().map(|it| it.name.as_str()).collect();
        // serde_json sorts an object's names unless told otherwise: the same order in every SKU, which is what counts.
        assert_eq!(names, ["Color", "Size", "Year"]);
        assert_eq!(found[2].value, "2024");
        assert_eq!(attributes(None), Ok(Vec::new()));
        assert_eq!(attributes(Some("null")), Ok(Vec::new()));
        assert!(attributes(Some("[1]")).is_err() && attributes(Some("{\"a\":{}}")).is_err());
    }

    #[test]
    fn only_hashes_that_can_be_checked_in_time_are_kept() {
        let bcrypt = format!("$2y$10${}", "a".repeat(53));
        assert_eq!(password_hash(&bcrypt).as_deref(), Some(bcrypt.as_str()));
        assert_eq!(password_hash(&format!("{{bcrypt}}{bcrypt}")).as_deref(), Some(bcrypt.as_str()));
        assert!(password_hash("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g").is_some());
        for wrong in [
            "5f4dcc3b5aa765d61d8327deb882cf99",
            "$2y$31$aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "$2y$10$short",
            "$argon2id$v=19$m=4194304,t=2,p=1$a$b",
            "$6$rounds=5000$x$y",
            "!",
        ] {
            assert_eq!(password_hash(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn whole_numbers_may_come_as_decimals() {
        assert_eq!(record("n", "3.00").number("n"), Ok(3));
        assert_eq!(record("n", "-3").number("n"), Ok(-3));
        assert!(record("n", "3.5").number("n").is_err());
        assert!(record("n", "").number("n").is_err());
    }
}
