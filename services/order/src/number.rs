//! The number people use for an order: 20 digits.
//!
//! `YYMMDD` of the day it was placed (UTC), four digits of its shard (so that a number alone finds its shard), nine
//! random digits (so that numbers neither count orders nor can be guessed), and a check digit of ISO 7064 MOD 11,10,
//! which finds every single wrong digit and nearly all swapped neighbours.

use kernel::{Shard, Timestamp};

const RANDOM: u64 = 1_000_000_000;

/// The number of an order placed `at`, with `entropy` from a random source.
pub(crate) fn compose(at: Timestamp, shard: Shard, entropy: u64) -> String {
    let day = at.to_datetime().format("%y%m%d");
    let body = format!("{day}{:04}{:09}", shard.number(), entropy % RANDOM);
    let check = check_digit(&body);
    format!("{body}{check}")
}

/// The check digit of a text of digits, ISO 7064 MOD 11,10.
fn check_digit(body: &str) -> u32 {
    let product = body.chars().filter_map(|c| c.to_digit(10)).fold(10, |product, digit| {
        let sum = (product + digit) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    (11 - product) % 10
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_valid(number: &str) -> bool {
        number.len() == 20
            && number.bytes().all(|b| b.is_ascii_digit())
            && check_digit(&number[..19]).to_string() == number[19..]
    }

    #[test]
    fn checks_as_iso_7064_does() {
        // The example of the standard, and a German tax number from its public description: both use MOD 11,10.
        assert_eq!(check_digit("0794"), 5);
        assert_eq!(check_digit("8609574271"), 9);
    }

    #[test]
    fn tells_the_day_and_the_shard() {
        let at = Timestamp::from_micros(1_795_248_000_000_000);
        let number = compose(at, Shard::new(37), 123);
        assert!(number.starts_with("2611210037000000123"), "{number}");
        assert!(is_valid(&number));
    }

    proptest! {
        #[test]
        fn one_wrong_digit_is_found(entropy: u64, shard in 0_u16..1024, place in 0_usize..20, by in 1_u8..10) {
            let number = compose(Timestamp::from_micros(1_795_248_000_000_000), Shard::new(shard), entropy);
            prop_assert!(is_valid(&number));
            let mut wrong = number.into_bytes();
            wrong[place] = (wrong[place] - b'0' + by) % 10 + b'0';
            prop_assert!(!is_valid(&String::from_utf8(wrong).unwrap()));
        }
    }
}
