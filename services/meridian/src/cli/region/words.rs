//! What is written in a word: shards, regions, jurisdictions, pins, hours.

use std::str::FromStr;

use kernel::{Region, Shard};
use placement::{Day, Jurisdiction, Role};

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
        let number = |text: &str| text.parse::<u16>().ok().filter(|number| *number < 1_024);
        let (from, to) = text.split_once('-').unwrap_or((text, text));
        match (number(from), number(to)) {
            (Some(from), Some(to)) if from <= to => Ok(Self(from, to)),
            _ => Err("a shard is a number from 0 to 1023, a range is written as 0-5".to_owned()),
        }
    }
}

pub(super) fn name(text: &str) -> Result<Region, String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.is_empty() || text.len() > 32 || !text.chars().all(plain) {
        return Err("a region's name is made of a-z, 0-9 and -, such as eu-west".to_owned());
    }
    Ok(Region::new(text))
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
    let hour = hour.parse::<u8>().ok().filter(|hour| *hour < 24);
    Ok((day.to_ascii_lowercase().parse()?, hour.ok_or("an hour is a number from 0 to 23")?))
}

pub(super) fn law(text: &str) -> Result<(Region, Jurisdiction), String> {
    let (region, law) =
        text.split_once('=').ok_or("it is written as REGION=JURISDICTION, such as eu-west=eu")?;
    Ok((name(region)?, Jurisdiction::new(name(law)?.as_str())))
}

pub(super) fn entrance(text: &str) -> Result<(Region, String), String> {
    let (region, url) = text.split_once('=').ok_or("a region is written as NAME=URL")?;
    let plain = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    if plain.is_none_or(|rest| rest.is_empty() || rest.contains(['@', '?', '#'])) {
        return Err(format!("`{url}` is no base URL, such as http://10.0.0.1:8080"));
    }
    Ok((name(region)?, url.trim_end_matches('/').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_numbers_or_ranges() {
        assert_eq!("7".parse(), Ok(ShardRange(7, 7)));
        assert_eq!("0-5".parse(), Ok(ShardRange(0, 5)));
        for wrong in ["", "5-0", "1024", "-1", "a", "1-2-3"] {
            assert!(wrong.parse::<ShardRange>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_are_plain() {
        assert!(name("eu-west").is_ok() && name("EU").is_err() && name("").is_err() && name("../x").is_err());
    }

    #[test]
    fn drills_have_a_day_and_an_hour() {
        assert_eq!(weekly("Sat@3"), Ok((Day::Saturday, 3)));
        assert_eq!(weekly("monday@23"), Ok((Day::Monday, 23)));
        for wrong in ["sat", "sat@24", "sat@", "@3", "satur@3", "sat@-1"] {
            assert!(weekly(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn regions_are_founded_with_their_entrances() {
        assert_eq!(
            entrance("eu-west=https://shop.example/"),
            Ok((Region::new("eu-west"), "https://shop.example".to_owned()))
        );
        for wrong in [
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
