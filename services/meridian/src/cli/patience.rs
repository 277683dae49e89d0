//! How long something may take, or how old it may be.

use std::{fmt, str::FromStr, time::Duration};

/// A deadline that far away is a moment that clocks still have.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 24 * 3_600);

/// A length of time, such as `90s` or `2m`: longer than nothing, and ten years at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience(pub Duration);

impl FromStr for Patience {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let time = humantime::parse_duration(text).map_err(|_| "a time is written as 500ms, 90s or 2m")?;
        if time.is_zero() || time > LONGEST {
            return Err("a time is longer than nothing, and ten years at most".to_owned());
        }
        Ok(Self(time))
    }
}

impl fmt::Display for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_unit_and_bounds() {
        assert_eq!("90s".parse(), Ok(Patience(Duration::from_secs(90))));
        assert_eq!("2m 30s".parse(), Ok(Patience(Duration::from_secs(150))));
        assert!("10years".parse::<Patience>().is_ok());
        for wrong in ["", "90", "-1s", "NaN", "soon", "0s", "11years", "584542046090years"] {
            assert!(wrong.parse::<Patience>().is_err(), "{wrong}");
        }
    }
}
