//! Amounts, numbers and times as people of a language write them.

use kernel::{Currency, Money, Timestamp};

use crate::locale::Locale;

/// A whole number with its thousands set apart: `1,234,567`.
pub(crate) fn number(value: i64) -> String {
    let sign = if value < 0 { "-" } else { "" };
    format!("{sign}{}", grouped(&value.unsigned_abs().to_string()))
}

fn grouped(digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// An amount with its currency: `$1,299.00`, `¥1,299`, `JOD 1.250`, with as many decimals as the currency has. A symbol
/// is used where it cannot be mistaken in that language; elsewhere the ISO code stands before the amount.
pub(crate) fn money(locale: Locale, amount: Money) -> String {
    let decimal = amount.decimal();
    let (sign, plain) = decimal.strip_prefix('-').map_or(("", decimal.as_str()), |rest| ("-", rest));
    let (whole, fraction) = plain.split_once('.').unwrap_or((plain, ""));
    let figures = if fraction.is_empty() { grouped(whole) } else { format!("{}.{fraction}", grouped(whole)) };
    match symbol(locale, amount.currency) {
        Some(symbol) => format!("{sign}{symbol}{figures}"),
        None => format!("{sign}{}\u{a0}{figures}", amount.currency.code()),
    }
}

fn symbol(locale: Locale, currency: Currency) -> Option<&'static str> {
    match (locale, currency) {
        (Locale::En, Currency::USD) => Some("$"),
        (Locale::ZhCn, Currency::USD) => Some("US$"),
        (_, Currency::EUR) => Some("€"),
        (_, Currency::GBP) => Some("£"),
        (Locale::En, Currency::JPY) | (Locale::ZhCn, Currency::CNY) => Some("¥"),
        (Locale::ZhCn, Currency::JPY) => Some("JP¥"),
        (Locale::En, Currency::CNY) => Some("CN¥"),
        _ => None,
    }
}

/// A moment to the minute, in UTC and saying so.
pub(crate) fn moment(locale: Locale, at: Timestamp) -> String {
    let pattern = match locale {
        Locale::En => "%-d %B %Y, %H:%M UTC",
        Locale::ZhCn => "%Y年%-m月%-d日 %H:%M（UTC）",
    };
    at.to_datetime().format(pattern).to_string()
}

/// A moment for the `datetime` attribute of `<time>`.
pub(crate) fn machine_time(at: Timestamp) -> String {
    at.to_datetime().format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_the_digits_of_their_currency() {
        let text = |amount, currency| money(Locale::En, Money::new(amount, currency));
        assert_eq!(text(129_900, Currency::USD), "$1,299.00");
        assert_eq!(text(1_299, Currency::JPY), "¥1,299");
        assert_eq!(text(1_250, Currency::JOD), "JOD\u{a0}1.250");
        assert_eq!(text(12_345_678, Currency::CLF), "CLF\u{a0}1,234.5678");
        assert_eq!(text(-5, Currency::USD), "-$0.05");
        assert_eq!(money(Locale::ZhCn, Money::new(100, Currency::CNY)), "¥1.00");
        assert_eq!(money(Locale::ZhCn, Money::new(100, Currency::USD)), "US$1.00");
    }

    #[test]
    fn times_say_their_zone() {
        let at = Timestamp::from_micros(1_763_733_900_000_000);
        assert_eq!(moment(Locale::En, at), "21 November 2025, 14:05 UTC");
        assert_eq!(moment(Locale::ZhCn, at), "2025年11月21日 14:05（UTC）");
        assert_eq!(machine_time(at), "2025-11-21T14:05:00Z");
    }
}
