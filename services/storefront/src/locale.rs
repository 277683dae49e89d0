//! The languages pages are written in, and how one is chosen.

use std::{borrow::Cow, collections::HashMap};

use fluent_templates::{LanguageIdentifier, Loader, fluent_bundle::FluentValue};

fluent_templates::static_loader! {
    static TEXTS = {
        locales: "./locales",
        fallback_language: "en",
        customise: |bundle| bundle.set_use_isolating(false),
    };
}

/// A language of the pages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Locale {
    /// English.
    #[default]
    En,
    /// Simplified Chinese.
    ZhCn,
}

impl Locale {
    /// Every language, in the order the switch shows them.
    pub(crate) const ALL: [Self; 2] = [Self::En, Self::ZhCn];

    /// BCP 47 tag: `lang` attribute, cookie, account.
    pub(crate) const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::ZhCn => "zh-CN",
        }
    }

    /// Its name in itself.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::En => "English",
            Self::ZhCn => "简体中文",
        }
    }

    /// The language a tag asks for, when we have it. Every Chinese gets the one Chinese there is.
    pub(crate) fn parse(tag: &str) -> Option<Self> {
        let primary = tag.trim().split(['-', '_']).next().unwrap_or_default();
        if primary.eq_ignore_ascii_case("en") {
            Some(Self::En)
        } else if primary.eq_ignore_ascii_case("zh") {
            Some(Self::ZhCn)
        } else {
            None
        }
    }

    /// The best language of an `Accept-Language` header; earlier ones win ties.
    pub(crate) fn accepted(header: &str) -> Option<Self> {
        let mut best: Option<(Self, f32)> = None;
        for range in header.split(',').take(32) {
            let mut parts = range.split(';');
            let locale = parts.next().and_then(Self::parse);
            let weight = parts
                .filter_map(|part| part.trim().strip_prefix("q="))
                .find_map(|q| q.parse::<f32>().ok())
                .unwrap_or(1.0);
            if let Some(locale) = locale
                && weight > 0.0
                && best.is_none_or(|(_, top)| weight > top)
            {
                best = Some((locale, weight));
            }
        }
        best.map(|(locale, _)| locale)
    }

    fn identifier(self) -> LanguageIdentifier {
        // Both tags are well formed; a test reads them back.
        self.tag().parse().unwrap_or_default()
    }

    /// The text of `key`, when there is one.
    pub(crate) fn find(self, key: &str) -> Option<String> {
        TEXTS.try_lookup(&self.identifier(), key)
    }

    /// The text of `key`; the key itself where it is missing, which a test rules out.
    pub(crate) fn text(self, key: &str) -> String {
        self.find(key).unwrap_or_else(|| key.to_owned())
    }

    /// The text of `key` with a value put in.
    pub(crate) fn text_with(self, key: &str, name: &str, value: &str) -> String {
        self.text_with_all(key, &[(name, value)])
    }

    /// The text of `key` with values put in.
    pub(crate) fn text_with_all(self, key: &str, values: &[(&str, &str)]) -> String {
        self.find_with(key, values).unwrap_or_else(|| key.to_owned())
    }

    /// The text of `key` with values put in, when there is one.
    pub(crate) fn find_with(self, key: &str, values: &[(&str, &str)]) -> Option<String> {
        let value = |(name, value): &(&str, &str)| {
            (Cow::Owned((*name).to_owned()), FluentValue::from((*value).to_owned()))
        };
        TEXTS.try_lookup_with_args(&self.identifier(), key, &values.iter().map(value).collect())
    }

    /// The text of `key` with a number, by the language's plural rules: `$count` chooses, `$number` is shown.
    pub(crate) fn counted(self, key: &str, count: i64) -> String {
        let shown = crate::format::number(count);
        self.fill(
            key,
            HashMap::from([
                (Cow::Borrowed("count"), FluentValue::from(count)),
                (Cow::Borrowed("number"), FluentValue::from(shown)),
            ]),
        )
    }

    fn fill(self, key: &str, values: HashMap<Cow<'static, str>, FluentValue<'_>>) -> String {
        TEXTS.try_lookup_with_args(&self.identifier(), key, &values).unwrap_or_else(|| key.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heaviest_language_we_have_wins() {
        assert_eq!(Locale::accepted("de, zh-TW;q=0.8, en;q=0.7"), Some(Locale::ZhCn));
        assert_eq!(Locale::accepted("en-GB,en;q=0.9,zh;q=0.9"), Some(Locale::En));
        assert_eq!(Locale::accepted("zh;q=0, fr"), None);
        assert_eq!(Locale::accepted("en;q=x"), Some(Locale::En));
        assert_eq!(Locale::accepted(""), None);
    }

    #[test]
    fn tags_read_back() {
        for locale in Locale::ALL {
            assert_eq!(Locale::parse(locale.tag()), Some(locale));
            assert_eq!(locale.identifier().to_string(), locale.tag());
        }
        assert_eq!(Locale::parse("../../etc"), None);
    }

    #[test]
    fn plural_rules_are_the_languages_own() {
        assert_eq!(Locale::En.counted("units", 1), "1 item");
        assert_eq!(Locale::En.counted("units", 1_200), "1,200 items");
        assert_eq!(Locale::ZhCn.counted("units", 3), "3 件");
    }
}
