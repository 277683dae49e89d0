//! Names in URLs and codes of SKUs, made where nobody gave one. The same input gives the same name.

use sha2::{Digest, Sha256};

const LONGEST_SLUG: usize = 200;
const LONGEST_CODE: usize = 100;

/// The slug of a text: `[a-z0-9]` words with single hyphens, other alphabets transliterated. A text without any letter or
/// digit gets one made from its hash, so a slug is never empty.
pub(crate) fn slug_of(text: &str) -> String {
    let slug = slug::slugify(text);
    if slug.is_empty() { format!("x-{}", tag(&[text])) } else { shorten(slug, LONGEST_SLUG, &[text]) }
}

/// What to try, in order, when a slug is taken: `lamp`, `lamp-2` … `lamp-20`, then one that only this owner can have.
pub(crate) fn candidates(base: &str, owner: &str) -> Vec<String> {
    let base = base.get(..LONGEST_SLUG - 12).unwrap_or(base).trim_end_matches('-');
    std::iter::once(base.to_owned())
        .chain((2..=20).map(|n| format!("{base}-{n}")))
        .chain([format!("{base}-{}", tag(&[owner]))])
        .collect()
}

/// The code of a SKU without one: handle and option values, `CLASSIC-TOP-SMALL`.
pub(crate) fn sku_code(handle: &str, values: &[&str]) -> String {
    let parts: Vec<&str> = std::iter::once(handle).chain(values.iter().copied()).collect();
    let code = parts.iter().map(|part| slug_of(part)).collect::<Vec<_>>().join("-").to_uppercase();
    shorten(code, LONGEST_CODE, &parts)
}

/// The same, when that one is taken: with a mark of handle and values.
pub(crate) fn sku_code_marked(handle: &str, values: &[&str]) -> String {
    let parts: Vec<&str> = std::iter::once(handle).chain(values.iter().copied()).collect();
    let code = sku_code(handle, values);
    let kept = code.get(..LONGEST_CODE - 11).unwrap_or(&code).trim_end_matches('-');
    format!("{kept}-{}", tag(&parts).to_uppercase())
}

fn shorten(text: String, longest: usize, parts: &[&str]) -> String {
    if text.len() <= longest {
        return text;
    }
    let kept = text.get(..longest - 11).unwrap_or(&text).trim_end_matches('-');
    let mark = tag(parts);
    let upper = text.bytes().any(|b| b.is_ascii_uppercase());
    format!("{kept}-{}", if upper { mark.to_uppercase() } else { mark })
}

/// Ten hex digits that stand for `parts`.
fn tag(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hex::encode(&hash.finalize()[..5])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn makes_slugs_of_any_alphabet() {
        assert_eq!(slug_of("Ocean Blue Shirt"), "ocean-blue-shirt");
        assert_eq!(slug_of("青花瓷 茶杯"), "qing-hua-ci-cha-bei");
        assert!(slug_of("!!!").starts_with("x-"));
        assert_ne!(slug_of("!!!"), slug_of("???"));
        assert_eq!(slug_of(&"long word ".repeat(50)).len(), slug_of(&"long word ".repeat(60)).len());
    }

    #[test]
    fn codes_follow_from_handle_and_values() {
        assert_eq!(sku_code("varsity-top", &["Small", "Dark Grey"]), "VARSITY-TOP-SMALL-DARK-GREY");
        assert_ne!(sku_code_marked("pot", &["A+"]), sku_code_marked("pot", &["A-"]));
        assert!(sku_code(&"x".repeat(180), &["Small"]).len() <= LONGEST_CODE);
    }

    proptest! {
        #[test]
        fn slugs_are_slugs(text in ".{0,300}") {
            let slug = slug_of(&text);
            prop_assert!(!slug.is_empty() && slug.len() <= LONGEST_SLUG);
            prop_assert!(slug.split('-').all(|w| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())));
            for candidate in candidates(&slug, "owner") {
                prop_assert!(candidate.len() <= LONGEST_SLUG);
            }
        }
    }
}
