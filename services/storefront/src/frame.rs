//! What every page shows around its own content, and how templates speak the visitor's language.

use kernel::Timestamp;

use crate::{assets, format, link, locale::Locale};

/// What every page shows around its own content. Templates call it `page`.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// Language.
    pub(crate) locale: Locale,
    /// Title, without the shop's name.
    pub(crate) title: String,
    /// One sentence for search engines.
    pub(crate) description: Option<String>,
    /// Token of this page's forms.
    pub(crate) csrf: String,
    /// Whether somebody is logged in.
    pub(crate) member: bool,
    /// Units in the cart.
    pub(crate) units: i64,
    /// Path and parameters, without the language.
    pub(crate) here: String,
    /// What the search box holds.
    pub(crate) words: String,
    /// What happened on the page before.
    pub(crate) flash: Option<String>,
    /// Scheme and host.
    pub(crate) origin: String,
    /// Whether search engines may list the page.
    pub(crate) index: bool,
    /// Seconds after which a browser without scripts loads the page again.
    pub(crate) refresh: Option<u32>,
}

/// A language in the switch.
pub(crate) struct LanguageLink {
    /// BCP 47 tag.
    pub(crate) tag: &'static str,
    /// Its name in itself.
    pub(crate) name: &'static str,
    /// This page in it.
    pub(crate) href: String,
    /// Whether the page is in it.
    pub(crate) current: bool,
}

impl Frame {
    /// A frame around a page that knows nobody and has no form that sends anything.
    pub(crate) fn plain(locale: Locale, title: String) -> Self {
        Self {
            locale,
            title,
            description: None,
            csrf: String::new(),
            member: false,
            units: 0,
            here: "/".to_owned(),
            words: String::new(),
            flash: None,
            origin: String::new(),
            index: false,
            refresh: None,
        }
    }

    /// A frame for tests.
    #[cfg(test)]
    pub(crate) fn sample(locale: Locale) -> Self {
        Self {
            locale,
            title: "Sample".to_owned(),
            description: None,
            csrf: "c5f".to_owned(),
            member: false,
            units: 2,
            here: "/p/sample?sku=1".to_owned(),
            words: String::new(),
            flash: None,
            origin: "http://shop.test".to_owned(),
            index: false,
            refresh: None,
        }
    }

    /// May be listed by search engines, with this sentence.
    pub(crate) fn listed(mut self, description: impl Into<String>) -> Self {
        self.index = true;
        self.description = Some(description.into());
        self
    }

    /// The page's address is another one than the request's: where a form's errors are shown.
    pub(crate) fn at(mut self, path: impl Into<String>) -> Self {
        self.here = path.into();
        self
    }

    /// Words in the search box.
    pub(crate) fn searching(mut self, words: &str) -> Self {
        words.clone_into(&mut self.words);
        self
    }

    /// Loads again by itself where there are no scripts.
    pub(crate) fn refreshing(mut self, seconds: u32) -> Self {
        self.refresh = Some(seconds);
        self
    }

    /// A text.
    pub(crate) fn t(&self, key: &str) -> String {
        self.locale.text(key)
    }

    /// A text with a value in it.
    pub(crate) fn t1(&self, key: &str, name: &str, value: &str) -> String {
        self.locale.text_with(key, name, value)
    }

    /// A text with a number in it.
    pub(crate) fn n(&self, key: &str, count: &i64) -> String {
        self.locale.counted(key, *count)
    }

    /// A moment.
    pub(crate) fn moment(&self, at: &Timestamp) -> String {
        format::moment(self.locale, *at)
    }

    /// A moment for machines.
    pub(crate) fn machine(&self, at: &Timestamp) -> String {
        format::machine_time(*at)
    }

    /// The address of a file of ours.
    pub(crate) fn asset(&self, name: &str) -> String {
        assets::url(name)
    }

    /// An absolute address.
    pub(crate) fn absolute(&self, path: &str) -> String {
        if path.starts_with('/') { format!("{}{path}", self.origin) } else { path.to_owned() }
    }

    /// The languages.
    pub(crate) fn languages(&self) -> Vec<LanguageLink> {
        let join = if self.here.contains('?') { '&' } else { '?' };
        Locale::ALL
            .into_iter()
            .map(|locale| LanguageLink {
                tag: locale.tag(),
                name: locale.name(),
                href: format!("{}{join}lang={}", self.here, locale.tag()),
                current: locale == self.locale,
            })
            .collect()
    }

    /// Where logging in leads back to.
    pub(crate) fn login_url(&self) -> String {
        let here = self.here.as_str();
        let next = if here == "/" || here.starts_with("/login") || here.starts_with("/register") {
            ""
        } else {
            here
        };
        link::with_params("/login", [("next", next)])
    }
}
