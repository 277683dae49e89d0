//! Suggests what to search for.

use contracts::search::{SuggestQuery, Suggestions};
use kernel::{Result, normalise};

use crate::{query::check, service::SearchService};

/// Texts in an answer.
const SHOWN: usize = 10;

impl SearchService {
    /// Names and titles that go on from what was typed; hot words when nothing was.
    pub(crate) async fn suggestions(&self, query: SuggestQuery) -> Result<Suggestions> {
        check(&query)?;
        let typed = normalise(query.q.as_deref().unwrap_or_default());
        if typed.is_empty() {
            return self.hottest().await;
        }
        Ok(Suggestions { items: self.index.suggest(typed, SHOWN).await? })
    }
}
