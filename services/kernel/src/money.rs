//! Money: whole minor units of an ISO 4217 currency, and the named ways to round.

use std::{fmt, str::FromStr};

use iso_currency::Currency;
use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{KnownFormat, ObjectBuilder, RefOr, Schema, SchemaFormat, Type},
};

/// An amount in minor units (cents, yen, fils) of a currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Money {
    /// Minor units: 1999 is 19.99 USD, 1999 JPY or 1.999 JOD.
    pub amount: i64,
    /// ISO 4217 currency.
    pub currency: Currency,
}

/// What to do with a fraction of a minor unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// To the nearest; a half goes away from zero. The usual rule for tax lines.
    HalfUp,
    /// To the nearest; a half goes to the even neighbour (banker's rounding).
    HalfEven,
    /// Towards zero: discounts never give more than was promised.
    Down,
}

/// Why an amount cannot be computed or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Two currencies in one sum.
    #[error("{0} and {1} cannot be added")]
    Currencies(&'static str, &'static str),
    /// Beyond 64 bits.
    #[error("the amount is too large")]
    Overflow,
    /// A text that is no amount of this currency.
    #[error("expected an amount such as 19.99 with at most {digits} decimal digits")]
    Malformed {
        /// How many the currency has.
        digits: u16,
    },
}

/// Decimal digits of a currency's minor unit: 0 (JPY), 2 (USD), 3 (JOD) or 4 (CLF); 0 where ISO 4217 names none.
pub fn currency_digits(currency: Currency) -> u16 {
    currency.exponent().unwrap_or(0)
}

impl Money {
    /// `amount` minor units of `currency`.
    pub const fn new(amount: i64, currency: Currency) -> Self {
        Self { amount, currency }
    }

    /// Nothing, in `currency`.
    pub const fn zero(currency: Currency) -> Self {
        Self::new(0, currency)
    }

    /// The sum.
    pub fn plus(self, other: Self) -> Result<Self, MoneyError> {
        self.same(other)?;
        self.amount.checked_add(other.amount).map(|a| Self::new(a, self.currency)).ok_or(MoneyError::Overflow)
    }

    /// The difference.
    pub fn minus(self, other: Self) -> Result<Self, MoneyError> {
        self.same(other)?;
        self.amount.checked_sub(other.amount).map(|a| Self::new(a, self.currency)).ok_or(MoneyError::Overflow)
    }

    /// `quantity` times this.
    pub fn times(self, quantity: i64) -> Result<Self, MoneyError> {
        self.amount.checked_mul(quantity).map(|a| Self::new(a, self.currency)).ok_or(MoneyError::Overflow)
    }

    /// The sum of many, zero of `currency` when there are none.
    pub fn sum(currency: Currency, amounts: impl IntoIterator<Item = Self>) -> Result<Self, MoneyError> {
        amounts.into_iter().try_fold(Self::zero(currency), Self::plus)
    }

    /// This times `numerator / denominator`, rounded as said; `denominator` must be positive.
    pub fn scaled(self, numerator: i64, denominator: i64, rounding: Rounding) -> Result<Self, MoneyError> {
        let denominator = i128::from(denominator.max(1));
        let product = i128::from(self.amount) * i128::from(numerator);
        let (quotient, rest) = (product / denominator, product % denominator);
        let twice = rest.abs() * 2;
        let away = match rounding {
            Rounding::Down => false,
            Rounding::HalfUp => twice >= denominator,
            Rounding::HalfEven => twice > denominator || (twice == denominator && quotient % 2 != 0),
        };
        let rounded = quotient + if away { product.signum() } else { 0 };
        i64::try_from(rounded).map(|a| Self::new(a, self.currency)).map_err(|_| MoneyError::Overflow)
    }

    /// Splits this by `weights` so that the parts add up to the whole: each gets its share rounded down, the units left
    /// over go one each to the largest remainders (Hamilton's method), ties to the earlier part. With no positive
    /// weight the first part gets everything; without parts the answer is empty.
    pub fn allocate(self, weights: &[u64]) -> Vec<Self> {
        let total: u128 = weights.iter().map(|&w| u128::from(w)).sum();
        let whole = u128::from(self.amount.unsigned_abs());
        if total == 0 {
            let rest = weights.len().saturating_sub(1);
            return weights
                .first()
                .map(|_| self)
                .into_iter()
                .chain((0..rest).map(|_| Self::zero(self.currency)))
                .collect();
        }
        // whole < 2^63 and a weight < 2^64: the product fits 128 bits.
        let mut parts: Vec<(u128, u128)> =
            weights.iter().map(|&w| (whole * u128::from(w) / total, whole * u128::from(w) % total)).collect();
        let given: u128 = parts.iter().map(|part| part.0).sum();
        let mut order: Vec<usize> = (0..parts.len()).collect();
        order.sort_by_key(|&index| std::cmp::Reverse(parts[index].1));
        for &index in order.iter().take(usize::try_from(whole - given).unwrap_or(0)) {
            parts[index].0 += 1;
        }
        parts
            .into_iter()
            .map(|(share, _)| {
                Self::new(i64::try_from(share).unwrap_or(i64::MAX) * self.amount.signum(), self.currency)
            })
            .collect()
    }

