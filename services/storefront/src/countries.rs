//! Countries an address may be in, by name.

use std::sync::LazyLock;

use crate::locale::Locale;

/// A country of ISO 3166-1.
pub(crate) struct Country {
    /// Alpha-2 code.
    pub(crate) code: &'static str,
    english: &'static str,
    chinese: &'static str,
}

impl Country {
    /// Its name.
    pub(crate) const fn name(&self, locale: Locale) -> &'static str {
        match locale {
            Locale::En => self.english,
            Locale::ZhCn => self.chinese,
        }
    }
}

static COUNTRIES: LazyLock<Vec<Country>> = LazyLock::new(|| {
    include_str!("../assets/countries.tsv")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            let mut cells = line.split('\t');
            Some(Country { code: cells.next()?, english: cells.next()?, chinese: cells.next()? })
        })
        .collect()
});

/// All of them, by English name.
pub(crate) fn all() -> &'static [Country] {
    &COUNTRIES
}

/// A country's name, or the code where we know none.
pub(crate) fn name(locale: Locale, code: &str) -> String {
    all().iter().find(|c| c.code == code).map_or(code, |c| c.name(locale)).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_country() {
        assert_eq!(all().len(), 249);
        assert!(all().iter().all(|c| c.code.len() == 2 && !c.english.is_empty() && !c.chinese.is_empty()));
        assert_eq!(name(Locale::ZhCn, "US"), "美国");
        assert_eq!(name(Locale::En, "??"), "??");
    }
}
