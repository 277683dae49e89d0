//! Counts what is searched for, and says what is searched most.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use contracts::search::Suggestions;
use kernel::{Result, Timestamp};

use crate::{model::hot_candidate, service::SearchService, store};

/// Different words that are counted between two flushes; of more, the first ones.
const COUNTED: usize = 10_000;
/// Words that a flush writes: those searched most.
const WRITTEN: usize = 1_000;
/// Hot words that are shown.
const SHOWN: u64 = 10;
/// Words are kept so long.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
const HOUR: i64 = 3_600;

/// Words counted in this process and not written yet.
#[derive(Debug, Default)]
pub(crate) struct Counted(Mutex<HashMap<String, i64>>);

impl Counted {
    /// Counts a search that had results.
    pub(crate) fn count(&self, typed: &str) {
        let Some(term) = hot_candidate(typed) else { return };
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.len() < COUNTED || counted.contains_key(&term) {
            *counted.entry(term).or_default() += 1;
        }
    }

    /// Takes what was counted, most searched first.
    fn take(&self) -> Vec<(String, i64)> {
        let counted = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut terms: Vec<_> = counted.into_iter().collect();
        terms.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        terms.truncate(WRITTEN);
        terms
    }
}

impl SearchService {
    /// Writes what was counted. What a crash loses here is a few seconds of counts.
    pub(crate) async fn flush_words(&self) -> Result<()> {
        let terms = self.counted.take();
        if terms.is_empty() { Ok(()) } else { store::add_terms(&self.db, hour(self.db.now()), terms).await }
    }

    /// Words searched most within the window.
    pub(crate) async fn hottest(&self) -> Result<Suggestions> {
        let load = || async {
            let from = hour(self.db.now().minus(self.config.hot_window)) + 1;
            let terms = store::top_terms(&self.db, from, i64::from(self.config.hot_minimum), SHOWN).await?;
            Ok(Some(Arc::new(terms)))
        };
        let items = self.hot.get_or_load(&(), load).await?.unwrap_or_default();
        Ok(Suggestions { items: Vec::clone(&items) })
    }

    /// Forgets words nobody asks about any more; how many rows.
    pub(crate) async fn prune(&self) -> Result<u64> {
        store::forget(&self.db, hour(self.db.now().minus(KEPT))).await
    }
}

fn hour(at: Timestamp) -> i64 {
    at.seconds().div_euclid(HOUR)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_bounded_and_sorted() {
        let counted = Counted::default();
        for n in 0..COUNTED + 50 {
            let letters: String =
                n.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect();
            counted.count(&format!("word {letters}"));
        }
        counted.count("word a");
        counted.count("ada@example.org");
        let terms = counted.take();
        assert_eq!(terms.len(), WRITTEN);
        assert_eq!(terms[0], ("word a".to_owned(), 2));
        assert!(counted.take().is_empty());
    }
}