    /// Reads a decimal such as `19.99` or `-3`; more digits than the currency has are refused, unless they are zeros.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let digits = currency_digits(currency);
        let malformed = MoneyError::Malformed { digits };
        let text = text.trim();
        let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let numeric = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if !numeric(whole) || !numeric(fraction) || (whole.is_empty() && fraction.is_empty()) {
            return Err(malformed);
        }
        let digits = usize::from(digits);
        let kept = &fraction[..fraction.len().min(digits)];
        if fraction[kept.len()..].bytes().any(|b| b != b'0') {
            return Err(malformed);
        }
        let amount = i64::from_str(&format!("{whole}{kept:0<digits$}")).map_err(|_| MoneyError::Overflow)?;
        Ok(Self::new(if negative { -amount } else { amount }, currency))
    }

    /// The amount as a plain decimal, `19.99`.
    pub fn decimal(self) -> String {
        let digits = usize::from(currency_digits(self.currency));
        let text = format!("{:0>width$}", self.amount.unsigned_abs(), width = digits + 1);
        let (whole, fraction) = text.split_at(text.len() - digits);
        let sign = if self.amount < 0 { "-" } else { "" };
        if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
    }

    fn same(self, other: Self) -> Result<(), MoneyError> {
        if self.currency == other.currency {
            Ok(())
        } else {
            Err(MoneyError::Currencies(self.currency.code(), other.currency.code()))
        }
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.decimal(), self.currency.code())
    }
}

impl From<MoneyError> for crate::Failure {
    fn from(error: MoneyError) -> Self {
        Self::new(crate::code::INVALID).detail(error.to_string())
    }
}

impl PartialSchema for Money {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .property(
                "amount",
                ObjectBuilder::new()
                    .schema_type(Type::Integer)
                    .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
                    .description(Some("Minor units of the currency")),
            )
            .property("currency", ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[A-Z]{3}$")))
            .required("amount")
            .required("currency")
            .into()
    }
}

impl ToSchema for Money {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn usd(amount: i64) -> Money {
        Money::new(amount, Currency::USD)
    }

    #[test]
    fn knows_currencies_of_0_2_3_and_4_digits() {
        for (text, currency, amount) in [
            ("1999", Currency::JPY, 1999),
            ("19.99", Currency::USD, 1999),
            ("1.999", Currency::JOD, 1999),
            ("0.1999", Currency::CLF, 1999),
        ] {
            let money = Money::parse(text, currency).unwrap();
            assert_eq!(money.amount, amount);
            assert_eq!(money.decimal(), text);
        }
        assert_eq!(Money::parse("5.00", Currency::JPY).unwrap().amount, 5);
        assert_eq!(Money::parse("5.01", Currency::JPY), Err(MoneyError::Malformed { digits: 0 }));
        for text in ["", ".", "1,000", "1e3", "+1", "--1", "1.2.3", "１"] {
            assert!(Money::parse(text, Currency::USD).is_err(), "{text:?}");
        }
        assert_eq!(Money::parse("99999999999999999999", Currency::USD), Err(MoneyError::Overflow));
    }

    #[test]
    fn rounds_as_named() {
        for (amount, up, even, down) in [(5, 3, 2, 2), (15, 8, 8, 7), (-5, -3, -2, -2)] {
            assert_eq!(usd(amount).scaled(1, 2, Rounding::HalfUp).unwrap().amount, up);
            assert_eq!(usd(amount).scaled(1, 2, Rounding::HalfEven).unwrap().amount, even);
            assert_eq!(usd(amount).scaled(1, 2, Rounding::Down).unwrap().amount, down);
        }
    }

    #[test]
    fn refuses_two_currencies_in_a_sum() {
        assert!(usd(1).plus(Money::new(1, Currency::EUR)).is_err());
        assert_eq!(usd(i64::MAX).plus(usd(1)), Err(MoneyError::Overflow));
    }

    proptest! {
        #[test]
        fn parts_add_up_and_stay_within_one_unit(amount in -1_000_000_000_i64..1_000_000_000, weights in prop::collection::vec(0_u64..1_000_000, 1..20)) {
            let parts = usd(amount).allocate(&weights);
            prop_assert_eq!(parts.iter().map(|p| p.amount).sum::<i64>(), amount);
            let total: u64 = weights.iter().sum();
            if total > 0 {
                for (part, weight) in parts.iter().zip(&weights) {
                    let exact = i128::from(amount) * i128::from(*weight);
                    prop_assert!((i128::from(part.amount) * i128::from(total) - exact).abs() < i128::from(total));
                }
            }
        }

        #[test]
        fn reads_what_it_wrote(amount: i32) {
            for currency in [Currency::JPY, Currency::USD, Currency::JOD, Currency::CLF] {
                let money = Money::new(i64::from(amount), currency);
                prop_assert_eq!(Money::parse(&money.decimal(), currency).unwrap(), money);
            }
        }
    }
}
