//! Categories and brands by number.

use std::collections::HashMap;

use crate::{Named, text::fold};

/// Stands between the parts of a label; nothing a person typed contains it.
const SEPARATOR: char = '\u{1f}';

/// One string for a category or brand, as the fast field keeps it.
pub(crate) fn encode(named: &Named) -> String {
    format!("{}{SEPARATOR}{}{SEPARATOR}{}", named.id, named.slug, named.name)
}

/// A category or brand seen in a segment.
#[derive(Clone, Debug)]
pub(crate) struct Label {
    pub(crate) named: Named,
    /// Its folded name, for suggestions.
    pub(crate) folded: String,
}

/// Numbers for every label of a generation, the same in all segments. A renamed category has a second number beside the old
/// one until its products are indexed again; both answer to its id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Labels {
    by_text: HashMap<String, u32>,
    by_key: HashMap<String, Vec<u32>>,
    all: Vec<Label>,
}

impl Labels {
    /// The number of an encoded label that was seen before.
    pub(crate) fn known(&self, text: &str) -> Option<u32> {
        self.by_text.get(text).copied()
    }

    /// The number of an encoded label, given on first sight.
    pub(crate) fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.known(text) {
            return number;
        }
        let number = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        let mut parts = text.splitn(3, SEPARATOR).map(str::to_owned);
        let mut part = || parts.next().unwrap_or_default();
        let named = Named { id: part(), slug: part(), name: part() };
        for key in [&named.id, &named.slug] {
            let numbers = self.by_key.entry(key.to_lowercase()).or_default();
            if numbers.last() != Some(&number) {
                numbers.push(number);
            }
        }
        self.by_text.insert(text.to_owned(), number);
        self.all.push(Label { folded: fold(&named.name), named });
        number
    }

    /// The numbers that answer to an id or slug in any case; none for an unknown one.
    pub(crate) fn find(&self, key: &str) -> Vec<u32> {
        self.by_key.get(&key.to_lowercase()).cloned().unwrap_or_default()
    }

    pub(crate) fn all(&self) -> &[Label] {
        &self.all
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn get(&self, number: u32) -> Option<&Label> {
        self.all.get(usize::try_from(number).ok()?)
    }
}
