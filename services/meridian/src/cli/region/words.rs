//! What is written in a word: shards, regions, jurisdictions, pins, weights, hours, reasons.

use std::str::FromStr;

use kernel::{Region, Shard};
use placement::{Day, Jurisdiction, Role};
use url::Url;

/// The longest base URL of an entrance.
const LONGEST_URL: usize = 200;
/// The longest reason, in characters: as long as over HTTP.
const LONGEST_REASON: usize = 200;

/// Shards from one to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardRange(pub u16, pub u16);

impl ShardRange {
    /// All of them.
    pub(crate) fn shards(self) -> impl Iterator<Item = Shard> {
        (self.0..=self.1).map(Shard::new)
    }
}

impl FromStr for ShardRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| digits::<u16>(text).filter(|number| *number < 1_024);
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        match (number(from), number(to)) {
            (Some(from), Some(to)) if from <= to => Ok(Self(from, to)),
            _ => Err("a shard is a number from 0 to 1023, a range is written as 0-5".to_owned()),
        }
    }
}

/// A number of digits alone: no sign, no point.
fn digits<N: FromStr>(text: &str) -> Option<N> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

/// A region that is there, or not: who asks for one that is not hears which are.
pub(super) fn name(text: &str) -> Result<Region, String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.is_empty() || text.len() > 32 || !text.chars().all(plain) {
        return Err("a region's name is made of a-z, 0-9 and -, such as eu-west".to_owned());
    }
    Ok(Region::new(text))
}

/// A region that is new: its name is that of folders and keys, and of `region.name` in its configuration.
fn new_name(text: &str) -> Result<Region, String> {
    let region = name(text)?;
    if !text.starts_with(|c: char| c.is_ascii_lowercase()) || text.ends_with('-') {
        return Err(
            "a region's name begins with a letter and does not end with -, such as eu-west".to_owned()
        );
    }
    Ok(region)
}

pub(super) fn shard(text: &str) -> Result<Shard, String> {
    match text.parse() {
        Ok(ShardRange(from, to)) if from == to => Ok(Shard::new(from)),
        _ => Err("a shard is a number from 0 to 1023".to_owned()),
    }
}

/// A jurisdiction's name.
pub(super) fn jurisdiction(text: &str) -> Result<Jurisdiction, String> {
    let plain = name(text).map_err(|_| "a jurisdiction's name is made of a-z, 0-9 and -, such as eu")?;
    Ok(Jurisdiction::new(plain.as_str()))
}

/// A region's weight.
pub(super) fn weight(text: &str) -> Result<u16, String> {
    digits(text).ok_or_else(|| "a weight is a whole number from 0 to 65535".to_owned())
}

/// Why something is done, for the journal: a line.
pub(super) fn reason(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > LONGEST_REASON || text.contains(char::is_control) {
        return Err(format!("a reason is a line of 1 to {LONGEST_REASON} characters"));
    }
    Ok(text.to_owned())
}

/// A region's role.
pub(super) fn role(text: &str) -> Result<Role, String> {
    match text {
        "full" => Ok(Role::Full),
        "witness" => Ok(Role::Witness),
        _ => Err("a region's role is full or witness".to_owned()),
    }
}

pub(super) fn pin(text: &str) -> Result<(Shard, Region), String> {
    let (number, region) =
        text.split_once('=').ok_or("a pin is written as SHARD=REGION, such as 3=eu-west")?;
    Ok((shard(number)?, name(region)?))
}

pub(super) fn weekly(text: &str) -> Result<(Day, u8), String> {
    let (day, hour) =
        text.split_once('@').ok_or("it is written as DAY@HOUR, such as sat@3 (hours of UTC, 0 to 23)")?;
    let hour = digits::<u8>(hour).filter(|hour| *hour < 24);
    Ok((day.to_ascii_lowercase().parse()?, hour.ok_or("an hour is a number from 0 to 23")?))
}

pub(super) fn law(text: &str) -> Result<(Region, Jurisdiction), String> {
    let (region, law) =
        text.split_once('=').ok_or("it is written as REGION=JURISDICTION, such as eu-west=eu")?;
    Ok((name(region)?, jurisdiction(law)?))
}

