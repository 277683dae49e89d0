//! What was typed, and which words of a document matched it: for highlights and corrections, which the server does not give as
//! the port promises them.

use std::collections::HashSet;

use meilisearch_sdk::search::SearchResult;

use super::document::{MARK, Stored};
use crate::{
    text::{self, Stems, Word, is_filler},
    typos,
};

/// What was typed.
pub(crate) struct Typed {
    text: String,
    words: Vec<Word>,
    stems: Vec<String>,
    goes_on: bool,
}

impl Typed {
    /// Reads what was typed; `None` for signs only, which match nothing.
    pub(crate) fn of(typed: &str) -> Option<Self> {
        if !typed.trim().is_empty() && !typed.contains(char::is_alphanumeric) {
            return None;
        }
        let mut words = text::typed_words(typed);
        if words.iter().any(|word| !is_filler(&word.text)) {
            words.retain(|word| !is_filler(&word.text));
        }
        let mut stems = Stems::new();
        Some(Self {
            text: typed.to_owned(),
            stems: words.iter().map(|word| stems.of(&word.text)).collect(),
            words,
            goes_on: typed.chars().next_back().is_some_and(|c| !c.is_whitespace()),
        })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The stems to mark, those of a compound's parts too.
    pub(crate) fn stems(&self) -> HashSet<String> {
        let mut stems = Stems::new();
        let parts = self.words.iter().flat_map(|word| &word.parts).map(|part| stems.of(part));
        self.stems.iter().cloned().chain(parts.collect::<Vec<_>>()).collect()
    }

    /// What was typed as stems; `None` when that is the same.
    pub(crate) fn stemmed(&self) -> Option<String> {
        let differs = self.words.iter().zip(&self.stems).any(|(word, stem)| word.text != *stem);
        // A blank at the end: stems are whole words.
        differs.then(|| format!("{} ", self.stems.join(" ")))
    }

    /// Whether a typo in it would be forgiven.
    pub(crate) fn may_be_wrong(&self) -> bool {
        self.words.iter().any(|word| !word.cjk && typos::forgiven(&word.text) > 0)
    }

    /// What was typed with the words replaced that the best match has otherwise; `None` when it has all of them.
    pub(crate) fn corrected(&self, matched: &HashSet<String>) -> Option<String> {
        let mut text = String::with_capacity(self.text.len());
        let mut end = 0;
        for (at, word) in self.words.iter().enumerate() {
            if let Some(correction) = self.correction(at, word, matched) {
                text.push_str(&self.text[end..word.from]);
                text.push_str(correction);
                end = word.to;
            }
        }
        text.push_str(&self.text[end..]);
        (end > 0).then(|| kernel::normalise(&text))
    }

    fn correction<'a>(&self, at: usize, word: &Word, matched: &'a HashSet<String>) -> Option<&'a str> {
        let forgiven = typos::forgiven(&word.text);
        if word.cjk || forgiven == 0 || !word.parts.is_empty() {
            return None;
        }
        let begun = self.goes_on && at + 1 == self.words.len();
        let known = |other: &String| {
            *other == word.text || *other == self.stems[at] || (begun && other.starts_with(&word.text))
        };
        if matched.iter().any(known) {
            return None;
        }
        let typed: Vec<char> = word.text.chars().collect();
        let near = matched.iter().filter_map(|other| Some((typos::between(&typed, other, forgiven)?, other)));
        // Of a word and its stem the longer one: that is how it is written.
        near.min_by_key(|(typos, other)| (*typos, std::cmp::Reverse(other.len()), other.as_str()))
            .map(|(_, other)| other.as_str())
    }
}

/// The indexed words of a hit that matched, whole where only a part of them is marked.
pub(crate) fn words_of(hit: &SearchResult<Stored>) -> HashSet<String> {
    let formatted = hit.formatted_result.as_ref().and_then(|formatted| formatted.get("forms"));
    let forms = formatted.and_then(|forms| forms.as_str()).unwrap_or_default();
    forms
        .split(' ')
        .filter(|word| word.contains(MARK.0))
        .map(|word| word.replace([MARK.0, MARK.1], ""))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corrected(typed: &str, matched: &[&str]) -> Option<String> {
        let matched = matched.iter().map(|word| (*word).to_owned()).collect();
        Typed::of(typed).unwrap().corrected(&matched)
    }

    #[test]
    fn a_word_that_occurs_nowhere_is_corrected() {
        assert_eq!(corrected("hedphnoes ", &["headphones", "headphon"]).as_deref(), Some("headphones"));
        assert_eq!(
            corrected("wireles  headset", &["wireless", "headset"]).as_deref(),
            Some("wireless headset")
        );
        assert_eq!(corrected("shirt", &["shirt", "skirt"]), None);
        assert_eq!(corrected("lampsh", &["lampshade"]), None, "it is still being typed");
        assert_eq!(corrected("tables ", &["tabl", "table"]), None, "its stem is there");
    }

    #[test]
    fn signs_alone_are_no_search() {
        assert!(Typed::of("!!!").is_none());
        assert!(Typed::of("  ").unwrap().is_empty());
        assert_eq!(Typed::of("running shoes").unwrap().stemmed().as_deref(), Some("run shoe "));
        assert!(Typed::of("mug").unwrap().stemmed().is_none());
    }
}
