//! What tells the products of a file apart.

use kernel::normalise;
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;

/// The most characters of a slug.
const LONGEST: usize = 200;

/// A handle, or a title in its place, as a slug: small letters, digits and single hyphens. Case, blanks, hyphens, what cannot
/// be seen and the ways to write one letter in Unicode apart, the same text gives the same slug and another text another one:
/// what cannot be written so is transliterated or left out, and a mark tells it apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Handle {
    pub(crate) slug: String,
    /// What older versions made of it, where that was something else: of a text written in another way than it is normalised,
    /// what the last one did, which told such ways apart; of others, what those did that made one product of all texts that
    /// are transliterated alike.
    pub(crate) former: Option<String>,
}

impl Handle {
    /// The handle of a text.
    pub(crate) fn of(text: &str) -> Self {
        let (clean, as_written) = (plain(&normalise(text)).nfc().collect::<String>(), plain(text));
        let slug = slug_of(&clean);
        if clean != as_written {
            return Self { former: Some(slug_of(&as_written)).filter(|former| *former != slug), slug };
        }
        if slug == clean {
            return Self { slug, former: None };
        }
        let former = slug::slugify(text);
        let former = if (1..=LONGEST).contains(&former.len()) { former } else { marked(&former, text) };
        Self { former: Some(former).filter(|former| *former != slug), slug }
    }
}

/// A text without case and with single hyphens between its words.
fn plain(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c == '-').filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_lowercase()
}

/// A plain text that is a slug as it is; of another one a slug with its mark.
fn slug_of(plain: &str) -> String {
    let made = slug::slugify(plain);
    if made == plain && (1..=LONGEST).contains(&made.len()) { made } else { marked(&made, plain) }
}

/// The beginning of a slug with a mark of the text it was made of.
fn marked(slug: &str, text: &str) -> String {
    let mark =
        Sha256::digest(text.as_bytes()).iter().take(5).map(|byte| format!("{byte:02x}")).collect::<String>();
    let kept = slug.get(..slug.len().min(LONGEST - 11)).unwrap_or("x").trim_end_matches('-');
    format!("{}-{mark}", if kept.is_empty() { "x" } else { kept })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn what_is_a_slug_but_for_case_and_blanks_stays_as_it_is() {
        for (text, slug) in [
            ("ocean-blue-shirt", "ocean-blue-shirt"),
            ("Ocean  Blue Shirt", "ocean-blue-shirt"),
            ("Wok", "wok"),
            ("a--b-", "a-b"),
        ] {
            assert_eq!(Handle::of(text), Handle { slug: slug.to_owned(), former: None });
        }
        let long = "long-".repeat(40).trim_end_matches('-').to_owned();
        assert_eq!(Handle::of(&long).slug, long);
    }

    #[test]
    fn other_texts_are_other_products() {
        let texts =
            ["C++ Mug", "C# Mug", "C Mug", "c_mug", "青花", "清华", "***", "+++", "-", "Mug’s", "Mug's"];
        let long = ["long ".repeat(100), "long ".repeat(101)];
        let handles: Vec<Handle> =
            texts.into_iter().chain(long.iter().map(String::as_str)).map(Handle::of).collect();
        let slugs: HashSet<&str> = handles.iter().map(|handle| handle.slug.as_str()).collect();
        assert_eq!(slugs.len(), handles.len(), "{slugs:?}");
        for slug in slugs {
            assert!((1..=LONGEST).contains(&slug.len()) && slug::slugify(slug) == slug, "{slug}");
        }
        assert_eq!(Handle::of("C++ MUG").slug, handles[0].slug);
        assert_eq!(handles[0].former.as_deref(), Some("c-mug"));
        assert_eq!(Handle::of("青花瓷").former.as_deref(), Some("qing-hua-ci"));
    }

    #[test]
    fn one_text_in_several_ways_to_write_it_is_one_product() {
        for (composed, other) in [
            ("Café Mug", "Cafe\u{301} Mug"),
            ("Ångström", "A\u{30a}ngstro\u{308}m"),
            ("한글 컵", "\u{1112}\u{1161}\u{11ab}\u{1100}\u{1173}\u{11af} \u{110f}\u{1165}\u{11b8}"),
            ("wok", "wok\u{200b}"),
            ("wok", "\u{feff}wok"),
        ] {
            let (handle, same) = (Handle::of(composed), Handle::of(other));
            assert_eq!(same.slug, handle.slug, "{other:?}");
            // What the last version made of the other way to write it leads to the one product.
            assert_eq!(same.former, Some(slug_of(&plain(other))), "{other:?}");
            assert_ne!(same.former.as_ref(), Some(&handle.slug));
        }
        assert_ne!(Handle::of("Cafe Mug").slug, Handle::of("Café Mug").slug);
    }
}