/// A new region and the base URL of its entrance, as browsers write it: without a user, a query or a / at its end.
pub(super) fn entrance(text: &str) -> Result<(Region, String), String> {
    let (region, url) = text.split_once('=').ok_or("a region is written as NAME=URL")?;
    let web = url.starts_with("http://") || url.starts_with("https://");
    let odd = |c: char| c.is_whitespace() || c.is_control() || ['@', '?', '#', '\\'].contains(&c);
    let parsed = Url::parse(url).ok().filter(|url| web && url.port() != Some(0));
    let base = parsed.filter(|_| !url.contains(odd)).map(|url| url.as_str().trim_end_matches('/').to_owned());
    match base {
        Some(base) if base.len() <= LONGEST_URL => Ok((new_name(region)?, base)),
        Some(_) => Err(format!("a base URL has at most {LONGEST_URL} characters")),
        None => Err(format!("`{}` is no base URL, such as http://10.0.0.1:8080", url.escape_debug())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_numbers_or_ranges() {
        assert_eq!("7".parse(), Ok(ShardRange(7, 7)));
        assert_eq!("0-5".parse(), Ok(ShardRange(0, 5)));
        for wrong in [
            "", "5-0", "5-2", "1024", "0-1024", "0-99999", "-1", "+1", "0-+5", "-", "0-", "a", "1-2-3",
            "1.5", "NaN", "０",
        ] {
            assert!(wrong.parse::<ShardRange>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_are_plain() {
        assert!(name("eu-west").is_ok() && name(&"e".repeat(32)).is_ok());
        for wrong in
            ["", "EU", "../x", "eu west", "eü", "eu_west", "eu\u{202e}", "eu;drop", "e\n", &"e".repeat(33)]
        {
            assert!(name(wrong).is_err(), "{wrong:?}");
        }
        for wrong in ["-eu", "1eu", "-", "eu-"] {
            assert!(name(wrong).is_ok() && new_name(wrong).is_err(), "{wrong:?} is no name for a new one");
        }
    }

    #[test]
    fn a_weight_is_a_whole_number() {
        assert_eq!((weight("0"), weight("65535")), (Ok(0), Ok(65_535)));
        for wrong in ["", "-1", "+1", "1.5", "NaN", "inf", "1e3", "65536", "99999999999999999999"] {
            assert!(weight(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_reason_is_a_line() {
        assert_eq!(reason(" enough 够了 "), Ok("enough 够了".to_owned()));
        assert!(reason(&"ä".repeat(200)).is_ok());
        for wrong in ["", "  ", "two\nlines", "\u{1b}[2J", &"ä".repeat(201)] {
            assert!(reason(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_pin_and_a_law_name_both() {
        assert_eq!(pin("3=eu-west"), Ok((Shard::new(3), Region::new("eu-west"))));
        for wrong in ["3", "=eu", "3=", "0-3=eu", "x=eu", "3=EU", "1024=eu"] {
            assert!(pin(wrong).is_err(), "{wrong}");
        }
        assert_eq!(law("eu-west=eu"), Ok((Region::new("eu-west"), Jurisdiction::new("eu"))));
        for wrong in ["eu-west", "=eu", "eu-west=EU", "eu-west=a b"] {
            assert!(law(wrong).is_err(), "{wrong}");
        }
        assert!(law("eu-west=").unwrap_err().contains("jurisdiction"), "it names what is missing");
    }

    #[test]
    fn drills_have_a_day_and_an_hour() {
        assert_eq!(weekly("Sat@3"), Ok((Day::Saturday, 3)));
        assert_eq!(weekly("monday@23"), Ok((Day::Monday, 23)));
        for wrong in ["sat", "sat@24", "sat@", "@3", "satur@3", "sat@-1", "sat@+3", "sat@3.5", "sat@3@4", ""]
        {
            assert!(weekly(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn regions_are_founded_with_their_entrances() {
        assert_eq!(
            entrance("eu-west=https://shop.example/"),
            Ok((Region::new("eu-west"), "https://shop.example".to_owned()))
        );
        let written = |url: &str| entrance(&format!("eu={url}")).map(|(_, url)| url);
        assert_eq!(written("http://EU.Shop.Example:80"), Ok("http://eu.shop.example".to_owned()));
        assert_eq!(written("http://127.0.0.1:8080//"), Ok("http://127.0.0.1:8080".to_owned()));
        assert_eq!(written("http://[::1]:8080/eu"), Ok("http://[::1]:8080/eu".to_owned()));
        for wrong in [
            "http://a b",
            " http://a",
            "http://a\n",
            "http://a:99999",
            "http://a:0",
            "http:a",
            "ftp://a",
            "http://a?b",
            "http://a\\b",
        ] {
            assert!(written(wrong).is_err(), "{wrong:?}");
        }
        assert!(written(&format!("http://a.test/{}", "a".repeat(200))).unwrap_err().contains("200"));
        for wrong in [
            "1eu=http://a",
            "eu-=http://a",
            "eu-west",
            "eu-west=",
            "eu-west=shop.example",
            "EU=http://a",
            "eu=http://user:word@a",
            "eu=http://",
        ] {
            assert!(entrance(wrong).is_err(), "{wrong}");
        }
    }
}
