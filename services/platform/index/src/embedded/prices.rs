//! Prices of a segment: a column a currency.
//!
//! The fast field keeps a price as one number: the currency's three letters in the upper 16 bits, minor units in the lower 48.

use kernel::{Currency, Money};
use tantivy::columnar::Column;

/// Bits of the minor units.
const AMOUNT: u32 = 48;
/// Not sold in this currency.
const NONE: i64 = -1;

/// A price as the fast field keeps it. Minor units are cut to what fits, 0 to 2^48 - 1 (pricing allows up to 10^12).
pub(crate) fn pack(price: Money) -> u64 {
    let amount = price.amount.clamp(0, (1 << AMOUNT) - 1);
    (code(price.currency) << AMOUNT) | amount.unsigned_abs()
}

/// A currency's letters as a number below 26^3.
fn code(currency: Currency) -> u64 {
    currency.code().bytes().fold(0, |code, letter| code * 26 + u64::from(letter.wrapping_sub(b'A') % 26))
}

/// The letters of a number.
fn currency_of(code: u64) -> Option<Currency> {
    let letter = |power: u64| u8::try_from(code / power % 26).map(|letter| char::from(b'A' + letter));
    let letters: String = [letter(676), letter(26), letter(1)].into_iter().collect::<Result<_, _>>().ok()?;
    Currency::from_code(&letters)
}

/// Prices by currency and document: 8 bytes a document and currency.
#[derive(Debug, Default)]
pub(crate) struct Prices(Vec<(u64, Vec<i64>)>);

impl Prices {
    /// Decodes the fast field of a segment with so many documents.
    pub(crate) fn decode(column: &Column<u64>, docs: u32) -> Self {
        let mut prices = Self::default();
        for doc in 0..docs {
            for packed in column.values_for_doc(doc) {
                let (code, amount) = (packed >> AMOUNT, packed & ((1 << AMOUNT) - 1));
                let column = prices.column(code, docs);
                if let Some(price) = column.get_mut(doc as usize)
                    && *price == NONE
                {
                    *price = i64::try_from(amount).unwrap_or(i64::MAX);
                }
            }
        }
        prices
    }

    fn column(&mut self, code: u64, docs: u32) -> &mut Vec<i64> {
        let at = match self.0.iter().position(|(known, _)| *known == code) {
            Some(at) => at,
            None => {
                self.0.push((code, vec![NONE; docs as usize]));
                self.0.len() - 1
            }
        };
        &mut self.0[at].1
    }

    /// Where the prices in a currency are, for [`Prices::at`]; `None` when nothing here is sold in it.
    pub(crate) fn find(&self, currency: Currency) -> Option<usize> {
        let wanted = code(currency);
        self.0.iter().position(|(known, _)| *known == wanted)
    }

    /// A document's price in the currency found there.
    pub(crate) fn at(&self, column: Option<usize>, doc: usize) -> Option<i64> {
        let price = *self.0.get(column?)?.1.get(doc)?;
        (price != NONE).then_some(price)
    }

    /// All prices of a document, by currency code.
    pub(crate) fn of(&self, doc: usize) -> Vec<Money> {
        let mut found: Vec<Money> = (0..self.0.len())
            .filter_map(|column| {
                let currency = currency_of(self.0[column].0)?;
                Some(Money::new(self.at(Some(column), doc)?, currency))
            })
            .collect();
        found.sort_unstable_by_key(|price| price.currency.code());
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn currencies_survive_their_number() {
        for currency in [Currency::USD, Currency::AED, Currency::ZWL, Currency::JPY, Currency::EUR] {
            assert_eq!(currency_of(code(currency)), Some(currency));
        }
    }

    #[test]
    fn amounts_are_kept_up_to_their_limit() {
        let amount = |amount| pack(Money::new(amount, Currency::USD)) & ((1 << AMOUNT) - 1);
        assert_eq!(amount(10_i64.pow(12)), 10_u64.pow(12));
        assert_eq!((amount(-5), amount(i64::MAX)), (0, (1 << AMOUNT) - 1));
    }
}
